"""The records that the stages write and read, one JSON object a line.

| record | files |
| --- | --- |
| `ResponseRecord` | `responses` of development.json |
| `SystemResponse` | samples.jsonl, dpo_responses.jsonl, stage1_responses.jsonl |
| `BaselineRecord` | baseline_responses.jsonl, baseline_explanations.jsonl |
| `GeneratedRecord` | sft_training_data.jsonl |
| `PreferencePair` | preference_pairs.jsonl |
| `training_record.TrainingRecord` | any training data, a user's own too; read only |

`to_json` keeps the order of the fields in the files. Types and names of the fields are a file
format: podctl judges the same records again where there is no training stack (`jobs/rescore.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Json = dict[str, Any]

RAW, FEW_SHOT = "raw", "few_shot"  # the two prompts of stage 1A
WAYS = (RAW, FEW_SHOT)
CANONICAL = "canonical"  # the `source` of an answer that comes with its instruction
# The fields of training data that hold text a model learns from.
TEXT_FIELDS = ("instruction", "prompt", "response", "completion", "chosen", "rejected")


@dataclass(frozen=True)
class ResponseRecord:
    """One response to an instruction, with the verifier's verdict.

    Attributes:
        instruction: the text of the instruction, which identifies it in its set.
        type: one of `verification.instruction.TYPES`.
        kind: the family of the instruction's template.
        response: the text that was generated.
        correct: the verdict; None where only a critic can judge.
        reasons: why the response is wrong, one for each failed check.
        prompt: the text that the model was given; None where it is not stored.
        form_only: whether the verdict is of the form alone: counted in no headline.
        blank: why a blank response is blank, one of `model.blank_answers`; else None.
    """

    instruction: str
    type: str
    kind: str
    response: str
    correct: bool | None = None
    reasons: tuple[str, ...] = ()
    prompt: str | None = None
    form_only: bool = False
    blank: str | None = None

    def to_json(self) -> Json:
        """The record without its prompt."""
        return {
            "instruction": self.instruction,
            "type": self.type,
            "kind": self.kind,
            "response": self.response,
            "correct": self.correct,
            "reasons": list(self.reasons),
            **({"form_only": True} if self.form_only else {}),
            **({} if self.blank is None else {"blank": self.blank}),
        }

    def verdict_json(self) -> Json:
        """Response and verdict only."""
        return {"response": self.response, "correct": self.correct, "reasons": list(self.reasons)}

    def training_json(self, source: str) -> Json:
        """The record as training data, without a verdict; `source` says where it is from."""
        return {
            "instruction": self.instruction,
            "response": self.response,
            "prompt": self.prompt,
            "type": self.type,
            "kind": self.kind,
            "source": source,
        }


@dataclass(frozen=True)
class SystemResponse(ResponseRecord):
    """A response of one of the systems that are compared.

    Attributes:
        system: base, few_shot, sft or dpo.
        temperature: of sampling; 0 is greedy.
        sample: the number of the sample at this temperature, from 0.
        source: the stage that generated it, where that is not the stage that wrote the record.
    """

    system: str = ""
    temperature: float = 0.0
    sample: int = 0
    source: str | None = None

    @classmethod
    def of(cls, record: ResponseRecord, prompt: str | None, **origin: Any) -> SystemResponse:
        """`record` with its prompt and `origin`: system, temperature, sample and source."""
        return cls(**{**vars(record), "prompt": prompt, **origin})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SystemResponse | None:
        """The record in `value`; None where a field is missing or of another type."""
        names = ("instruction", "type", "kind", "response", "system", "prompt")
        texts = {name: value.get(name) for name in names}
        numbers = {name: value.get(name) for name in ("temperature", "sample")}
        correct, reasons = value.get("correct"), value.get("reasons")
        if not all(isinstance(text, str) for text in texts.values()) or not all(
            isinstance(number, int | float) for number in numbers.values()
        ):
            return None
        if not isinstance(correct, bool | None) or not isinstance(reasons, list):
            return None
        fields: Json = {**texts, **numbers, "correct": correct, "reasons": tuple(reasons)}
        blank = _cause(value)
        return cls(**fields, form_only=value.get("form_only") is True, blank=blank)

    def to_json(self) -> Json:
        origin: Json = {name: getattr(self, name) for name in ("system", "temperature", "sample")}
        if self.source is not None:
            origin["source"] = self.source
        return {**origin, **super().to_json(), "prompt": self.prompt}


def _cause(value: Mapping[str, Any]) -> str | None:
    """Why the response in `value` is blank, where that is recorded."""
    cause = value.get("blank")
    return cause if isinstance(cause, str) else None


@dataclass(frozen=True)
class BaselineRecord:
    """Both answers of the base model to one held-out instruction.

    Attributes:
        raw: the answer to the bare prompt.
        few_shot: the answer to the prompt with solved examples.
        explicit: whether the assessment reports on it; None before that is decided.
        margins: the critic's margin in nats, by `WAYS`, where a critic judged.
    """

    raw: ResponseRecord
    few_shot: ResponseRecord
    explicit: bool | None = None
    margins: Mapping[str, float] = field(default_factory=dict)

    @property
    def instruction(self) -> str:
        return self.raw.instruction

    @property
    def kind(self) -> str:
        return self.raw.kind

    def answer(self, way: str) -> ResponseRecord:
        """The answer to the prompt of `way`, one of `WAYS`."""
        return self.raw if way == RAW else self.few_shot

    def to_json(self) -> Json:
        head = {"instruction": self.instruction, "type": self.raw.type, "kind": self.kind}
        both = head | {way: self._answer_json(way) for way in WAYS}
        return both if self.explicit is None else both | {"explicit": self.explicit}

    def _answer_json(self, way: str) -> Json:
        answer = self.answer(way)
        more: Json = {"margin": self.margins[way]} if way in self.margins else {}
        if answer.blank is not None:
            more["blank"] = answer.blank
        return {"prompt": answer.prompt, **answer.verdict_json(), **more}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BaselineRecord | None:
        """The record in `value`, without its verdicts; None where a text is missing."""
        head = {name: value.get(name) for name in ("instruction", "type", "kind")}
        answers = [value.get(way) for way in WAYS]
        if not all(isinstance(answer, Mapping) for answer in answers):
            return None
        rows: list[Json] = [
            {**head, "prompt": answer.get("prompt"), "response": answer.get("response")}
            for answer in answers
            if isinstance(answer, Mapping)
        ]
        if not all(isinstance(text, str) for row in rows for text in row.values()):
            return None
        causes = [_cause(answer) for answer in answers if isinstance(answer, Mapping)]
        raw, few_shot = (
            ResponseRecord(**row, blank=cause) for row, cause in zip(rows, causes, strict=True)
        )
        return cls(raw, few_shot)


@dataclass(frozen=True)
class GeneratedRecord(ResponseRecord):
    """One pair of stage 1B's training data, and how it was made.

    Attributes:
        seed: drew the solved examples of the prompt.
        attempt: at this instruction, from 0.
        model: the id that the parameters name.
        temperature: of sampling.
        finished: what ended the response, one of `model.stop_reasons`.
        tokens: that were generated, the end included.
        filters: by filter, "pass" or the objection.
        checks: the specification of a correct response.
        critic_margin: in nats; None without a critic.
    """

    seed: int = 0
    attempt: int = 0
    model: str = ""
    temperature: float = 0.0
    finished: str = ""
    tokens: int = 0
    filters: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Mapping[str, Any], ...] = ()
    critic_margin: float | None = None

    def to_json(self) -> Json:
        margin = {} if self.critic_margin is None else {"critic_margin": self.critic_margin}
        names = ("instruction", "response", "prompt", "type", "kind")
        return {
            **{name: getattr(self, name) for name in names},
            "seed": self.seed,
            "attempt": self.attempt,
            "model": self.model,
            "temperature": self.temperature,
            "finished": self.finished,
            "tokens": self.tokens,
            "filters": dict(self.filters),
            "correct": self.correct,
            "reasons": list(self.reasons),
            "checks": [dict(check) for check in self.checks],
            **margin,
        }


@dataclass(frozen=True)
class PreferencePair:
    """A verified answer over one that the verifier calls wrong.

    Attributes:
        source: where the rejected answer is from, sampled or corruption.
        chosen_source: where the chosen answer is from, generated or canonical.
        reasons: why the rejected answer is wrong.
        sample: the number of the rejected sample, from 0; None where it was made up.
        temperature: of the rejected sample; None where it was made up.
    """

    prompt: str
    chosen: str
    rejected: str
    instruction: str
    type: str
    kind: str
    source: str
    chosen_source: str
    reasons: tuple[str, ...]
    sample: int | None
    temperature: float | None
    seed: int
    model: str

    def to_json(self) -> Json:
        return asdict(self) | {"reasons": list(self.reasons)}
