"""A job is all of its processes: it ends with the last, and a stop lets each of them save."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from remote import contract
from remote.contract import JobSpec
from remote.pod import processes
from remote.pod.process_tree import JobTree
from tests.support.pod_side import PodSide, until

# A trainer: says when it begins, counts what it is told, takes `slow` seconds to save.
TRAINER = """
import os, signal, sys, time
told = []
def save(*_):
    told.append(1)
    open('out/told', 'a').write('x')
    if len(told) > 1: return
    end = time.monotonic() + slow
    while time.monotonic() < end: time.sleep(0.02)
    open('out/saved', 'a').write('saved')
    os._exit(0)
signal.signal(signal.SIGTERM, save)
os.makedirs('out', exist_ok=True)
open('out/begun', 'w').write('x')
time.sleep(60)
"""
# A job whose first process returns at once; what it started goes on for `last` seconds.
WORKER = (
    "import os, time\nos.makedirs('out', exist_ok=True)\nopen('out/begun', 'w').write('x')\n"
    "time.sleep({last})\nopen('out/result', 'w').write('the result')\n"
)
QUIET = "stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
POPEN = "import subprocess\nchild = subprocess.Popen([sys.executable, '-S', '-c', text])\n"
AWAIT_BEGUN = "while not os.path.exists('out/begun'): time.sleep(0.01)\n"

LEAVE = {
    "a session of its own": (
        "import subprocess\nsubprocess.Popen([sys.executable, '-S', '-c', text], "
        f"start_new_session=True, {QUIET})\n"
    ),
    "a double fork": (
        "if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n"
        "    os.closerange(0, 100)\n"
        "    os.execv(sys.executable, [sys.executable, '-S', '-c', text])\n  os._exit(0)\n"
        "os.wait()\n"
    ),
    "a double fork without its environment": (
        "if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n"
        "    os.execve(sys.executable, [sys.executable, '-S', '-c', text], {})\n  os._exit(0)\n"
        "os.wait()\n"
    ),
    "the shell": "os.system(f'nohup {sys.executable} -S -c \"{text}\" > log 2>&1 &')\n",
}


def given(text: str, script: str) -> str:
    return f"text = {text!r}\n{script}"


@pytest.mark.parametrize("way", LEAVE)
def test_case_11_a_job_that_goes_on_in_the_background_is_not_over(pod: PodSide, way: str) -> None:
    """The launcher returned; what it started is waited for, told, and its result is an output."""
    pod.start(pod.spec(given(WORKER.format(last=2.5), LEAVE[way]) + AWAIT_BEGUN))
    pod.file("out/begun")
    told = until(
        lambda: (s := pod.status()).progress.text and "go on" in s.progress.text and s, "the word"
    )
    end = pod.ended()

    assert (told.state, told.phase) == ("running", "running")
    assert (end.rc, end.reason) == (0, "exited")
    assert pod.manifest()["out/result"] == contract.digest(b"the result")
    assert "left others" in pod.text()


@pytest.mark.parametrize("way", LEAVE)
def test_case_11_a_stage_may_have_what_its_job_leaves_ended(pod: PodSide, way: str) -> None:
    """stray_processes = "kill": it is told, may save, and is gone before anything is hashed."""
    trainer = f"slow = 0.5\n{TRAINER}".replace('"', "'")
    pod.start(pod.spec(given(trainer, LEAVE[way]) + AWAIT_BEGUN, stray_processes="kill"))
    end = pod.ended()
    left = [c for c in pod.processes().values() if "told" in c]

    assert end.rc == 0
    assert pod.manifest()["out/saved"] == contract.digest(b"saved")
    assert pod.manifest()["out/told"] == contract.digest(b"x")
    assert not left


def test_what_a_failed_launcher_leaves_is_ended_and_may_save(pod: PodSide) -> None:
    """A job whose first process failed has failed; nothing of it goes on, and nothing is torn."""
    trainer = f"slow = 1.0\n{TRAINER}"
    pod.start(pod.spec(given(trainer, POPEN) + AWAIT_BEGUN + "sys.exit(3)\n"))
    end = pod.ended()

    assert (end.rc, end.reason) == (3, "exited")
    assert pod.manifest()["out/saved"] == contract.digest(b"saved")
    assert not [c for c in pod.processes().values() if "told" in c]


@pytest.mark.parametrize(
    ("bound", "reason"), [({"max_seconds": 3.0}, "budget"), ({"stall_seconds": 2.0}, "stalled")]
)
def test_the_wait_for_what_a_job_left_is_bounded_as_the_job(
    pod: PodSide, bound: dict[str, float], reason: str
) -> None:
    """Budget and stall end what goes on in the background, and the record says what that was."""
    launcher = given("import time; time.sleep(60)", LEAVE["a session of its own"])
    pod.start(pod.spec(launcher + "os.mkdir('out')\n", **bound))
    end = pod.ended()

    assert (end.reason, end.rc) == (reason, 124)
    assert "the first process had ended" in end.detail
    assert 'stray_processes = "kill"' in end.detail
    assert not [c for c in pod.processes().values() if "time.sleep(60)" in c]


def test_a_job_in_the_background_is_stopped_on_request(pod: PodSide) -> None:
    """The user's word ends it as it ends any job: told once, saved, recorded as stopped."""
    launcher = given(f"slow = 1.0\n{TRAINER}", LEAVE["a double fork"])
    pod.start(pod.spec(launcher + AWAIT_BEGUN))
    until(lambda: "go on" in (pod.status().progress.text or ""), "the wait")
    pod.stop("--reason", "enough")
    end = pod.ended()

    assert (end.reason, end.rc) == ("stopped", 143)
    assert pod.manifest()["out/told"] == contract.digest(b"x")
    assert "out/saved" in pod.manifest()


# How launchers end at SIGTERM; each starts the trainer as its child.
ENDINGS = {
    "dies of it": POPEN + "child.wait()\n",
    "passes it on and waits": (
        POPEN + "signal.signal(signal.SIGTERM, lambda *_: child.terminate())\nchild.wait()\n"
    ),
    "passes it on and ends": (
        POPEN + "def bye(*_):\n  child.terminate(); os._exit(1)\n"
        "signal.signal(signal.SIGTERM, bye)\nchild.wait()\n"
    ),
    "keeps it to itself and ends": (
        POPEN + "signal.signal(signal.SIGTERM, lambda *_: os._exit(1))\nchild.wait()\n"
    ),
    "keeps it to itself and waits": (
        POPEN + "signal.signal(signal.SIGTERM, lambda *_: None)\nchild.wait()\n"
    ),
    "does not hear it": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + POPEN + "child.wait()\n"
    ),
    "started it in another session": (
        "import subprocess\nsubprocess.Popen([sys.executable, '-S', '-c', text], "
        "start_new_session=True).wait()\n"
    ),
    "started it in another session and passes it on": (
        "import subprocess\nchild = subprocess.Popen([sys.executable, '-S', '-c', text], "
        "start_new_session=True)\n"
        "signal.signal(signal.SIGTERM, lambda *_: child.terminate())\nchild.wait()\n"
    ),
}


@pytest.mark.parametrize("launcher", ENDINGS)
def test_a_stop_lets_the_trainer_below_its_launcher_save(pod: PodSide, launcher: str) -> None:
    """Whatever the launcher does at SIGTERM, the trainer hears of it once and saves for 3 s."""
    pod.start(pod.spec(given(f"slow = 3.0\n{TRAINER}", ENDINGS[launcher])))
    pod.file("out/begun")
    pod.stop("--reason", "enough")
    end = pod.ended()

    assert end.reason == "stopped"
    assert pod.manifest()["out/told"] == contract.digest(b"x")
    assert pod.manifest()["out/saved"] == contract.digest(b"saved")
    assert not [c for c in pod.processes().values() if "told" in c]


def shell(pod: PodSide, script: str, **fields: object) -> JobSpec:
    return replace(pod.spec("", **fields), argv=("sh", "-c", script))


def trainer_file(pod: PodSide, slow: float) -> str:
    """The trainer as a file; the command that runs it."""
    path = pod.folder / "trainer.py"
    path.write_text(f"slow = {slow}\n{TRAINER}")
    return f"{sys.executable} -S {path}"


@pytest.mark.parametrize("bound", [{}, {"max_seconds": 2.5}, {"stall_seconds": 1.5}])
def test_a_shells_trainer_saves_and_the_script_does_not_go_on(
    pod: PodSide, bound: dict[str, float]
) -> None:
    """`sh -c "A=1 python …; next"` at stop, budget and stall: saved, and `next` never runs."""
    script = f"A=1 {trainer_file(pod, 1.5)}; touch out/next"
    pod.start(shell(pod, script, **bound))
    pod.file("out/begun")
    if not bound:
        pod.stop()
    end = pod.ended()

    assert end.reason in ("stopped", "budget", "stalled")
    assert pod.manifest()["out/saved"] == contract.digest(b"saved")
    assert pod.manifest()["out/told"] == contract.digest(b"x")
    assert "out/next" not in pod.manifest()


def test_an_evicted_launchers_trainer_saves(pod: PodSide) -> None:
    """SIGTERM to the container reaches what is below a launcher that dies of it."""
    pod.start(shell(pod, f"A=1 {trainer_file(pod, 1.0)}; touch out/next"))
    pod.file("out/begun")
    os.kill(pod.shim(), signal.SIGTERM)
    pod.state("lost")
    until(lambda: not pod.processes(), "everything to end")

    assert (pod.work() / "out/saved").read_text() == "saved"
    assert not (pod.work() / "out/next").exists()


def test_a_pipe_is_open_while_its_writer_saves(pod: PodSide) -> None:
    """`python … | tee log`: tee lives until the trainer's last line is written."""
    save = f"slow = 1.0\n{TRAINER}".replace(
        "    open('out/saved'", "    print('last line', flush=True)\n    open('out/saved'"
    )
    path = pod.folder / "trainer.py"
    path.write_text(save)
    pod.start(shell(pod, f"{sys.executable} -S {path} | tee out.log", outputs=("out/**", "*.log")))
    pod.file("out/begun")
    pod.stop()
    pod.ended()

    assert pod.manifest()["out/saved"] == contract.digest(b"saved")
    assert pod.manifest()["out.log"] == contract.digest(b"last line\n")


def test_workers_of_a_trainer_that_saves_are_left_to_it(pod: PodSide) -> None:
    """A data loader's workers are not told: a trainer whose workers die cannot save."""
    script = (
        "pid = os.fork()\nif pid == 0: time.sleep(60); os._exit(0)\n"
        "def save(*_):\n  time.sleep(1.0)\n  alive = os.waitpid(pid, os.WNOHANG)[0] == 0\n"
        "  open('out/alive', 'w').write(str(alive)); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\nos.mkdir('out'); open('out/begun', 'w').write('x')\n"
        "time.sleep(60)\n"
    )
    pod.start(pod.spec(script))
    pod.file("out/begun")
    pod.stop()
    pod.ended()

    assert pod.manifest()["out/alive"] == contract.digest(b"True")
    assert not [c for c in pod.processes().values() if "os.fork" in c]


def test_what_does_not_hear_of_the_end_is_killed_after_the_grace(pod: PodSide) -> None:
    """All of it: a child that ignores SIGTERM, in a session of its own, and one that stopped."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    script = (
        given(deaf, LEAVE["a session of its own"])
        + "pid = os.fork()\nif pid == 0: os.kill(os.getpid(), signal.SIGSTOP)\n"
        + "os.mkdir('out'); open('out/begun', 'w').write('x')\ntime.sleep(60)\n"
    )
    pod.start(pod.spec(script, term_grace_seconds=0.5))
    pod.file("out/begun")
    pod.stop()

    assert pod.ended().reason == "stopped"
    assert not [c for c in pod.processes().values() if "time.sleep(60)" in c]


def test_an_attempts_strays_are_ended_by_the_supervisor_that_follows(pod: PodSide) -> None:
    """Supervisor and launcher were killed: what lives on has no lock, and still makes way."""
    trainer = f"slow = 1.0\nopen('begins', 'a').write('b')\n{TRAINER}"
    script = given(trainer, LEAVE["a session of its own"]) + "time.sleep(60)\n"
    again = "if os.path.exists('out/saved'): sys.exit(0)\n"
    spec = pod.spec(again + script)
    pod.start(spec)
    pod.file("out/begun")
    launcher = next(p for p, c in pod.processes().items() if "text =" in c)
    os.kill(pod.shim(), signal.SIGKILL)
    os.kill(launcher, signal.SIGKILL)
    pod.state("lost")
    pod.start(spec)
    end = pod.ended(attempt=2)

    assert end.rc == 0
    assert pod.manifest()["out/told"] == contract.digest(b"x")
    assert (pod.work() / "begins").read_text() == "b"
    assert not [c for c in pod.processes().values() if "begins" in c]


def test_what_shares_a_session_with_a_marked_process_is_the_jobs(pod: PodSide) -> None:
    """A child that dropped its environment is found by its sibling's when nobody supervises."""
    bare = "os.execve(sys.executable, [sys.executable, '-c', 'import time; time.sleep(62)'], {})"
    script = f"if os.fork() == 0: {bare}\nif os.fork() == 0: time.sleep(62)\ntime.sleep(62)\n"
    pod.start(pod.spec("os.mkdir('out'); open('out/begun', 'w').write('x')\n" + script))
    pod.file("out/begun")
    tree = JobTree(pod.status().boot_id, root=None)
    until(lambda: len(tree.members()) == 3, "all")
    os.kill(pod.shim(), signal.SIGKILL)
    os.kill(min(tree.members()), signal.SIGKILL)
    left = until(lambda: len(tree.members()) == 2 and tree.members(), "two")
    bare_ones = [pid for pid in left if processes.variable(pid, contract.ENV_MARK) is None]
    pod.stop("--wait", "20")

    assert len(bare_ones) == 1
    assert not tree.members()


def test_nothing_of_one_stage_lives_on_into_the_next(pod: PodSide) -> None:
    """A run whose supervisor died is stopped by hand: the next run finds the pod empty."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    left = given(deaf, LEAVE["a session of its own"])
    pod.start(pod.spec(left + "os.mkdir('out'); time.sleep(61)\n", term_grace_seconds=0.5))
    until(lambda: len([c for c in pod.processes().values() if "sleep(60)" in c]) == 2, "both")
    os.kill(pod.shim(), signal.SIGKILL)
    pod.stop("--wait", "20")
    left_over = [c for c in pod.processes().values() if "sleep(60)" in c]
    pod.start(pod.spec("os.mkdir('out')\nopen('out/a', 'w').write('a')\n", run="r2"))

    assert not left_over
    assert pod.ended("r2").rc == 0


def test_a_long_grace_outlasts_the_call_that_stops_an_unsupervised_job(pod: PodSide) -> None:
    """The agent's stop returns at once; the job has its minutes, and the end is recorded."""
    pod.start(pod.spec(f"slow = 2.0\n{TRAINER}", term_grace_seconds=900.0))
    pod.file("out/begun")
    os.kill(pod.shim(), signal.SIGKILL)
    seen = pod.stop("--reason", "enough")
    pod.stop("--reason", "enough")
    end = pod.ended()

    assert seen.state == "running"
    assert (end.reason, end.detail) == ("stopped", "enough")
    assert pod.manifest()["out/told"] == contract.digest(b"x")


def test_an_output_that_changes_after_the_end_is_waited_for(pod: PodSide) -> None:
    """Somebody else writes on: the manifest has the last bytes, and the run passes."""
    pod.start(pod.spec("os.mkdir('out'); open('out/a', 'w').write('0')\n", max_seconds=30.0))
    pod.file("out/a")
    writer = (
        "import time\nend = time.monotonic() + 2.0\nwhile time.monotonic() < end:\n"
        f"  open({str(pod.work() / 'out/a')!r}, 'a').write('1'); time.sleep(0.01)\n"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", writer]):
        end = pod.ended()
    text = (pod.work() / "out/a").read_bytes()

    assert end.rc == 0
    assert pod.manifest()["out/a"] == contract.digest(text)


def test_an_output_that_never_holds_still_fails_the_run_and_is_named(pod: PodSide) -> None:
    """The budget bounds the wait; what could not travel is in the manifest by name."""
    path = pod.work() / "out/a"
    path.parent.mkdir(parents=True)
    writer = f"import time\nwhile True: open({str(path)!r}, 'a').write('1'); time.sleep(0.001)\n"
    with subprocess.Popen([sys.executable, "-S", "-c", writer]) as process:
        pod.start(pod.spec("open('out/b', 'w').write('b')\n", max_seconds=4.0))
        end = pod.ended()
        process.kill()
    final = json.loads(pod.read("r1", "manifest.json") or b"{}")

    assert end.rc == 1
    assert "out/a" in end.detail
    assert list(pod.manifest()) == ["out/b"]
    assert final["left"] == [{"path": "out/a", "why": "somebody still wrote to it"}]


def test_a_spec_of_an_older_podctl_waits_for_what_a_job_leaves(pod: PodSide) -> None:
    """A spec.json without the newer fields has their defaults."""
    spec = json.loads(contract.dump(pod.spec(given(WORKER.format(last=1.0), LEAVE["the shell"]))))
    del spec["stray_processes"], spec["term_grace_seconds"]
    pod.call("start", stdin=json.dumps(spec).encode())

    assert pod.ended().rc == 0
    assert "out/result" in pod.manifest()
