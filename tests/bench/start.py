"""How long podctl's light commands take to start, against `python -c pass`.

    python tests/bench/start.py --rounds 15

Every command runs in a process of its own, in a project that has a past; they take turns, so that
a slow moment of the machine hits all of them, and the median of each counts. The promise is for an
idle machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from tests.bench.fixtures import write_project  # noqa: E402 (needs the path)
from tests.bench.output import say  # noqa: E402

PROMISE = 0.25  # seconds, on an idle machine
BARE = "python -c pass"
PODCTL = (sys.executable, "-m", "controller")
WAYS = {
    BARE: (sys.executable, "-c", "pass"),
    "podctl --help": (*PODCTL, "--help"),
    "podctl cost": (*PODCTL, "cost"),
    "podctl status --cached": (*PODCTL, "status", "--cached"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="time podctl's start")
    parser.add_argument("--rounds", type=int, default=15, help="of each; the median counts")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        write_project(Path(name), rows=50)
        times = in_turn({way: (argv, Path(name)) for way, argv in WAYS.items()}, rounds)
    base = statistics.median(times[BARE])
    for way, found in times.items():
        median = statistics.median(found)
        told = f"  {way:24} {median:6.3f} s   ({min(found):.3f} … {max(found):.3f})"
        if way != BARE:
            kept = "" if median < PROMISE else f"   over {PROMISE} s"
            told += f"   {median / base:5.1f} x python{kept}"
        say(told)


def in_turn(
    ways: Mapping[str, tuple[Sequence[str], Path]], rounds: int, codes: Sequence[int] = (0,)
) -> dict[str, list[float]]:
    """Seconds of each command (argv, folder), `rounds` times, after one that may compile.

    Each must end with one of `codes`.
    """
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, (argv, folder) in ways.items():
            taken = seconds(argv, folder, codes)
            if number:
                times[way].append(taken)
    return times


def seconds(argv: Sequence[str], folder: Path, codes: Sequence[int] = (0,)) -> float:
    """From the start of the process to its end."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed podctl is compiled
    began = time.perf_counter()
    # A pipe, whose end is seen at once: a wait with a limit looks every 50 ms.
    done = subprocess.run(
        argv, cwd=folder, env=environ, capture_output=True, timeout=60, check=False
    )
    taken = time.perf_counter() - began
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}")
    return taken


if __name__ == "__main__":
    main()
