# How the asyncio driver finds and connects a socket. A socket of our own, so that TCP and TLS are told apart.
#
# A name may have several addresses, and the way to one of them may be dead without a word. So the next one is tried
# beside it after a moment (RFC 8305), as trio does; else a silent address would use up the time of every attempt.

import asyncio
import socket
from functools import partial
from typing import Any

__all__ = ["open_socket"]

MOMENT = 0.25  # seconds in which an address may answer before the next one is tried as well

Address = tuple[int, Any]  # family; host and port, and what else belongs to them


async def open_socket(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the first address that answers.

    Raises:
        OSError: none does, or there is none; this is what the last one said.
    """
    addresses = await _addresses_of(loop, host, port)
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


async def _addresses_of(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[Address]:
    for family in (socket.AF_INET, socket.AF_INET6):  # an address needs no look-up, which would take a thread
        try:
            socket.inet_pton(family, host)
            return [(family, (host, port))]
        except OSError:
            pass
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(each[0], each[4]) for each in found]


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
