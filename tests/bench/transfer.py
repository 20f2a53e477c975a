"""Pulling from a pod against scp and stock fabric, each pair in one run over one delayed link.

    python tests/bench/transfer.py --size 1G --rtt 50 --rounds 3

A real sshd on loopback, behind a forwarder in a process of its own that adds the round trip; what
that forwarder could carry is measured first and printed. Needs the `dev` extra, sshd, ssh and scp.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from controller.providers.base import Endpoint  # noqa: E402
from controller.ssh.session import Session  # noqa: E402
from controller.ssh.ssh_config import SshEntry, write_ssh_config  # noqa: E402
from controller.transfer.download import pull  # noqa: E402
from controller.transfer.upload import upload_code  # noqa: E402
from remote.contract import FileEntry, Layout, Manifest  # noqa: E402
from tests.support.sshd_server import Server, sshd  # noqa: E402

MB = 10**6
UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}
SMALL_FILES, SMALL_SIZE = 2000, 2000
SAMPLE = 40  # small files that per-file ways really move; the rest is arithmetic


@dataclass(frozen=True)
class Bench:
    server: Server
    port: int  # of the forwarder
    session: Session
    layout: Layout
    code: str
    config: Path  # for scp and rsync
    here: Path  # what is pulled goes below it
    rounds: int

    def fresh(self) -> Path:
        shutil.rmtree(self.here, ignore_errors=True)
        self.here.mkdir()
        return self.here

    def work(self, run: str) -> Path:
        return Path(self.layout.work(run))


def main() -> None:
    parser = argparse.ArgumentParser(description="transfer speed, as ratios")
    parser.add_argument("--size", default="1G", help="of the one large file, e.g. 200M")
    parser.add_argument("--rtt", type=float, default=50.0, help="round trip in ms")
    parser.add_argument("--rounds", type=int, default=3, help="of each pair; the median counts")
    parser.add_argument("--folder", help="where to work (default: a temporary folder)")
    chosen = parser.parse_args()
    size = int(float(chosen.size.rstrip("KMG")) * UNITS.get(chosen.size[-1], 1))
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name, sshd(Path(name)) as server:
        carried = capacity(chosen.rtt)
        say(f"forwarder: {carried:.0f} MB/s in 4 connections at {chosen.rtt:g} ms")
        with forwarder(server.endpoint.port, chosen.rtt) as port:
            bench = prepare(server, port, chosen.rounds)
            large_file(bench, size, chosen.rtt)
            small_files(bench, chosen.rtt)
            bench.session.close()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def prepare(server: Server, port: int, rounds: int) -> Bench:
    session = server.connect(port)
    layout = session.layout()
    entry = SshEntry(
        "pod",
        Endpoint("127.0.0.1", port, server.endpoint.user),
        server.pins().alias,
        server.key.path,
        server.pins().store,
    )
    write_ssh_config(config := server.folder / "ssh_config", [entry])
    code = upload_code(session, layout.root)
    return Bench(server, port, session, layout, code, config, server.folder / "here", rounds)


def large_file(bench: Bench, size: int, rtt: float) -> None:
    """One file of `size` bytes that does not compress."""
    path = bench.work("large") / "model.safetensors"
    path.parent.mkdir(parents=True)
    found = hashlib.sha256()
    with path.open("wb") as file:
        while (left := size - file.tell()) > 0:
            data = os.urandom(min(left, 8 * MB))
            found.update(data)
            file.write(data)
    manifest = Manifest("large", 1, True, (FileEntry(path.name, size, found.hexdigest()),))

    def ours() -> None:
        pull(bench.session, bench.layout, "large", manifest, bench.here, code=bench.code)

    def scp() -> None:
        run(["scp", "-q", "-F", str(bench.config), f"pod:{path}", str(bench.here)])

    def fabric() -> None:
        with fabric_connection(bench) as connection:
            connection.get(str(path), str(bench.here / path.name))

    say(f"\n{size / MB:.0f} MB, one file, {rtt:g} ms round trip")
    times = measure(bench, {"podctl": ours, "scp": scp, "fabric get": fabric}, path.name)
    table(times, lambda seconds: f"{size / MB / seconds:6.1f} MB/s")


def small_files(bench: Bench, rtt: float) -> None:
    """Two thousand files, then the same again with one of them changed."""
    work = bench.work("small")
    work.mkdir(parents=True)
    names = [f"part-{number:04d}.json" for number in range(SMALL_FILES)]
    for name in names:
        (work / name).write_bytes(os.urandom(SMALL_SIZE))
    kept = bench.server.folder / "kept"
    manifests = [manifest_of("small", work)]  # the newest counts

    def ours(into: Path | None = None) -> None:
        pull(
            bench.session,
            bench.layout,
            "small",
            manifests[-1],
            into or bench.here,
            code=bench.code,
        )

    sample = bench.work("sample")
    sample.mkdir(parents=True)
    for name in names[:SAMPLE]:
        shutil.copy(work / name, sample)

    def scp() -> None:
        run(["scp", "-q", "-r", "-F", str(bench.config), f"pod:{sample}/.", str(bench.here)])

    def rsync(into: Path | None = None) -> None:
        shell = f"ssh -F '{bench.config}'"
        run(["rsync", "-a", "-e", shell, f"pod:{work}/", f"{into or bench.here}/"])

    def fabric() -> None:
        with fabric_connection(bench) as connection:
            for name in names[:SAMPLE]:
                connection.get(str(work / name), str(bench.here / name))

    ways: dict[str, Callable[[], None]] = {"podctl": ours}
    if shutil.which("rsync"):
        ways["rsync -a"] = rsync
    say(f"\n{SMALL_FILES} files of {SMALL_SIZE} bytes, {rtt:g} ms round trip")
    times = measure(bench, ways, names[-1])
    per_file = {f"scp -r, from {SAMPLE}": scp, f"fabric get, from {SAMPLE}": fabric}
    for name, sampled in measure(replace(bench, rounds=1), per_file, names[0]).items():
        times[name] = [one * SMALL_FILES / SAMPLE for one in sampled]
    table(times, lambda seconds: f"{seconds:6.2f} s")

    def change() -> None:
        (work / names[7]).write_bytes(os.urandom(SMALL_SIZE))
        manifests.append(manifest_of("small", work))

    say(f"\nthe same again, one of {SMALL_FILES} changed")
    ours(kept / "podctl")
    again: dict[str, Callable[[], None]] = {"podctl": lambda: ours(kept / "podctl")}
    if "rsync -a" in ways:
        (kept / "rsync").mkdir()
        rsync(kept / "rsync")
        again["rsync -a"] = lambda: rsync(kept / "rsync")
    table(measure(bench, again, None, before=change), lambda seconds: f"{seconds:6.2f} s")


def manifest_of(run_name: str, work: Path) -> Manifest:
    """In use the agent on the pod made it, so hashing is not part of what is compared."""
    entries = [
        FileEntry(one.name, one.stat().st_size, hashlib.sha256(one.read_bytes()).hexdigest())
        for one in sorted(work.iterdir())
    ]
    return Manifest(run_name, 1, True, tuple(entries))


def measure(
    bench: Bench,
    ways: dict[str, Callable[[], None]],
    proof: str | None,
    before: Callable[[], None] | None = None,
) -> dict[str, list[float]]:
    """Seconds of each way, in turn, so that a slow moment of the machine hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(bench.rounds):
        for name, way in ways.items():
            bench.fresh()
            if before:
                before()
            began = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - began)
            if proof and not (bench.here / proof).exists():
                raise SystemExit(f"{name} did not bring {proof}")
    return times


def table(times: dict[str, list[float]], show: Callable[[float], str]) -> None:
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        ratio = median / medians["podctl"]
        spread = f"{show(min(times[name])).strip()} … {show(max(times[name])).strip()}"
        better = "" if name == "podctl" else f"podctl is {ratio:.1f} times as fast"
        say(f"  {name:22} {show(median)}   ({spread})   {better}")


@contextmanager
def fabric_connection(bench: Bench) -> Iterator[object]:
    """fabric as it comes, with our key; the pod is trusted, as its default client would ask."""
    import fabric
    import paramiko

    connection = fabric.Connection(
        "127.0.0.1",
        user=bench.server.endpoint.user,
        port=bench.port,
        connect_kwargs={
            "key_filename": str(bench.server.key.path),
            "allow_agent": False,
            "look_for_keys": False,
        },
    )
    connection.client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    with connection:
        yield connection


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def forwarder(port: int, rtt: float) -> Iterator[int]:
    """A delaying forwarder to `port` in its own process; yields where it listens."""
    script = ROOT / "tests" / "tcp_proxy.py"
    command = [sys.executable, str(script), str(port), str(rtt / 2)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


def capacity(rtt: float, connections: int = 4, size: int = 100 * MB) -> float:
    """MB/s that the forwarder carries with nothing but sockets at both ends."""
    block = bytes(MB)

    def serve(listener: socket.socket) -> None:
        for _ in range(connections):
            far, _ = listener.accept()
            threading.Thread(target=pour, args=(far,), daemon=True).start()

    def pour(far: socket.socket) -> None:
        with far:
            for _ in range(size // connections // MB):
                far.sendall(block)

    def drink(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as near:
            while near.recv(MB):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with forwarder(listener.getsockname()[1], rtt) as port:
            threads = [threading.Thread(target=drink, args=(port,)) for _ in range(connections)]
            began = time.perf_counter()
            for one in threads:
                one.start()
            for one in threads:
                one.join()
            return size / MB / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
