"""The crash sweep: real podctl processes on the emulator, interrupted at every point.

    python -m tests.crash.sweep                        every case of every row; hours
    python -m tests.crash.sweep --rows 26 29           these rows of the fault matrix
    python -m tests.crash.sweep --share 0.1 --seed 7   a tenth of them, drawn with that seed
    python -m tests.crash.sweep --minutes 30           as many as can be started in that time
    python -m tests.crash.sweep --results-log FILE   log what was played; continue from it
    python -m tests.crash.sweep --every                also each SQLite write of one transaction
    python -m tests.crash.sweep --only 26/none/kill:after:5
    python -m tests.crash.sweep --json figures.json    totals and violations

Exit code 1 when an invariant did not hold; every violation is printed with what replays it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from controller.providers.emulator.settings import EmulatorSettings
from tests.crash import cases
from tests.crash.case import MODES, Case
from tests.crash.fork_server import ForkServer
from tests.crash.job_monitor import JobMonitor
from tests.crash.result import Result
from tests.crash.results_log import OtherCode, ResultsLog, code
from tests.crash.scenario import ScenarioRunner
from tests.crash.system_calls import Calls, counted, trace
from tests.support.emulated_cloud import FAST, start_cloud

CLOUD: EmulatorSettings = dataclasses.replace(FAST, record_traffic=False)
Reporter = Callable[[Result], None]
ROOM = 4e9  # bytes


@contextmanager
def runners(folder: Path, workers: int) -> Iterator[list[ScenarioRunner]]:
    """Workers with a cloud each, which are ended afterwards."""
    with ExitStack() as stack:
        fork_server, job_monitor = ForkServer(), JobMonitor()
        stack.callback(job_monitor.close)
        stack.callback(fork_server.close)
        runners = []
        for number in range(workers):
            cloud = start_cloud(folder / f"cloud{number}", CLOUD)
            stack.callback(cloud.process.stop)
            runners.append(ScenarioRunner(cloud, fork_server, job_monitor, folder / f"w{number}"))
        yield runners


def play(
    workers: list[ScenarioRunner], chosen: list[Case], report: Reporter, until: float
) -> list[Result]:
    """Play every case that can be started before `until` (monotonic) on the next free worker."""
    waiting: SimpleQueue[Case] = SimpleQueue()
    for case in chosen:
        waiting.put(case)
    results: list[Result] = []
    lock = threading.Lock()

    def work(runner: ScenarioRunner) -> None:
        while time.monotonic() < until:
            try:
                case = waiting.get_nowait()
            except Empty:
                return
            result = _played(runner, case)
            with lock:
                results.append(result)
                report(result)

    threads = [threading.Thread(target=work, args=(runner,), daemon=True) for runner in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def _played(runner: ScenarioRunner, case: Case) -> Result:
    """The case's result; a failure of the harness is a violation too."""
    try:
        result = runner.run(case)
    except (AssertionError, OSError, RuntimeError, ValueError) as error:
        result = Result(case, [f"the harness failed: {type(error).__name__}: {error}"])
    if not result.violations:
        shutil.rmtree(runner.folder / f"{runner.folder.name}-{runner.count}", ignore_errors=True)
    return result


def boundaries(workers: list[ScenarioRunner]) -> dict[str, list[str]]:
    """What a run without faults commits in each mode."""
    clean = play(workers, [Case("0", mode) for mode in MODES], say, float("inf"))
    return {result.case.mode: result.boundaries for result in clean}


def count_calls(runner: ScenarioRunner) -> Calls | None:
    """The system calls of a run without faults; None when strace is missing."""
    return runner.count_calls(trace, counted) if shutil.which("strace") else None


def figures(results: list[Result], left: int, seconds: float) -> dict[str, Any]:
    """Sums over all histories and by row."""

    def summed(some: list[Result]) -> dict[str, Any]:
        names = ("processes", "kills", "stops", "errors", "requests", "starts", "pods")
        sums: dict[str, Any] = {
            name: sum(getattr(result, name) for result in some) for name in names
        }
        return {"histories": len(some), **sums, "violated": sum(bool(x.violations) for x in some)}

    rows = sorted({result.case.row for result in results})
    return {
        **summed(results),
        "not_played": left,
        "seconds": round(seconds, 1),
        "longest_history_s": round(max((result.seconds for result in results), default=0.0), 1),
        "worst_ledger_usd": round(max((result.off_usd for result in results), default=0.0), 6),
        "worst_ledger_s": round(max((result.off_seconds for result in results), default=0.0), 3),
        "rows": {row: summed([x for x in results if x.case.row == row]) for row in rows},
        "violations": {str(x.case): x.violations for x in results if x.violations},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def say(result: Result) -> None:
    """Print one line per history; for a violation, its text and the command that replays it."""
    mark = "VIOLATED" if result.violations else "ok"
    line(
        f"{mark:8} {result.case!s:44} {result.seconds:6.1f} s  "
        f"off {result.off_seconds:.2f} s  codes {result.codes}"
    )
    for violation in result.violations:
        line(f"    {violation}")
    if result.violations:
        line(f"    replay: python -m tests.crash.sweep --only '{result.case}'")


def line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    options = _options()
    try:
        log = ResultsLog.open(Path(options.results_log), code()) if options.results_log else None
    except OtherCode as error:
        sys.exit(str(error))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the emulators are ended
    folder = Path(tempfile.mkdtemp(prefix="podctl-chaos-", dir=options.folder))
    began = time.monotonic()
    until = began + options.minutes * 60 if options.minutes else float("inf")
    named = list(map(Case.parse, options.only))
    with runners(folder, options.workers) as workers:
        chosen = named or _chosen(workers, options)
        before, left = _split(chosen, log)
        line(f"{len(chosen)} histories, {len(before)} of them played before; "
             f"{options.workers} at a time, in {folder}")  # fmt: skip
        results = play(workers, left, partial(_note, log), until)
    results = before + results
    summary = figures(results, len(chosen) - len(results), time.monotonic() - began)
    for name, value in summary.items():
        if name not in ("violations", "rows"):
            line(f"{name:18} {value}")
    for row, sums in summary["rows"].items():
        line(f"row {row}: " + ", ".join(f"{value} {name}" for name, value in sums.items()))
    if options.json:
        Path(options.json).write_text(json.dumps(summary, indent=2) + "\n")
    if summary["violations"]:
        line(f"violated, see {folder}: {' '.join(summary['violations'])}")
        sys.exit(1)
    shutil.rmtree(folder, ignore_errors=True)


def _split(chosen: list[Case], log: ResultsLog | None) -> tuple[list[Result], list[Case]]:
    """Results that the log has of the chosen cases, and the cases left to play."""
    played: dict[str, list[Result]] = defaultdict(list)
    for result in log.played() if log else []:
        played[str(result.case)].append(result)
    before, left = [], []
    for case in chosen:
        if known := played[str(case)]:
            before.append(known.pop())
        else:
            left.append(case)
    return before, left


def _note(log: ResultsLog | None, result: Result) -> None:
    if log is not None:
        log.add(result)
    say(result)


def _chosen(workers: list[ScenarioRunner], options: argparse.Namespace) -> list[Case]:
    """The cases of the requested rows, shuffled, so that any part of them is a fair sample."""
    traced = not options.rows or {"27", "33"} & set(options.rows)
    calls = count_calls(workers[0]) if traced else None
    if calls is not None and options.every:
        calls = calls.every()
    rows = cases.every(boundaries(workers), calls)
    for row, row_cases in rows.items():
        line(f"row {row}: {len(row_cases)} histories")
    all_of_them = [case for row in options.rows or rows for case in rows[row]]
    random_source = random.Random(options.seed)
    random_source.shuffle(all_of_them)
    return all_of_them[: max(1, round(len(all_of_them) * options.share))]


def _memory() -> str | None:
    """A folder in memory if there is room, which saves a fifth of the time."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > ROOM
    return str(memory) if roomy else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.sweep", description="the crash sweep"
    )
    parser.add_argument("--rows", nargs="*", default=[], help="rows of the fault matrix; all")
    parser.add_argument("--only", nargs="*", default=[], metavar="CASE", help="exactly these")
    parser.add_argument("--share", type=float, default=1.0, help="0 to 1, of all histories")
    parser.add_argument("--seed", type=int, default=1, help="of the order and the sample")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin none after so long")
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1) + 2)
    parser.add_argument("--folder", default=_memory(), help="where it plays; memory, if large")
    parser.add_argument("--every", action="store_true", help="leave no write out")
    parser.add_argument("--results-log", metavar="FILE", help="what was played; goes on from it")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
