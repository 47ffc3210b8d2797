# _asyncio_streams.py: what only asyncio can get wrong.

import asyncio
import gc
import sys
from typing import Any

import pytest
from tenure import NOT_SENT, SendFailure
from tenure.transports import _asyncio_streams
from tenure.transports._asyncio_shield import CancelledWithReport

from ..loopback import Loopback, answer, full_backlog, read_request
from .streams import HELLO, SOON, AsyncioSender, answer_to, failure_of, post


@pytest.mark.parametrize("how", ["by a reset", "by an end", "by words of its own"])
def test_asyncio_connection_that_ends_before_the_first_byte(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio tells of what arrives at any time: what arrives before the request was sent is no answer to it."""
    before = _asyncio_streams._Conversation.connection_made

    def connection_made(self: _asyncio_streams._Conversation, transport: asyncio.BaseTransport) -> None:
        before(self, transport)
        if how == "by a reset":
            self.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
        else:
            self.data_received(HELLO if how == "by words of its own" else b"")

    monkeypatch.setattr(_asyncio_streams._Conversation, "connection_made", connection_made)
    received: list[bytes] = []
    with Loopback(lambda connection: received.append(read_request(connection))) as server:
        assert failure_of(AsyncioSender(), server.origin).kind == NOT_SENT
    assert not any(received)
    gc.collect()


class ForeignTransport:
    """A transport that does all that one of asyncio's does, and is none."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def test_asyncio_transports_need_not_derive_from_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of uvloop do not."""
    before = _asyncio_streams._Conversation.connection_made

    def connection_made(self: _asyncio_streams._Conversation, transport: Any) -> None:
        before(self, ForeignTransport(transport))  # type: ignore[arg-type]

    monkeypatch.setattr(_asyncio_streams._Conversation, "connection_made", connection_made)
    with Loopback(answer(HELLO)) as server:
        assert answer_to(AsyncioSender(), server.origin).body == b"hello"


def test_asyncio_time_out_takes_its_own_cancellation_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that was cancelled by its own timer is not cancelled; one that somebody else cancels as well is."""
    before = _asyncio_streams._Conversation._end_late

    def end_late_and_cancelled(self: _asyncio_streams._Conversation) -> None:
        before(self)
        assert self._connecting is not None
        self._connecting.cancel()

    async def main(url: str, outcome: type[BaseException]) -> int:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(outcome):
            await _asyncio_streams.StreamSender(None)(post(url), SOON)
        return task.cancelling() if sys.version_info >= (3, 11) else 0

    with full_backlog() as url:
        assert asyncio.run(main(url, SendFailure)) == 0
        monkeypatch.setattr(_asyncio_streams._Conversation, "_end_late", end_late_and_cancelled)
        if sys.version_info >= (3, 11):  # before, nobody can tell
            assert asyncio.run(main(url, CancelledWithReport)) == 1
    gc.collect()
