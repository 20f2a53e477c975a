"""Steps are read from what trainers print, and only from what counts training steps."""

from __future__ import annotations

import pytest

from remote.steps import Report, newest, report, reports


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  3%|▎         | 12/400 [00:03<01:02,  3.10it/s]", Report(12, 400)),
        ("100%|██████████| 400/400 [02:01<00:00,  3.29it/s]", Report(400, 400)),
        ("12/400 [00:03<01:02, 3.1it/s]", Report(12, 400)),
        ("{'loss': 0.36, 'grad_norm': 1.2, 'step': 40, 'epoch': 0.1}", Report(40, None, 0.36)),
        ("{'loss': '0.36', 'learning_rate': 2e-05}", Report(loss=0.36)),
        ('{"current_steps": 5, "total_steps": 20, "loss": 1.5e-1}', Report(5, 20, 0.15)),
        ('{"global_step": 7}', Report(7)),
        ("saved step 118 (SIGTERM)", Report(118)),
        ("Step 12/400 | loss", Report(12, 400)),
        ("iteration: 9", Report(9)),
        ("  0%|          | 0/400 [00:00<?, ?it/s]", Report()),
        ("Map: 40%|████      | 200/500 [00:00<00:00, 900 examples/s]", Report()),
        ("Loading checkpoint shards:  50%|█████     | 1/2 [00:01<00:01]", Report()),
        ("the next steps are clear", Report()),
        ("epoch 3, 12:40", Report()),
        ("step 9 of 3", Report()),
        ("'loss': nan, 'loss': inf", Report()),
        ("step " + "9" * 400, Report()),
    ],
)
def test_one_line(line: str, expected: Report) -> None:
    """A bar with a description, a bar at 0 and what is out of bounds say no step."""
    assert report(line) == expected


def test_a_redrawn_bar_counts_as_every_state_that_it_had() -> None:
    """Carriage returns separate them; the newest value of each field is what is known."""
    text = "{'loss': 2.0}\n 1%| | 1/9 [a]\r 2%| | 2/9 [b]\r 3%| | 3/9 [c]\n{'loss': 1.0}\n"

    assert [one.step for one in reports(text)] == [None, 1, 2, 3, None]
    assert newest(text) == Report(3, 9, 1.0)
