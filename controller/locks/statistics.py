"""The statistics of stages 1D and 1E, computed on the laptop from responses judged here.

The same pure functions as on the pod; what a pod's report says of them is only compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.format_check import InvalidFile
from jobs.records import records
from jobs.rescore import Mode, Record, Tally

if TYPE_CHECKING:
    from remote.stages.common.decoding_pass import DecodingPass
    from remote.stages.common.records import ResponseRecord
    from remote.stages.instructions.instruction_set import InstructionSet

_SHOWN = ("verdict", "n", "why", "finding", "margin", "gates", "comparisons", "sampling")


@dataclass(frozen=True)
class Evidence:
    """What the statistics of a run are computed from.

    Attributes:
        tally: the responses with the laptop's verdicts.
        files: the folder of the run's files.
        root: the project, where the artifacts of the stages before are.
        claimed: the pod's report.
    """

    tally: Tally
    chosen: InstructionSet
    parameters: Mapping[str, Any]
    files: Path
    root: Path
    claimed: Record


def compute(program: str, evidence: Evidence) -> dict[str, Any]:
    """The statistics that `program` reports. Raises InvalidFile, also for another program."""
    from remote.stages.common.failure import StageError

    maker = _MAKERS.get(program)
    if maker is None:
        raise InvalidFile(f"recomputed is for {', '.join(_MAKERS)}, and this runs {program!r}")
    try:
        return maker(evidence)
    except StageError as error:
        raise InvalidFile(f"the statistics cannot be computed here: {error.what}") from error


def certified(document: Record) -> dict[str, Any]:
    """The part of computed statistics that a certificate holds."""
    kept = {name: document[name] for name in _SHOWN if name in document}
    for name in ("gain_by_source", "chosen_answers"):
        if name in document:
            kept[name] = document[name]
    trivial = document.get("trivial", {})
    if "verdict" in trivial:
        kept["trivial"] = {
            name: of if name == "verdict" else {"overall": of["overall"], "verdict": of["verdict"]}
            for name, of in trivial.items()
        }
    if "systems" in document:
        kept["systems"] = {name: of["overall"] for name, of in document["systems"].items()}
    if "both" in document:
        both = document["both"]
        greedy = {
            name: value["overall"] if name in ("sft", "dpo") else value
            for name, value in both["greedy"].items()
        }
        kept["both"] = {"greedy": greedy, "sampled": both["sampled"]}
    return kept


def _final(evidence: Evidence) -> dict[str, Any]:
    """Of stage 1E."""
    from remote.stages.evaluation import comparison, final_report
    from remote.stages.evaluation.parameters import EvaluateParameters

    given = _given(EvaluateParameters, evidence.parameters)
    chosen, root = evidence.chosen, evidence.root
    responses = _responses(evidence)
    greedy = {way.system: of for way, of in responses.items() if not way.temperature}
    sampled = ("sft", "dpo"), given.samples, given.temperature
    _check_passes(responses, comparison.SYSTEMS, *sampled)
    _check_control(evidence)
    rule = comparison.Rule(given.minimum_lift, given.margin)
    overlap = final_report.find_overlap(chosen, root, chat=given.template == "chat")
    return final_report.compute(greedy, responses, chosen, overlap, rule, root)


def _preferences(evidence: Evidence) -> dict[str, Any]:
    """Of stage 1D."""
    from remote.stages.common import layout
    from remote.stages.common.parameters import DpoParameters
    from remote.stages.evaluation import dpo_comparison

    given = _given(DpoParameters, evidence.parameters)
    responses = _responses(evidence)
    systems = dpo_comparison.SYSTEMS
    sampled = systems, given.compare_samples, given.compare_temperature
    _check_passes(responses, systems, *sampled)
    pairs = evidence.files / layout.PREFERENCE_PAIRS
    return dpo_comparison.assess(responses, evidence.chosen, given.margin, pairs)


_MAKERS: dict[str, Callable[[Evidence], dict[str, Any]]] = {
    "remote.stages.dpo": _preferences,
    "remote.stages.evaluate": _final,
}


def _given(kind: type[Any], parameters: Mapping[str, Any]) -> Any:
    import json

    from remote.stages.common.parameters import parse

    return parse(kind, json.dumps(dict(parameters)).encode())


def _responses(evidence: Evidence) -> dict[DecodingPass, list[ResponseRecord]]:
    """The records of each pass, in the order of the set's instructions."""
    from remote.stages.common.decoding_pass import DecodingPass
    from remote.stages.common.records import ResponseRecord

    chosen = evidence.chosen
    instructions = [*chosen.development, *chosen.held_out]

    def record(mode: Mode, place: int) -> ResponseRecord:
        instruction = instructions[place]
        judged = evidence.tally.judged[mode][instruction.text]
        return ResponseRecord(
            instruction.text,
            instruction.type,
            instruction.kind,
            judged.response,
            correct=judged.correct,
            reasons=judged.reasons,
            form_only=instruction.form_only,
        )

    return {
        DecodingPass(mode[0], float(mode[1]), int(mode[2])): [
            record(mode, place)
            for place, instruction in enumerate(instructions)
            if instruction.text in of
        ]
        for mode, of in evidence.tally.judged.items()
    }


def _check_passes(
    responses: Mapping[DecodingPass, object],
    greedy: Sequence[str],
    sampled: Sequence[str],
    samples: int,
    temperature: float,
) -> None:
    """The responses are one greedy pass of each system, and the samples that the stage was told to
    take: no more, of which the best would count, and no less. Raises InvalidFile."""
    from remote.stages.common.decoding_pass import DecodingPass

    wanted = [DecodingPass(system) for system in greedy]
    wanted += [
        DecodingPass(system, temperature, sample) for sample in range(samples) for system in sampled
    ]
    for way in wanted:
        if way not in responses:
            kind = (
                f"answer at temperature {way.temperature:g}" if way.temperature else "greedy answer"
            )
            raise InvalidFile(f"no {kind} of {way.system}")
    if extra := sorted(map(str, set(responses) - set(wanted))):
        raise InvalidFile(f"answers that the stage was not to give: {extra[0]}")


def _check_control(evidence: Evidence) -> None:
    """The base model's answers are those that stage 1A is locked with. Raises InvalidFile."""
    from remote.stages.common.layout import BASELINE_RESPONSES
    from remote.stages.evaluation.control import WAYS

    path = evidence.root / BASELINE_RESPONSES
    if not path.is_file():
        raise InvalidFile(f"{BASELINE_RESPONSES} is not here, and the control is compared with it")
    measured: dict[object, Record] = {}
    for _, record in records(path):
        if isinstance(record, dict):
            measured[record.get("instruction")] = record
    for system, way in WAYS.items():
        for instruction, judged in evidence.tally.judged[system, 0.0, 0].items():
            answer = measured.get(instruction, {}).get(way)
            said = answer.get("response") if isinstance(answer, dict) else None
            if said != judged.response:
                raise InvalidFile(
                    f"the answer of {system} to {instruction[:60]!r} is not the one that stage1a "
                    "measured"
                )
