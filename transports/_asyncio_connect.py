# How the asyncio driver finds and connects a socket. A socket of our own, so that TCP and TLS are told apart. Compare
# _trio_connect.py.
#
# A name may have several addresses, and the way to one of them may be dead without a word. So the next one is tried
# beside it after a moment (RFC 8305), as trio's does; else a silent address would use up the time of every attempt.

import asyncio
import socket
from functools import partial

from ._addresses import MOMENT, Address, look_up, numeric
from ._asyncio_shield import on_a_new_thread

__all__ = ["open_socket"]


async def open_socket(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the first address that answers.

    Raises:
        OSError: none does, or there is none; this is what the last one said.
    """
    addresses = await _addresses_of(host, port)
    if len(addresses) > 1:
        return await _race(loop, addresses)
    for family, address in addresses:
        sock = _new_socket(family)
        try:
            await loop.sock_connect(sock, address)
            return sock
        except BaseException:
            sock.close()
            raise
    raise OSError("no address")


async def _addresses_of(host: str, port: int) -> list[Address]:
    return numeric(host, port) or await on_a_new_thread(look_up, host, port)


def _new_socket(family: int) -> socket.socket:
    # Said to be TCP, or asyncio does not set TCP_NODELAY, and a request waits 40 ms behind a TLS handshake.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setblocking(False)
    return sock


async def _race(loop: asyncio.AbstractEventLoop, addresses: list[Address]) -> socket.socket:
    problem: BaseException = OSError("no address")
    attempts: dict[asyncio.Task[None], socket.socket] = {}
    try:
        while addresses or attempts:
            if addresses:
                (family, address), *addresses = addresses
                try:
                    sock = _new_socket(family)
                except OSError as unknown:  # a family that this system does not have
                    problem = unknown
                    continue
                attempts[asyncio.Task(loop.sock_connect(sock, address), loop=loop)] = sock
            limit = MOMENT if addresses else None
            done, _ = await asyncio.wait(attempts, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                sock = attempts.pop(attempt)
                refused = attempt.exception()
                if refused is None:
                    return sock
                sock.close()
                problem = refused
        raise problem
    finally:
        for attempt, sock in attempts.items():
            attempt.cancel()
            attempt.add_done_callback(partial(_drop, sock))


def _drop(sock: socket.socket, attempt: "asyncio.Task[None]") -> None:
    if not attempt.cancelled():
        attempt.exception()  # or asyncio complains that nobody has looked at it
    sock.close()
