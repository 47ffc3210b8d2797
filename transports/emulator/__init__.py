"""The authorization service, embedded: in memory, behind real sockets, and with faults on demand.

`AuthorizationService` is the service itself, a pure object; `Emulator` serves it; the functions, such as `lose_answer`,
make faults for `Emulator.faults`. For pytest there is the plugin `tenure.transports.emulator.pytest`.
"""

from .accounts import Credentials
from .distortions import (
    NOT_AN_OBJECT,
    NOT_JSON,
    NOT_UTF8,
    chunked,
    drop_field,
    garbage,
    mutate,
    no_date_header,
    not_http,
    oversize,
    set_field,
    set_header,
    truncate,
    wrong_content_length,
)
from .exchange import Exchange
from .faults import (
    Fault,
    Hold,
    acted_status,
    hold,
    hold_answer,
    latency,
    lose_answer,
    redirect,
    reset_after,
    reset_before,
    slow_drip,
    status,
)
from .journal import CREDENTIALS, ISSUE, REFRESH, RESOURCE, UNKNOWN, Journal, JournalEntry, Statistics
from .plan import ANY, FaultPlan
from .server import Emulator, serve
from .service import AuthorizationService

__all__ = [
    "AuthorizationService",
    "Emulator",
    "serve",
    "Credentials",
    "Journal",
    "JournalEntry",
    "Statistics",
    "FaultPlan",
    "Fault",
    "Hold",
    "Exchange",
    "acted_status",
    "chunked",
    "drop_field",
    "garbage",
    "hold",
    "hold_answer",
    "latency",
    "lose_answer",
    "mutate",
    "no_date_header",
    "not_http",
    "oversize",
    "redirect",
    "reset_after",
    "reset_before",
    "set_field",
    "set_header",
    "slow_drip",
    "status",
    "truncate",
    "wrong_content_length",
    "NOT_JSON",
    "NOT_UTF8",
    "NOT_AN_OBJECT",
    "CREDENTIALS",
    "ISSUE",
    "REFRESH",
    "RESOURCE",
    "UNKNOWN",
    "ANY",
]
