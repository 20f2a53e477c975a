"""Whatever a job writes where the agent reads ends no call, and forges no line of ours."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.agent.client import plain
from controller.engine.last_seen import run_last_seen
from remote import contract
from remote.agent import status as report
from remote.contract import Progress, Status
from remote.pod import atomic_files, handover, job_secrets, log_file
from remote.pod import job_lock as lock
from remote.pod.outcome import Outcome
from remote.pod.paths import PodPaths, boot
from remote.supervisor import manifest
from tests.support.pod_side import PodSide, until

WAIT = "pathlib.Path('out').mkdir(exist_ok=True); open('out/up', 'w').write('x'); time.sleep(60)\n"
DEEP = "[" * 12_000
TEXTS = {
    "deep": DEEP,
    "deep in an object": '{"text": ' + DEEP,
    "a closed depth": '{"step": ' + "[" * 6000 + "]" * 6000 + "}",
    "a list": "[1, 2]",
    "a number": "7",
    "a text": '"x"',
    "nothing": "null",
    "an endless integer": '{"step": 1' + "0" * 5000 + ', "attempt": 1' + "0" * 400 + "}",
    "no numbers": '{"step": NaN, "max_steps": Infinity, "loss": -Infinity, "attempt": Infinity}',
    "overflow": '{"step": 1e999, "loss": 1e999, "monotonic": 1e999, "attempt": 1e999, "rc": 1e999}',
    "other types": '{"step": {}, "loss": [], "text": 7, "gpus": 5, "phase": {}, "attempt": "x"}',
    "odd GPUs": '{"gpus": [1, null, [], {"percent": "x"}], "boot_id": "BOOT", "monotonic": NOW}',
    "surrogates": '{"text": "\\ud800\\udfff", "phase": "\\ud800"}',
    "a byte order mark": '\ufeff{"step": 1}',
    "many objects": "[" + "{}," * 20_000 + "{}]",
}
ATTEMPT = contract.dump(contract.Attempt("r1", 1, "boot1", 0.0))
LOCK = "lock"
BINARY = b"\x00\xff\xfe" + bytes(range(256)) * 8


def _write(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def _put_pipe(path: Path) -> None:
    os.mkfifo(path)


def _put_folder(path: Path) -> None:
    path.mkdir()


def _put_loop(path: Path) -> None:
    path.symlink_to(path.name)


def _put_endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


THINGS = {
    "binary": _write(BINARY),
    "a pipe": _put_pipe,
    "a folder": _put_folder,
    "a loop": _put_loop,
    "a device": _put_endless,
}
NAMES = ("metrics.jsonl", "samples.jsonl", "heartbeat.json", "ready.json", "exit.json", "stop.json")
OTHERS = ("attempt.json", "owner.json", "outcome.json", "announced", "log.base", "job.log")
LOCALS = ("guard.json", "lease.json", "evict", "lock", "stop.json")


@pytest.fixture
def place(tmp_path: Path) -> PodPaths:
    """A pod whose run's supervisor and job are gone: only what they wrote is there."""
    place = PodPaths(tmp_path / "podctl", tmp_path / "local", tmp_path / "local")
    place.local.mkdir()
    place.run("r1").mkdir(parents=True)
    atomic_files.write(place.run("r1") / "attempt.json", ATTEMPT)
    return place


def look(place: PodPaths) -> None:
    """As the agent does for `status`, `log` and the beginning of `start` and `stop`."""
    seen = report.status(place, "r1")
    contract.load(Status, contract.dump(seen))
    json.dumps(run_last_seen(plain(seen)), allow_nan=False).encode()
    log_file.slice_at(place.run("r1") / "job.log", 0, 100)
    lock.held(place.lock)
    lock.holder(place.lock)
    Outcome.saved(place.run("r1"))
    handover.superseded(place.run("r1"), boot(place.local))
    manifest.announced(place.run("r1"), place.work("r1"))
    job_secrets.missing(place, contract.JobSpec("r1", "s", ("x",), ("y",), "c" * 64))


@pytest.mark.parametrize("where", [*NAMES, *OTHERS, *LOCALS])
def test_no_file_that_a_job_can_write_ends_a_call_of_the_agent(place: PodPaths, where: str) -> None:
    """Deep, endless, binary, of another type, or no file at all: a status and a log come back."""
    path = (place.local if where in LOCALS else place.run("r1")) / where
    for text in TEXTS.values():
        now = boot(place.local).id
        path.write_text(text.replace("BOOT", now).replace("NOW", str(time.monotonic())) + "\n")
        look(place)
    for name, put in THINGS.items():
        _remove(path)
        put(path)
        if (where, name) not in ((LOCK, "a folder"), (LOCK, "a loop")):  # it can start no job then
            look(place)


def test_the_agent_itself_answers_for_odd_records(pod: PodSide) -> None:
    """The same from without: every verb that looks returns 0 and a document."""
    pod.run().mkdir(parents=True)
    for name in NAMES:
        (pod.run() / name).write_text(DEEP)
    (pod.run() / "attempt.json").write_bytes(ATTEMPT)
    (pod.run() / "metrics.jsonl").unlink()
    os.mkfifo(pod.run() / "metrics.jsonl")

    assert pod.status().attempt == 1
    assert pod.stop().run == "r1"
    assert pod.log(0, 100) == ({"offset": 0, "size": 0, "base": 0}, b"")


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)


def test_a_jobs_text_forges_no_line_of_ours(pod: PodSide) -> None:
    """Newlines of every kind, and what moves a cursor, are gone from what is told."""
    forged = "x\nr1: PASS, locking\r\u2028lease l0001 is closed\x85\x1b[2K\x1b[1Ay\u202e"
    line = json.dumps({"text": forged, "step": 1})
    pod.start(pod.spec(f"open(os.environ['PODCTL_METRICS'], 'a').write({line!r} + '\\n')\n" + WAIT))
    pod.file("out/up")
    until(lambda: pod.status().progress.step, "a look at the job's metrics")
    told = plain(pod.status())
    text = told.progress.text or ""

    assert text.startswith("x r1: PASS, locking lease l0001")
    assert text.isprintable()
    assert run_last_seen(told)["text"] == text


def test_a_forged_status_is_told_on_one_line() -> None:
    """The agent itself may be the job's: every word of its answer is cleaned here."""
    end = contract.Exit("r", 1, 1, "ex\nited", "a\n\x1b[31mb", "0" * 64, 0, 0.0, 0.0)
    guard = contract.GuardReport("b", True, "reads\nits own", "jo\nb", 1.0, 1.0)
    said = Status("r", "running", "b", phase="ru\nn", exit=end, guard=guard)
    said = plain(contract.load(Status, contract.dump(said)))
    other = plain(Status("r", "running", "b", progress=Progress(text="\ud800")))

    assert said.exit is not None
    assert said.guard is not None
    words = (said.phase, said.exit.reason, said.exit.detail, said.guard.detail, said.guard.phase)
    assert words == ("ru n", "ex ited", "a b", "reads its own", "jo b")
    assert other.progress.text == "\ufffd"


def test_a_job_that_writes_anything_into_its_records_comes_to_its_end(pod: PodSide) -> None:
    """Its supervisor reads the same files while it runs: it goes on, and records the end."""
    odd = {"deep": DEEP, "loop": None}
    script = (
        f"deep = {odd['deep']!r}\nrun = pathlib.Path(os.environ['PODCTL_RUN_DIR'])\n"
        "pathlib.Path('out').mkdir(); open('out/a', 'w').write('a')\n"
        "for name in ('stop.json', 'announced', 'metrics.jsonl', 'owner.json'):\n"
        "  (run / name).unlink(missing_ok=True)\n"
        "  (run / name).write_text(deep)\n"
        "os.remove(run / 'announced'); os.mkfifo(run / 'announced')\n"
        "time.sleep(1.0)\n"
    )
    pod.start(pod.spec(script))

    assert pod.ended().rc == 0
    assert list(pod.manifest()) == ["out/a"]
