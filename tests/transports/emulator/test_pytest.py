# The plugin, as its users have it.

import subprocess
import sys

import pytest

PROGRAM = """
import urllib.request

pytest_plugins = ["tenure.transports.emulator.pytest"]
seen = []


def test_service(authorization_service):
    assert authorization_service.credentials.username
    assert authorization_service.url.startswith("http://127.0.0.1:")
    seen.append(authorization_service)


def test_factory(start_emulator):
    assert "stopped" in repr(seen[0])
    one, other = start_emulator(grace=30), start_emulator()
    assert (one.service.grace, other.service.grace) == (30, 0)
    assert one.url != other.url
    seen.extend([one, other])


def test_all_are_stopped():
    assert ["stopped" in repr(each) for each in seen] == [True, True, True]
"""


@pytest.mark.once
def test_the_plugin_in_a_users_test(tmp_path):
    """The fixtures give running emulators, and stop them after each test."""
    (tmp_path / "test_it.py").write_text(PROGRAM)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "3 passed" in run.stdout, run.stdout
