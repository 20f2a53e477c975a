"""How long podctl's commands take in a project with ten thousand runs, against one with five.

python tests/bench/many.py --runs 10000 --rows 1000000
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from controller.providers.emulator.server import start_process  # noqa: E402
from tests.bench.fixtures import write_long_past  # noqa: E402 (needs the path)
from tests.bench.output import say  # noqa: E402
from tests.bench.start import PODCTL, in_turn  # noqa: E402

COMMANDS = ("status", "plan", "gc", "doctor", "sync")
CODES = tuple(range(10))  # doctor misses the registered key, plan inputs and credit
FEW = 5  # runs of the project that it is compared with
GOAL = 1.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="time podctl in a project with a long past")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the ledger")
    parser.add_argument("--rounds", type=int, default=5, help="of each; the median counts")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        emulator = start_process(Path(name, "cloud"))
        os.environ["PODCTL_EMULATOR_URL"] = emulator.base_url
        os.environ["HF_HUB_OFFLINE"] = "1"  # the hub's answer is not podctl's time
        try:
            measure(Path(name), emulator.base_url, chosen)
        finally:
            emulator.stop()


def measure(folder: Path, api_base: str, chosen: argparse.Namespace) -> None:
    short, long = folder / "short", folder / "long"
    for root in (short, long):
        root.mkdir()
    write_long_past(short, runs=FEW, rows=FEW * 10, api_base=api_base)
    began = time.perf_counter()
    project = write_long_past(long, runs=chosen.runs, rows=chosen.rows, api_base=api_base)
    took, size = time.perf_counter() - began, project.database.stat().st_size / 1e6
    say(f"  {chosen.runs:,} runs and {chosen.rows:,} rows of the ledger, {size:.0f} MB")
    say(f"  (written in {took:.0f} s)")
    say(f"  {'podctl':8} {FEW:>10,} runs {chosen.runs:>10,} runs")
    for command in COMMANDS:
        ways = {root.name: ((*PODCTL, command), root) for root in (short, long)}
        # The first of each is not counted: bytecode, and a large database's check of the day.
        times = in_turn(ways, chosen.rounds, CODES)
        few, many = (statistics.median(times[root.name]) for root in (short, long))
        goal = "" if many < GOAL else f"   over {GOAL:g} s"
        say(f"  {command:8} {few:13.3f} s {many:13.3f} s{goal}")


if __name__ == "__main__":
    main()
