# The names of `tenure.transports.stores`: loaded when they are used, and what is said if their library is missing.

import subprocess
import sys

import pytest
from tenure.transports import stores

LIBRARIES = {"FileStore": "filelock", "RedisStore": "redis", "EncryptedStore": "cryptography"}
EXTRAS = {"FileStore": "file", "RedisStore": "redis", "EncryptedStore": "encryption"}


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_nothing_is_loaded_before_it_is_named() -> None:
    """DESIGN.md, Packaging: who wants the errors pays for no library, and who wants one store for no other."""
    homes = {"FileStore": "file", "RedisStore": "redis", "EncryptedStore": "encrypted"}
    package = "tenure.transports.stores"
    loaded = f"import sys; print([name for name in {list(homes.values())} if '{package}.' + name in sys.modules])"
    libraries = f"import sys; print([name for name in {list(LIBRARIES.values())} if name in sys.modules])"
    assert run(f"from {package} import StoreError, LeaseLostError, Store; {loaded}; {libraries}").split() == ["[]"] * 2
    for name, home in homes.items():
        assert run(f"from {package} import {name}; {loaded}") == f"['{home}']"


@pytest.mark.parametrize("name", LIBRARIES)
def test_missing_library_is_named_with_its_extra(name: str) -> None:
    """DESIGN.md, Packaging: an import without its extra says which extra to install."""
    program = f"""
import sys
sys.modules[{LIBRARIES[name]!r}] = None
try:
    from tenure.transports.stores import {name}
except ImportError as problem:
    print(problem)
"""
    assert f"pip install 'tenure[{EXTRAS[name]}]'" in run(program)


def test_all_public_names_exist() -> None:
    """And dir() shows them before they are loaded."""
    missing = run("from tenure.transports import stores; print(set(stores.__all__) - set(dir(stores)))")
    assert missing == "set()"
    assert all(getattr(stores, name).__name__ == name for name in stores.__all__)
    with pytest.raises(AttributeError, match="no attribute 'MongoStore'"):
        stores.MongoStore  # noqa: B018
