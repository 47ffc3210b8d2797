# The original client's HTTP library, axios on Node, installed as the lock file says; and the example that uses it.

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["Original", "Refused", "find_tool"]

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "obtain_security_token.mjs")
INSTALL_TIMEOUT = 180.0  # seconds; two, with a warm cache
RUN_TIMEOUT = 30.0  # seconds; a run takes less than one


class Refused(Exception):
    """The example got no security token; the text is what it said."""


class Original:
    """An installation of the example in an empty folder. Needs npm's registry, or its cache from an earlier time."""

    def __init__(self, folder: Path) -> None:
        self._node = find_tool("node")
        self._folder = folder
        for name in FILES:
            shutil.copyfile(HERE / name, folder / name)
        # No scripts: a test suite has no business running what some package likes to run when it is installed.
        options = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
        for _ in range(3):  # a registry may hiccup
            installed = subprocess.run(
                [find_tool("npm"), "ci", *options],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=INSTALL_TIMEOUT,
                check=False,
            )
            if not installed.returncode:
                break
        else:
            raise RuntimeError(f"npm ci could not install axios for tests/interop:\n{installed.stderr}")

    def obtain_security_token(self, url: str, username: str, password: str) -> str:
        """Run the example against the service at `url` and return its security token, or raise Refused."""
        ended = subprocess.run(
            [self._node, "obtain_security_token.mjs"],
            cwd=self._folder,
            env={
                "PATH": os.environ.get("PATH", ""),  # and no proxy that axios would obey
                "SERVICE_URL": url,
                "SERVICE_USERNAME": username,
                "SERVICE_PASSWORD": password,
            },
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT,
            check=False,
        )
        if ended.returncode:
            raise Refused(ended.stderr.strip())
        return ended.stdout


def find_tool(name: str) -> str:
    """Return the path of a command.

    Raises:
        RuntimeError: it is missing. That is no reason to skip a test: that the original works would go unproven.
    """
    path = shutil.which(name)
    if path is None:
        raise RuntimeError(
            f"{name} is missing: install Node.js (which brings npm), or leave these tests out with "
            "--ignore=tests/interop"
        )
    return path
