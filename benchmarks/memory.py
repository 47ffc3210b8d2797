# How many bytes does an idle session take, beyond its token strings? Target: at most 1 KiB, at 100 000 sessions.
#
# Counted by tracemalloc, which sees every block that Python's allocators hand out, and not what an allocator keeps in
# reserve. Each session gets a token id and tokens of its own; the policy, the permissions and the url are the caller's
# and shared, as a program with many sessions would have it. Taken off: the two token strings and the token id. The peer
# is what a program would keep by hand: a dict of the two tokens, three times and the token id.

import gc
import json
import linecache
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random

from _measure import show_machine
from tenure import AuthorizationProtocol, Instant, Policy, Request, Response, SendRequest
from tenure.transports.blocking import AuthorizationSession

SESSIONS = 100_000
DRIVER_SESSIONS = 2_000  # of the blocking driver: its own threads make establishing slow, and size does not change
TOKEN_LENGTH = 600  # characters; a JWT with a few claims
URL = "https://host/authorization/v1"
PERMISSIONS = ["read", "secret"]
POLICY = Policy()

chance = Random(1)


def token() -> str:
    return chance.randbytes(TOKEN_LENGTH // 2).hex()


def token_id() -> str:
    digits = chance.randbytes(16).hex()
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])


def answer(request: Request, timeout: float = 0) -> Response:
    """Grant a pair of tokens of its own."""
    now = int(time.time())
    data = {
        "permissionToken": {"permissionToken": token(), "expiresAt": now + 900},
        "permissionRefreshToken": {"permissionRefreshToken": token(), "expiresAt": now + 86400},
    }
    request_id = dict(request.headers)["request-id"]
    return Response(200, [], json.dumps({"requestId": request_id, "data": data}).encode())


def protocol() -> AuthorizationProtocol:
    made = AuthorizationProtocol(URL, token_id(), PERMISSIONS, random_bytes=os.urandom, policy=POLICY)
    now = Instant(time.monotonic(), time.time())
    made.establish(["a security token"])
    step = made.next_step(now)
    assert isinstance(step, SendRequest)
    made.receive_response(answer(step.request), now)
    assert made.next_step(now) is None
    made.take_events()  # as every driver does
    assert made.fresh_token(now) is not None
    return made


def session() -> AuthorizationSession:
    made = AuthorizationSession(URL, token_id(), PERMISSIONS, policy=POLICY, send=answer)
    made.establish(["a security token"])
    return made


def session_with_sender() -> AuthorizationSession:
    """Return a session that would send by itself. It is restored, for there is nobody at that url."""
    return AuthorizationSession.from_snapshot(protocol().snapshot(), policy=POLICY)


def by_hand() -> dict[str, object]:
    return {
        "token_id": token_id(),
        "token": token(),
        "refresh_token": token(),
        "stale_at": time.monotonic() + 720,
        "dead_at": time.monotonic() + 890,
        "dead_at_wall": time.time() + 890,
    }


def bytes_each(make: Callable[[], object], count: int) -> float:
    """Return the bytes of each object, without two tokens and the token id."""
    make()  # whatever is made only once
    strings = 2 * sys.getsizeof(token()) + sys.getsizeof(token_id())
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept: list[object] = [None] * count
    list_size = tracemalloc.get_traced_memory()[0] - before
    for number in range(count):
        kept[number] = make()
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before - list_size
    tracemalloc.stop()
    return used / count - strings


def where_it_goes(count: int = 1_000) -> None:
    """Print the lines that hold the most of an idle protocol, with their bytes for each of them."""
    protocol()
    tracemalloc.start()
    kept = [protocol() for _ in range(count)]
    gc.collect()
    snapshot = tracemalloc.take_snapshot()
    tracemalloc.stop()
    del kept
    for statistic in snapshot.statistics("lineno"):
        each = statistic.size / count
        if each >= 16:
            frame = statistic.traceback[0]
            line = linecache.getline(frame.filename, frame.lineno).strip()
            print(f"  {each:6.0f} in {statistic.count / count:3.1f} blocks  {Path(frame.filename).name:12} {line}")


def main() -> None:
    show_machine()
    print(f"bytes each, beyond two tokens of {TOKEN_LENGTH} characters and a token id of 36:")
    for name, make, count in (
        ("protocol", protocol, SESSIONS),
        ("by hand, in a dict", by_hand, SESSIONS),
        ("blocking session, send= shared", session, DRIVER_SESSIONS),
        ("blocking session, sending itself", session_with_sender, DRIVER_SESSIONS),
    ):
        print(f"{name:34} {bytes_each(make, count):7.0f}   ({count} of them)")
    print("where a protocol's bytes go, tokens included:")
    where_it_goes()


if __name__ == "__main__":
    main()
