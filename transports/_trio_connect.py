# How the trio driver finds and connects a stream. Compare _asyncio_connect.py.
#
# A name may have several addresses, and the way to one of them may be dead without a word. So the next one is tried
# beside it after a moment (RFC 8305); else a silent address would use up the time of every attempt. trio's own
# `open_tcp_stream` does that as well, but looks names up in a thread of those that the whole program shares.

import socket

import trio

from ._addresses import MOMENT, Address, by_turns, look_up, numeric

__all__ = ["open_stream"]


async def open_stream(host: str, port: int) -> trio.SocketStream:
    """Return a connection to the first address that answers.

    Raises:
        OSError: none does, or there is none; this is what the last one said.
    """
    try:
        addresses = await _addresses_of(host, port)
        if len(addresses) == 1:
            return await _connect(addresses[0])
        return await _race(addresses)
    except BaseException:
        await trio.lowlevel.checkpoint_if_cancelled()  # a plain Cancelled, where nurseries raise a group of them
        raise


async def _addresses_of(host: str, port: int) -> list[Address]:
    addresses = numeric(host, port)
    if addresses:
        return addresses
    if _has_custom_resolver():
        return by_turns(await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    # Not with trio's own limiter: its slots may all be held by threads that wait for what is being fetched here.
    slot = trio.CapacityLimiter(1)
    return await trio.to_thread.run_sync(look_up, host, port, limiter=slot, abandon_on_cancel=True)


def _has_custom_resolver() -> bool:
    """Say whether somebody other than the system is to be asked. trio tells only whoever replaces it."""
    resolver = trio.socket.set_custom_hostname_resolver(None)
    trio.socket.set_custom_hostname_resolver(resolver)
    return resolver is not None


async def _connect(address: Address) -> trio.SocketStream:
    family, where = address
    sock = trio.socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        await sock.connect(where)
        return trio.SocketStream(sock)
    except BaseException:
        sock.close()
        raise


async def _race(addresses: list[Address]) -> trio.SocketStream:
    attempts = _Attempts()
    try:
        await attempts.make(addresses)
        await trio.lowlevel.checkpoint_if_cancelled()  # a nursery that ends itself does not look at that
        if not attempts.connected:
            raise attempts.problem
        return attempts.connected.pop(0)
    finally:  # two may have connected in the same turn; or one, while the caller was cancelled
        for stream in attempts.connected:
            stream.socket.close()


class _Attempts:
    """What is tried side by side, until one of them succeeds.

    Attributes:
        connected: whatever has; the first is wanted.
        problem: what the last one said that has not.
    """

    def __init__(self) -> None:
        self.connected: list[trio.SocketStream] = []
        self.problem: Exception = OSError("no address")
        self._has_failed = trio.Event()

    async def make(self, addresses: list[Address]) -> None:
        async with trio.open_nursery() as nursery:
            for address in addresses:
                self._has_failed = trio.Event()
                nursery.start_soon(self._attempt, address, nursery.cancel_scope)
                with trio.move_on_after(MOMENT):
                    await self._has_failed.wait()

    async def _attempt(self, address: Address, all_of_them: trio.CancelScope) -> None:
        try:
            self.connected.append(await _connect(address))
            all_of_them.cancel()
        except Exception as problem:
            self.problem = problem
            self._has_failed.set()
