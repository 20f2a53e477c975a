"""How long `podctl cost` takes with a ledger of a million rows, against one of fifty.

python tests/bench/ledger.py --rows 1000000 --pods 200
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from tests.bench.fixtures import write_project  # noqa: E402 (needs the path)
from tests.bench.output import say  # noqa: E402
from tests.bench.start import BARE, PODCTL, WAYS, in_turn  # noqa: E402

FEW = 50  # rows of the ledger that it is compared with


def main() -> None:
    parser = argparse.ArgumentParser(description="time podctl cost on a large ledger")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pods", type=int, default=200, help="among which the rows are spread")
    parser.add_argument("--rounds", type=int, default=7, help="of each; the median counts")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        small, large = Path(name, "small"), Path(name, "large")
        for folder in (small, large):
            folder.mkdir()
        write_project(small, rows=FEW)
        began = time.perf_counter()
        database = write_project(large, rows=chosen.rows, pods=chosen.pods).database
        took, size = time.perf_counter() - began, database.stat().st_size / 1e6
        say(f"  {chosen.rows:,} rows of {chosen.pods} pods written in {took:.1f} s, {size:.0f} MB")
        cost = (*PODCTL, "cost")
        few, many = f"podctl cost, {FEW} rows", f"podctl cost, {chosen.rows:,} rows"
        ways = {BARE: (WAYS[BARE], small), few: (cost, small), many: (cost, large)}
        times = in_turn(ways, chosen.rounds)
    medians = {way: statistics.median(found) for way, found in times.items()}
    for way, median in medians.items():
        say(f"  {way:30} {median:6.3f} s   ({min(times[way]):.3f} … {max(times[way]):.3f})")
    say(f"  many rows take {medians[many] / medians[few]:.2f} x as long as few")


if __name__ == "__main__":
    main()
