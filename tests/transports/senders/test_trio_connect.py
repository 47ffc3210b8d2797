# _trio_connect.py: what only trio can get wrong.

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio
from tenure import Response
from tenure.transports import _trio_connect
from tenure.transports.emulator import Emulator

from ..driver_helpers import until
from ..drivers import TIMEOUT
from ..loopback import Loopback, names
from .streams import TrioSender, post


class Resolver(trio.abc.HostnameResolver):
    """Knows one address, under any name."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def getaddrinfo(self, host: Any, port: Any, *rest: Any) -> Any:
        self.asked.append(host)
        await trio.lowlevel.checkpoint()
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]

    async def getnameinfo(self, *arguments: Any) -> Any:
        raise NotImplementedError


class Factory(trio.abc.SocketFactory):
    """Makes sockets as trio does, and counts them."""

    def __init__(self) -> None:
        self.made = 0

    def socket(self, family: Any = 0, type: Any = 0, proto: Any = 0) -> Any:  # noqa: A002
        self.made += 1
        return trio.socket.from_stdlib_socket(socket.socket(family, type, proto))


async def answer_from(url: str) -> None:
    report = await TrioSender()._send(post(url), TIMEOUT)
    assert isinstance(report, Response), report


def test_a_custom_resolver_is_asked(emulator: Emulator) -> None:
    """trio lets a program look names up in its own way, and it stays so."""
    resolver = Resolver()

    async def main() -> None:
        trio.socket.set_custom_hostname_resolver(resolver)
        for host in ("nowhere.invalid", "127.0.0.1"):
            await answer_from(emulator.url.replace("127.0.0.1", host))
        assert trio.socket.set_custom_hostname_resolver(None) is resolver

    trio.run(main)
    assert [host if isinstance(host, str) else host.decode() for host in resolver.asked] == ["nowhere.invalid"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_custom_socket_factory_makes_the_sockets(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Likewise the sockets."""
    factory = Factory()

    async def main() -> None:
        trio.socket.set_custom_socket_factory(factory)
        await answer_from(emulator.url.replace("127.0.0.1", host))

    names(monkeypatch, *[("127.0.0.1", urlsplit(emulator.url).port or 0)] * 2)
    trio.run(main)
    assert factory.made >= 1


@pytest.mark.parametrize("end", ["wanted", "cancelled"])
def test_several_that_connect_in_the_same_turn(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """One is returned; all others are closed, and that one, too, if nobody waits for it any more."""
    connect = _trio_connect._connect
    standing: list[trio.SocketStream] = []
    ends: list[str] = []
    both, scope = trio.Event(), trio.CancelScope()

    async def connect_together(address: Any) -> trio.SocketStream:
        with trio.CancelScope(shield=True):
            stream = await connect(address)
            standing.append(stream)
            if len(standing) == 2:
                both.set()
                if end == "cancelled":
                    scope.cancel()
            await both.wait()
        return stream

    async def main(port: int) -> None:
        with scope:
            try:
                stream = await _trio_connect.open_stream("localhost", port)
            except trio.Cancelled:  # and no group of them
                ends.append("cancelled")
                raise
            ends.append("wanted")
            assert [each for each in standing if each.socket.fileno() != -1] == [stream]
            stream.socket.close()

    monkeypatch.setattr(_trio_connect, "_connect", connect_together)
    monkeypatch.setattr(_trio_connect, "MOMENT", 0.0)
    with Loopback(lambda connection: connection.recv(1)) as server:
        names(monkeypatch, *[("127.0.0.1", server.port)] * 2)
        trio.run(main, server.port)
        until(lambda: server.connections == 2)
    assert ends == [end]
    assert [each.socket.fileno() for each in standing] == [-1, -1]
