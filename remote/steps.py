"""Steps that a training reports in its log, in the forms that frameworks print; pure.

Three forms are known: tqdm's bar ("  3%|▎ | 12/400 [00:03<01:02, 3.1it/s]", which transformers,
TRL, Axolotl and LLaMA-Factory draw), a JSON or Python dictionary with a step in it
("{'step': 12, 'loss': 0.36}"), and words ("step 12/400", "saved step 118"). A bar with a
description ("Map: 40%|", "Loading checkpoint shards: 50%|") counts something else, and a bar at 0
is drawn before a training says where it goes on from: neither is a step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_LINE = 4096  # characters of a line that are looked at
MAX_STEP = 10**12

_NUMBER = r"(\d{1,12})"
_BAR = re.compile(rf"^\s*(?:\d{{1,3}}%\|[^|]*\|\s*)?{_NUMBER}/{_NUMBER} \[")
_KEYS = re.compile(
    rf"""["'](?:global_|current_)?steps?["']\s*:\s*{_NUMBER}(?=\s*[,}}])"""
    rf"""(?:.*?["'](?:max|total)_steps["']\s*:\s*{_NUMBER})?"""
)
_WORDS = re.compile(
    rf"\b(?:global[_ ])?(?:step|iter|iteration)s?\s*[:=#]?\s*{_NUMBER}"
    rf"(?:\s*(?:/|of)\s*{_NUMBER})?\b",
    re.IGNORECASE,
)
_LOSS = re.compile(r"""["'](?:train_)?loss["']\s*:\s*["']?(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)""")


class Report(NamedTuple):
    """What one line says; None where it does not."""

    step: int | None = None
    max_steps: int | None = None
    loss: float | None = None


def reports(text: str) -> Iterator[Report]:
    """Every line of `text` that says something, in order; a redrawn line counts as several."""
    for line in re.split(r"[\r\n]+", text):
        found = report(line[:MAX_LINE])
        if found != Report():
            yield found


def report(line: str) -> Report:
    """What one line says of the training's progress."""
    loss = _LOSS.search(line)
    value = float(loss[1]) if loss else None
    for form in (_BAR, _KEYS, _WORDS):
        found = form.search(line)
        if found is not None:
            step, most = int(found[1]), int(found[2]) if found[2] else None
            if step == 0 or step > MAX_STEP or (most is not None and step > most):
                break
            return Report(step, most, value)
    return Report(loss=value)


def newest(text: str) -> Report:
    """The newest value of each field in `text`."""
    step = most = loss = None
    for one in reports(text):
        step = one.step if one.step is not None else step
        most = one.max_steps if one.max_steps is not None else most
        loss = one.loss if one.loss is not None else loss
    return Report(step, most, loss)
