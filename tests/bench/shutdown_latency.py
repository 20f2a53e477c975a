"""The billed tail: from the job's end to the accepted terminate, with a large last checkpoint.

    python tests/bench/shutdown_latency.py --size 1G --rtt 50 --megabits 1000

The checkpoint is written in the job's last moment, or `--lead` seconds before its end and then
announced, so that it travels while the job goes on. It does not compress. Beside it stands what
the bare link needs for as many bytes: the tail can't be shorter when nothing travelled before.
The figures are medians of `--repeats` runs. The CPU time is that of podctl's processes, from
`podctl doctor --register` to the end of `podctl run`.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from controller.planner.lease_state import Step  # noqa: E402
from tests.bench.lease import Lease, run_lease  # noqa: E402
from tests.bench.link import link  # noqa: E402
from tests.bench.output import say  # noqa: E402
from tests.bench.remote_latency import Faraway, faraway  # noqa: E402 (needs the path)

MB = 10**6
UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}
AIM = 9.5  # seconds
CPU = "CPU of podctl, the whole run"
CONNECTIONS = 4

# A step of training, the checkpoint, what comes after it.
JOB = """\
sleep 2
head -c {size} /dev/urandom > big/.part && mv big/.part big/model.safetensors.bin
echo big/model.safetensors.bin >> "$PODCTL_RUN_DIR/announced"
sleep {lead}
echo yes > big/done
date +%s.%N"""


def main() -> None:
    parser = argparse.ArgumentParser(description="what is billed after the job's end")
    parser.add_argument("--size", default="1G", help="of the last checkpoint, e.g. 200M")
    parser.add_argument("--rtt", type=float, default=50.0, help="round trip in ms")
    parser.add_argument("--megabits", type=float, default=1000.0, help="rate of the link")
    parser.add_argument("--lead", type=float, nargs="*", default=[0.0, 30.0],
                        help="seconds between checkpoint and end, one run each")  # fmt: skip
    parser.add_argument("--repeats", type=int, default=3, help="runs of each lead")
    chosen = parser.parse_args()
    size = int(float(chosen.size.rstrip("KMG")) * UNITS.get(chosen.size[-1], 1))
    bare = bare_seconds(size, chosen.rtt, chosen.megabits)
    say(f"  {size / MB:.0f} MB, {chosen.rtt:g} ms round trip, {chosen.megabits:g} Mbit/s")
    say(f"  the bare link, {CONNECTIONS} connections: {bare:.2f} s, {size / MB / bare:.0f} MB/s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with faraway(folder / "cloud", chosen.rtt, chosen.megabits) as cloud:
            for lead in chosen.lead:
                job = {"big": JOB.format(size=size, lead=lead)}
                runs = []
                for number in range(chosen.repeats):
                    project = folder / f"project-{lead:g}-{number}"
                    runs.append(measured(project, cloud, job))
                    shutil.rmtree(project, ignore_errors=True)
                show(lead, runs, bare)


def measured(project: Path, cloud: Faraway, job: dict[str, str]) -> dict[str, float]:
    before = cpu_of_children()
    found = times(run_lease(project, cloud, job))
    return found | {CPU: cpu_of_children() - before}


def cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def show(lead: float, runs: list[dict[str, float]], bare: float) -> None:
    found = {key: median(run[key] for run in runs) for key in runs[0]}
    tail = found["tail"]
    tails = [run["tail"] for run in runs]
    say(f"  checkpoint {lead:g} s before the end: billed tail {tail:.2f} s, "
        f"{tail / AIM:.2f} x the aim of {AIM:g} s, {tail / bare:.2f} x the bare link "
        f"({min(tails):.2f} … {max(tails):.2f})")  # fmt: skip
    for key, seconds in found.items():
        if key != "tail":
            say(f"    {key:44} {seconds:6.2f} s")


def times(lease: Lease) -> dict[str, float]:
    run = "big-0001"
    last = lease.printed(run)[-1]
    ended, pull = lease.ended_at(run), lease.at(Step.PULL, "intent", run)
    pulled, judged = lease.at(Step.PULL, "done", run), lease.at(Step.JUDGE, "note", run)
    told, terminated = lease.at(Step.TERMINATE, "intent"), lease.at(Step.TERMINATE, "done")
    finished = lease.at(Step.FINISH, "note", run)
    return {
        "tail": terminated - last,
        "outputs hashed on the pod, end committed": ended - last,
        "until the end was noticed": pull - ended,
        "last difference pulled, hashed, opened": pulled - pull,
        "criteria judged": judged - pulled,
        "until the pod was told to go": told - judged,
        "terminate accepted": terminated - told,
        "locked after that, not billed": max(0.0, finished - terminated),
    }


def bare_seconds(size: int, rtt_ms: float, megabits: float) -> float:
    """Seconds for `size` bytes over the same kind of link with nothing but sockets at its ends."""
    block = bytes(2**18)
    share = size // CONNECTIONS

    def pour(far: socket.socket) -> None:
        with far:
            for first in range(0, share, len(block)):
                far.sendall(block[: share - first])

    def serve(listener: socket.socket) -> None:
        for _ in range(CONNECTIONS):
            threading.Thread(target=pour, args=(listener.accept()[0],), daemon=True).start()

    def drink(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as near:
            while near.recv(2**18):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with link(listener.getsockname()[1], rtt_ms, megabits) as port:
            threads = [threading.Thread(target=drink, args=(port,)) for _ in range(CONNECTIONS)]
            began = time.perf_counter()
            for one in threads:
                one.start()
            for one in threads:
                one.join()
            return time.perf_counter() - began


if __name__ == "__main__":
    main()
