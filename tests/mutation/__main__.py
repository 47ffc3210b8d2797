"""Break the core in every small way a tool can think of, and see which breaks no test notices."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from .constants import break_constants
from .survivors import Report, read_justified
from .workshop import CleanRunFailed, files_of, furnish, judges_of, read_results, run_tool

ROOT = Path(__file__).parents[2]
JUSTIFIED = Path(__file__).with_name("justified.md")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", help="files of the core, as core/tokens.py (default: all of them)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default %(default)s)")
    options = parser.parse_args()
    known = files_of(ROOT / "core")
    files = [name.removeprefix("core/") for name in options.files] or known
    if not set(files) <= set(known):
        parser.error(f"no such file: {', '.join(sorted(set(files) - set(known)))}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tenure-mutation-") as folder:
        furnish(ROOT, Path(folder), files)
        try:
            run_tool(Path(folder), options.jobs)
            mutants = read_results(Path(folder), files)
            mutants += break_constants(Path(folder), files, judges_of(files), options.jobs)
        except CleanRunFailed as failed:
            print(failed)
            return 1
    report = Report(mutants, read_justified(JUSTIFIED.read_text(encoding="utf-8")), files)
    print_report(report, len(mutants), time.monotonic() - began)
    return 0 if report.is_good else 1


def print_report(report: Report, mutants: int, took: float) -> None:
    for title, found in (
        ("Survivors that nobody has justified", report.unjustified),
        ("Listed as justified, but not among the survivors any more", report.outdated),
        ("Stopped because they did not end", report.stopped),
    ):
        if found:
            print(f"\n## {title}\n")
            print("\n\n".join(map(str, found)), end="\n\n")
    print(f"{mutants} mutants in {took:.0f} s")
    for outcome, times in sorted(report.counts.items()):
        print(f"{outcome:30} {times:>6}")


if __name__ == "__main__":
    sys.exit(main())
