"""Which prices of a provider are believed: finite numbers within what such hardware can cost.

A price that is not valid counts as none: podctl reports it as unknown, rents nothing by it, and
records a pod's cost at the quoted price. Pure.
"""

from __future__ import annotations

# USD per hour of one unit. The cheapest and the dearest that were ever offered are far inside.
GPU = (0.005, 250.0)
VCPU = (0.0005, 25.0)
POD = 8 * GPU[1]  # of a whole pod, as its rate is reported
UNKNOWN = 0.0  # an offer whose price is not known
BALANCE = 1e8  # USD of an account; a bill of one pod and bucket


def obstacle(kind: str, usd_per_hour: float, count: int) -> str:
    """Why an offer's price is not believed; empty when it is."""
    if usd_per_hour == UNKNOWN:
        return "its price is not known"
    low, high = GPU if kind == "gpu" else VCPU
    each = usd_per_hour / max(1, count)
    if not low <= each <= high:
        return f"a price of ${each:.6g}/h is not plausible"
    return ""


def of_unit(value: object) -> float | None:
    """A catalog's price of one unit: None where there is none, `UNKNOWN` where it is nonsense."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return UNKNOWN
    try:
        price = float(value)
    except (ValueError, OverflowError):
        return UNKNOWN
    if price == 0:
        return None
    return price if 0 < price < BALANCE else UNKNOWN


def of_pod(usd_per_hour: float | None) -> float:
    """The rate that a pod is reported with; `UNKNOWN` for nonsense, and for 0."""
    if usd_per_hour is None or not 0 < usd_per_hour <= POD:
        return UNKNOWN
    return usd_per_hour
