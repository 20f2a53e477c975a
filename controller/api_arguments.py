"""The arguments of `Project.run`, checked as the command line checks its own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from controller.errors import UsageError
from controller.project.changes import Changes, changes_of

DISPOSALS = ("terminate", "park", "keep")


def checked_stages(names: Sequence[object]) -> None:
    """Raises UsageError without a stage, or for what is no name."""
    if not names:
        raise UsageError("run needs the name of a stage, or 'all'")
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"a stage is named by text, not by {name!r}", hint="run('a', 'b')")


def checked_options(
    budget_usd: float | None, disposal: str | None, *, fresh: bool, resume: str | None
) -> None:
    """Raises UsageError for a value that `podctl run` refuses."""
    if budget_usd is not None and not (math.isfinite(budget_usd) and budget_usd > 0):
        raise UsageError(f"budget_usd must be over 0, not {budget_usd!r}")
    if disposal is not None and disposal not in DISPOSALS:
        raise UsageError(f"disposal must be one of {', '.join(DISPOSALS)}, not {disposal!r}")
    if fresh and resume:
        raise UsageError("fresh and resume cannot be combined")


def changes(
    stages: Sequence[str],
    values: Mapping[str, object] | None,
    gpus: Sequence[str] | str,
    max_usd_per_hour: float | None,
) -> Changes:
    """What `set`, `gpus` and `max_usd_per_hour` change. Raises UsageError."""
    if not isinstance(values or {}, Mapping):
        raise UsageError("set must be a dictionary", hint='set={"parameters.epochs": 2}')
    pairs = [f"{key}={_text(key, value)}" for key, value in (values or {}).items()]
    words = [gpus] if isinstance(gpus, str) else gpus
    return changes_of(stages, pairs, words, max_usd_per_hour)


def _text(key: str, value: object) -> str:
    """A value as `--set` takes it: text in quotes stays text."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"set: {key} cannot be written as JSON", cause=str(error)) from error
