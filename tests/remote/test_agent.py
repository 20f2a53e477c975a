"""The agent's verbs: start once, look cheaply, read the log exactly, stop politely."""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from remote import contract
from tests.support.pod_side import CODE, PodSide, until

WRITE = "pathlib.Path('out').mkdir(exist_ok=True); pathlib.Path('out/a').write_text('abc')\n"
WAIT = "pathlib.Path('up').write_text('1')\ntime.sleep(60)\n"


def test_a_bare_copy_answers_help_without_site_packages(tmp_path: Path) -> None:
    """The folder alone, with the standard library alone, is a working agent."""
    shutil.copytree(Path(contract.__file__).parents[1], tmp_path / "remote")
    done = subprocess.run(
        [sys.executable, "-S", "-m", "remote.agent", "--help"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=30,
    )

    assert done.returncode == 0
    assert b"start" in done.stdout


def test_row_53_twenty_starts_at_once_make_one_job(pod: PodSide) -> None:
    """However many ask at the same moment, one job runs and all are told of it."""
    spec = pod.spec("open('pids', 'a').write(f'{os.getpid()}\\n')\n" + WRITE + WAIT)
    askers = [pod.popen("start") for _ in range(20)]
    for asker in askers:
        assert asker.stdin
        asker.stdin.write(contract.dump(spec))
        asker.stdin.close()
        asker.stdin = None
    answers = [contract.load(contract.Status, asker.communicate(timeout=60)[0]) for asker in askers]
    pod.file("up")

    assert {asker.returncode for asker in askers} == {0}
    assert {answer.attempt for answer in answers} == {1}
    assert {answer.state for answer in answers} <= {"starting", "running"}
    assert len((pod.work() / "pids").read_text().split()) == 1


def test_an_ended_run_is_not_run_again(pod: PodSide) -> None:
    """Starting what is done answers with its end and changes nothing."""
    spec = pod.spec("open('runs', 'a').write('x')\n" + WRITE)
    pod.start(spec)
    pod.ended()

    again = pod.start(spec)

    assert again.state == "ended"
    assert again.exit is not None
    assert (again.exit.rc, again.exit.reason, again.attempt) == (0, "exited", 1)
    assert (pod.work() / "runs").read_text() == "x"
    assert pod.manifest() == {"out/a": contract.digest(b"abc")}
    assert again.exit.manifest_sha256 == contract.digest(pod.read("r1", "manifest.json") or b"")


def test_a_failed_run_starts_again_only_when_asked(pod: PodSide) -> None:
    """A failure is an end: the next attempt needs --again, and the old record is kept."""
    spec = pod.spec(WRITE + "sys.exit(3)")
    pod.start(spec)
    first = pod.ended()
    seen = pod.start(spec)
    pod.start(spec, "--again")
    second = pod.ended(attempt=2)

    assert (first.rc, first.reason) == (3, "exited")
    assert (seen.state, seen.attempt) == ("ended", 1)
    assert second.rc == 3
    assert contract.load(contract.Exit, pod.read("r1", "exit.1.json") or b"") == first


def test_a_pod_has_one_job_at_a_time(pod: PodSide) -> None:
    """A second run is told which one is in its way."""
    pod.start(pod.spec(WRITE + WAIT))
    pod.file("up")

    other = pod.start(pod.spec(WRITE, run="r2"), rc=75)

    assert (other.run, other.state) == ("r1", "running")
    assert pod.status("r2").state == "absent"


def test_a_run_keeps_its_spec(pod: PodSide) -> None:
    """The same name with another job is refused while the first goes on or is unfinished."""
    pod.start(pod.spec(WRITE + WAIT))
    pod.file("up")
    os.kill(pod.shim(), 9)
    pod.kill_all()

    pod.start(pod.spec(WRITE), rc=66)


@pytest.mark.parametrize("name", ["../r1", "", "a/b", "-rf", "a" * 200, "r1\n"])
def test_a_run_cannot_be_named_out_of_its_folder(pod: PodSide, name: str) -> None:
    """Names that are no plain names are refused before anything is touched."""
    pod.call("status", f"--run={name}", rc=64)


@pytest.mark.parametrize("document", [b"", b"{}", b"[1]", b'{"schema": 2}', b"\xff" * 10])
def test_garbage_is_refused(pod: PodSide, document: bytes) -> None:
    """A start without a valid JobSpec starts nothing and says why."""
    pod.call("start", stdin=document, rc=65)

    assert not (pod.root / "runs").exists()


def test_every_call_of_a_controller_is_a_beat(pod: PodSide) -> None:
    """The guard sees that somebody came; an unattended start is nobody."""
    beat = pod.local / "beat"
    pod.start(pod.spec(WRITE), "--unattended")
    before = beat.exists()
    pod.status()
    first = beat.stat().st_mtime_ns
    pod.log(0, 10)

    assert not before
    assert beat.stat().st_mtime_ns > first


def test_status_tells_what_the_job_reports(pod: PodSide) -> None:
    """Progress comes from metrics.jsonl; not-a-number is not a number."""
    line = json.dumps({"step": 7, "max_steps": 10, "loss": 0.5})
    job = f"f = open(os.environ['PODCTL_METRICS'], 'a')\nf.write({line!r} + '\\n')\n"
    job += 'f.write(\'{"loss": NaN, "step": 8}\\n{broken\'); f.close()\n'
    pod.start(pod.spec(job + WRITE + WAIT))
    pod.file("up")
    until(lambda: pod.status().progress.step, "a look at the job's metrics")
    seen = pod.state("running")

    assert (seen.progress.step, seen.progress.max_steps, seen.progress.loss) == (8, 10, None)
    assert seen.phase == "running"
    assert seen.heartbeat_age is not None
    assert seen.heartbeat_age < 5
    assert seen.free_bytes is not None


def test_status_is_cheap(pod: PodSide) -> None:
    """One look takes hardly more processor time than a bare Python."""
    pod.start(pod.spec(WRITE + WAIT))
    pod.file("up")
    argv = [sys.executable, "-S", "-m", "remote.agent", "status", "--root", str(pod.root)]
    look = min(_cpu_seconds([*argv, "--run", "r1"], pod) for _ in range(5))
    bare = min(_cpu_seconds([sys.executable, "-S", "-c", "pass"], pod) for _ in range(5))

    assert look - bare < 0.15


def _cpu_seconds(argv: list[str], pod: PodSide) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    cwd = pod.root / "code" / CODE
    subprocess.run(argv, cwd=cwd, env=pod.env, capture_output=True, check=True, timeout=30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_the_log_is_read_by_offset(pod: PodSide) -> None:
    """Pieces read one after another are the log, byte for byte."""
    pod.start(pod.spec("sys.stdout.buffer.write(bytes(range(256)) * 40)\n" + WRITE))
    end = pod.ended()
    whole, offset = b"", 0
    while True:
        head, piece = pod.log(offset, 1000)
        if not piece:
            break
        assert head["offset"] == offset
        whole, offset = whole + piece, offset + len(piece)

    assert whole.endswith(bytes(range(256)) * 40)
    assert len(whole) == end.log_size == head["size"]


def test_stop_lets_the_job_write_a_checkpoint(pod: PodSide) -> None:
    """SIGTERM first; a job that then returns 0 was still stopped, not done."""
    job = (
        "def bye(*_):\n  pathlib.Path('out').mkdir(); pathlib.Path('out/c').write_text('7')\n"
        "  sys.exit(0)\nsignal.signal(signal.SIGTERM, bye)\n"
    )
    pod.start(pod.spec(job + WAIT))
    pod.file("up")

    seen = pod.stop("--reason", "enough", "--wait", "20")

    assert seen.state == "ended"
    assert seen.exit is not None
    assert (seen.exit.reason, seen.exit.detail) == ("stopped", "enough")
    assert seen.exit.rc != 0
    assert list(pod.manifest()) == ["out/c"]


def test_a_deaf_job_is_killed(pod: PodSide) -> None:
    """After the grace comes SIGKILL."""
    job = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WRITE + WAIT
    pod.start(pod.spec(job, term_grace_seconds=0.3))
    pod.file("up")
    pod.stop()

    assert (pod.ended().reason, pod.ended().rc) == ("stopped", 137)


def test_stop_works_without_a_supervisor(pod: PodSide) -> None:
    """The job of a dead supervisor is ended too, and the end is recorded."""
    pod.start(pod.spec(WRITE + WAIT))
    pod.file("up")
    os.kill(pod.shim(), 9)

    seen = pod.stop("--reason", "enough", "--wait", "20")

    assert seen.exit is not None
    assert (seen.exit.reason, seen.exit.rc) == ("stopped", 143)
    assert "out/a" in pod.manifest()
    assert not [c for c in pod.processes().values() if "sleep" in c]


def test_the_jobs_environment_is_chosen(pod: PodSide) -> None:
    """The pod's key stays out, whatever asks for it; the contract's names and the spec's are in."""
    pod.env |= {"RUNPOD_API_KEY": "rpa_canary", "HF_TOKEN": "hf_canary", "CUDA_HOME": "/cuda"}
    job = "pathlib.Path('out').mkdir()\npathlib.Path('out/env').write_text(repr(dict(os.environ)))"
    wait = "while not os.path.exists('go'): time.sleep(0.01)\n"
    pod.start(pod.spec(job + "\n" + wait, env={"MINE": "1", "RUNPOD_API_KEY": "rpa_canary"}))
    pod.file("out/env")
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in pod.processes()]
    log = pod.run() / "job.log"
    (pod.work() / "go").touch()
    pod.ended()
    env = eval((pod.work() / "out/env").read_text())

    assert not [v for v in env.values() if "canary" in v]
    assert not [one for one in environments if b"rpa_canary" in one]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert (env["MINE"], env["CUDA_HOME"]) == ("1", "/cuda")
    assert env["PODCTL_RUN_DIR"] == str(pod.run())
    assert env["PYTHONPATH"].split(":")[0] == str(pod.root / "code" / CODE)


GIVEN = {"WANDB_API_KEY": "s3cret-of-wandb", "HF_TOKEN": "s3cret-of-hf"}
KNOWS = """
import json
env = {k: v for k, v in os.environ.items() if k.startswith(('HF_TOKEN', 'WANDB'))}
token = pathlib.Path(env['HF_TOKEN_PATH'])
modes = [oct(p.stat().st_mode & 0o777) for p in (token.parent, token)]
seen = {'env': sorted(env), 'modes': modes, 'right': [token.read_text() == 's3cret' + '-of-hf',
        env['WANDB_API_KEY'] == 's3cret' + '-of-wandb'], 'where': str(token)}
pathlib.Path('out').mkdir(exist_ok=True)
pathlib.Path('out/seen').write_text(json.dumps(seen))
"""


def test_row_77_a_job_finds_its_secrets_in_private_files_off_the_volume(pod: PodSide) -> None:
    """A secret is a 0600 file that ends with the job; the Hub's token is in no environment."""
    pod.call("secrets", "--run", "r1", stdin=json.dumps(GIVEN).encode())
    pod.start(pod.spec(KNOWS, secrets=tuple(GIVEN)))
    pod.ended()
    seen = json.loads((pod.work() / "out/seen").read_text())

    assert seen["env"] == ["HF_TOKEN_PATH", "WANDB_API_KEY", "WANDB_API_KEY_PATH"]
    assert seen["modes"] == ["0o700", "0o600"]
    assert seen["right"] == [True, True]
    assert not seen["where"].startswith(str(pod.root))
    assert not Path(seen["where"]).exists()
    assert not [p for p in pod.folder.rglob("*") if p.is_file() and b"s3cret-of" in p.read_bytes()]


def test_a_restarted_container_waits_for_what_its_job_must_know(pod: PodSide) -> None:
    """A job is not started without its secrets, but by whoever hands them over again."""
    wait = "open('up', 'a').write('x')\ntime.sleep(60)\n"
    spec = pod.spec(wait, outputs=("up",), secrets=("WANDB_API_KEY",))
    pod.start(spec, rc=77)
    assert pod.status().state == "absent"
    handed = json.dumps({"WANDB_API_KEY": "s3cret-of-wandb"}).encode()
    pod.call("secrets", "--run", "r1", stdin=handed)
    pod.start(spec)
    pod.file("up")
    pod.reboot()
    pod.start(spec, "--unattended", rc=77)
    assert pod.status().state == "lost"

    pod.call("secrets", "--run", "r1", stdin=handed)

    assert pod.start(spec).attempt == 2


@pytest.mark.parametrize("given", [{"A/B": "x"}, {"RUNPOD_API_KEY": "x"}, {"A": 1}, ["A"]])
def test_what_is_no_secret_is_refused(pod: PodSide, given: object) -> None:
    """A secret is a text under a variable's name; nothing else becomes a file."""
    pod.call("secrets", "--run", "r1", stdin=json.dumps(given).encode(), rc=65)

    assert not list(pod.local.glob("secrets-*"))


def test_row_65_what_an_ended_job_left_behind_makes_way(pod: PodSide) -> None:
    """A daemon that holds the lock: exit.json decides, and the next job begins without it."""
    pod.start(pod.spec(WRITE))
    pod.ended()
    until(
        lambda: not [c for c in pod.processes().values() if "remote.supervisor" in c], "it to leave"
    )
    hold = (
        "import fcntl, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"lock = open({str(pod.local / 'lock')!r}, 'r+')\nfcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\ntime.sleep(60)\n"
    )
    argv = [sys.executable, "-S", "-c", hold]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        ended = pod.status().state
        pod.start(pod.spec(WRITE, run="r2"))
        rc = holder.wait(20)

    assert ended == "ended"
    assert pod.ended("r2").rc == 0
    assert rc == -9


def test_a_waiting_call_answers_as_soon_as_the_job_ends(pod: PodSide) -> None:
    """It returns with the end, long before its own deadline."""
    pod.start(pod.spec(WRITE + "while not os.path.exists('go'): time.sleep(0.01)\n"))
    seen = until(lambda: mark_of(pod, "running"), "the job to run")
    waiting = pod.popen("status", "--run=r1", "--wait=50", f"--seen={seen}")
    (pod.work() / "go").touch()

    answer = seen_by(waiting)
    while answer.state != "ended":  # its phases change first
        answer = seen_by(pod.popen("status", "--run=r1", "--wait=50", f"--seen={answer.mark}"))

    assert answer.exit is not None
    assert answer.exit.rc == 0


def test_a_waiting_call_answers_when_the_supervisor_was_killed(pod: PodSide) -> None:
    """A job that writes nothing more is noticed by its lock, not by its files."""
    pod.start(pod.spec(WRITE + WAIT))
    pod.file("up")
    seen = until(lambda: mark_of(pod, "running"), "the job to run")
    waiting = pod.popen("status", "--run=r1", "--wait=50", f"--seen={seen}")
    for pid in pod.processes().keys() - {waiting.pid}:
        os.kill(pid, 9)

    assert seen_by(waiting).state == "lost"


def test_a_waiting_call_has_a_deadline_of_its_own(pod: PodSide) -> None:
    """Without a change it answers after its seconds; with an unknown mark, or no wait, at once."""
    mark = pod.status().mark

    begin = time.monotonic()
    waited = seen_by(pod.popen("status", "--run=r1", "--wait=0.3", f"--seen={mark}"))
    took = time.monotonic() - begin
    other = seen_by(pod.popen("status", "--run=r1", "--wait=50", "--seen=other"))
    never = seen_by(pod.popen("status", "--run=r1", "--wait=nan", f"--seen={mark}"))

    assert took >= 0.3
    assert (waited.state, other.state, never.state) == ("absent", "absent", "absent")
    assert {waited.mark, other.mark, never.mark} == {mark}


def mark_of(pod: PodSide, phase: str) -> str | None:
    status = pod.status()
    return status.mark if status.phase == phase else None


def seen_by(asker: subprocess.Popen[bytes]) -> contract.Status:
    return contract.load(contract.Status, asker.communicate(timeout=30)[0])
