# The session of a profile, as commands hold it: for a moment, beside other shells that do the same.
#
# A look at the store is enough while the token is fresh, and costs little: the core, and nothing that sends. Only who
# has to refresh gets a driver. What a command has begun it finishes: a signal ends it once the answer has been saved.

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ... import AuthorizationProtocol, Instant, LoadState, TenureError
from .exits import FAILED, LOGIN_NEEDED, UNUSABLE, CommandError, Ended
from .needs import require
from .places import STORE_KEY_VARIABLE, is_encrypted, open_store
from .profiles import Profile, login_command

if TYPE_CHECKING:
    from ... import Event
    from ..blocking import AuthorizationSession
    from ..stores import Store

__all__ = ["explained", "look", "now", "opened", "take_token"]


def now() -> Instant:
    """Return this moment on both clocks."""
    return Instant(time.monotonic(), time.time())


@contextmanager
def explained(profile: Profile) -> Iterator[None]:
    """Turn what a session or a store may raise into what a shell is told: what happened, and what to run."""
    try:
        yield
    except TenureError as problem:
        raise explain(problem, profile) from None
    except Exception as problem:
        from ..stores import StoreError

        if not isinstance(problem, StoreError):
            raise
        where = f" {profile.store}" if profile.store and "://" in profile.store else ""
        raise CommandError(f"the store{where} failed: {problem}; try again when that is mended", FAILED) from None


def explain(problem: TenureError, profile: Profile) -> CommandError:
    """Return how a command ends that a session has refused."""
    from ... import AttemptError, NotEstablishedError, RefusedError, SessionExpiredError, SnapshotError

    run = f"Run: {login_command(profile.name)}"
    text = problem.message.rstrip(".")
    if isinstance(problem, NotEstablishedError):
        return CommandError(f"nobody has logged in with the profile {profile.name} yet. {run}", LOGIN_NEEDED)
    if isinstance(problem, SnapshotError):
        key = "" if is_encrypted() else f"; or set {STORE_KEY_VARIABLE} if it is encrypted"
        return CommandError(
            f"what the store holds cannot be used: {text}{key}. To establish it anew: {login_command(profile.name)}",
            LOGIN_NEEDED,
        )
    if isinstance(problem, SessionExpiredError):
        return CommandError(f"{text.removesuffix('. Establish it anew')}. {run}", LOGIN_NEEDED)
    if isinstance(problem, RefusedError):
        return CommandError(f"{text}. The service is {profile.url}; log in with what it accepts", LOGIN_NEEDED)
    if isinstance(problem, AttemptError):
        later = f"in {max(1, round(problem.retry_after))} s" if problem.retry_after else "at any time"
        return CommandError(f"{text}. The service is {profile.url}; try again {later}", FAILED)
    text = text.replace("pass allow_http=True", "say --allow-http")
    return CommandError(f"the profile {profile.name} cannot be used: {text}", UNUSABLE)


def look(profile: Profile, store: "Store") -> AuthorizationProtocol:
    """Return the session as the store holds it; nothing is sent, and nobody is kept waiting for a lease."""
    protocol = AuthorizationProtocol(
        profile.url,
        profile.token_id,
        profile.permissions,
        random_bytes=os.urandom,
        allow_http=profile.allow_http,
        stored=True,
    )
    call = protocol.load()
    step = protocol.next_step(now())
    assert isinstance(step, LoadState)
    protocol.receive_state(step.ask(store), now())
    call.result()
    return protocol


def take_token(profile: Profile, use: Callable[[str], object] | None = None) -> str:
    """Call `use` with a token that works, as soon as there is one; then finish the refresh that is due, if one is.

    Returns:
        The newest token there is then.
    """
    with explained(profile):
        store = open_store(profile.store)
        token = look(profile, store).fresh_token(now())
    if token is not None:
        if use is not None:
            use(token)
        return token
    with opened(profile, store) as session:
        with explained(profile):
            token = session.get_permission_token()
        if use is not None:
            use(token)
        with explained(profile):
            session.get_permission_token()  # by now it has looked: a refresh that is due begins here
            session._wait_until_idle()  # where close() would let it send nothing more
    return session.current_token() or token


@contextmanager
def opened(profile: Profile, store: "Store", patience: float = 30.0) -> Iterator["AuthorizationSession"]:
    """Open the session with all that it takes to send, and at the end wait for the answer to what was sent.

    Args:
        patience: seconds in which an attempt that failed is followed by another.
    """
    require(["requests"])
    from ... import Policy
    from ..blocking import AuthorizationSession

    with explained(profile):
        session = AuthorizationSession(
            profile.url,
            profile.token_id,
            profile.permissions,
            policy=Policy(deadline=patience),
            store=store,
            listener=tell if sys.stderr.isatty() else None,
            allow_http=profile.allow_http,
        )
    with signals_raise_ended(), session:
        yield session


def tell(event: "Event") -> None:
    """Tell a person why this takes so long."""
    from ... import AttemptFailed

    if isinstance(event, AttemptFailed):
        print(event.text, file=sys.stderr)


@contextmanager
def signals_raise_ended() -> Iterator[None]:
    """Within this context the first SIGTERM or SIGHUP raises `Ended`, and further ones are ignored.

    By default they would end the process between a request and the saving of its answer, which can cost the session.
    """

    def end(number: int, frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Ended(number)

    numbers = [number for number in (signal.SIGTERM, getattr(signal, "SIGHUP", None)) if number is not None]
    # Whoever has us ignore a signal (nohup) means it.
    before = {number: kind for number in numbers if (kind := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, kind in before.items():
            signal.signal(number, kind)
