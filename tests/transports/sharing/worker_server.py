# The server that forks workers, with everything imported that any of them may need.

import cryptography.fernet  # noqa: F401
import filelock  # noqa: F401
import redis  # noqa: F401
import requests  # noqa: F401

from .. import asyncio_driver, trio_driver  # noqa: F401
from . import worker
from .fork_server import serve

if __name__ == "__main__":
    serve(worker.main)
