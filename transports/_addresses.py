# Where a host is: what the asyncio and the trio driver have in common when they connect. Knows neither of them.

import socket
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

__all__ = ["MOMENT", "Address", "by_turns", "look_up", "numeric"]

MOMENT = 0.25  # seconds in which an address may answer before the next one is tried as well (RFC 8305)

Address = tuple[int, Any]  # family; host and port, and what else belongs to them


def numeric(host: str, port: int) -> list[Address]:
    """Return where `host` is if it is an address, which needs no look-up, and so no thread; else nothing."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
            return [(family, (host, port))]
        except OSError:
            pass
    return []


def look_up(host: str, port: int) -> list[Address]:
    """Ask the system where `host` is. Blocks."""
    return by_turns(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def by_turns(found: Iterable[tuple[Any, ...]]) -> list[Address]:
    """Return the addresses in what getaddrinfo has found in the order in which to try them: the families take turns
    (RFC 8305), since it often is one of them that leads nowhere, and the one that the system prefers begins."""
    addresses = [(each[0], each[4]) for each in found]
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for pair in zip_longest(first, others) for address in pair if address is not None]
