# One simulated life of a fleet: processes on machines that share one session through a store, in virtual time, from one
# seed. The core is the real one, the server is the emulator's pure service; everything between them is here.

import heapq
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from tenure import STORE_FAILED, AbandonLease, Policy, ReleaseLease, Request, Response, SendFailure
from tenure.transports.emulator import AuthorizationService

from ..disguise import Disguise
from ..network import answered, draw_fate
from ..plan import OPERATION, REQUEST, SERVICE, chance
from .ending import end
from .history import FleetHistory
from .journeys import Journey, act, draw_store_fate, failed
from .machines import Machine, TrueTime
from .operations import happen
from .oracle import FleetOracle, Flight
from .plan import FILE, FORGOTTEN, STORE, FleetPlan
from .process import URL, Process
from .store import SimulatedStore
from .verdicts import Verdicts

__all__ = ["FleetWorld"]

PASSWORD = "correct-horse-battery"  # of an account that exists in this file only

PARTINGS = (ReleaseLease, AbandonLease)  # a process that parts from its lock closes a file: that does not fail


class FleetWorld:
    """A fleet and what surrounds it. What befalls it is in operations.py, how its life ends in ending.py."""

    def __init__(self, plan: FleetPlan) -> None:
        self.plan = plan
        settings = self.settings = plan.settings
        self.time = TrueTime(settings.server_offset)
        rng = chance(plan.seed, STORE)
        self.machines = [
            Machine(self.time, number, rng.uniform(-1, 1) * settings.wall_spread) for number in range(settings.machines)
        ]
        self.history = FleetHistory(self.time, settings.processes, self._machine_of)
        self.service = self._new_service()
        self.disguise = Disguise(settings.answers)
        self.server_away_until = 0.0
        self.answers: list[Response] = []  # good ones, to whichever request
        self.policy = Policy(on_store_failure="refresh" if settings.blind else "error")
        needs_are_judged = not (settings.clock_trouble or settings.suspends or settings.permission_lifetime < 20)
        self.oracle = FleetOracle(self.time, self.machines, self.policy.deadline, needs_are_judged)
        self.verdicts = Verdicts(self.oracle, settings.grace)
        self.store = self._new_store()
        self.requests = 0  # journeys, of requests and of questions to the store
        self.fates: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()  # why the session was lost, if it was
        self.is_calm = False  # towards the end
        self._last_answer: dict[tuple[int, int], str] = {}  # of the store, by process
        self.names = count(1)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self.processes = [Process(self, index, self._machine_of(index)) for index in range(settings.processes)]
        self.security_token = self._security_token()

    def _machine_of(self, index: int) -> Machine:
        return self.machines[index % len(self.machines)]

    def _new_service(self) -> AuthorizationService:
        return AuthorizationService(
            {"ada": PASSWORD},
            permission_lifetime=self.settings.permission_lifetime,
            refresh_lifetime=self.settings.refresh_lifetime,
            security_lifetime=10**9,
            grace=self.settings.grace,
            random=chance(self.plan.seed, SERVICE),
        )

    def _new_store(self) -> SimulatedStore:
        is_file = self.settings.store == FILE
        # A file's age is told by the monotonic clock of the one machine.
        age_clock = (lambda: self.machines[0].client().monotonic) if is_file else (lambda: self.time.now)
        store = SimulatedStore(self.time, is_file, self.settings.retry != FORGOTTEN, age_clock)
        store.on_saved = self._was_saved
        return store

    def _security_token(self) -> str:
        protocol = self.processes[0].protocol
        request = protocol._dialect.verify_credentials(URL, "ada", PASSWORD, "0b9f3c52-6f0e-4a57-9a53-0d2f3f6f1c12")
        token: str = json.loads(self.service.handle(request, self.time.server()).body)["data"]["securityToken"]
        self.oracle.secrets += [PASSWORD, token]
        return token

    # Time

    def at(self, when: float, happen: Callable[[], None]) -> None:
        """Let something happen at true time `when`."""
        heapq.heappush(self._agenda, (when, next(self._order), happen))

    def run(self) -> None:
        """Live the whole life; raise `InvariantBroken` if an invariant does not hold."""
        self.run_operations()
        end(self)

    def run_operations(self) -> None:
        """Live as long as the plan goes."""
        for operation in self.plan.operations:
            process = self.processes[operation.process]
            rng = chance(self.plan.seed, OPERATION, operation.index)
            self.at(operation.at, partial(happen, operation.name, process, rng))
        self.run_out()

    def calm_down(self) -> None:
        """Let all faults end."""
        self.is_calm = True
        self.store.away_until = self.server_away_until = 0.0
        for machine in self.machines:
            machine.cut_until = 0.0
        for process in self.processes:
            process.faults.clear()
            self.time.now = max(self.time.now, process.stopped_until)

    def run_out(self) -> None:
        """Live until nothing is left to happen."""
        while self._agenda:
            when, _, happen = heapq.heappop(self._agenda)
            self.time.now = max(self.time.now, when)
            happen()

    def seen(self) -> Counter[tuple[str, str]]:
        """Return what has been seen in this life, by group and name."""
        seen = Counter({("checked", f"invariant {number}"): times for number, times in self.oracle.checked.items()})
        seen.update(("server", entry.outcome) for entry in self.service.journal)
        seen.update(("lost since", reason) for reason in self.losses)
        seen.update({("on its way", name): times for name, times in self.fates.items()})
        return seen

    def note(self, source: int, text: str, target: int | None = None) -> None:
        """Write something down, in the column of a process, the store or the server."""
        self.history.note(source, text, target)

    # The store

    def ask_store(self, process: Process, step: Any) -> Journey:
        """Let a question travel to the store, and its answer back."""
        number, self.requests = self.requests, self.requests + 1
        rng = chance(self.plan.seed, REQUEST, number)
        trouble = 0.0 if self.is_calm or number in self.plan.calm else self.settings.store_trouble
        fate = draw_store_fate(rng, self.settings, trouble)
        if not fate.arrivals and isinstance(step, PARTINGS):
            step, fate = AbandonLease(step.lease), fate._replace(arrivals=(fate.told_after,))
        name = name_of(step)
        self.fates[f"store: {fate.name}"] += 1
        if fate.name != "answered":
            self.note(process.index, f"x {name}: {fate.name}")
        begun = self.time.now
        view = self.store.seen_by(process.who, process.step_at)
        answers: list[Any] = []
        for arrival in fate.arrivals:
            self.at(begun + arrival, partial(self._at_store, process, process.who, step, view, answers))
        report = partial(self._from_store, process, step, answers, fate.is_told)
        in_time = [begun + arrival for arrival in fate.arrivals if arrival < fate.told_after]
        return Journey([*in_time, begun + fate.told_after], report)

    def _at_store(self, process: Process, who: tuple[int, int], step: Any, view: Any, answers: list[Any]) -> None:
        """The store gets a question, unless it is away."""
        is_own = self.settings.store == FILE  # then the process itself acts
        if is_own and (process.who != who or not process.is_alive):
            return
        if is_own and process.is_stopped:
            self.at(process.stopped_until, partial(self._at_store, process, who, step, view, answers))
            return
        if self._is_cut_off(process):
            self.note(process.index, "x the store cannot be reached")
            if isinstance(step, PARTINGS):
                view.abandon(step.lease)
            return
        answer = act(step, view)
        answers.append(answer)
        text = f"{name_of(step)}{describe(answer)}"
        if self._last_answer.get(who) != text:  # else one more look at a lease that somebody else has
            self.note(process.index, text, self.history.store)
        self._last_answer[who] = text

    def _is_cut_off(self, process: Process) -> bool:
        return self.time.now < max(self.store.away_until, process.machine.cut_until)

    def _from_store(self, process: Process, step: Any, answers: list[Any], is_told: bool) -> Any:
        """Return what the process learns."""
        report: Any = failed("the store does not answer")
        hears = self.settings.store == FILE or (is_told and not self._is_cut_off(process))
        if answers and hears:
            report = answers[-1]
        has_failed = isinstance(report, SendFailure) and report.kind == STORE_FAILED
        if has_failed and self.settings.blind and not self.is_calm:
            self.verdicts.lost_trust()
        self.oracle.asked_store(process, step, report)
        if has_failed:
            self.note(process.index, f"x {report.reason}")
        return report

    def _was_saved(self, state: dict[str, Any], delay: float) -> None:
        self.oracle.was_saved(state, delay)
        self.verdicts.was_saved(state)

    # The server

    def send(self, process: Process, request: Request, seconds: float, looked_at: float, is_excused: bool) -> Journey:
        """Let a request travel to the server, and its answer back."""
        number, self.requests = self.requests, self.requests + 1
        rng = chance(self.plan.seed, REQUEST, number)
        trouble = 0.0 if self.is_calm or number in self.plan.calm else self.settings.trouble
        fate = draw_fate(rng, trouble, seconds) if trouble else answered(rng, seconds)
        self.fates[fate.name] += 1
        doubt = 1.0 if process.machine.suspended_at >= self.oracle.leased_at.get(process.who, 0.0) else 0.0
        self.oracle.sent(process, request, Flight(request, looked_at + seconds, doubt, is_excused))
        if is_excused:
            self.verdicts.excused.add(dict(request.headers)["request-id"])
        if fate.name != "answered":
            self.note(process.index, f"x {fate.name}")
        begun = self.time.now
        answers: list[Response] = []
        for arrival in fate.arrivals:
            self.at(begun + arrival, lambda: answers.append(self._at_server(process.index, request)))
        in_time = [begun + arrival for arrival in fate.arrivals if arrival < fate.told_after]

        def report() -> Response | SendFailure:
            told = fate.tell(answers[0] if answers else None, self.answers)
            return self._from_server(process, told, fate.is_clear)

        return Journey([*in_time, begun + fate.told_after], report)

    def _at_server(self, index: int, request: Request) -> Response:
        """The server gets a request; its client may be long gone."""
        what = self._describe(request)
        if self.time.now < self.server_away_until:
            self.note(index, f"x {what}: the server is away")
            return Response(503, (), b"away")
        self.note(index, what, self.history.server)
        response = self.service.handle(self.disguise.undo(request), self.time.server())
        response = self.disguise.put_on(response)
        outcome = self.service.journal[-1].outcome
        data = json.loads(response.body).get("data", {}) if response.status == 200 else {}
        if "permissionToken" in data:
            self.history.name_pair(
                data["permissionToken"]["permissionToken"],
                data["permissionRefreshToken"]["permissionRefreshToken"],
            )
            self.answers.append(response)
        self.verdicts.acted(request, response, outcome)
        self.note(self.history.server, f"{response.status} {outcome} {self.history.name(_token_in(response))}")
        return response

    def _from_server(self, process: Process, told: Response | SendFailure, is_clear: bool) -> Response | SendFailure:
        text = told.reason if isinstance(told, SendFailure) else f"{told.status}"
        self.note(self.history.server, text, process.index)
        self.oracle.reported(process, told, is_clear, _token_in(told))
        return told

    def _describe(self, request: Request) -> str:
        token = json.loads(request.body).get("permissionRefreshToken")
        request_id = dict(request.headers)["request-id"]
        return f"establish ({request_id[:4]})" if token is None else f"{self.history.name(token)} ({request_id[:4]})"

    def is_accepted(self, token: str) -> bool:
        """Whether a resource server that asks the service takes `token` now."""
        token = self.disguise.real(token)
        request = Request("GET", URL + "/api/resource", (("authorization", f"Bearer {token}"),), b"")
        return self.service.handle(request, self.time.server()).status == 200


def _token_in(told: object) -> str | None:
    """Return the permission token in an answer that bears one."""
    if not isinstance(told, Response) or told.status != 200:
        return None
    try:
        token = json.loads(told.body)["data"]["permissionToken"]["permissionToken"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return token if isinstance(token, str) else None


def name_of(step: Any) -> str:
    """Return what a step asks of the store: load, acquire, renew, save, release."""
    return type(step).__name__.removesuffix("State").removesuffix("Lease").lower()


def describe(answer: Any) -> str:
    """Return a few words on what the store answered."""
    if isinstance(answer, SendFailure):
        return f": {answer.reason}"
    if isinstance(answer, int):
        return f": version {answer}"
    if answer is None:
        return ""
    interrupted = " (interrupted)" if answer.interrupted else ""
    return f": {'leased, ' if answer.lease is not None else ''}version {answer.version}{interrupted}"
