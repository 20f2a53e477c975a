"""Edit one line of a failed script and run it again: from the command to the job's first line.

    python tests/bench/again.py --rtt 50 --rounds 5

The pod of the first run is warm. Each round edits the script, which fails again but in the last.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from controller.planner.lease_state import Step  # noqa: E402
from tests.bench.lease import HEAD, STAGE, Lease, podctl, read_lease  # noqa: E402
from tests.bench.output import say  # noqa: E402
from tests.bench.remote_latency import Faraway, faraway  # noqa: E402 (needs the path)

AIM = 3.0  # seconds
SCRIPT = "date +%s.%N\n# edit {number}\nmkdir -p again\n{end}\n"
FAILS, PASSES = "exit 3", "echo yes > again/done"


def main() -> None:
    parser = argparse.ArgumentParser(description="time a run on a warm pod")
    parser.add_argument("--rtt", type=float, default=50.0, help="round trip in ms")
    parser.add_argument("--megabits", type=float, default=1000.0, help="rate of the link")
    parser.add_argument("--rounds", type=int, default=5, help="edits; the median counts")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with faraway(folder / "cloud", chosen.rtt, chosen.megabits) as cloud:
            began, lease = run_edits(folder / "project", cloud, chosen.rounds)
            found = list(zip(*_times(began, lease), strict=True))
    say(f"  {chosen.rtt:g} ms round trip; {chosen.rounds} edits of one line, one pod")
    for what, seconds in zip(PARTS, found, strict=True):
        say(f"  {what:44} {statistics.median(seconds):6.2f} s")
    say(f"  the first line is {statistics.median(found[0]) / AIM:.2f} x the aim of {AIM:g} s")


PARTS = (
    "from the command to the job's first line",
    "  until the upload begins",
    "  upload",
    "  start order until its answer",
)


def run_edits(root: Path, cloud: Faraway, rounds: int) -> tuple[list[float], Lease]:
    """When each command after the first began, Unix seconds, and the lease of all."""
    root.mkdir()
    (root / "podctl.toml").write_text(HEAD + STAGE.format(name="again"))
    podctl(root, cloud, "doctor", "--register")
    began = []
    for number in range(rounds + 1):
        end = PASSES if number == rounds else FAILS
        (root / "again.sh").write_text(SCRIPT.format(number=number, end=end))
        began.append(time.time())
        podctl(root, cloud, "run", "again", "-y", "--no-follow", codes=(0, 1))
    return began[1:], read_lease(root)


def _times(began: list[float], lease: Lease) -> Iterator[tuple[float, ...]]:
    for number, at in enumerate(began, 2):
        run = f"again-{number:04}"
        upload, uploaded = lease.at(Step.UPLOAD, "intent", run), lease.at(Step.UPLOAD, "done", run)
        ordered = lease.at(Step.START_JOB, "intent", run)
        answered = lease.at(Step.START_JOB, "done", run)
        line = lease.printed(run)[0]
        yield line - at, upload - at, uploaded - upload, answered - ordered


if __name__ == "__main__":
    main()
