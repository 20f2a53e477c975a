"""How long `podctl cost` takes with a large ledger, against an empty one.

python bench/ledger.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from start import best  # the file beside this one

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
STAGES = 5
PODS = 200
MINUTE = 60_000  # milliseconds


def main() -> int:
    parser = argparse.ArgumentParser(description="time podctl cost on a large ledger")
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "podctl.toml").write_text("[budget]\nproject_usd = 10000000\n")
        argv = [sys.executable, "-m", "controller", "cost"]
        empty = best(argv, folder, 5)
        took, size = fill(Path(folder), rows)
        full = best(argv, folder, 5)
        print(f"written: {rows:,} rows in {took:.1f} s, {size / 1e6:.0f} MB")
        print(f"podctl cost, empty ledger     {empty * 1000:7.0f} ms")
        print(f"podctl cost, {rows:>9,} rows  {full * 1000:7.0f} ms  {full / empty:5.2f} x")
    return 0


def fill(folder: Path, rows: int) -> tuple[float, int]:
    """Write `rows` closed intervals; returns seconds and bytes."""
    from state.ledger import Ledger
    from state.owner import acquire

    state = folder / ".podctl"
    started = time.perf_counter()
    with acquire(state, "bench") as owner:
        Ledger(owner.connection, owner.epoch).record(intervals(rows))
    return time.perf_counter() - started, (state / "state.db").stat().st_size


def intervals(rows: int) -> Iterator[object]:
    from state.interval import Interval, nano_per_hour

    begin = 1_760_000_000_000
    for row in range(rows):
        stage, pod, start = row % STAGES, row % PODS, begin + row * MINUTE
        yield Interval(
            0,
            f"pod{pod:05}",
            "l0001",
            f"stage{stage}-0001",
            f"stage{stage}",
            "compute",
            nano_per_hour(0.86),
            "provider",
            start,
            start + MINUTE,
            "bench",
        )


if __name__ == "__main__":
    sys.exit(main())
