"""How an attempt ends, and what its records say: budget, stall, failure, disk, outputs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote import contract
from tests.support.pod_side import PodSide, until

WRITE = "pathlib.Path('out').mkdir(exist_ok=True); pathlib.Path('out/a').write_text('abc')\n"
SLEEP = "time.sleep(60)\n"
MB = 1024 * 1024


def test_the_budget_ends_a_job(pod: PodSide) -> None:
    """At max_seconds the job is told to end, and that is no success."""
    pod.start(pod.spec(WRITE + SLEEP, max_seconds=3.0))
    end = pod.ended()

    assert (end.reason, end.rc) == ("budget", 143)
    assert "3 s" in end.detail
    assert "out/a" in pod.manifest()


def test_row_62_a_silent_job_is_stalled(pod: PodSide) -> None:
    """No log, metric or output for stall_seconds ends it."""
    pod.start(pod.spec(WRITE + SLEEP, stall_seconds=0.8))

    assert pod.ended().reason == "stalled"


def test_row_62_a_job_that_only_its_gpu_shows_is_not_stalled(pod: PodSide, tmp_path: Path) -> None:
    """Hours without a line are normal while the GPU works; when it idles too, it is a stall."""
    (tmp_path / "bin").mkdir()
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.write_text('#!/bin/sh\ntest -e "$HOME/idle" && b=0 || b=97\necho "0, $b, 1, 2, 3, 4"\n')
    driver.chmod(0o755)
    pod.env |= {"PATH": f"{tmp_path / 'bin'}:{pod.env['PATH']}", "PODCTL_PACE_SAMPLE": "0.1"}
    pod.start(pod.spec(WRITE + SLEEP, stall_seconds=1.5))
    pod.state("running")
    until(lambda: (pod.status().gpu_util or 0) > 90, "a busy GPU")
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 3.0, "twice the stall's time")
    seen = pod.status()
    (pod.folder / "idle").touch()

    assert seen.state == "running"
    assert pod.ended().reason == "stalled"


def test_row_62_a_stalled_job_that_hears_nothing_is_killed_and_can_go_on(pod: PodSide) -> None:
    """SIGTERM, SIGKILL, and the reason stays `stalled`; the next attempt has what it saved."""
    job = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.path.exists('out/a'): open('out/b', 'w').write('went on'); sys.exit(0)\n"
    )
    spec = pod.spec(job + WRITE + SLEEP, stall_seconds=0.8, term_grace_seconds=0.3)
    pod.start(spec)
    first = pod.ended()
    seen = pod.start(spec)
    pod.start(spec, "--again")
    second = pod.ended(attempt=2)

    assert (first.reason, first.rc) == ("stalled", 137)
    assert (seen.state, seen.attempt) == ("ended", 1)
    assert (second.reason, second.rc) == ("exited", 0)
    assert list(pod.manifest()) == ["out/a", "out/b"]


@pytest.mark.parametrize(
    "sign",
    [
        "print('.', flush=True)",
        "open(os.environ['PODCTL_METRICS'], 'a').write('{}\\n')",
        "open('out/a', 'a').write('.')",
    ],
)
def test_any_sign_of_progress_keeps_a_job(pod: PodSide, sign: str) -> None:
    """A line, a metric or a growing output is enough."""
    job = f"end = time.monotonic() + 2.6\nwhile time.monotonic() < end:\n  {sign}\n"
    pod.start(pod.spec(WRITE + job + "  time.sleep(0.1)\n", stall_seconds=2.0))

    assert pod.ended().reason == "exited"


@pytest.mark.parametrize(
    ("last", "rc", "reason", "detail"),
    [
        ("sys.exit(7)", 7, "exited", "exit code 7"),
        ("os.kill(os.getpid(), 11)", 139, "signal", "killed by SIGSEGV"),
        ("os.kill(os.getpid(), 9)", 137, "signal", "killed by SIGKILL"),
        ("raise RuntimeError('CUDA error: an illegal memory access')", 1, "exited", "exit code 1"),
    ],
)
def test_row_58_a_failure_says_how(
    pod: PodSide, last: str, rc: int, reason: str, detail: str
) -> None:
    """The exit record carries the code or the signal; what was written is in the manifest."""
    pod.start(pod.spec(WRITE + last))
    end = pod.ended()

    assert (end.rc, end.reason) == (rc, reason)
    assert end.detail.startswith(detail)
    assert "out/a" in pod.manifest()


MEMORY = Path("/sys/fs/cgroup/memory")  # of version 1; version 2 has one tree for everything


@pytest.fixture
def little_memory() -> Iterator[list[str]]:
    """The words before a command that give it a control group of 96 MB of its own."""
    old = MEMORY.is_dir()
    home = MEMORY if old else MEMORY.parent
    group = home / f"podctl-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(96 * MB))
    except OSError:
        pytest.skip("this machine does not let us make a control group")
    enter = f'mount --bind {group} {home} && echo $$ > {home}/cgroup.procs && exec "$@"'
    yield ["unshare", "--mount", "sh", "-c", enter, "sh"]
    until(lambda: not (group / "cgroup.procs").read_text(), "the group to be empty")
    group.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root")
def test_row_58_a_job_that_the_kernel_ends_for_want_of_memory_says_so(
    pod: PodSide, little_memory: list[str]
) -> None:
    """rc 137 alone could be anything; the group's own counter tells that it was memory."""
    pod.before = little_memory
    pod.start(pod.spec(WRITE + "b = [bytearray(os.urandom(2**20)) for _ in range(400)]\n"))
    end = pod.ended()
    pod.kill_all()

    assert (end.rc, end.reason) == (137, "signal")
    assert end.detail == "killed by SIGKILL: the kernel ended it for want of memory"
    assert "out/a" in pod.manifest()


def test_a_command_that_is_not_there_fails(pod: PodSide) -> None:
    """A job that cannot be started ends with 127 and its name."""
    spec = contract.JobSpec("r1", "s", ("no-such-program",), ("out/**",), "c" * 64)
    pod.start(spec)
    end = pod.ended()

    assert end.rc == 127
    assert "no-such-program" in end.detail


def test_row_58_success_needs_its_outputs(pod: PodSide) -> None:
    """A job that returns 0 without what it declared has failed, and the record names it."""
    pod.start(pod.spec(WRITE, outputs=("out/**", "model/*.bin")))
    end = pod.ended()

    assert end.rc == 1
    assert "model/*.bin" in end.detail
    assert "out/a" in pod.manifest()


def test_what_lies_outside_is_no_output(pod: PodSide) -> None:
    """A link inside the work folder is what it leads to; one that leads out is not followed, and
    named as what is only here; a pipe has nothing to lose."""
    job = (
        "os.symlink('/etc/passwd', 'out/passwd'); os.symlink('/etc', 'out/etc')\n"
        "os.symlink('out', 'link'); os.mkfifo('out/pipe'); open('out/bad\\n', 'w').close()\n"
    )
    pod.start(pod.spec(WRITE + job, outputs=("out/**", "link/a", "../../../**", "/etc/*")))
    end = pod.ended()
    found = contract.load(contract.Manifest, pod.read("r1", "manifest.json") or b"")

    assert end.rc == 0
    assert [one.path for one in found.files] == ["link/a", "out/a", "out/bad\n"]
    assert [one.path for one in found.left] == ["out/etc", "out/passwd"]
    assert [one.path for one in found.notes] == ["out/pipe"]


def test_an_odd_name_keeps_no_finished_output_back(pod: PodSide) -> None:
    """While the job runs, names of any bytes are ready as all others are. Case 04."""
    job = (
        "open(b'out/caf\\xe9', 'w').close(); open('out/prompt 1: why?.', 'w').close()\n"
        "while True: time.sleep(0.02)\n"
    )
    pod.start(pod.spec(WRITE + job))
    until(lambda: "out/a" in pod.manifest(name="ready.json"), "ready.json")
    ready = pod.manifest(name="ready.json")

    assert set(ready) == {"out/a", "out/caf\udce9", "out/prompt 1: why?."}


def test_finished_outputs_are_published_while_the_job_runs(pod: PodSide) -> None:
    """What no longer changes is ready; what grows is not; what is announced is at once."""
    job = (
        "pathlib.Path('out/new').write_text('n')\n"
        "told = os.environ['PODCTL_RUN_DIR'] + '/announced'\n"
        "open(told, 'a').write(os.getcwd() + '/out/new\\n')\n"
        "while True:\n  open('out/grows', 'a').write('x'); time.sleep(0.02)\n"
    )
    pod.start(pod.spec(WRITE + job))
    until(lambda: "out/a" in pod.manifest(name="ready.json"), "ready.json")
    ready = pod.manifest(name="ready.json")
    seen = pod.status()
    manifest = contract.load(contract.Manifest, pod.read("r1", "ready.json") or b"")

    assert ready["out/a"] == contract.digest(b"abc")
    assert "out/new" in ready
    assert "out/grows" not in ready
    assert not manifest.final
    assert seen.ready_sha256 is not None


def test_an_announced_output_need_not_settle(pod: PodSide) -> None:
    """The job's word replaces the waiting."""
    pod.env["PODCTL_PACE_SETTLE"] = "1000"
    job = "open(os.environ['PODCTL_RUN_DIR'] + '/announced', 'a').write('out\\n')\n"
    pod.start(pod.spec(WRITE + job + SLEEP))

    ready = until(lambda: pod.manifest(name="ready.json") or None, "ready.json")

    assert ready == {"out/a": contract.digest(b"abc")}


def test_row_61_a_flood_of_log_is_bounded_and_offsets_stay(pod: PodSide) -> None:
    """The disk holds about the cap; every byte that can be read is at its own offset."""
    cap = MB
    line = "n = 0\nwhile n < 6 * 2**20 // 16:\n  sys.stdout.write(f'{n:015d}\\n'); n += 1\n"
    pause = "  if n % 4096 == 0: sys.stdout.flush(); time.sleep(0.02)\n"
    pod.start(pod.spec(WRITE + line + pause, log_cap_bytes=cap))
    end = pod.ended()
    log = pod.run() / "job.log"
    head, data = pod.log(0, 4 * MB)
    first = data.index(b"\n") + 1
    lines = data[first:].split(b"\n")[:-1]
    began = head["size"] - 16 * (6 * 2**20 // 16)  # where line 0 was

    assert end.rc == 0
    assert head["base"] == head["offset"] > 4 * MB
    assert log.stat().st_size == head["size"] == end.log_size > 6 * MB
    assert log.stat().st_blocks * 512 < 2 * cap
    assert [int(x) for x in lines] == list(range(int(lines[0]), int(lines[0]) + len(lines)))
    assert began + 16 * int(lines[0]) == head["offset"] + first


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_row_61_a_volume_that_cannot_free_a_logs_head_ends_the_flood(tmp_path: Path) -> None:
    """Where no hole can be punched the job is ended loudly at its cap, and every byte is there."""
    place = tmp_path / "ram"
    place.mkdir()
    if subprocess.run(["mount", "-t", "ramfs", "none", str(place)]).returncode != 0:
        pytest.skip("this machine does not let us mount")
    pod = PodSide(place / "pod")
    talk = "print('begin')\nwhile True: print('x' * 4095, flush=True); time.sleep(0.001)\n"
    try:
        pod.start(pod.spec(WRITE + talk, log_cap_bytes=MB // 4))
        end = pod.ended()
        head, first = pod.log(0, 4096)
    finally:
        pod.kill_all()
        subprocess.run(["umount", "-l", str(place)], check=True)

    assert end.reason == "disk-full"
    assert "over its cap" in end.detail
    assert head["base"] == 0
    assert b"begin" in first


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let us mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


FILLERS = {
    "a checkpoint": "open('out/big', 'wb').write(bytes(20 * 2**20))\n",
    "the log": "while True: sys.stdout.write('x' * 65536); sys.stdout.flush()\n",
    "many files": "for n in range(10**6): open(f'out/{n}', 'wb').write(bytes(2**17))\n",
}


@pytest.mark.parametrize("filler", FILLERS)
def test_row_60_a_full_disk_is_named_and_the_end_is_recorded(small_disk: Path, filler: str) -> None:
    """The reserve lets manifest and exit record be written where nothing else fits."""
    pod = PodSide(small_disk / "pod")
    try:
        pod.start(pod.spec(WRITE + FILLERS[filler]))
        end = pod.ended()
    finally:
        pod.kill_all()

    assert (end.reason, end.rc) == ("disk-full", 1)
    assert pod.manifest()["out/a"] == contract.digest(b"abc")
    shutil.rmtree(small_disk / "pod")


def test_row_60_a_log_over_its_cap_on_a_full_disk_is_cut_and_not_the_job(small_disk: Path) -> None:
    """A small cap keeps a talkative job alive where its log alone would fill the disk."""
    pod = PodSide(small_disk / "pod")
    talk = "for n in range(240): print('x' * 65535, flush=True); time.sleep(0.005)\n"
    try:
        pod.start(pod.spec(WRITE + talk, log_cap_bytes=MB))
        end = pod.ended()
    finally:
        pod.kill_all()

    assert (end.reason, end.rc) == ("exited", 0)
    assert end.log_size > 8 * MB
    shutil.rmtree(small_disk / "pod")


def test_row_60_a_record_waits_for_room(small_disk: Path) -> None:
    """Where somebody else took even the reserve, the end is written once there is room again."""
    pod = PodSide(small_disk / "pod")
    other = small_disk / "other"
    try:
        pod.start(pod.spec(WRITE + "while not os.path.exists('go'): time.sleep(0.01)\n"))
        until(lambda: (pod.work() / "out/a").exists(), "the job")
        _fill(other)
        (pod.run() / "reserve").unlink()
        _fill(other)
        (pod.work() / "go").symlink_to("out")  # a name needs no room
        until(lambda: not [c for c in pod.processes().values() if "go" in c], "the job to end")
        pod.shim()
        other.unlink()
        end = pod.ended()
    finally:
        pod.kill_all()

    assert end.rc == 0
    assert "out/a" in pod.manifest()
    shutil.rmtree(small_disk / "pod")


WAIT = "while not os.path.lexists('go'): time.sleep(0.01)\n"


@pytest.fixture
def full_pod(small_disk: Path, tmp_path: Path) -> Iterator[PodSide]:
    """A job, waiting for `go`, on a volume that somebody filled under it; own disk beside it."""
    pod = PodSide(small_disk / "pod")
    own = tmp_path / "own"
    own.mkdir()
    (pod.folder / "run").symlink_to(own)
    pod.start(pod.spec(WRITE + WAIT))
    until(lambda: (pod.work() / "out/a").exists(), "the job")
    _fill(small_disk / "other")
    yield pod
    pod.kill_all()
    shutil.rmtree(pod.folder)


def test_row_60_a_run_on_a_full_volume_goes_on_after_a_hard_death(full_pod: PodSide) -> None:
    """The reserve of the attempt that died has the room for the records of the next one."""
    full_pod.kill_all()
    seen = full_pod.start(full_pod.spec(WRITE + WAIT))
    (full_pod.work() / "go").symlink_to("out")

    assert seen.attempt == 2
    assert full_pod.ended().rc == 0


def test_row_60_a_run_on_a_full_volume_is_stopped_after_a_hard_death(full_pod: PodSide) -> None:
    """What a supervisor left that was killed is hashed and committed, with no room but its own."""
    full_pod.kill_all()
    full_pod.stop()

    assert full_pod.ended().reason == "stopped"
    assert "out/a" in full_pod.manifest()


def test_row_60_a_job_on_a_full_volume_is_stopped(full_pod: PodSide) -> None:
    """The order needs no room on the volume: the container's own disk takes it."""
    full_pod.stop()

    assert full_pod.ended().reason == "stopped"


def test_row_60_an_eviction_on_a_full_volume_is_noted(full_pod: PodSide) -> None:
    """The reserve is given back before the note is written."""
    os.kill(full_pod.shim(), signal.SIGTERM)
    full_pod.state("lost")

    assert full_pod.read("r1", "interrupted.json")


def _fill(path: Path) -> None:
    """Write until the disk takes nothing more."""
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
