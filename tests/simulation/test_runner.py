# The command for long runs: what it counts, how it ends, what it prints.

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from . import __main__, runner
from .breaks import BREAKS
from .rules import RULES
from .runner import Run
from .secrets import Secrets
from .summary import summarise

pytestmark = pytest.mark.once


def run_command(arguments: str, patch: pytest.MonkeyPatch) -> int:
    """Run the command in this process."""
    patch.setattr("sys.argv", ["tests.simulation", *arguments.split()])
    return __main__.main()


def test_run_lives_as_many_lives_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last chunk is shorter."""
    monkeypatch.setattr(runner, "CHUNK", 20)
    run = Run(5, 50, None, 1)
    run.live()
    assert (run.lived, run.failed, run.was_interrupted) == (50, None, False)
    assert run.seen["lives", "requests"] > 50


def test_run_in_two_processes_sees_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lives depend on nothing but their seeds."""
    monkeypatch.setattr(runner, "CHUNK", 10)
    alone, together = Run(0, 75, None, 1), Run(0, 75, None, 2)
    alone.live()
    together.live()
    assert (together.lived, together.seen) == (alone.lived, alone.seen)


def test_run_ends_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes are an alternative to a number of lives."""
    now = iter(range(0, 1000, 25))
    monkeypatch.setattr("tests.simulation.runner.time.monotonic", lambda: next(now))
    monkeypatch.setattr(runner, "CHUNK", 10)
    run = Run(0, None, 2.0, 1)
    run.live()
    assert run.lived == 20  # asked before each chunk: at 25 s, 75 s, 125 s


def test_interrupted_run_keeps_what_it_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C prints the summary so far."""
    chunks: list[range] = []

    def live(seeds: range) -> tuple[int, runner.Seen, int | None]:
        chunks.append(seeds)
        if len(chunks) == 2:
            raise KeyboardInterrupt
        return original(seeds)

    original = runner.live
    monkeypatch.setattr(runner, "live", live)
    monkeypatch.setattr(runner, "CHUNK", 10)
    run = Run(0, 1000, None, 1)
    run.live()
    assert run.lived == 10
    assert summarise(run).startswith("Interrupted: 10 lives (seeds 0 to 9)")


def test_summary_is_grouped_and_names_every_rule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lives, operations, wire, callers, and how often each rule was checked."""
    assert run_command("--lives 20", monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Done: 20 lives (seeds 0 to 19) in ")
    assert lines[0].endswith("no rule was broken.")
    assert all(any(f" {rule}  {text[:40]}" in line for line in lines) for rule, text in RULES.items())


def test_failure_is_told_and_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary names the life, the chart follows."""
    BREAKS["show_the_tokens"][0](monkeypatch)
    assert run_command("--lives 100 --first 3", monkeypatch) == 1
    out = capsys.readouterr().out
    assert out.startswith("FAILED: 1 lives (seeds 3 to 3)")
    assert "a rule was broken in life 3" in out
    assert "Broken: invariant 9." in out
    assert "Again: python -m tests.simulation --lives 1 --first 3" in out


def test_progress_shows_lives_and_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal there is a bar."""
    told: list[tuple[float, str]] = []

    @contextmanager
    def progress() -> Iterator[runner.Tick]:
        yield lambda done, speed: told.append((done, speed))

    monkeypatch.setattr(runner, "progress", progress)
    monkeypatch.setattr(runner, "CHUNK", 10)
    Run(0, 20, None, 1).live()
    assert [done for done, _ in told] == [0.5, 1.0]
    assert all("lives/s" in speed for _, speed in told)


@pytest.mark.parametrize(
    "text",
    [
        "a token: sunflower-seed",
        "…flower-seed",
        "<x sunflowe>",
        "xsunflower-seed",
        "sunflower-seedling",
        "a_flower-seed;",
    ],
)
def test_a_piece_of_a_secret_is_a_secret(text: str) -> None:
    """Eight characters in a row are enough to be found."""
    assert Secrets(["sunflower-seed"]).are_in(text)


@pytest.mark.parametrize("text", ["", "sun", "a sunny day, a flower", "session 0b9f3c52-6f0e-4a57-9a53-0d2f3f6f1c11"])
def test_other_texts_are_harmless(text: str) -> None:
    """What is no piece of a secret may be shown."""
    assert not Secrets(["sunflower-seed"]).are_in(text)
