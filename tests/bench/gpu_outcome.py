"""What a stage has to have left behind, and the figures that it tells of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

SFT, DPO = "checkpoints/stage1_sft", "checkpoints/stage1_dpo"
ASSESSMENT, QUALITY = "artifacts/baseline_assessment.json", "data/stage1/data_quality.json"
PAIRS, COMPARISON = "artifacts/preference_pairs.jsonl", "artifacts/dpo_comparison.json"
REPORT = "artifacts/stage1_report.json"
NOTHING_KEPT = re.compile(r"^error: 0 pairs are kept of \d+ responses, at_least is", re.MULTILINE)
PROGRESS = {
    "baseline": "artifacts/.baseline_progress.jsonl",
    "generate": "data/stage1/.generation_progress.jsonl",
    "evaluate": "artifacts/.evaluation_progress.jsonl",
}


@dataclass(frozen=True)
class Figures:
    """`peak_gib` of the GPU; `tokens_per_s` generated or trained on; the result in words."""

    outcome: str = ""
    peak_gib: float | None = None
    tokens_per_s: float | None = None


def wrong(
    folder: Path,
    stage: str,
    status: int | None,
    log: str,
    parameters: dict[str, Any],
    *,
    random: bool,
) -> str:
    """What is not as it has to be; empty when nothing is."""
    if status is None:
        return "not ended in time"
    if random and stage == "generate":
        if status == 1 and NOTHING_KEPT.search(log):
            return ""
        return f"exit {status}, and not: 0 pairs are kept"
    if status:
        return f"exit {status}"
    try:
        return "; ".join(_CHECKS[stage](folder, parameters, random))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"an output cannot be read: {error!r}"


def _baseline(folder: Path, _: dict[str, Any], random: bool) -> Iterator[str]:
    found = _read(folder / ASSESSMENT)
    if found["tokens"]["special_tokens"] or found["tokens"]["tokens_added"]:
        yield "tokens were added to a prompt"
    if random and found["held_out"]["raw"]["overall"]["correct"]:
        yield "random weights answered rightly"
    if not random and not found["sentinels"]["as_base_model"]:
        yield "sentinels do not behave as a base model's"


def _generate(folder: Path, parameters: dict[str, Any], _: bool) -> Iterator[str]:
    found = _read(folder / QUALITY)
    if found["pairs"] < parameters["at_least"]:
        yield f"{found['pairs']} pairs"
    if found["disjointness"]["exact"] or found["disjointness"]["near"]:
        yield "the data is not apart from what is measured on"


def _sft(folder: Path, parameters: dict[str, Any], _: bool) -> Iterator[str]:
    yield from _trained(folder / SFT, parameters)
    if _read(folder / SFT / "development.json")["overall"]["n"] == 0:
        yield "no development instruction was answered"


def _dpo(folder: Path, parameters: dict[str, Any], random: bool) -> Iterator[str]:
    yield from _trained(folder / DPO, parameters)
    sources = [one["source"] for one in _lines(folder / PAIRS)]
    if len(sources) < parameters["least_pairs"]:
        yield f"{len(sources)} pairs"
    if random and set(sources) != {"sampled"}:
        yield "a pair's wrong answer is not the model's own"
    if _read(folder / COMPARISON)["both"]["greedy"]["n"] == 0:
        yield "nothing was compared"


def _trained(folder: Path, parameters: dict[str, Any]) -> Iterator[str]:
    result = _read(folder / "hyperparameters.json")["result"]
    if not result["completed"] or result["step"] != parameters.get("max_steps", result["step"]):
        yield f"ended at step {result['step']}"
    if (folder / "adapter_model.safetensors").stat().st_size == 0:
        yield "an empty adapter"


def _evaluate(folder: Path, _: dict[str, Any], random: bool) -> Iterator[str]:
    found = _read(folder / REPORT)
    expected = ("FAIL", "INCONCLUSIVE") if random else ("PASS",)
    if found["verdict"] not in expected or not found["disjoint"]:
        yield f"verdict {found['verdict']}: {'; '.join(found['why'])}"


_CHECKS: dict[str, Callable[[Path, dict[str, Any], bool], Iterator[str]]] = {
    "baseline": _baseline,
    "generate": _generate,
    "sft": _sft,
    "dpo": _dpo,
    "evaluate": _evaluate,
}


def figures(folder: Path, stage: str) -> Figures:
    """What the stage told of itself; nothing where it wrote nothing that tells."""
    try:
        outcome, environment = _OUTCOMES[stage](folder)
        return Figures(outcome, environment["device"].get("peak_gib"), _speed(folder, stage))
    except (OSError, ValueError, KeyError, TypeError):
        return Figures()


def _of_baseline(folder: Path) -> tuple[str, dict[str, Any]]:
    found = _read(folder / ASSESSMENT)
    cells = {way: found["held_out"][way]["overall"] for way in ("raw", "few_shot")}
    told = ", ".join(f"{way} {one['correct']} of {one['n']}" for way, one in cells.items())
    return told.replace("_", "-"), found["environment"]


def _of_generate(folder: Path) -> tuple[str, dict[str, Any]]:
    found = _read(folder / QUALITY)
    return (
        f"{found['pairs']} of {found['counts']['attempts']} responses kept",
        found["settings"]["environment"],
    )


def _of_sft(folder: Path) -> tuple[str, dict[str, Any]]:
    found = _read(folder / SFT / "hyperparameters.json")
    return (
        f"{_steps(folder / SFT)}, development success {found['result']['development_success']:.0%}",
        found["environment"],
    )


def _of_dpo(folder: Path) -> tuple[str, dict[str, Any]]:
    found, compared = _read(folder / DPO / "hyperparameters.json"), _read(folder / COMPARISON)
    pairs, verdict = found["data"]["pairs"], compared["verdict"]
    return f"{pairs} pairs, {_steps(folder / DPO)}, not worse: {verdict}", found["environment"]


def _of_evaluate(folder: Path) -> tuple[str, dict[str, Any]]:
    found = _read(folder / REPORT)
    rates = ", ".join(
        f"{name} {found['systems'][name]['overall']['rate']:.0%}" for name in ("base", "sft", "dpo")
    )
    return f"{found['verdict']}; {rates}", found["environment"]


_OUTCOMES: dict[str, Callable[[Path], tuple[str, dict[str, Any]]]] = {
    "baseline": _of_baseline,
    "generate": _of_generate,
    "sft": _of_sft,
    "dpo": _of_dpo,
    "evaluate": _of_evaluate,
}


def _steps(folder: Path) -> str:
    losses = [one["loss"] for one in _lines(folder / "training_log.jsonl") if one.get("loss")]
    return f"{len(losses)} steps, loss {losses[0]:.2f} to {losses[-1]:.2f}"


def _speed(folder: Path, stage: str) -> float:
    """The median over the batches that were generated; of a training that of all its steps."""
    if stage in PROGRESS:
        return median(one["tokens_per_second"] for one in _lines(folder / PROGRESS[stage]))
    log = _lines(folder / (SFT if stage == "sft" else DPO) / "training_log.jsonl")
    return float(log[-1]["tokens_per_s"])


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]
