"""A job's progress is followed by what it and its framework write, and by nothing older."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest

from remote.contract import Attempt, Progress, dump
from remote.evidence import EVENTS, LOG, METRICS, STATE, TRAINER_LOG
from remote.pod import progress_file
from remote.supervisor.follower import CHUNK, Follower
from remote.supervisor.training_files import TrainingFiles
from tests.support.event_files import event_file, record, scalar
from tests.support.pod_side import PodSide, until

BOOT = "boot"


def followed(run: Path) -> Follower:
    (run / "work").mkdir(parents=True, exist_ok=True)
    (run / "attempt.json").write_bytes(dump(Attempt(run.name, 1, BOOT, time.time())))
    return Follower(run, 1, BOOT)


def put(run: Path, path: str, text: str | bytes, *, old: bool = False) -> Path:
    """A file of the work folder: written after the attempt began, or an hour before."""
    target = run / "work" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text if isinstance(text, bytes) else text.encode())
    at = (run / "attempt.json").stat().st_mtime + (-3600 if old else 5)
    os.utime(target, (at, at))
    return target


def seen(follower: Follower, run: Path) -> Progress:
    follower.poll()
    found = progress_file.read(run, 1, BOOT)
    assert found is not None
    return found


def state(step: int, loss: float) -> str:
    history = [{"step": step - 1, "loss": 9.0}, {"step": step, "loss": loss, "learning_rate": 2e-5}]
    return json.dumps({"global_step": step, "max_steps": 400, "log_history": history})


def test_the_newest_checkpoints_state_is_read(tmp_path: Path) -> None:
    """Step, last step, loss and learning rate; the latest written one counts."""
    follower = followed(tmp_path)
    put(tmp_path, "out/checkpoint-100/trainer_state.json", state(100, 2.0))
    later = put(tmp_path, "out/checkpoint-200/trainer_state.json", state(200, 1.5))
    os.utime(later, (time.time() + 60, time.time() + 60))

    progress = seen(follower, tmp_path)

    assert (progress.step, progress.max_steps, progress.loss) == (200, 400, 1.5)
    assert (progress.source, progress.figures) == (STATE, {"learning_rate": 2e-5})


def test_what_was_there_before_the_attempt_says_nothing(tmp_path: Path) -> None:
    """Inputs, and what an earlier attempt left: not where this one is."""
    follower = followed(tmp_path)
    put(tmp_path, "out/checkpoint-100/trainer_state.json", state(100, 2.0), old=True)

    assert seen(follower, tmp_path).step is None


def test_a_log_of_an_earlier_attempt_says_nothing(tmp_path: Path) -> None:
    """One log takes all attempts: only what came since is read, in the metrics too."""
    (tmp_path / "job.log").write_text("step 118 loss 2.0\n")
    (tmp_path / "metrics.jsonl").write_text('{"step": 118}\n')
    follower = followed(tmp_path)
    before = seen(follower, tmp_path).step
    with (tmp_path / "job.log").open("a") as log:
        log.write("podctl: attempt 2: python train.py --step 3\nstep 5/400 loss 1.5\n")

    after = seen(follower, tmp_path)

    assert before is None
    assert (after.step, after.loss, after.source) == (5, 1.5, LOG)


def test_a_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    """A number that is cut off is not taken for a smaller one; a last line without end is."""
    follower = followed(tmp_path)
    log = tmp_path / "job.log"
    log.write_text("step 12")
    cut = seen(follower, tmp_path).step
    log.write_text("step 120/4000")
    growing = seen(follower, tmp_path).step
    resting = seen(follower, tmp_path).step

    assert (cut, growing, resting) == (None, None, 120)


def test_of_a_log_that_grows_fast_the_end_is_read(tmp_path: Path) -> None:
    """One look costs so much and no more, whatever a job prints."""
    follower = followed(tmp_path)
    (tmp_path / "job.log").write_text("step 1 loss 9\n" + "x" * 80 * CHUNK + "\nstep 7 loss 1.5\n")

    assert seen(follower, tmp_path).step == 7


def test_metrics_that_the_job_reports_lead(tmp_path: Path) -> None:
    """Before what its log says; its text is told too."""
    follower = followed(tmp_path)
    (tmp_path / "job.log").write_text("step 3/10\n")
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 40, "max_steps": 750, "loss": 0.31, "reward": 0.5, "text": "epoch 1"}\n'
    )

    progress = seen(follower, tmp_path)

    assert (progress.source, progress.step, progress.max_steps) == (METRICS, 40, 750)
    assert (progress.loss, progress.text, progress.figures) == (0.31, "epoch 1", {"reward": 0.5})


def test_llama_factorys_log_is_read(tmp_path: Path) -> None:
    """Its last whole line, with the number of all steps."""
    follower = followed(tmp_path)
    lines = [
        {"current_steps": 5, "total_steps": 20, "loss": 2.1, "lr": 1e-4},
        {"current_steps": 10, "total_steps": 20, "loss": 1.9, "lr": 5e-5},
        {"current_steps": 10, "total_steps": 20, "eval_loss": 1.0},
    ]
    text = "\n".join(map(json.dumps, lines)) + '\n{"current_st'
    put(tmp_path, "saves/trainer_log.jsonl", text)

    progress = seen(follower, tmp_path)

    assert (progress.step, progress.max_steps, progress.loss) == (10, 20, 1.9)
    assert progress.source == TRAINER_LOG


def test_event_files_are_read_as_they_grow(tmp_path: Path) -> None:
    """Each record once; losses and rewards of training, not those of evaluation."""
    follower = followed(tmp_path)
    name = "runs/tb/events.out.tfevents.1.host"
    begun = event_file(("train/loss", 10, 2.5), ("eval/loss", 10, 9.0))
    put(tmp_path, name, begun)
    first = seen(follower, tmp_path)
    more = begun + record(scalar("train/loss", 20, 1.5)) + record(scalar("train/reward", 20, 0.5))
    put(tmp_path, name, more + record(scalar("train/loss", 30, 1.0))[:-3])
    second = seen(follower, tmp_path)

    assert (first.step, first.loss, first.source) == (10, 2.5, EVENTS)
    assert (second.step, second.loss, second.figures) == (20, 1.5, {"reward": 0.5})


def test_steps_that_count_epochs_are_none(tmp_path: Path) -> None:
    """Keras numbers `epoch_loss` by epochs: the loss is told, and no step."""
    follower = followed(tmp_path)
    put(tmp_path, "logs/train/events.out.tfevents.1.h.v2", event_file(("epoch_loss", 3, 0.5)))

    progress = seen(follower, tmp_path)

    assert (progress.step, progress.loss) == (None, 0.5)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("trainer_state.json", b"[" * 100_000),
        ("trainer_state.json", b'{"global_step": 1e400, "max_steps": -5, "log_history": {"a": 1}}'),
        ("trainer_state.json", b'{"global_step": true, "log_history": [1, null, {"loss": "x"}]}'),
        ("trainer_state.json", b"\xff\xfe\x00"),
        (
            "trainer_log.jsonl",
            b'{"current_steps": NaN, "loss": Infinity}\n\x00\n[]\n1' + b"9" * 5000,
        ),
        ("events.out.tfevents.1", random.Random(7).randbytes(5000)),
        ("events.out.tfevents.1", b"\xff" * 12),
        ("events.out.tfevents.1", event_file(("loss", 5, 1.0))[:-1]),
    ],
    ids=range(8),
)
def test_whatever_a_job_writes_there_ends_nothing(
    tmp_path: Path, path: str, content: bytes
) -> None:
    """No step, no loss that is no number, and the next look goes on."""
    follower = followed(tmp_path)
    put(tmp_path, path, content)
    broken = seen(follower, tmp_path)
    (tmp_path / "job.log").write_text("step 4\n")

    assert (broken.step, broken.loss) == (None, None)
    assert seen(follower, tmp_path).step == 4


def test_a_log_of_odd_numbers_leaves_a_record_that_can_be_read(tmp_path: Path) -> None:
    """Infinite, endless and negative ones are none; the step beside them is one."""
    follower = followed(tmp_path)
    (tmp_path / "job.log").write_text(
        "{'loss': 1e999, 'reward': -1e999, 'learning_rate': nan, 'step': 4}\n"
        + "{'loss': "
        + "9" * 1500
        + ", 'reward': inf}\n"
    )
    (tmp_path / "metrics.jsonl").write_text('{"step": -5, "max_steps": 1e999, "loss": NaN}\n')

    assert (seen(follower, tmp_path).step, seen(follower, tmp_path).loss) == (4, None)


def test_links_pipes_and_endless_folders_are_passed_over(tmp_path: Path) -> None:
    """Nothing is followed out of the work folder, waited for, or walked without end."""
    follower = followed(tmp_path)
    (tmp_path / "aside").write_text(state(7, 1.0))
    os.symlink(tmp_path / "aside", tmp_path / "work" / "trainer_state.json")
    os.mkfifo(tmp_path / "work" / "trainer_log.jsonl")
    os.symlink(tmp_path / "work", tmp_path / "work" / "again")
    deep = "/".join(["d"] * 12)
    put(tmp_path, f"{deep}/trainer_state.json", state(9, 1.0))

    assert seen(follower, tmp_path).step is None


def test_a_look_reads_only_what_changed(tmp_path: Path) -> None:
    """A file that is as it was is not opened again."""
    follower = followed(tmp_path)
    path = put(tmp_path, "trainer_state.json", state(100, 2.0))
    seen(follower, tmp_path)
    about = path.stat()
    path.write_text(state(100, 3.0))  # of the same length
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))

    assert seen(follower, tmp_path).loss == 2.0


def test_a_record_that_nobody_keeps_up_is_not_believed(tmp_path: Path) -> None:
    """Of another attempt, another boot, or a supervisor that died a minute ago: unknown."""
    progress_file.write(tmp_path, 1, BOOT, time.monotonic() - 61.0, Progress(step=5))
    old = progress_file.read(tmp_path, 1, BOOT)
    progress_file.write(tmp_path, 1, BOOT, time.monotonic() - 5.0, Progress(step=5, step_age=10.0))
    fresh = progress_file.read(tmp_path, 1, BOOT)

    assert old is None
    assert progress_file.read(tmp_path, 2, BOOT) is None
    assert progress_file.read(tmp_path, 1, "other") is None
    assert fresh is not None
    assert fresh.step_age == pytest.approx(15.0, abs=2.0)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"attempt": 1, "boot_id": "boot", "monotonic": "x"}', b"{" * 70_000]
)
def test_a_forged_record_says_nothing(tmp_path: Path, content: bytes) -> None:
    """The job may write it too."""
    (tmp_path / progress_file.NAME).write_bytes(content)

    assert progress_file.read(tmp_path, 1, BOOT) is None


def test_a_search_is_bounded(tmp_path: Path) -> None:
    """A work folder of a hundred thousand files costs a look no more than one of thousands."""
    followed(tmp_path)
    for number in range(60):
        put(tmp_path, f"{number:03}.bin", b"")
    put(tmp_path, "z/trainer_state.json", state(9, 1.0))
    few, enough = TrainingFiles(tmp_path / "work", 0, most=50), TrainingFiles(tmp_path / "work", 0)
    few.search()
    enough.search()

    assert list(few.news()) == []
    assert [said.step for _, said in enough.news()] == [9]


def test_the_status_of_a_running_job_says_what_its_framework_wrote(pod: PodSide) -> None:
    """Step, last step, loss and source, from a checkpoint and without a word in the log."""
    job = (
        "import json\nhere = pathlib.Path('out/checkpoint-8'); here.mkdir(parents=True)\n"
        "history = [{'step': 8, 'loss': 0.25}]\n"
        "document = {'global_step': 8, 'max_steps': 20, 'log_history': history}\n"
        "(here / 'trainer_state.json').write_text(json.dumps(document))\n"
        "while not os.path.exists('go'): time.sleep(0.02)\n"
    )
    pod.start(pod.spec(job))
    told = until(lambda: (s := pod.status().progress).step and s, "a step")
    (pod.work() / "go").touch()
    pod.ended()

    assert (told.step, told.max_steps, told.loss, told.source) == (8, 20, 0.25, STATE)
    assert told.step_age is not None
