# A client for tests: says what the wire format says, over whichever way of sending it is given.

import http.client
import json
import socket
import ssl
from collections.abc import Callable
from random import Random
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from tenure import Request, Response
from tenure.transports.emulator import AuthorizationService, Emulator

START = 1_700_000_000.0  # Unix seconds at which virtual time begins
TOKEN_ID = "aaaaaaaa-1111-4111-8111-111111111111"
OTHER_TOKEN_ID = "22222222-2222-4222-8222-222222222222"
TIMEOUT = 10.0  # seconds; never reached unless a test fails

CREDENTIALS_PATH = "/api/security-factor/credentials"
ISSUE_PATH = "/api/permission/issue-by-factors"
KEY_PATH = "/api/permission/issue-by-key"
REFRESH_PATH = "/api/permission/refresh"
RESOURCE_PATH = "/api/resource"

Send = Callable[[Request], Response]


class Pair:
    """The two tokens of a successful answer."""

    def __init__(self, response: Response) -> None:
        assert response.status == 200, response.body
        data = json.loads(response.body)["data"]
        self.permission: str = data["permissionToken"]["permissionToken"]
        self.refresh: str = data["permissionRefreshToken"]["permissionRefreshToken"]
        self.permission_expires: int = data["permissionToken"]["expiresAt"]
        self.refresh_expires: int = data["permissionRefreshToken"]["expiresAt"]


class Client:
    """Sends requests of every kind; each method returns the response, those named after tokens what is in it."""

    def __init__(self, send: Send, service: AuthorizationService) -> None:
        self.send = send
        self.service = service

    def post(self, path: str, content: object, request_id: "str | None" = None, method: str = "POST") -> Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = (("content-type", "application/json"), ("request-id", request_id or str(uuid4())))
        return self.send(Request(method, "http://host" + self.service.base_path + path, headers, body))

    def verify(self, username: "str | None" = None, password: "str | None" = None) -> Response:
        known = self.service.credentials
        content = {"username": username or known.username, "password": password or known.password}
        return self.post(CREDENTIALS_PATH, content)

    def security_token(self, username: "str | None" = None, password: "str | None" = None) -> str:
        token = json.loads(self.verify(username, password).body)["data"]["securityToken"]
        assert isinstance(token, str)
        return token

    def issue(self, tokens: "list[str] | None" = None, token_id: str = TOKEN_ID) -> Response:
        tokens = [self.security_token()] if tokens is None else tokens
        return self.post(ISSUE_PATH, {"tokenId": token_id, "permissions": ["read"], "securityTokens": tokens})

    def issue_by_key(self, key: "str | None" = None, token_id: str = TOKEN_ID) -> Response:
        key = key or self.service.merchant_key
        return self.post(KEY_PATH, {"tokenId": token_id, "permissions": ["read"], "merchantKey": key})

    def establish(self, token_id: str = TOKEN_ID) -> Pair:
        return Pair(self.issue(token_id=token_id))

    def refresh(self, token: str, request_id: "str | None" = None) -> Response:
        return self.post(REFRESH_PATH, {"permissionRefreshToken": token}, request_id)

    def resource(self, token: "str | None") -> Response:
        headers = () if token is None else (("authorization", "Bearer " + token),)
        return self.send(Request("GET", "http://host" + self.service.base_path + RESOURCE_PATH, headers, b""))


class VirtualClient(Client):
    """A client of the pure service, in virtual time."""

    def __init__(self, service: "AuthorizationService | None" = None, **settings: object) -> None:
        settings.setdefault("random", Random(1))
        service = AuthorizationService(**settings) if service is None else service  # type: ignore[arg-type]
        super().__init__(lambda request: self.service.handle(request, self.wall), service)
        self.wall = START


class SocketClient(Client):
    """A client of an emulator; every request goes over a new connection of the standard library's client."""

    def __init__(self, emulator: Emulator, context: "ssl.SSLContext | None" = None) -> None:
        super().__init__(self.exchange, emulator.service)
        self.emulator = emulator
        self.context = context

    def exchange(self, request: Request) -> Response:
        address = urlsplit(self.emulator.origin)
        if self.context is None:
            connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT)
        else:
            connection = http.client.HTTPSConnection(
                str(address.hostname), address.port, timeout=TIMEOUT, context=self.context
            )
        try:
            connection.request(request.method, urlsplit(request.url).path, request.body, dict(request.headers))
            answer = connection.getresponse()
            return Response(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()


def send_raw(emulator: Emulator, content: bytes) -> bytes:
    """Send bytes, and return all bytes that come until the server closes."""
    with open_connection(emulator) as connection:
        connection.sendall(content)
        return read_all(connection)


def open_connection(emulator: Emulator) -> socket.socket:
    """Open a connection and say nothing on it."""
    address = urlsplit(emulator.origin)
    return socket.create_connection((str(address.hostname), address.port or 0), timeout=TIMEOUT)


def read_all(connection: socket.socket) -> bytes:
    """Return all bytes until the end."""
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def raw_refresh(emulator: Emulator, token: str, request_id: "str | None" = None) -> bytes:
    """Return the bytes of a refresh request."""
    body = json.dumps({"permissionRefreshToken": token}).encode()
    path = emulator.service.base_path + emulator.service.refresh_path
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nrequest-id: {request_id or uuid4()}\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def error_of(response: Response) -> str:
    """Return the error's word of a refusal."""
    content = json.loads(response.body)
    assert set(content) == {"requestId", "error", "message"}
    return str(content["error"])


def is_uuid(text: object) -> bool:
    """Tell whether a text is a UUID in its usual form."""
    return isinstance(text, str) and str(UUID(text)) == text.lower()
