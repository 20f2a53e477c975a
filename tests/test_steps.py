"""Steps and losses are read from what any framework writes, and a silence is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remote import steps
from remote.contract import Progress
from remote.outputs import find
from remote.steps import Cadence
from tests.pod_side import PodSide, until

BAR = "\r  5%|▌         | 12/240 [00:03<01:02,  3.65it/s]"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (BAR.strip("\r"), Progress(12, 240)),
        ("  0%|          | 1/240 [00:03<?, ?it/s]", Progress(1, 240)),
        ("100%|██████████| 240/240 [1:02:03<00:00,  1.20s/it]", Progress(240, 240)),
        ("Epoch 1/3:  15%|█▌ | 12/80 [00:03<00:20, 3.4it/s, loss=0.53]", Progress(12, 80, 0.53)),
        ("train:  15%|█▌ | 12/80 [00:03<00:20, 3.4 steps/s]", Progress(12, 80)),
        ("Map:  50%|█████     | 500/1000 [00:00<00:00, 7000.00 examples/s]", Progress()),
        ("Loading checkpoint shards:  50%|█████ | 1/2 [00:00<00:00,  1.9it/s]", Progress()),
        ("model.safetensors:  10%|█  | 105/1050 [00:01<00:10, 100MB/s]", Progress()),
        ("{'loss': 0.3612, 'grad_norm': 1.5, 'epoch': 0.5}", Progress(loss=0.3612)),
        ("{'loss': '0.36', 'learning_rate': '2e-05'}", Progress(loss=0.36)),
        ("{'eval_loss': 0.9, 'epoch': 1.0}", Progress()),
        ("{'loss': nan, 'epoch': 1.0}", Progress()),
        ('{"step": 40, "loss": 1.5e-1}', Progress(40, None, 0.15)),
        ("step 12/240 loss 0.5301", Progress(12, 240, 0.5301)),
        ("[rank0] iter 7 of 100: loss=2.5", Progress(7, 100, 2.5)),
        ("global_step=12, train_loss=0.25", Progress(12, None, 0.25)),
        ("step 3 of the installation", Progress()),
        ("the loss of 5 packets", Progress()),
        ("footstep 3/4", Progress()),
        ("9" * 3000, Progress()),
        ("1%|" * 600, Progress()),
    ],
)
def test_one_line_of_a_log(line: str, told: Progress) -> None:
    """Bars of training, a Trainer's dictionaries and plain lines count; what only looks so not."""
    assert steps.of_line(line[:2000]) == told


def test_a_logs_newest_step_and_loss() -> None:
    """Redrawn bars are looked at one by one; an evaluation's bar in between is not the training."""
    log = f"{BAR}\n{{'loss': 0.5}}\n\r  6%|▌ | 15/240 [00:04<01:02, 3.65it/s]"
    log += "\n\r 30%|▌ | 3/10 [00:04<01:02, 3.65it/s]\r 40%|▌ | 4/10 [00:04<01:02, 3.65it/s]\n"

    assert steps.of_log(log) == Progress(15, 240, 0.5)


STATE = {"global_step": 100, "max_steps": 240, "log_history": [{"loss": 0.9}, {"eval_loss": 1}]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (json.dumps(STATE), Progress(100, 240, 0.9)),
        ('{"global_step": 5, "log_history": [{"loss": NaN}], "max_steps": -1}', Progress(5, -1)),
        ('{"global_step": "x", "log_history": 7}', Progress()),
        ('{"log_history": [1, [], null]}', Progress()),
        ("[" * 5000, Progress()),
        ('{"global_step": 1' + "0" * 400 + "}", Progress()),
    ],
)
def test_a_trainers_state(text: str, told: Progress) -> None:
    """What `trainer_state.json` says, and nothing of what is odd in it."""
    assert steps.of_state(text.encode()) == told


def test_a_factorys_log() -> None:
    """The newest line of `trainer_log.jsonl` that tells of a step."""
    log = b'{"current_steps": 5, "total_steps": 60, "loss": 0.7}\n{"eval_loss": 1}\n{"current_st'

    assert steps.of_trainer_log(log) == Progress(5, 60, 0.7)


def test_what_the_job_reports_counts_first() -> None:
    """Field by field: a framework fills in only what the job does not say."""
    told = steps.first(Progress(step=7), Progress(9, 240, 0.5), Progress(3, 10, 0.9))

    assert told == Progress(7, 240, 0.5)
    assert steps.first(Progress(step=300), Progress(9, 240)) == Progress(300, None)


def test_no_step_for_long_is_said() -> None:
    """After three minutes, and ten times what a step took; a step ends it, an epoch begins anew."""
    fast, slow, none = Cadence(), Cadence(), Cadence()
    for step in range(11):
        fast.note(step, float(step))
        slow.note(step, step * 100.0)
    none.note(None, 0.0)

    assert fast.quiet(10.0 + 179.0) is None
    assert fast.quiet(10.0 + 720.0) == "no step for 12 minutes"
    assert slow.quiet(1000.0 + 900.0) is None
    assert slow.quiet(1000.0 + 1200.0) == "no step for 20 minutes"
    assert none.quiet(9999.0) is None
    fast.note(0, 800.0)
    assert fast.quiet(900.0) is None


def test_steps_of_a_framework_are_in_the_runs_status(pod: PodSide) -> None:
    """A Trainer's bar and dictionaries in the log, its limit beside a checkpoint."""
    state = json.dumps(STATE)
    job = (
        "pathlib.Path('out/checkpoint-100').mkdir(parents=True)\n"
        f"open('out/checkpoint-100/trainer_state.json', 'w').write({state!r})\n"
        "print({'loss': 0.25, 'epoch': 0.4}, flush=True)\ntime.sleep(60)\n"
    )
    pod.start(pod.spec(job))

    def seen() -> Progress | None:
        told = pod.status().progress
        return told if told.step is not None else None

    assert until(seen, "a step") == Progress(100, 240, 0.25)


def test_a_state_that_grew_is_read_again(tmp_path: Path) -> None:
    """Only then: what did not change is not read at every look."""
    run = tmp_path
    state = run / "work" / "out" / "trainer_state.json"
    state.parent.mkdir(parents=True)
    reading = steps.Reading(run, 1, lambda: find(run / "work", ("out/**",)), lambda: 0.0)
    told = []
    for step in (1, 22):
        state.write_text(json.dumps({"global_step": step}))
        reading.look()
        told.append(json.loads((run / "progress.json").read_text())["step"])

    assert told == [1, 22]
