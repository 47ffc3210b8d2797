# What every driver does with the core's events: log them, and hand them to the user's listener.

import logging
from collections.abc import Callable, Iterable

from .. import AttemptFailed, Event, SessionExpired

__all__ = ["Listener", "deliver"]

Listener = Callable[[Event], None]

_log = logging.getLogger("tenure")
_log.addHandler(logging.NullHandler())  # a library prints nothing unless its user asks for it


def deliver(events: Iterable[Event], listener: Listener | None) -> None:
    """Log each event under the logger "tenure" and pass it to `listener`. Call this without holding a lock.

    A listener that raises is logged and harms nobody: it is a guest in the thread that holds the session.
    """
    for event in events:
        level = logging.WARNING if isinstance(event, (AttemptFailed, SessionExpired)) else logging.INFO
        _log.log(level, "%s", event)
        if listener is not None:
            try:
                listener(event)
            except Exception:
                _log.exception("the listener failed on %s", type(event).__name__)
