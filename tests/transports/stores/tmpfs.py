# A small disk of its own for a piece of Python, in namespaces of its own: nothing is left behind, and it takes no root.

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["run_on_small_disk"]

_PREAMBLE = """
import json, subprocess, sys
from pathlib import Path
from tenure.transports.stores import FileStore, LeaseLostError, StoreError

disk = Path(sys.argv[1])
seen = []

def outcome(operation, *arguments, **options):
    try:
        return operation(*arguments, **options)
    except StoreError as problem:
        return [type(problem).__name__, str(problem)]

def fill():
    with open(disk / "filler", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            pass

def remount(mode):
    subprocess.run(["mount", "-o", f"remount,{mode}", disk], check=True)
"""


def run_on_small_disk(program: str, mount_point: Path) -> list[Any]:
    """Run `program`, in which `disk` is the root of a disk of 64 KiB; return what it puts into `seen`."""
    mount_point.mkdir()
    mount = 'mount -t tmpfs -o size=64k,mode=700 tmpfs "$1" && exec "$2" -c "$3" "$1"'
    code = f"{_PREAMBLE}\n{program}\nprint(json.dumps(seen))"
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(mount_point), sys.executable, code]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, f"{run.stderr}(where this may not mount: see the capabilities of the container)"
    seen: list[Any] = json.loads(run.stdout)
    return seen
