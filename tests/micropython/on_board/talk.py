# Runs under MicroPython (and anywhere else): the smallest driver there is, on plain sockets, against a real service.
#
#     talk.py URL USERNAME        with the password in the environment, as TENURE_PASSWORD
#
# It proves user name and password, establishes a session, uses its token, refreshes, and uses the next one; it prints a
# line for each, and no secret. One request after the other, on connections that the service closes; no TLS.

import os
import socket
import sys
import time

import tenure

TOKEN_ID = "44444444-4444-4444-8444-444444444444"


class Clocks:
    """Reads both clocks. MicroPython has no monotonic clock but ticks that wrap, so their differences are added up."""

    def __init__(self) -> None:
        self._ticks = getattr(time, "ticks_ms", lambda: int(time.monotonic() * 1000))
        self._difference = getattr(time, "ticks_diff", lambda later, earlier: later - earlier)
        self._last = self._ticks()
        self._milliseconds = 0

    def now(self) -> tenure.Instant:
        ticks = self._ticks()
        self._milliseconds += self._difference(ticks, self._last)
        self._last = ticks
        return tenure.Instant(self._milliseconds / 1000, time.time())


def split_url(url: str) -> "tuple[str, int, str]":
    """Return host, port and path of an http url."""
    authority, _, path = url.split("://", 1)[1].partition("/")
    host, _, port = authority.partition(":")
    return host, int(port or 80), "/" + path


def exchange(request: tenure.Request, timeout: float) -> tenure.Response:
    """Send `request` on a connection of its own and read until the service closes it."""
    host, port, path = split_url(request.url)
    lines = [request.method + " " + path + " HTTP/1.1", "host: " + host + ":" + str(port), "connection: close"]
    lines += ["content-length: " + str(len(request.body))]
    lines += [name + ": " + value for name, value in request.headers]
    sock = None
    failure = tenure.NOT_SENT
    try:
        # MicroPython's connect takes nothing but what getaddrinfo returns.
        address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1]
        sock = socket.socket()
        sock.settimeout(timeout)
        sock.connect(address)
        failure = tenure.AMBIGUOUS  # from here on bytes may have left
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + request.body)
        return read_response(sock)
    except OSError as problem:
        raise tenure.SendFailure(failure, "socket error " + str(problem.errno)) from None
    finally:
        if sock is not None:
            sock.close()


def read_response(sock: socket.socket) -> tenure.Response:
    received = b""
    while True:
        chunk = sock.recv(512)
        if not chunk:
            break
        received += chunk
        if len(received) > tenure.MAX_BODY:
            raise tenure.SendFailure(tenure.AMBIGUOUS, "the answer is too long")
    head, blank, body = received.partition(b"\r\n\r\n")
    if not blank:
        raise tenure.SendFailure(tenure.AMBIGUOUS, "the connection was closed before an answer")
    lines = head.decode().split("\r\n")
    headers = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    response = tenure.Response(int(lines[0].split(" ")[1]), headers, body)
    if len(body) != int(response.header("content-length") or len(body)):
        raise tenure.SendFailure(tenure.AMBIGUOUS, "the answer is cut off")
    return response


def pump(protocol: tenure.AuthorizationProtocol, clocks: Clocks) -> None:
    """Do what the core asks until it asks for nothing."""
    while True:
        step = protocol.next_step(clocks.now())
        if step is None:
            return
        if isinstance(step, tenure.Sleep):
            time.sleep(step.seconds)
            continue
        assert isinstance(step, tenure.SendRequest)
        try:
            response = exchange(step.request, step.timeout)
        except tenure.SendFailure as failure:
            protocol.receive_failure(failure, clocks.now())
        else:
            protocol.receive_response(response, clocks.now())


def get_permission_token(protocol: tenure.AuthorizationProtocol, clocks: Clocks) -> str:
    call = protocol.request_token(clocks.now())
    pump(protocol, clocks)
    call.result()
    token = protocol.newest_token()
    assert token is not None
    return token


def use(url: str, token: str) -> int:
    """Return the status with which the protected resource answers to `token`."""
    headers = (("authorization", "Bearer " + token),)
    return exchange(tenure.Request("GET", url + "/api/resource", headers, b""), 10).status


def main(url: str, username: str, password: str) -> None:
    clocks = Clocks()
    protocol = tenure.AuthorizationProtocol(url, TOKEN_ID, ["read"], random_bytes=os.urandom)
    call = protocol.verify_credentials(username, password)
    pump(protocol, clocks)
    security_token = call.result()
    assert security_token is not None
    print("verified")
    call = protocol.establish([security_token])
    pump(protocol, clocks)
    call.result()
    print("established")
    first = get_permission_token(protocol, clocks)
    assert get_permission_token(protocol, clocks) is first
    print("the resource answers", use(url, first))
    call = protocol.refresh()
    pump(protocol, clocks)
    call.result()
    second = get_permission_token(protocol, clocks)
    assert second != first
    print("refreshed")
    print("the resource answers", use(url, second))
    claims = protocol.unverified_claims()
    assert claims is not None
    print("permissions", " ".join(claims.permissions))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], os.getenv("TENURE_PASSWORD") or "")
