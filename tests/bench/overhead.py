"""podctl's own overhead: from a pod that answers SSH to the first line that the job prints.

    python tests/bench/overhead.py --rtt 50 --rounds 3

Cold is the first stage on a fresh pod whose environment is there already; warm is the next stage
on the same pod. A CPU pod of the emulator behind a delaying link, with the waits between two
looks that the real provider gets.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from controller.planner.lease_state import Step  # noqa: E402
from tests.bench.lease import Lease, run_lease  # noqa: E402
from tests.bench.output import say  # noqa: E402
from tests.bench.remote_latency import Faraway, faraway  # noqa: E402 (needs the path)

COLD, WARM = 10.0, 3.0  # seconds aimed at
JOB = "sleep 1\necho yes > {name}/done"


def main() -> None:
    parser = argparse.ArgumentParser(description="podctl's own overhead")
    parser.add_argument("--rtt", type=float, default=50.0, help="round trip in ms")
    parser.add_argument("--megabits", type=float, default=1000.0, help="rate of the link")
    parser.add_argument("--rounds", type=int, default=3, help="pods rented; the median counts")
    chosen = parser.parse_args()
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with faraway(folder / "cloud", chosen.rtt, chosen.megabits) as cloud:
            for number in range(chosen.rounds):
                rows.append(one_pod(folder / f"project{number}", cloud))
    medians = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    say(f"  {chosen.rtt:g} ms round trip, {chosen.rounds} pods, medians")
    for key, seconds in medians.items():
        spread = f"({min(row[key] for row in rows):.2f} … {max(row[key] for row in rows):.2f})"
        say(f"  {key:52} {seconds:6.2f} s   {spread}{against(key, seconds)}")


def against(key: str, seconds: float) -> str:
    aim = {"cold": COLD, "warm": WARM}.get(key.partition(":")[0])
    return "" if aim is None else f"   {seconds / aim:.2f} x the aim of {aim:g} s"


def one_pod(root: Path, cloud: Faraway) -> dict[str, float]:
    """Rent one pod for two stages, and take the times."""
    watch = SshWatch(cloud)
    lease = run_lease(root, cloud, {name: JOB.format(name=name) for name in ("one", "two")})
    return times(lease, watch.ready(lease.pod))


def times(lease: Lease, ssh: float) -> dict[str, float]:
    one, two = "one-0001", "two-0001"
    reached, first = lease.at(Step.REACHED, "note"), lease.printed(one)[0]
    sent, started = lease.at(Step.UPLOAD, "done", one), lease.at(Step.START_JOB, "intent", one)
    over, again = lease.at(Step.FINISH, "note", one), lease.printed(two)[0]
    return {
        "cold: SSH answers to the job's first line": first - ssh,
        "  noticed, connected, host keys authenticated": reached - ssh,
        "  guard seen armed, code and inputs sent": sent - reached,
        "  agent asked": started - sent,
        "  started, preflight, first line": first - started,
        "warm: one stage settled to the next one's first line": again - over,
        "one job's end to the next job's first line, all of it": again - lease.ended_at(one),
    }


class SshWatch:
    """Notes when each new pod's SSH first shows its banner, looking on at no distance."""

    def __init__(self, cloud: Faraway) -> None:
        self._cloud = cloud
        self._seen: dict[str, float] = {}
        self._known = {pod["id"] for pod in cloud.pods()}
        threading.Thread(target=self._look, daemon=True).start()

    def ready(self, pod: str) -> float:
        """Unix seconds. Raises KeyError when it never answered."""
        return self._seen[pod]

    def _look(self) -> None:
        deadline = time.monotonic() + 120.0
        while time.monotonic() < deadline and not self._seen:
            for pod in self._cloud.pods():
                port = pod["public_ports"].get("22")
                if pod["id"] not in self._known and port and answers(port):
                    self._seen[pod["id"]] = time.time()
            time.sleep(0.05)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


if __name__ == "__main__":
    main()
