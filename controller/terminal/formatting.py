"""Formats quantities for people: durations, dollars, sizes, dates."""

from __future__ import annotations


def age(seconds: float | None) -> str:
    """`12 s`, `5 min`, `3 h`, `2 d`; nothing for None."""
    if seconds is None:
        return ""
    for limit, unit, size in ((90, "s", 1), (5400, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{max(0.0, seconds) / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def usd(amount: float | None) -> str:
    """Dollars: cents, and more digits for less than a cent; `-` when unknown."""
    if amount is None:
        return "-"
    if 0 < amount < 0.00005:
        return "under $0.0001"
    return f"${amount:,.4f}" if 0 < abs(amount) < 0.01 else f"${amount:,.2f}"


def span(amount: float | None) -> str:
    """A duration given in hours: `40 s`, `12 min`, `3.7 h`, `13 h`; `-` when unknown."""
    if amount is None:
        return "-"
    seconds = max(0.0, amount) * 3600
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{amount:.1f} h".replace(".0 h", " h")


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def moment(seconds: float | None) -> str:
    """Unix seconds as UTC, to the minute."""
    from datetime import UTC, datetime

    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def time_of_day(seconds: float) -> str:
    """Unix seconds as the time in UTC, to the second."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def size(count: float) -> str:
    """Bytes with a decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
