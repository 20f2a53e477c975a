"""Free text of the systems that are compared, judged by a critic where a model is there to be one.

What a critic judged is recorded with the log-probabilities that its verdict follows from:
`verdicts` gives the same verdicts again without a model. The log-probabilities are the pod's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common.records import ResponseRecord
from ..verification.instruction import Instruction
from ..verification.text_critic import (
    OTHERS,
    Calibration,
    Likelihood,
    LogProbabilities,
    calibrate_on,
    likelihoods,
)

CALIBRATED_ON = 60  # development and training instructions of free text, at most


def assess_free_text(
    answers: Mapping[str, Sequence[ResponseRecord]],
    instructions: Sequence[Instruction],
    calibrated_on: Sequence[Instruction],
    log_probabilities: LogProbabilities,
) -> dict[str, Any]:
    """{calibration, responses, systems}: what the critic says of responses whose form is right.

    `calibrated_on` are instructions whose canonical answers no system answers here.
    """
    free_text = instructions_of_free_text(instructions)
    if min(len(calibrated_on), len(free_text)) <= OTHERS:
        few = f"fewer than {OTHERS + 1} instructions ask for free text"
        abstaining = {"calibration": {"abstains": True, "why": few}, "responses": []}
        return abstaining | {"systems": systems(abstaining, _sizes(answers))}
    calibration = calibrate_on(calibrated_on[:CALIBRATED_ON], log_probabilities)
    by_text = {instruction.text: instruction for instruction in instructions}
    asked = [
        (system, record)
        for system, records in answers.items()
        for record in records
        if record.form_only and record.correct
    ]
    pairs = [(by_text[record.instruction], record.response) for _, record in asked]
    values = likelihoods(pairs, free_text, log_probabilities)
    responses = [
        {
            "system": system,
            "instruction": record.instruction,
            "response": record.response,
            "own": value.own,
            "others": list(value.others),
            "shuffled": list(value.shuffled),
        }
        for (system, record), value in zip(asked, values, strict=True)
    ]
    document = {"calibration": calibration.to_json(), "responses": responses}
    return document | {"systems": systems(document, _sizes(answers))}


def _sizes(answers: Mapping[str, Sequence[ResponseRecord]]) -> dict[str, int]:
    """By system, how many free texts were asked for."""
    return {
        system: sum(record.form_only for record in records) for system, records in answers.items()
    }


def instructions_of_free_text(instructions: Sequence[Instruction]) -> list[Instruction]:
    return [instruction for instruction in instructions if instruction.form_only]


def verdicts(document: Mapping[str, Any]) -> list[bool | None]:
    """Whether the critic agrees to each of `responses`, from the log-probabilities recorded."""
    if not document["responses"]:
        return []
    calibration = Calibration(
        **{
            name: document["calibration"][name]
            for name in Calibration.__dataclass_fields__
            if name in document["calibration"]
        }
    )
    return [
        calibration.agrees(Likelihood(row["own"], tuple(row["others"]), tuple(row["shuffled"])))
        for row in document["responses"]
    ]


def systems(document: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """By system {n, form, agreed, rate}: responses of a right form, and those agreed to.

    `agreed` and `rate` are null where the critic abstains: then free text is form only.
    """
    judged = list(zip(document["responses"], verdicts(document), strict=True))
    cells = {}
    for system, n in sizes.items():
        own = [verdict for row, verdict in judged if row["system"] == system]
        abstains = bool(document["calibration"]["abstains"])
        agreed = None if abstains else sum(bool(verdict) for verdict in own)
        rate = agreed / n if n and agreed is not None else None
        cells[system] = {"n": n, "form": len(own), "agreed": agreed, "rate": rate}
    return cells
