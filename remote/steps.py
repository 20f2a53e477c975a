"""Steps that a training reports in its log, in the forms that frameworks print; pure.

A bar as tqdm draws it counts training steps when nothing describes it (transformers, TRL, Axolotl,
LLaMA-Factory), or when its description speaks of training, an epoch or a loss (Lightning,
torchtune). Requests that are answered (vLLM, lm-eval) count as long as nothing is trained. Bars of
data and downloads ("Map", "Loading checkpoint shards") and validation count nothing, and a bar at 0
is drawn before a training says where it goes on from. The other forms: Keras' bar, dictionaries and
JSON with a step in it, and words ("step 12/400", "iteration 100/ 5000", "epoch 1 | step 20").
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_LINE = 2048  # characters of a line that are looked at
MAX_STEP = 10**12

_NUMBER = r"(\d{1,12})"
_DIGIT = re.compile(r"\d")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LINE_END = re.compile(r"[\r\n\x08]+|\x1b\[\d*[AFGK]")
_PREFIX = re.compile(r"^(?:\[(?:rank|default)?\d+\]:?|\([^()]{0,60}pid=\d+[^()]{0,60}\))\s*")
_BAR = re.compile(rf"^(.*?)\d{{1,3}}%\|[^|]*\|\s*{_NUMBER}/{_NUMBER} \[([^\]]*)")
_BARE = re.compile(rf"^()\s*{_NUMBER}/{_NUMBER} \[(\d+:[^\]]*)")
_RICH = re.compile(rf"^\s*(Epoch \d+/\d+)\s+[━╸╺ ]+\s{_NUMBER}/{_NUMBER} (\d+:)")
_KERAS = re.compile(rf"^\s*{_NUMBER}/{_NUMBER}\s*(?:\[[=>. ]+\]|[━╸╺ ]*━[━╸╺ ]*)")
_NOT_STEPS = re.compile(r"[\d?.][kMGT]?i?B/s| ?(?:examples?|ex|files?|rows?|docs?)/s")
_TRAINING = re.compile(
    r"^\W*(?:pre-?|re)?(?:train|fit|fine-?tun|epoch|(?:global )?step|iter|batch|optimi[sz]|sft\b"
    r"|dpo\b|grpo\b|ppo\b|distill)",
    re.IGNORECASE,
)
_WORK = re.compile(
    r"^\W*(?:processed prompts|running \w+ requests|requesting|generat(?!.*split)|evaluat|infer"
    r"|predict|scor|sampl|judg|rollout|decod|translat|transcrib|embed)",
    re.IGNORECASE,
)
_HELD_OUT = re.compile(r"^\W*(?:val|test|sanity|eval)", re.IGNORECASE)
_EPOCH = re.compile(
    r"\bepochs?\s*[:=#\[]?\s*(\d{1,6})(?:\s*(?:/|of)\s*(\d{1,6}))?(?![.\d])", re.IGNORECASE
)
_SAMPLES = (  # PyTorch's examples and timm; MMEngine; fairseq
    re.compile(rf"^.{{0,80}}?\bTrain(?: Epoch)?:\s*(\d{{1,6}})\s*\[\s*{_NUMBER}/{_NUMBER}\s*\("),
    re.compile(rf"\bEpoch\(train\)\s*\[(\d{{1,6}})\]\[\s*{_NUMBER}/{_NUMBER}\]"),
    re.compile(rf"\bepoch (\d{{1,6}}):\s+{_NUMBER} / {_NUMBER} \w*loss="),
)
_KEYS = re.compile(
    rf"""["'](?:(?:train|trainer)/)?(?:global_|current_|_)?(?:steps?|iter|iteration)["']"""
    rf"""\s*:\s*{_NUMBER}(?=\s*[,}}])"""
)
_MOST_KEY = re.compile(rf"""["'](?:max|total)_steps["']\s*:\s*{_NUMBER}(?=\s*[,}}])""")
_WORDS = re.compile(
    rf"(?:^|(?<=[\s|,;:(\[{{]))(?:([A-Za-z-]+)[ _])?(steps?|iter(?:ation)?s?)\s*[:=#]?\s*\[?\s*"
    rf"{_NUMBER}(?:\s*(?:/|of)\s*{_NUMBER})?(?!\w)(?!\.\d)(?!\s*(?:ms|s|sec|seconds|it/s|%)\b)",
    re.IGNORECASE,
)
_OTHER_STEPS = frozenset(
    [
        *("accumulation", "best", "checkpointing", "decay", "each", "eval", "evaluation", "every"),
        *("first", "last", "log", "logging", "max", "next", "num", "number", "optimization"),
        *("per", "save", "saving", "time", "total", "warmup"),
    ]
)
_MOST_WORDS = re.compile(
    r"\b(?:total|max)[_ ](?:(?:optimization|training|train)[_ ])?steps?\s*[:=]\s*"
    r"(\d{1,3}(?:,\d{3})+|\d{1,12})\b",
    re.IGNORECASE,
)
_LOSS = re.compile(
    r"(?:(?<![A-Za-z])([A-Za-z]+)[ _/.-])?(?<![A-Za-z])loss[\"']?(?:\s*[:=]\s*|\s+(?:is\s+)?)"
    r"(?:tensor\()?[\"']?(-?\d+(?:\.\d*)?(?:[eE][-+]?\d{1,3})?)(?![\w])",
    re.IGNORECASE,
)
_LOST = re.compile(
    r"(?:(?<![A-Za-z])([A-Za-z]+)[ _/.-])?(?<![A-Za-z])loss[\"']?(?:\s*[:=]\s*|\s+(?:is\s+)?)"
    r"(?:tensor\()?[\"']?[-+]?(?:nan|inf(?:inity)?)\b",
    re.IGNORECASE,
)
_OTHER_LOSSES = frozenset(
    ["val", "valid", "validation", "eval", "evaluation", "test", "dev", "best", "aux", "min", "no"]
)
_FIGURE = re.compile(
    r"""["']((?:\w+/)?(?:learning_rate|lr|reward|(?:\w+_)?accuracy))["']\s*:\s*"""
    r"""["']?(-?\d+(?:\.\d*)?(?:[eE][-+]?\d{1,3})?)["']?(?=\s*[,}])"""
)


class Report(NamedTuple):
    """What one line says; None where it does not. With `epoch` the steps are those of one epoch."""

    step: int | None = None
    max_steps: int | None = None
    loss: float | None = None
    epoch: int | None = None
    epochs: int | None = None
    from_zero: bool = False  # epochs are counted so
    work: bool = False  # not of a training: requests that are answered


def reports(text: str) -> Iterator[Report]:
    """Every line of `text` that says something, in order; a redrawn line counts as several."""
    for line in lines_of(text):
        parsed = report(line)
        if parsed != Report():
            yield parsed


def lines_of(text: str) -> list[str]:
    """Lines, and each state of those that were drawn again."""
    return [line for line in _LINE_END.split(text) if line]


def report(line: str) -> Report:
    """What one line says of the training's progress."""
    line = _PREFIX.sub("", _ESCAPE.sub("", line[:MAX_LINE]).strip())
    if _DIGIT.search(line) is None:  # most lines of a log
        return Report()
    parsed = _bar(line) or _epochs_samples(line) or _keras(line) or _by_words(line)
    most = parsed.max_steps
    if parsed.step is not None and (
        parsed.step == 0 or parsed.step > MAX_STEP or (most is not None and parsed.step > most)
    ):
        parsed = Report()
    return parsed._replace(loss=_loss(line))


def figures(text: str) -> dict[str, float]:
    """Learning rate, rewards and accuracies in dictionaries of `text`: the newest of each."""
    return {
        match[1].removeprefix("train/"): value
        for match in _FIGURE.finditer(text)
        if not _HELD_OUT.match(match[1]) and math.isfinite(value := float(match[2]))
    }


def _bar(line: str) -> Report | None:
    """tqdm's, or rich's as Lightning draws it; what counts something else is an empty report."""
    match = _BAR.search(line) or _BARE.search(line) or _RICH.search(line)
    if match is None:
        return None
    described = match[1].strip().rstrip(":").strip()
    step, most = int(match[2]), int(match[3])
    if _NOT_STEPS.search(match[4]) or (_HELD_OUT.match(described) and not _WORK.match(described)):
        return Report()
    epoch = _EPOCH.search(described)
    if epoch is not None:
        zero = "v_num" in line or int(epoch[1]) == 0
        last = int(epoch[2]) if epoch[2] else None
        return Report(step, most, None, int(epoch[1]), last, zero)
    if re.fullmatch(r"epochs?", described, re.IGNORECASE):
        return Report(epoch=step, epochs=most)
    if not described or _TRAINING.match(described) or _loss(described) is not None:
        return Report(step, most)
    return Report(step, most, work=True) if _WORK.match(described) else Report()


def _epochs_samples(line: str) -> Report | None:
    for form in _SAMPLES:
        if (match := form.search(line)) is not None:
            epoch = int(match[1])
            return Report(int(match[2]), int(match[3]), None, epoch, None, epoch == 0)
    return None


def _keras(line: str) -> Report | None:
    if (match := _KERAS.search(line)) is not None:
        return Report(int(match[1]), int(match[2]))
    if (head := re.fullmatch(r"Epoch (\d{1,6})/(\d{1,6})", line)) is not None:
        return Report(epoch=int(head[1]), epochs=int(head[2]))
    return None


def _by_words(line: str) -> Report:
    """Keys and words."""
    most_said = _MOST_KEY.search(line) or _MOST_WORDS.search(line)
    most = int(most_said[1].replace(",", "")) if most_said else None
    if (key := _KEYS.search(line)) is not None:
        return Report(int(key[1]), most)
    for match in _WORDS.finditer(line):
        before, plural = (match[1] or "").casefold(), match[2].casefold().endswith("s")
        if before in _OTHER_STEPS or (plural and before not in ("", "global")):
            continue
        epoch = _EPOCH.search(line)
        return Report(
            int(match[3]),
            int(match[4]) if match[4] else most,
            epoch=int(epoch[1]) if epoch else None,
            epochs=int(epoch[2]) if epoch and epoch[2] else None,
            from_zero=bool(epoch) and int(epoch[1] if epoch else 1) == 0,
        )
    return Report(max_steps=most)


def _loss(line: str) -> float | None:
    """That of the training: the plain one before those of its parts, none of held-out data."""
    others: list[float] = []
    for match in _LOSS.finditer(line):
        before, value = (match[1] or "").casefold(), float(match[2])
        if not math.isfinite(value) or before in _OTHER_LOSSES:
            continue
        if before in ("", "train", "training"):
            return value
        others.append(value)
    return others[0] if others else None


def loss_nan(text: str) -> bool | None:
    """Whether the newest loss of the training is NaN or infinite; None where there is no loss."""
    found = None
    for line in lines_of(text):
        line = line[:MAX_LINE]
        lost = _LOST.search(line)
        if lost is not None and (lost[1] or "").casefold() not in _OTHER_LOSSES:
            found = True
        elif "loss" in line.casefold() and _loss(line) is not None:
            found = False
    return found


def newest(text: str) -> Report:
    """The newest value of each field in `text`."""
    step = most = loss = None
    for report in reports(text):
        step = report.step if report.step is not None else step
        most = report.max_steps if report.max_steps is not None else most
        loss = report.loss if report.loss is not None else loss
    return Report(step, most, loss)
