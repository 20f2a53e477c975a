"""The amount of work of each of podctl's own stages, from parameters and data. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controller.costs.gpu_rates import table

CHARACTERS_PER_TOKEN = 3.3  # of the English set: 347 characters of a few-shot prompt are 107 tokens
SHEETS, SHEET_TOKENS = 8, 90  # of solved examples, which few-shot prompts begin with
RESPONSE_TOKENS = 128  # of 1E, which takes 1A's limit


@dataclass(frozen=True)
class DataAmounts:
    """Sizes of an instruction set and of the data that earlier stages made."""

    train: int
    development: int
    held_out: int  # with what no rule can judge
    prompt_tokens: float  # of a bare instruction, mean
    answer_tokens: float  # of its canonical answer, mean
    training_tokens: float | None = None  # of 1B's data; None: it does not exist yet
    failing: float | None = None  # share of the SFT model's wrong answers; None: not measured

    @property
    def pair_tokens(self) -> float:
        return self.prompt_tokens + self.answer_tokens


def from_characters(
    train: int, development: int, held_out: int, prompt: float, answer: float
) -> DataAmounts:
    """`prompt` and `answer` are mean lengths in characters."""
    per_token = CHARACTERS_PER_TOKEN
    return DataAmounts(train, development, held_out, prompt / per_token, answer / per_token)


SETS = {  # the sets that come with podctl; building the English one takes seconds
    "english": from_characters(2614, 210, 549 + 24, 60.7, 29.2),
    "small": from_characters(1006, 66, 100, 33.2, 62.1),
}


@dataclass(frozen=True)
class StageWork:
    """What one run of a stage has to do; tokens are totals."""

    start: str  # answering | adapters | training | preference: which imports
    phases: int  # times that answers are generated
    prompt_tokens: float = 0.0
    answer_tokens: float = 0.0
    both_prompt_tokens: float = 0.0  # of answers with the adapters of 1C and 1D loaded
    both_answer_tokens: float = 0.0
    tail_steps: float = 0.0  # decoding steps until the last rows of each phase end
    training: str = ""  # sft | dpo
    training_tokens: float = 0.0
    updates: int = 0  # optimizer steps
    reference_tokens: float = 0.0  # of DPO's pairs, passed once without training
    reference_passes: int = 0  # batches of them


Parameters = Mapping[str, object]


def work_of(program: str, given: Parameters, amounts: DataAmounts) -> StageWork | None:
    """The work of one of podctl's stage programs; None for a program without a formula."""
    formula = _FORMULAS.get(program)
    return None if formula is None else formula(given, amounts)


def _baseline(given: Parameters, amounts: DataAmounts) -> StageWork:
    count, answers = amounts.held_out, table()["answers"]
    most = _number(given, "max_new_tokens", 128)
    means = [min(most, answers["bare"]), min(most, answers["few_shot"])]
    return StageWork(
        start="answering",
        phases=1,
        prompt_tokens=2 * count * amounts.prompt_tokens + SHEETS * SHEET_TOKENS,
        answer_tokens=count * sum(means),
        tail_steps=_longest(means[0], count, most),
    )


def _generate(given: Parameters, amounts: DataAmounts) -> StageWork:
    answers = table()["answers"]
    most = _number(given, "max_new_tokens", 256)
    wanted = _number(given, "wanted", 1000)
    tries = min(_number(given, "max_attempts", 3000), math.ceil(wanted / answers["kept"]))
    mean = min(most, answers["generated"])
    rounds = 2 if tries > wanted else 1  # the second makes up for what the filters removed
    return StageWork(
        start="answering",
        phases=rounds,
        prompt_tokens=tries * amounts.prompt_tokens + rounds * SHEETS * SHEET_TOKENS,
        answer_tokens=tries * mean,
        tail_steps=rounds * _longest(mean, tries / rounds, most),
    )


def _sft(given: Parameters, amounts: DataAmounts) -> StageWork:
    tokens = amounts.training_tokens or 1000 * amounts.pair_tokens
    update = _number(given, "batch", 4) * _number(given, "accumulation", 4)
    update *= _number(given, "max_length", 2048)
    most, mean = _answer(given)
    training_tokens, updates = _training(given, tokens, tokens / update)
    count = amounts.development
    return StageWork(
        start="training",
        phases=1,
        prompt_tokens=count * amounts.prompt_tokens,
        answer_tokens=count * mean,
        tail_steps=_longest(mean, count, most),
        training="sft",
        training_tokens=training_tokens,
        updates=updates,
    )


def _dpo(given: Parameters, amounts: DataAmounts) -> StageWork:
    failing = max(0.01, amounts.failing or table()["answers"]["failing"])
    pairs, most_rounds = _number(given, "pairs", 700), _number(given, "rounds", 12)
    rounds = min(most_rounds, math.ceil(pairs / (failing * amounts.train)))
    most, mean = _answer(given)
    compared = 2 * (1 + _number(given, "compare_samples", 4))
    compared *= amounts.development + amounts.held_out
    sampled = rounds * amounts.train
    tokens = pairs * 2 * amounts.pair_tokens
    update = _number(given, "batch", 4) * _number(given, "accumulation", 4)
    training_tokens, updates = _training(given, tokens, pairs / update)
    return StageWork(
        start="preference",
        phases=rounds + 2,  # both adapters answer apart
        prompt_tokens=sampled * amounts.prompt_tokens,
        answer_tokens=sampled * mean,
        both_prompt_tokens=compared * amounts.prompt_tokens,
        both_answer_tokens=compared * mean,
        tail_steps=rounds * _longest(mean, amounts.train, most) + _longest(mean, compared, most),
        training="dpo",
        training_tokens=training_tokens,
        updates=updates,
        reference_tokens=tokens,
        reference_passes=math.ceil(pairs / update),
    )


def _evaluate(given: Parameters, amounts: DataAmounts) -> StageWork:
    count = 2 * (1 + _number(given, "samples", 4)) * amounts.held_out
    mean = table()["answers"]["sft"]
    return StageWork(
        start="adapters",
        phases=2,
        both_prompt_tokens=count * amounts.prompt_tokens,
        both_answer_tokens=count * mean,
        tail_steps=_longest(mean, count, RESPONSE_TOKENS),
    )


_FORMULAS: dict[str, Callable[[Parameters, DataAmounts], StageWork]] = {
    "baseline": _baseline,
    "generate": _generate,
    "sft": _sft,
    "dpo": _dpo,
    "evaluate": _evaluate,
}


def _answer(given: Parameters) -> tuple[int, float]:
    """Limit and mean tokens of a trained model's answer."""
    most = _number(given, "max_new_tokens", 128)
    return most, min(most, table()["answers"]["sft"])


def _longest(mean: float, count: float, most: float) -> float:
    """Expected tokens of the longest of `count` answers whose ends come at random."""
    return min(most, mean * (1 + math.log(max(1.0, count))))


def _training(given: Parameters, tokens: float, updates_an_epoch: float) -> tuple[float, int]:
    """Tokens and optimizer steps in all."""
    steps = _number(given, "max_steps", 0)
    updates_an_epoch = max(1, math.ceil(updates_an_epoch))
    epochs = steps / updates_an_epoch if steps else _share(given, "epochs", 3.0)
    return tokens * epochs, steps or math.ceil(updates_an_epoch * epochs)


def _number(given: Parameters, name: str, otherwise: int) -> int:
    value = given.get(name, otherwise)
    return value if type(value) is int and value > 0 else otherwise


def _share(given: Parameters, name: str, otherwise: float) -> float:
    value = given.get(name, otherwise)
    number = float(value) if isinstance(value, int | float) else otherwise
    return number if number > 0 else otherwise
