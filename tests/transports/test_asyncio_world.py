# What only asyncio lets its users do: put their own task factory into the loop.

import asyncio
import sys

import pytest
from tenure.transports.asyncio import AuthorizationSession

from .driver_helpers import QUICK, TOKEN_ID
from .memory_service import MemoryService


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_tasks_may_be_eager() -> None:
    """A task then runs before whoever made it knows of it; the pump and what it sends work all the same."""

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        service = MemoryService(lambda: asyncio.sleep(0))
        session = AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)
        await session.establish([service.security_token])
        keeping = asyncio.ensure_future(session.keep_alive())
        session.invalidate(await session.get_permission_token())
        await asyncio.gather(*[session.get_permission_token() for _ in range(10)])
        await session.refresh()
        await session.close()
        await keeping
        assert service.outcomes == ["issued", "refreshed", "refreshed"]

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_an_eager_sender_may_be_done_at_once() -> None:
    """Even one that has never waited for anything."""

    async def rest() -> None:
        """Take no turn."""

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        service = MemoryService(rest)
        session = AuthorizationSession(service.url, TOKEN_ID, ["read"], send=service.send, policy=QUICK)
        await session.establish([service.security_token])
        await session.refresh()
        assert service.outcomes == ["issued", "refreshed"]

    asyncio.run(main())
