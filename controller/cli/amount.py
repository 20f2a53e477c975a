"""A positive finite number on the command line: dollars, hours, minutes."""

from __future__ import annotations

import math
from typing import Any

import click


class AmountType(click.FloatRange):
    """Over 0, and at most `most`; neither nan nor infinite, which compare as they like."""

    def __init__(self, most: float | None = None) -> None:
        super().__init__(min=0, max=most, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number
