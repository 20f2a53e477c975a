"""Compares a rebuilt small base model with the one that is shipped.

    python -m remote.stages.small_model.compare DIR    # as small_model.build left it

Prints what differs, and ends with 1 where something does. Weights may differ: another version of
torch or another processor rounds in other places. What they were made from may not, and what they
do only by as much as two seeds do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parent / "model"
BARE, FEW_SHOT_FLOOR = (0.10, 0.30), 0.90  # success on the held-out set
TOLERANCE = 0.02  # of one of the first losses, of which the eighth is half a nat below the first
_SAME = ("seed", "steps", "documents_sha256")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: compare DIR\n")
        return 2
    rebuilt = Path(arguments[0])
    problems = [*differences(rebuilt), *misbehaviour(_read(rebuilt / "quality.json"))]
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{rebuilt} behaves as the shipped model")
    return 1 if problems else 0


def differences(rebuilt: Path) -> Iterator[str]:
    """Differences from the shipped model: tokenizer, configuration, shapes, training."""
    for name in ("tokenizer.json", "config.json"):
        if _read(rebuilt / name) != _read(SHIPPED / name):
            yield f"{name} differs"
    if shapes(rebuilt) != shapes(SHIPPED):
        yield "the weights have other names or shapes"
    built, shipped = _read(rebuilt / "quality.json"), _read(SHIPPED / "quality.json")
    yield from (
        f"{key}: {built[key]}, not {shipped[key]}" for key in _SAME if built[key] != shipped[key]
    )
    yield from beginning(built["first_losses"], shipped)


def beginning(losses: Sequence[float], shipped: Mapping[str, Any]) -> Iterator[str]:
    """The steps at which `losses`, from the first step on, differ from the shipped model's."""
    for step, (loss, known) in enumerate(zip(losses, shipped["first_losses"], strict=False), 1):
        if abs(loss - known) > TOLERANCE:
            yield f"the loss is {loss:.4f} at step {step}, not near {known}"


def misbehaviour(quality: Mapping[str, Any]) -> Iterator[str]:
    """Violations of the expected success, bare and after solved examples."""
    low, high = BARE
    if not low <= quality["bare"] <= high:
        yield f"bare success is {quality['bare']:.0%}, not from {low:.0%} to {high:.0%}"
    if quality["few_shot"] < FEW_SHOT_FLOOR:
        yield f"few-shot success is {quality['few_shot']:.0%}, below {FEW_SHOT_FLOOR:.0%}"


def shapes(model: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights in folder `model`, by name."""
    from safetensors import safe_open

    with safe_open(model / "model.safetensors", framework="np") as weights:
        return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118 - no dict


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
