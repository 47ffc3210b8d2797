# What the service demands of a request, and what it says when that is not there.
#
# Strict on purpose: a client that departs from the wire format shall notice here, and not in production. Nothing of
# a request is ever repeated in a refusal, since a client may well have put its password in the wrong field.

import json
import re
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from ... import Request, Response
from .answers import Headers, json_answer
from .journal import JournalEntry

__all__ = ["Refusal", "Visit", "header_of", "request_id_of", "path_of", "read_body", "refusal_answer", "same_secret"]

# The plain form only: uuid.UUID would also take braces and a urn.
UUID_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)

FORMS = {str: "a string", UUID: "a UUID", list: "a list of strings"}


class Refusal(Exception):
    """A request is answered with an error.

    Attributes:
        status: 400 malformed, 401 not believed, 403 not sufficient, 404 or 405.
        error: a word for programs.
        message: a sentence for people.
        headers: those the answer bears besides.
    """

    def __init__(self, status: int, error: str, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        self.headers = headers


def refusal_answer(request_id: str | None, now: float, refusal: Refusal) -> Response:
    """Return the answer that says so, in the shape all of them have."""
    content = {"requestId": request_id, "error": refusal.error, "message": refusal.message}
    return json_answer(content, now, refusal.status, refusal.headers)


class Visit:
    """One request on its way through the service, and what the journal will say about it."""

    def __init__(self, request: Request, wall: float, now: float, kind: str) -> None:
        self.request = request
        self.wall = wall  # on the clock handed in
        self.now = now  # on the service's clock
        self.kind = kind
        self.request_id = request_id_of(request)
        self.outcome = "malformed"
        self.fingerprint: str | None = None
        self.family: str | None = None
        self.generation: int | None = None

    def concerns(self, family: str, generation: int) -> None:
        """Note which session it is about."""
        self.family, self.generation = family, generation

    def entry(self, status: int, fault: str) -> JournalEntry:
        """Return what the journal says about it."""
        seen = (self.kind, self.request_id, status, self.outcome, self.wall)
        return JournalEntry(*seen, self.fingerprint, self.family, self.generation, fault)


def path_of(request: Request) -> str:
    """Return the path of a request's URL, or an empty string if that is none."""
    try:
        return urlsplit(request.url).path
    except ValueError:
        return ""


def header_of(request: Request, name: str) -> str:
    """Return the first value of a header (name in lower case), or an empty string."""
    return next((value for key, value in request.headers if key.lower() == name), "")


def request_id_of(request: Request) -> str | None:
    """Return the request id if it is a UUID: anything else is neither echoed nor kept."""
    text = header_of(request, "request-id")
    return text if UUID_FORM.fullmatch(text) else None


def same_secret(one: str, other: str) -> bool:
    """Compare in a time that does not tell how much of it is right."""
    return compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def read_body(request: Request, **fields: type) -> list[Any]:
    """Return the named fields of a request's JSON body in the order asked for; raise a `Refusal` with 400.

    Args:
        request: must bear a request id besides.
        fields: name to type: str, UUID (a string of that form) or list (of strings).
    """
    if request_id_of(request) is None:
        raise Refusal(400, "malformed_request", "the header request-id must be a UUID")
    try:
        content = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Refusal(400, "malformed_request", "the body is not JSON") from None
    if not isinstance(content, dict):
        raise Refusal(400, "malformed_request", "the body is not a JSON object")
    return [_read_field(content, name, form) for name, form in fields.items()]


def _read_field(content: Mapping[str, object], name: str, form: type) -> object:
    value = content.get(name)
    if form is list:
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
    else:
        good = isinstance(value, str) and (form is str or UUID_FORM.fullmatch(value) is not None)
    if not good:
        raise Refusal(400, "malformed_request", f"{name} must be {FORMS[form]}")
    return value
