"""The pod's side work on files: nothing it meets there stops it, and nothing is half written."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from remote import contract, files
from remote.agent import status as report
from remote.contract import Attempt, Exit, JobSpec
from remote.pod import atomic_files
from remote.pod.outcome import StopJob
from remote.pod.paths import Boot, PodPaths, boot
from remote.pod.walk import Found, identity
from remote.supervisor import background, manifest
from remote.supervisor.intervals import Intervals
from remote.supervisor.stop_conditions import Progress, StopConditions
from tests.support.pod_side import until

SPEC = JobSpec("r1", "s", ("true",), ("out/**",), "c" * 64)
END = Exit("r1", 1, 0, "exited", "", "0" * 64, 0, 0.0, 1.0)


@pytest.fixture
def place(tmp_path: Path) -> PodPaths:
    found = PodPaths(tmp_path / "podctl", tmp_path / "local", tmp_path / "memory")
    for folder in (found.run("r1"), found.local, found.memory):
        folder.mkdir(parents=True)
    return found


def test_a_full_or_failing_write_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    """The name under which a document is prepared is no way to another file, and does not stay."""
    path, other = tmp_path / "a.json", tmp_path / "other"
    atomic_files.write(path, b"old")
    beside = path.with_name(f".a.json.{os.getpid()}.{threading.get_native_id()}.tmp")
    other.write_text("mine")
    beside.symlink_to(other)
    with pytest.raises(OSError, match="symbolic"):
        atomic_files.write(path, b"new")

    assert path.read_bytes() == b"old"
    assert other.read_text() == "mine"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.json", "other"]


def test_a_supervisor_that_is_stuck_shows_no_sign_of_life(tmp_path: Path) -> None:
    """The heartbeat is a thread of its own, and tells only of a main thread that moves."""
    pulse = background.CurrentPhase()
    beat = background.heartbeat(tmp_path, SPEC, 1, "boot", pulse)
    pulse.ticked = time.monotonic() - 31
    beat()
    stuck = (tmp_path / "heartbeat.json").exists()
    pulse.tick()
    beat()

    assert not stuck
    assert (tmp_path / "heartbeat.json").exists()


def test_side_work_goes_on_after_an_error_of_the_disk() -> None:
    """A volume that is away for a moment ends neither heartbeat nor samples."""
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("away")

    repeated = background.Repeated("test", 0.01, work)
    until(lambda: len(calls) > 3, "the work to go on")
    repeated.end()


def test_samples_are_bounded(tmp_path: Path, place: PodPaths) -> None:
    """What is measured every few seconds, for weeks, never fills the volume."""
    watch = background.StopConditions(SPEC, place, Boot("b"), 1, background.Intervals())
    meter = background.metrics_sampler.MetricsSampler(tmp_path, "")
    take = background.sampler(tmp_path, meter, "b", watch)
    take()
    first = (tmp_path / "samples.jsonl").stat().st_size
    os.truncate(tmp_path / "samples.jsonl", background.SAMPLES_CAP)
    take()

    assert first > 0
    assert (tmp_path / "samples.jsonl").stat().st_size == background.SAMPLES_CAP


def test_a_file_that_changes_under_the_hash_has_none(tmp_path: Path) -> None:
    """A hash of half old and half new bytes is nobody's."""
    path = tmp_path / "a"
    path.write_bytes(bytes(100))

    def meddle() -> None:
        with path.open("ab") as file:
            file.write(b"!")

    def overwrite() -> None:
        path.write_bytes(bytes(path.stat().st_size))
        os.utime(path)

    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")

    def hash_of(name: str, pause: Callable[[], None]) -> object:
        info = os.stat(path)
        found = Found(name, info.st_size, identity(info))
        return manifest.sha256_of(tmp_path, found, pause)

    assert hash_of("a", meddle) is None
    assert hash_of("a", overwrite) is None
    assert hash_of("a", lambda: None) is not None
    assert hash_of("link", lambda: None) == hash_of("a", lambda: None)
    assert hash_of("pipe", lambda: None) is None


def test_a_hash_that_was_interrupted_goes_on_unless_the_file_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a job's end what was hashed so far is not read again; of a changed file all is."""
    monkeypatch.setattr(manifest, "CHUNK", 1000)
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3500)
    hashes = manifest.Hashes(tmp_path)
    read = [0]

    def found() -> Found:
        info = os.stat(path)
        return Found("a", info.st_size, identity(info))

    def count() -> None:
        read[0] += 1

    def give_up() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hashes.of(found(), give_up)
    entry = hashes.of(found(), count)
    assert entry is not None
    assert entry.sha256 == contract.digest(b"x" * 3500)
    assert read == [3]

    path.write_bytes(b"y" * 3500)
    with pytest.raises(KeyboardInterrupt):
        hashes.of(found(), give_up)
    path.write_bytes(b"z" * 3500)
    os.utime(path, ns=(1, 1))
    entry = hashes.of(found(), count)
    assert entry is not None
    assert entry.sha256 == contract.digest(b"z" * 3500)
    assert read == [3 + 4]


def test_a_job_of_very_many_outputs_is_told_while_it_runs(
    place: PodPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 80 % of what can be listed on, the number of its outputs is published."""
    run = place.run("r1")
    (run / "work" / "out").mkdir(parents=True)
    monkeypatch.setattr(background, "MAX_FILES", 10)
    watch = background.StopConditions(SPEC, place, Boot("b"), 1, background.Intervals())
    ready = background.Ready(run, SPEC, 1, watch, background.Intervals(settle=0.0))
    told = []
    for number in range(9):
        (run / "work" / "out" / str(number)).touch()
        ready.scan()
        document = contract.load(contract.Manifest, (run / "ready.json").read_bytes())
        told.append(document.seen)

    assert told == [0] * 7 + [8, 9]


def test_a_job_that_hangs_on_a_full_volume_is_stalled(
    place: PodPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log is over the cap and cannot be trimmed, as nothing can be written: it ends anyway."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (place.run("r1") / "job.log").write_bytes(bytes(50_000))
    spec = replace(SPEC, log_cap_bytes=8192, stall_seconds=60.0)
    watch = StopConditions(spec, place, Boot("boot", "pod1"), 1, Intervals(heartbeat=0.0))
    watch.progress = Progress(time.monotonic())
    monkeypatch.setattr(atomic_files, "write", full)
    watch.poll()
    watch.progress.at -= 61

    with pytest.raises(StopJob, match="no log") as found:
        watch.poll()
    assert found.value.reason == "stalled"


def test_an_exit_record_of_an_earlier_attempt_says_nothing(place: PodPaths) -> None:
    """Only the end of the attempt that was begun last is the run's end."""
    folder = place.run("r1")
    (folder / "attempt.json").write_bytes(contract.dump(Attempt("r1", 2, "b", 0.0)))
    (folder / "exit.json").write_bytes(contract.dump(END))
    early = report.status(place, "r1")
    (folder / "attempt.json").write_bytes(contract.dump(Attempt("r1", 1, "b", 0.0)))
    own = report.status(place, "r1")

    assert (early.state, early.exit) == ("lost", None)
    assert (own.state, own.exit) == ("ended", END)


def test_what_was_measured_in_an_earlier_boot_says_nothing_of_now(place: PodPaths) -> None:
    """Samples, and the boot's own name, belong to one life of the container."""
    now = boot(place.local)
    sample = {"monotonic": time.monotonic(), "gpus": [{"percent": 90}], "cpu_percent": 50}
    path = place.run("r1") / "samples.jsonl"
    path.write_text(json.dumps(sample | {"boot_id": "a life before"}) + "\n")
    before = report.status(place, "r1")
    path.write_text(json.dumps(sample | {"boot_id": now.id}) + "\n")
    after = report.status(place, "r1")
    found = json.loads((place.local / "boot.json").read_text())
    (place.local / "boot.json").write_text(json.dumps(found | {"anchor": "another first process"}))

    assert (before.gpu_util, before.cpu_util) == (None, None)
    assert (after.gpu_util, after.cpu_util) == (90, 50)
    assert boot(place.local).id != now.id


def test_records_are_for_the_pods_user_alone(place: PodPaths) -> None:
    """What a job may be told in secret, and what is said of it, nobody else reads."""
    atomic_files.write(place.secrets("r1"), b"{}")
    atomic_files.append(place.run("r1") / "samples.jsonl", b"{}\n")

    for path in (place.secrets("r1"), place.run("r1") / "samples.jsonl"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_piece_of_a_file_that_goes_to_the_laptop_is_a_visit(tmp_path: Path) -> None:
    """On a slow link one file takes longer than the guard lets a pod idle."""
    (tmp_path / "a").write_bytes(os.urandom(3 * files.CHUNK))
    order = io.BytesIO(json.dumps([["a", 3 * files.CHUNK]]).encode() + b"\n")
    sent, visits = io.BytesIO(), []
    files.send_files(tmp_path, order, sent, lambda: visits.append(sent.tell()))

    assert len({at // files.CHUNK for at in visits}) == 3


def test_a_signal_that_another_thread_took_is_handled_while_files_are_hashed(
    tmp_path: Path,
) -> None:
    """SIGTERM is heard within the second, however long the hashing still takes."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/big").write_bytes(b"x")
    heard = threading.Event()

    def pause() -> None:  # in the thread that hashes, while the main one waits for it
        if threading.current_thread() is not threading.main_thread():
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            assert heard.wait(10.0)

    before = signal.signal(signal.SIGUSR1, lambda *_: heard.set())
    try:
        found = manifest.final(manifest.Hashes(tmp_path), ("out/**",), pause)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert heard.is_set()
    assert [one.path for one in found.entries] == ["out/big"]


def test_what_has_not_begun_is_not_hashed_after_a_halt(tmp_path: Path) -> None:
    """A container that stops has seconds: a thousand files are not begun for nothing."""
    (tmp_path / "out").mkdir()
    for number in range(1000):
        (tmp_path / f"out/{number}").write_bytes(b"x")
    begun: list[int] = []

    def pause() -> None:
        begun.append(1)
        raise StopJob("evicted", "the container stops")

    with pytest.raises(StopJob):
        manifest.final(manifest.Hashes(tmp_path), ("out/**",), pause)

    assert len(begun) < 1000
