"""Play many histories: `python -m tests.simulation --seeds 100000`.

    --only SEED       one history, with its journal
    --mutant NAME     with a seeded bug: with this bug seeded
    --corpus          the seeds that failed once
    --bias WORD       with more of these faults; may be repeated

Exit code 1 when an invariant did not hold; the seed is printed and replays.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from state.journal import Journal
from tests.simulation.fault_schedule import Tally
from tests.simulation.history import World, play
from tests.simulation.mutants import BIASES, FIRST, MUTANTS
from tests.simulation.unexpected_error import NO_INJECTED_ERROR

CORPUS = Path(__file__).with_name("corpus.txt")
BATCH = 50  # histories handed to a worker at once
NO_BIAS: frozenset[str] = frozenset()
SHOWN = 20  # violations


@dataclass
class Sum:
    """Totals over many histories."""

    histories: int = 0
    passed: int = 0
    violations: list[tuple[int, str]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def add(self, other: Sum) -> None:
        self.histories += other.histories
        self.passed += other.passed
        self.violations += other.violations
        self.tally.add(other.tally)


def corpus() -> list[int]:
    """Seeds that failed before a bug was fixed."""
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def play_all(seeds: Iterable[int], mutant: str = "", bias: frozenset[str] = NO_BIAS) -> Sum:
    """Play `seeds` in this process."""
    total = Sum()
    with MUTANTS[mutant]() if mutant else contextlib.nullcontext():
        for seed in seeds:
            history = play(seed, bias)
            total.histories += 1
            total.passed += history.passed
            total.tally.add(history.tally)
            if history.violation:
                total.violations.append((seed, history.violation))
    return total


def first_found(mutant: str, histories: int) -> tuple[int, str] | None:
    """The first seed that finds a seeded bug, with the violation; None when none does."""
    first = FIRST.get(mutant, 0)
    with MUTANTS[mutant]():
        for seed in range(first, first + histories):
            if violation := play(seed, BIASES.get(mutant, NO_BIAS)).violation:
                return seed, violation
    return None


def batches(start: int, count: int) -> Iterator[range]:
    for first in range(start, start + count, BATCH):
        yield range(first, min(first + BATCH, start + count))


def trace(seed: int, bias: frozenset[str] = NO_BIAS) -> str:
    """The journal of one history as text."""
    world = World(seed, bias)
    history = world.live()
    journal = Journal(world.host.database)
    lines = [f"seed {seed}: {history.violation or 'every invariant held'}", f"{history.tally}"]
    for lease in journal.leases():
        lines.append(f"{lease.id} {lease.outcome or 'open'}")
        lines += [
            f"  {op.at % 1e6:10.1f} {op.epoch:3} {op.run or '':14} {op.step:10} {op.phase:6}"
            f" {json.dumps(op.data)[:160]}"
            for op in journal.ops(lease.id)
        ]
    return "\n".join(lines)


def main() -> int:
    asked = _parser().parse_args()
    if asked.only is not None:
        say(trace(asked.only, frozenset(asked.bias)))
        return 0
    began = time.monotonic()
    seeds = corpus() if asked.corpus else None
    bias = NO_INJECTED_ERROR if asked.corpus else frozenset(asked.bias)
    work = [seeds] if seeds is not None else list(batches(asked.start, asked.seeds))
    total = Sum()
    with ProcessPoolExecutor(asked.jobs) as pool:
        for part in pool.map(partial(play_all, mutant=asked.mutant, bias=bias), work):
            total.add(part)
    seconds = time.monotonic() - began
    report = {
        "histories": total.histories,
        "passed": total.passed,
        "violations": len(total.violations),
        **asdict(total.tally),
        "seconds": round(seconds, 1),
        "first_seed": asked.start,
        "mutant": asked.mutant,
    }
    for seed, violation in total.violations[:SHOWN]:
        biased = "".join(f" --bias {word}" for word in asked.bias)
        say(f"seed {seed}: {violation}\n  python -m tests.simulation --only {seed}{biased}")
    say(json.dumps(report) if asked.json else "  ".join(f"{k} {v}" for k, v in report.items()))
    return 1 if total.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=2000, help="how many histories")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", type=int, help="play one seed and print its journal")
    parser.add_argument("--mutant", default="", choices=["", *MUTANTS], metavar="NAME")
    parser.add_argument("--bias", action="append", default=[], metavar="WORD")
    parser.add_argument("--corpus", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
