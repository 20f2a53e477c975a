"""How much CPU the pod spends on a request of the controller, against `python3 -S -c pass`.

    python tests/bench/look.py --rounds 30 [--against FOLDER]

Every request is a process of its own; the requests take turns, so that a slow moment of the machine
affects all of them. User and system time of the process are added; the median counts. `--against`
names a folder with an older `remote/` for comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from remote.contract import GuardReport, Progress, dump  # noqa: E402 (needs the path)
from remote.contract.codec import plain  # noqa: E402
from remote.pod.paths import PodPaths, boot  # noqa: E402
from tests.bench.output import say  # noqa: E402

PROMISE = 30.0  # milliseconds of CPU
RUN = "stage1c-0001"
BARE = "python3 -S -c pass"


def main() -> None:
    parser = argparse.ArgumentParser(description="measure the CPU time of the agent's answers")
    parser.add_argument("--rounds", type=int, default=30, help="of each; the median counts")
    parser.add_argument("--against", type=Path, help="a folder with another `remote` package")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["PODCTL_EMULATED_ROOT"] = name
        root = f"{name}/workspace/podctl"
        write_running_job(PodPaths.at(root))
        ways = {BARE: ("-c", ["pass"], ROOT)}
        for verb in ("status", "log"):
            words = ["remote.agent", verb, "--root", root, "--run", RUN]
            ways[f"remote.agent {verb}"] = ("-m", words, ROOT)
            if chosen.against:
                ways[f"  {verb} in {chosen.against}"] = ("-m", words, chosen.against)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(chosen.rounds + 1):
            for way, (option, words, folder) in ways.items():
                spent = cpu_milliseconds([sys.executable, "-S", option, *words], folder)
                if number:  # the first round may compile
                    times[way].append(spent)
    base = statistics.median(times[BARE])
    for way, measured in times.items():
        median = statistics.median(measured)
        late = "" if median < PROMISE or way.startswith(" ") else f"   over {PROMISE:.0f} ms"
        say(
            f"  {way:28} {median:6.1f} ms   ({min(measured):.1f} … {max(measured):.1f})"
            f"   {median / base:4.1f} x python{late}"
        )


def cpu_milliseconds(argv: list[str], folder: Path) -> float:
    """User and system time of one process."""
    pid = os.fork()
    if pid == 0:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a pod compiles the code once
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        os.chdir(folder)
        os.execv(argv[0], argv)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{' '.join(argv)} ended with {os.waitstatus_to_exitcode(status)}")
    return 1000 * (usage.ru_utime + usage.ru_stime)


def write_running_job(paths: PodPaths) -> None:
    """Write what a pod has on disk while a job trains; the lock is not held."""
    run, life, now = paths.run(RUN), boot(paths.local_name), time.monotonic()
    run.mkdir(parents=True)
    stamp = {"boot_id": life.id, "monotonic": now + 50}  # fresh for as long as this takes
    progress = plain(Progress(step=120, max_steps=400, loss=1.25, source="metrics"))
    beat = {"run": RUN, "attempt": 1, "phase": "running", "wall": time.time(), "log_size": 0}
    attempt = {"run": RUN, "number": 1, "boot_id": life.id, "started_at": time.time(), "schema": 1}
    sample = {"gpus": [{"percent": 97.0, "memory_gb": 61.5}], "cpu_percent": 12.0}
    files = {
        "attempt.json": attempt,
        "heartbeat.json": beat | stamp,
        "samples.jsonl": sample | stamp,
        "progress.json": {"attempt": 1, "progress": progress} | stamp | {"monotonic": now},
        "ready.json": {"files": [{"path": f"out/{n}", "size": n} for n in range(100)]},
    }
    for name, value in files.items():
        (run / name).write_text(json.dumps(value) + "\n")
    (run / "job.log").write_text("a line of the log\n" * 1000)
    report = GuardReport(life.id, True, "reads its own pod", "job", 3600.0, 86400.0)
    document = json.loads(dump(report)) | {"monotonic": now}
    (paths.local / "guard.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main()
