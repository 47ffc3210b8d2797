# _requests.py: shared between threads, interrupted, described, missing.

import subprocess
import sys
import threading

import pytest
import requests
from tenure import AMBIGUOUS, SendFailure
from tenure.transports._requests import RequestsSender
from tenure.transports.emulator import ANY, Emulator, lose_answer, reset_after

from ..drivers import TIMEOUT
from .by_requests import BODY, failure_of, post


def test_threads_may_share_a_sender(send: RequestsSender, emulator: Emulator) -> None:
    """Each exchange is its own, also when one of them fails."""
    results: list[object] = []

    def run(number: int) -> None:
        try:
            results.append(send(post(f"{emulator.url}/{number}"), TIMEOUT).status)
        except SendFailure as failure:
            results.append(failure.kind)

    emulator.faults.add(reset_after(), kind=ANY, times=5)
    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert sorted(map(str, results)) == ["404"] * 15 + [AMBIGUOUS] * 5


def test_a_failure_keeps_no_frames_of_the_http_library(send: RequestsSender, emulator: Emulator) -> None:
    """Invariant 9: its frames hold the body, so neither traceback, cause nor context may lead there."""
    emulator.faults.add(lose_answer(), kind=ANY)
    failure = failure_of(send, emulator.url)
    assert failure.__cause__ is None
    assert failure.__context__ is None
    assert BODY.decode() not in repr(failure) + str(failure)


def test_an_interrupt_is_passed_on(send: RequestsSender, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no failure of the network is not disguised as one."""

    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(requests.Session, "request", interrupt)
    with pytest.raises(KeyboardInterrupt):
        send(post(emulator.url), TIMEOUT)


@pytest.mark.parametrize("module", ["_requests", "auth.requests"])
def test_without_requests_the_remedy_is_named(module: str) -> None:
    """DESIGN.md, Packaging: an import without its extra says which extra to install."""
    program = f"import sys; sys.modules['requests'] = None; import tenure.transports.{module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'tenure[requests]'" in done.stderr
