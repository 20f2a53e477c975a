"""A loss that is no number is reported, whatever tells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remote.pod import progress_file
from remote.steps import loss_nan
from remote.supervisor.follower import Follower


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{'loss': nan, 'grad_norm': nan, 'epoch': 0.1}", True),
        ("{'loss': 'nan'}", True),
        ("step 12/400 loss: NaN", True),
        ("train_loss=inf", True),
        ("loss is -inf", True),
        ("{'loss': nan}\n{'loss': 0.5}", False),
        ("{'loss': 0.5}\n 3%|#  | 3/90 [00:01<00:09, loss=nan]", True),
        ("{'eval_loss': nan}", None),
        ("val loss: nan", None),
        ("loss: nanometre", None),
        ("nothing of it", None),
        ("", None),
    ],
)
def test_the_newest_loss_of_the_training_counts(text: str, found: bool | None) -> None:
    """NaN and infinity in any form of a log; held-out losses are others."""
    assert loss_nan(text) is found


def test_metrics_and_log_tell_it_and_take_it_back(tmp_path: Path) -> None:
    """The status has it until a finite loss follows."""
    (tmp_path / "work").mkdir()
    (tmp_path / "attempt.json").write_text("{}")
    follower = Follower(tmp_path, 1, "boot")

    def told() -> bool:
        follower.poll(search=False)
        found = progress_file.read(str(tmp_path), 1, "boot")
        assert found is not None
        return found.loss_nan

    with (tmp_path / "metrics.jsonl").open("a") as metrics:
        metrics.write(json.dumps({"step": 1, "loss": float("nan")}) + "\n")
        metrics.flush()
        assert told()
        metrics.write(json.dumps({"step": 2, "loss": 0.5}) + "\n")
        metrics.flush()
        assert not told()
    (tmp_path / "job.log").write_text("step 3/9 loss nan\n")
    assert told()
