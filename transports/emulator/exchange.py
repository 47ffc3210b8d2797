# One request on its way through the server, and how its answer is to leave.
#
# Faults set what is in here, the server does it; neither knows the other.

from ... import Request, Response
from .patience import Patience

__all__ = ["CLOSE", "RESET", "EVERYTHING", "HEADERS", "BODY", "Exchange"]

# How a connection ends.
CLOSE = "close"  # in good order
RESET = "reset"  # with a TCP reset

# What a slow answer is slow with.
EVERYTHING = "everything"
HEADERS = "headers"
BODY = "body"


class Exchange:
    """One request and its answer.

    Args:
        request: as it came.
        now: Unix time in seconds on the service's clock.
        patience: for whoever has to wait.

    Attributes:
        acts: whether the service acts on the request.
        response: the answer; without one, the connection ends without a byte.
        raw: bytes that are sent in the place of an HTTP answer.
        content_length: what that header says in the place of the truth.
        chunk_size: bytes per chunk of a chunked body; 0 for a body that is not.
        body_limit: how many bytes of the body are sent before the connection ends; None for all.
        ending: CLOSE or RESET.
        drip_interval: seconds between two bytes; 0 for all at once.
        drip_part: EVERYTHING, HEADERS or BODY.
    """

    def __init__(self, request: Request, now: float, patience: Patience) -> None:
        self.request = request
        self.now = now
        self.patience = patience
        self.acts = True
        self.response: Response | None = None
        self.raw: bytes | None = None
        self.content_length: str | None = None
        self.chunk_size = 0
        self.body_limit: int | None = None
        self.ending = CLOSE
        self.drip_interval = 0.0
        self.drip_part = EVERYTHING

    def __repr__(self) -> str:
        return f"<Exchange, {self.request}, {self.response}>"

    @property
    def is_cut(self) -> bool:
        """Whether the connection must end with this answer, as the client cannot tell where it ends."""
        plain = self.response is not None and self.raw is None and self.body_limit is None
        return not plain or self.content_length is not None or self.ending == RESET

    def replace_body(self, body: bytes) -> None:
        """Put another body into the answer; without an answer, nothing."""
        if self.response is not None:
            self.response = Response(self.response.status, self.response.headers, body)

    def set_header(self, name: str, value: str | None) -> None:
        """Set a header (name in lower case) of the answer, or with None take it away."""
        if self.response is not None:
            headers = [pair for pair in self.response.headers if pair[0] != name]
            headers += [] if value is None else [(name, value)]
            self.response = Response(self.response.status, headers, self.response.body)
