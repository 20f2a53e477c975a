"""The lines of a live view as data: pieces of text with a style, and bars. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from controller.terminal.sanitize import clean

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-=+*%#"


@dataclass(frozen=True)
class Span:
    """A piece of text, in a style of `style.CODES`."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Bar:
    """How much of `total` is done."""

    done: float
    total: float


@dataclass(frozen=True)
class Curve:
    """Values over time, drawn as a row of small bars; the newest ones are on the right."""

    values: tuple[float, ...]


PanelLine = Sequence[Span | Bar | Curve]


def gated(line: PanelLine, redact: Callable[[str], str]) -> list[Span | Bar | Curve]:
    """`line` with every text cleaned and redacted."""
    return [
        replace(piece, text=redact(_clean(piece.text))) if isinstance(piece, Span) else piece
        for piece in line
    ]


def _clean(text: str) -> str:
    """`clean` on one line; spaces stay, which separate a piece from its neighbours."""
    return clean(text).replace("\n", " ").replace("\t", " ")


def sparkline(values: Sequence[float], width: int, *, unicode: bool = True) -> str:
    """`values` as at most `width` characters, each the mean of its share of them."""
    marks = _BLOCKS if unicode else _ASCII
    if width < 1 or len(values) < 2:
        return ""
    count = min(width, len(values))
    bounds = [index * len(values) // count for index in range(count + 1)]
    means = [sum(values[low:high]) / (high - low) for low, high in pairwise(bounds)]
    lowest, highest = min(means), max(means)
    scale = (len(marks) - 1) / (highest - lowest) if highest > lowest else 0.0
    return "".join(marks[round((mean - lowest) * scale)] for mean in means)
