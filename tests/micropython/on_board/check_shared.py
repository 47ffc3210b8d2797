# Runs under MicroPython (and anywhere else): does a session that is shared through a store do there what it does here?
# It prints "ok" and a name for each check, and ends with the first one that fails.
#
# As in check_core.py: plain functions, plain asserts, time as a value. The store is a state in memory.

import gc
import json

import tenure

WALL = 1_700_000_000


class Chance:
    """Bytes that differ each time and are the same in each run; about 0.5 as a number."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, length: int) -> bytes:
        self.count += 1
        return b"\x80" * (length - 1) + bytes([self.count & 255])


class Store:
    """One state, as JSON, and a lease that always ends when somebody else asks for it."""

    def __init__(self) -> None:
        self.text = ""
        self.version = 0
        self.holder = 0
        self.taken = 0

    def load(self, key: str) -> "tenure.Stored":
        return tenure.Stored(json.loads(self.text) if self.text else None, self.version, age=0.0)

    def acquire(self, key: str, ttl: float, version: "int | None" = None) -> "tenure.Stored":
        stored = self.load(key)
        if version is None or version == self.version:
            stored.interrupted = self.holder != 0
            self.taken = self.holder = self.taken + 1
            stored.lease = self.holder
        return stored

    def renew(self, lease: int, ttl: float) -> None:
        assert lease == self.holder

    def save(self, lease: int, state: "dict[str, object]", release: bool = False) -> int:
        assert lease == self.holder
        self.text = json.dumps(state)
        self.version += 1
        self.release(lease)
        return self.version

    def release(self, lease: int) -> None:
        self.holder = 0


def at(seconds: float) -> tenure.Instant:
    return tenure.Instant(50.0 + seconds, WALL + seconds)


def new_protocol() -> tenure.AuthorizationProtocol:
    return tenure.AuthorizationProtocol(
        "https://host/authorization/v1", "11111111", ["read"], random_bytes=Chance(), stored=True
    )


def ask_store(protocol: tenure.AuthorizationProtocol, store: Store, seconds: float, kind: type) -> None:
    """Take the next step, which is of a kind that asks a store, and do it."""
    step = protocol.next_step(at(seconds))
    assert isinstance(step, kind), step
    assert step is not None
    assert not isinstance(step, (tenure.SendRequest, tenure.Sleep))
    report = step.ask(store)
    if "state" in step.reports:
        protocol.receive_state(report, at(seconds))
    else:
        protocol.receive_done(at(seconds), report)


def next_send(protocol: tenure.AuthorizationProtocol, seconds: float) -> tenure.SendRequest:
    step = protocol.next_step(at(seconds))
    assert isinstance(step, tenure.SendRequest), step
    return step


def answer_next(protocol: tenure.AuthorizationProtocol, serial: int, seconds: float) -> None:
    """Take the next request and answer it at once with the pair `serial`."""
    step = next_send(protocol, seconds)
    data: dict[str, object] = {}
    for name, lifetime in (("permissionToken", 900), ("permissionRefreshToken", 86400)):
        data[name] = {name: name + str(serial), "issuer": "s", "expiresAt": WALL + int(seconds) + lifetime}
    body = json.dumps({"requestId": dict(step.request.headers)["request-id"], "data": data}).encode()
    protocol.receive_response(tenure.Response(200, [], body), at(seconds))


def established(store: Store) -> tenure.AuthorizationProtocol:
    protocol = new_protocol()
    call = protocol.establish(["security-token"])
    ask_store(protocol, store, 0, tenure.AcquireLease)
    answer_next(protocol, 1, 0)
    assert protocol.newest_token() is None  # invariant 8
    ask_store(protocol, store, 0, tenure.SaveState)
    assert call.error is None
    assert protocol.next_step(at(0)) is None
    return protocol


def check_one_refreshes_and_the_other_adopts() -> None:
    store = Store()
    protocol = established(store)
    other = new_protocol()
    other.load()
    ask_store(other, store, 1, tenure.LoadState)
    assert other.fresh_token(at(1)) == "permissionToken1"
    call = other.refresh()
    ask_store(other, store, 100, tenure.AcquireLease)
    answer_next(other, 2, 100)
    ask_store(other, store, 100, tenure.SaveState)
    assert call.error is None
    assert other.fresh_token(at(100)) == "permissionToken2"
    call = protocol.refresh()
    ask_store(protocol, store, 101, tenure.AcquireLease)
    assert call.error is None
    assert protocol.next_step(at(101)) is None
    assert protocol.fresh_token(at(101)) == "permissionToken2"


def check_a_lease_is_renewed_and_one_that_ended_leaves_doubt() -> None:
    store = Store()
    protocol = established(store)
    protocol.refresh()
    ask_store(protocol, store, 100, tenure.AcquireLease)
    first = next_send(protocol, 100)
    assert abs(first.seconds_left(at(107)) - 8) < 0.01
    kind = ""
    try:
        first.seconds_left(at(116))
    except tenure.SendFailure as failure:
        kind = failure.kind
    assert kind == tenure.NOT_SENT  # too late
    protocol.receive_failure(tenure.SendFailure(tenure.AMBIGUOUS, "timed out"), at(110))
    ask_store(protocol, store, 110, tenure.RenewLease)
    next_send(protocol, 110)  # and here the board loses its power
    other = new_protocol()
    call = other.refresh()
    ask_store(other, store, 200, tenure.LoadState)
    ask_store(other, store, 200, tenure.AcquireLease)
    step = next_send(other, 200)
    assert step.request.headers == first.request.headers  # invariant 2
    other.receive_response(tenure.Response(401, [], b""), at(200))
    assert isinstance(call.error, tenure.SessionExpiredError)
    assert call.error.ambiguous
    ask_store(other, store, 200, tenure.SaveState)


def check_a_lease_that_was_lost_is_taken_anew() -> None:
    store = Store()
    protocol = established(store)
    call = protocol.refresh()
    ask_store(protocol, store, 100, tenure.AcquireLease)
    answer_next(protocol, 2, 100)
    assert isinstance(protocol.next_step(at(100)), tenure.SaveState)
    protocol.receive_failure(tenure.SendFailure(tenure.LEASE_LOST, "somebody has taken it"), at(100))
    assert isinstance(protocol.next_step(at(100)), tenure.Sleep)
    ask_store(protocol, store, 101, tenure.AcquireLease)
    ask_store(protocol, store, 101, tenure.SaveState)
    assert call.error is None
    assert protocol.fresh_token(at(101)) == "permissionToken2"


def check_what_cannot_be_saved_is_kept_back() -> None:
    store = Store()
    protocol = new_protocol()
    call = protocol.establish(["security-token"])
    ask_store(protocol, store, 0, tenure.AcquireLease)
    answer_next(protocol, 1, 0)
    for second in (0, 2, 4, 6):
        step = protocol.next_step(at(second))
        assert isinstance(step, tenure.SaveState), step
        protocol.receive_failure(tenure.SendFailure(tenure.STORE_FAILED, "disk full"), at(second))
    assert isinstance(call.error, tenure.EstablishError)
    assert protocol.newest_token() is None
    ask_store(protocol, store, 6, tenure.AbandonLease)
    call = protocol.refresh()
    ask_store(protocol, store, 60, tenure.AcquireLease)
    ask_store(protocol, store, 60, tenure.SaveState)
    assert call.error is None
    assert protocol.fresh_token(at(60)) == "permissionToken1"


def check_winding_up_gives_the_lease_back_and_saves_what_has_come() -> None:
    store = Store()
    protocol = established(store)
    protocol.refresh()
    assert isinstance(protocol.next_step(at(100)), tenure.AcquireLease)
    protocol.wind_up()
    protocol.receive_state(store.acquire("", 15, 1), at(100))
    ask_store(protocol, store, 100, tenure.ReleaseLease)
    assert protocol.next_step(at(100)) is None
    call = protocol.refresh()
    ask_store(protocol, store, 101, tenure.AcquireLease)
    answer_next(protocol, 2, 101)
    assert isinstance(protocol.next_step(at(101)), tenure.SaveState)
    protocol.receive_failure(tenure.SendFailure(tenure.STORE_FAILED, "a hiccup"), at(101))
    assert isinstance(protocol.next_step(at(101)), tenure.Sleep)
    protocol.wind_up()
    ask_store(protocol, store, 101, tenure.SaveState)
    assert call.error is None
    assert protocol.fresh_token(at(101)) == "permissionToken2"


def main() -> None:
    checks = globals()
    for name in sorted(checks):
        if name.startswith("check_"):
            gc.collect()
            checks[name]()
            print("ok", name)


if __name__ == "__main__":
    main()
