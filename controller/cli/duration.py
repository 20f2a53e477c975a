"""Durations on the command line: `6h`, `90m`, `1h30m`."""

from __future__ import annotations

import re

import click

UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
LONGEST = 30 * UNITS["d"]  # seconds
PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(min|[smhd])", re.IGNORECASE)


def seconds_of(text: str) -> float | None:
    """The duration in seconds; None if `text` is no duration."""
    total, end = 0.0, 0
    while part := PART.match(text, end):
        total += float(part[1]) * UNITS[part[2].lower()]
        end = part.end()
    return total if end and not text[end:].strip() else None


class DurationType(click.ParamType[float]):
    """A duration, as seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        seconds = seconds_of(str(value))
        if seconds is None:
            self.fail(f"{value!r} is no duration; examples are 6h, 90m and 1h30m", param, ctx)
        if not 0 < seconds <= LONGEST:
            self.fail(f"{value!r} is not between 1s and 30d", param, ctx)
        return seconds
