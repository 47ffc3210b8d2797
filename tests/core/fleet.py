# Processes that share one session through one store: each a protocol with a pump of its own, all on one virtual time.

from tenure import (
    AMBIGUOUS,
    LEASE_LOST,
    NOT_SENT,
    STORE_FAILED,
    AbandonLease,
    AcquireLease,
    Call,
    Instant,
    LoadState,
    Policy,
    ReleaseLease,
    RenewLease,
    Response,
    SaveState,
    SendFailure,
    SendRequest,
    Sleep,
)
from tenure.transports.emulator import AuthorizationService

from .memory_store import LeaseLostError, MemoryStore, StoreError
from .partner import MONOTONIC_START, PERMISSION_LIFETIME, TOKEN_ID, WALL_START, Partner, steady

__all__ = ["Fleet", "Process"]

LeaseStep = AcquireLease | RenewLease | ReleaseLease | AbandonLease
Step = SendRequest | Sleep | LoadState | SaveState | LeaseStep


class Fleet:
    """One service, one store, and the processes between them.

    Attributes:
        store: its clock is the time for all of them.
    """

    def __init__(self, *, grace: float = 0, permission_lifetime: int = PERMISSION_LIFETIME) -> None:
        self.service = AuthorizationService(grace=grace, permission_lifetime=permission_lifetime)
        self.store = MemoryStore()
        self.started = 0

    def start(self, policy: "Policy | None" = None, *, wall_ahead: int = 0, looks: bool = True) -> "Process":
        """Start a process; if it `looks`, it knows what the store holds. Each has a monotonic clock of its own."""
        self.started += 1
        process = Process(self, policy or steady(), self.started * 10_000.0, wall_ahead)
        if looks:
            process.run(process.protocol.load())
        process.forget()
        return process

    def established(self, policy: "Policy | None" = None) -> "Process":
        """Start a process and let it establish the session."""
        process = self.start(policy, looks=False)
        call = process.ask_to_establish(process.now())
        process.run(call)
        assert call.error is None, call.error
        process.forget()
        return process

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.store.seconds += seconds


class Process(Partner):
    """One process of a fleet.

    Attributes:
        did: the names of the steps that were taken, oldest first, sleeps aside.
        answers: what becomes of the next requests: a status, NOT_SENT or AMBIGUOUS (the service sees nothing), "lost"
            (it acts, and its answer is lost); then the service answers.
        slept: seconds for which it has slept.
        asleep: seconds for which its monotonic clock has stood still.
    """

    def __init__(self, fleet: Fleet, policy: Policy, booted: float, wall_ahead: int) -> None:
        super().__init__(policy=policy, stored=True)
        self.chance.drawn = int(booted)  # no two of them draw the same
        self.service = fleet.service
        self.store = fleet.store
        self.booted = booted
        self.wall_ahead = wall_ahead
        self.asleep = 0.0
        self.did: list[str] = []
        self.answers: list[int | str] = []
        self.slept = 0.0

    def now(self) -> Instant:
        """Return what this process's clocks say."""
        seconds = self.store.seconds
        return Instant(MONOTONIC_START + self.booted + seconds - self.asleep, WALL_START + seconds + self.wall_ahead)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.store.seconds += seconds

    def forget(self) -> None:
        """Forget what was done and said up to now."""
        self.did.clear()
        self.sent.clear()
        self.protocol.take_events()
        self.store.asked.clear()

    def run(self, call: "Call | None" = None) -> None:
        """Do steps until there is none; `call` has settled then."""
        while (step := self.next_step()) is not None:
            self.perform(step)
        assert call is None or call.settled

    def run_to(self, kind: "type[Step]") -> Step:
        """Do steps up to the next one of a kind, and return that one, handed out and not done."""
        while (step := self.next_step()) is not None:
            if isinstance(step, kind):
                return step
            self.perform(step)
        raise AssertionError(f"there was no {kind.__name__}")

    def refresh(self) -> Call:
        """Refresh by hand, to the end."""
        call = self.protocol.refresh()
        self.run(call)
        return call

    def get_token(self) -> Call:
        """Ask for a token and do what there is to do."""
        call = self.protocol.request_token(self.now())
        self.run(call)
        return call

    def next_step(self) -> "Step | None":
        """Take the next step."""
        step = self.protocol.next_step(self.now())
        if step is not None and not isinstance(step, Sleep):
            self.did.append(type(step).__name__)
        return step

    def perform(self, step: Step) -> None:
        """Do a step as a driver does, and report."""
        if isinstance(step, Sleep):
            self.slept += step.seconds
            self.store.seconds += max(step.seconds, 1e-6)  # a smaller one might be lost by rounding
            return
        try:
            report = self._send(step) if isinstance(step, SendRequest) else step.ask(self.store)
        except LeaseLostError as lost:
            report = SendFailure(LEASE_LOST, str(lost))
        except StoreError as failed:
            report = SendFailure(STORE_FAILED, str(failed))
        except SendFailure as failure:
            report = failure
        if isinstance(report, SendFailure):
            self.protocol.receive_failure(report, self.now())
        elif isinstance(report, Response):
            self.protocol.receive_response(report, self.now())
        elif "state" in step.reports:
            self.protocol.receive_state(report, self.now())
        else:
            self.protocol.receive_done(self.now(), report)

    def _send(self, step: SendRequest) -> Response:
        step.seconds_left(self.now())
        self.sent.append(step.request)
        answer = self.answers.pop(0) if self.answers else ""
        if isinstance(answer, int):
            return Response(answer, (), b"")
        if answer in (NOT_SENT, AMBIGUOUS):
            raise SendFailure(answer, "the wire is cut")
        response = self.service.handle(step.request, WALL_START + int(self.store.seconds))
        if answer == "lost":
            raise SendFailure(AMBIGUOUS, "timed out")
        return response

    # What is stored

    def stored(self) -> "dict[str, object]":
        """Return the state that the store holds."""
        return self.store.state(TOKEN_ID)

    def stored_generation(self) -> int:
        """Return the generation that the store holds."""
        pair = self.stored()["pair"]
        assert isinstance(pair, dict)
        return int(pair["generation"])

    def lease_is_free(self) -> bool:
        """Has the lease been given back?"""
        return self.store.is_free(TOKEN_ID)
