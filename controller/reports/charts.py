"""Bars and lines as SVG elements. Pure: the same numbers give the same picture, anywhere.

Numbers come from a pod: what is not finite is not drawn, and no more points than a picture shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

HEIGHT = 300.0
WIDTH = 960.0
MOST_POINTS = 1000  # of one line
MOST_SHOWN = 40  # lines, groups or bars of one panel
LARGEST = 1e12
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 42.0, 40.0
_INK, _GRID = "#3c4856", "#e6eaef"

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    name: str
    colour: str
    points: Points
    dots: bool = False


@dataclass(frozen=True)
class Bars:
    """One value a group, with the whisker's low and high end where there is one."""

    name: str
    colour: str
    values: Sequence[float | None]
    whiskers: Sequence[tuple[float, float] | None] = ()


@dataclass(frozen=True)
class Panel:
    """One pair of axes; `groups` name the places of bars."""

    title: str = ""
    x: str = ""
    y: str = ""
    lines: Sequence[Line] = ()
    bars: Sequence[Bars] = ()
    groups: Sequence[str] = ()
    top: float | None = None  # of the scale, which then begins at 0
    logarithmic: bool = False


def number(value: Any) -> float | None:
    """A finite number that a picture can hold; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < LARGEST else None


def points(rows: Any) -> Points:
    """Pairs of numbers in the order in which they came, thinned out."""
    pairs = []
    for point in rows if isinstance(rows, list | tuple) else ():
        if isinstance(point, list | tuple) and len(point) == 2:
            x, y = number(point[0]), number(point[1])
            if x is not None and y is not None:
                pairs.append((x, y))
    step = max(1, math.ceil(len(pairs) / MOST_POINTS))
    return pairs[::step]


def draw(panels: Sequence[Panel]) -> str:
    """The panels side by side, as one element."""
    width = WIDTH / max(1, len(panels))
    body = "".join(_panel(panel, n * width, width) for n, panel in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" '
        f'font-family="system-ui, sans-serif" font-size="11" fill="{_INK}">{body}</svg>'
    )


def _panel(panel: Panel, left: float, width: float) -> str:
    x0, x1 = left + _LEFT, left + width - _RIGHT
    y0, y1 = HEIGHT - _BOTTOM, _TOP
    low, high = _range(panel)
    rise = _Scale(low, high, y0, y1, panel.logarithmic)
    parts = [_text(x0, 14, panel.title, "start")] if panel.title else []
    parts += [_rule(x0, x1, rise.at(tick), tick) for tick in rise.ticks()]
    parts.append(_text(left + 2, y1 - 8, panel.y, "start") if panel.y else "")
    parts.append(_text((x0 + x1) / 2, HEIGHT - 6, panel.x) if panel.x else "")
    if panel.groups:
        parts += _bars(panel, x0, x1, rise)
    else:
        parts += _lines(panel, x0, x1, rise)
    named = [(line.name, line.colour) for line in panel.lines[:MOST_SHOWN]]
    named += [(bar.name, bar.colour) for bar in panel.bars[:MOST_SHOWN]]
    return "".join([*parts, _legend(named, x0, y1 - 12)])


def _range(panel: Panel) -> tuple[float, float]:
    if panel.top is not None:
        return 0.0, panel.top
    values = [y for line in panel.lines for _, y in line.points]
    values += [value for bar in panel.bars for value in bar.values if value is not None]
    if panel.logarithmic:
        values = [value for value in values if value > 0]
        return (min(values), max(values)) if values else (1.0, 10.0)
    if panel.bars:
        values.append(0.0)
    return (min(values), max(values)) if values else (0.0, 1.0)


class _Scale:
    """Values to pixels, and where the marks are."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool) -> None:
        self.log = log
        if log:
            low, high = float(math.floor(math.log10(low))), float(math.ceil(math.log10(high)))
        if not high - low > 1e-9 * max(1.0, abs(low)):
            low, high = low - 0.5, high + 0.5
        self.low, self.high, self.start, self.end = low, high, start, end

    def at(self, value: float) -> float:
        if self.log:
            value = math.log10(value) if value > 0 else self.low
        share = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.log:
            decades = range(int(self.low), int(self.high) + 1)
            return [10.0**n for n in decades[:: max(1, len(decades) // 6)]]
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * n for n in (1, 2, 5, 10) if unit * n >= rough)
        first = math.ceil(self.low / step)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _bars(panel: Panel, x0: float, x1: float, rise: _Scale) -> Iterable[str]:
    groups = panel.groups[:MOST_SHOWN]
    room = (x1 - x0) / max(1, len(groups))
    width = 0.8 * room / max(1, len(panel.bars))
    base = rise.start
    for place, group in enumerate(groups):
        middle = x0 + (place + 0.5) * room
        yield _text(middle, base + 14, group)
        for n, bar in enumerate(panel.bars):
            value = bar.values[place] if place < len(bar.values) else None
            if value is None:
                continue
            x = middle - 0.4 * room + n * width
            top = rise.at(value)
            yield (
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{width * 0.92:.1f}" '
                f'height="{max(0.0, base - top):.1f}" fill="{bar.colour}"/>'
            )
            whisker = bar.whiskers[place] if place < len(bar.whiskers) else None
            if whisker is not None:
                at, ends = x + width * 0.46, (rise.at(whisker[0]), rise.at(whisker[1]))
                yield (
                    f'<path d="M{at:.1f} {ends[0]:.1f}V{ends[1]:.1f}M{at - 2.5:.1f} {ends[0]:.1f}h5'
                    f'M{at - 2.5:.1f} {ends[1]:.1f}h5" stroke="{_INK}" fill="none"/>'
                )


def _lines(panel: Panel, x0: float, x1: float, rise: _Scale) -> Iterable[str]:
    every = [x for line in panel.lines for x, _ in line.points]
    if not every:
        return
    run = _Scale(min(every), max(every), x0, x1, False)
    for tick in run.ticks():
        yield _text(run.at(tick), rise.start + 14, _mark(tick))
    for line in panel.lines[:MOST_SHOWN]:
        path = " ".join(f"{run.at(x):.1f},{rise.at(y):.1f}" for x, y in line.points)
        yield (f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.3"/>')
        if line.dots:
            yield from (
                f'<circle cx="{run.at(x):.1f}" cy="{rise.at(y):.1f}" r="2" fill="{line.colour}"/>'
                for x, y in line.points
            )


def _rule(x0: float, x1: float, y: float, tick: float) -> str:
    line = f'<path d="M{x0:.1f} {y:.1f}H{x1:.1f}" stroke="{_GRID}" fill="none"/>'
    return line + _text(x0 - 5, y + 4, _mark(tick), "end")


def _mark(tick: float) -> str:
    return f"{tick:.6g}"


def _legend(named: Sequence[tuple[str, str]], x: float, y: float) -> str:
    parts = []
    for name, colour in named:
        if not name:
            continue
        parts.append(
            f'<rect x="{x:.1f}" y="{y - 8:.1f}" width="9" height="9" fill="{colour}"/>'
            + _text(x + 13, y, name, "start")
        )
        x += 26 + 6.2 * len(name[:40])
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    shown = "".join(character if character.isprintable() else "�" for character in text[:80])
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(shown)}</text>'
