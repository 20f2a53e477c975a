"""Checks the prices of a provider: finite numbers within plausible limits. Pure.

An invalid price counts as unknown: podctl rents nothing at it, and records a pod's cost at the
quoted price.
"""

from __future__ import annotations

# USD per hour of one unit: (min, max), with a wide margin around all prices ever offered.
GPU = (0.005, 250.0)
VCPU = (0.0005, 25.0)
POD = 8 * GPU[1]  # maximum of a complete pod
UNKNOWN = 0.0  # an offer whose price is not known
BALANCE = 1e8  # USD of an account; a bill of one pod and bucket


def obstacle(kind: str, usd_per_hour: float, count: int) -> str:
    """Why an offer's price is rejected; empty if it is plausible."""
    if usd_per_hour == UNKNOWN:
        return "its price is not known"
    low, high = GPU if kind == "gpu" else VCPU
    unit_price = usd_per_hour / max(1, count)
    if not low <= unit_price <= high:
        return f"a price of ${unit_price:.6g}/h is not plausible"
    return ""


def of_unit(value: object) -> float | None:
    """A catalog's price of one unit: None if there is none, `UNKNOWN` if it is invalid."""
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
    """The reported rate of a pod in USD per hour; `UNKNOWN` if it is invalid or 0."""
    if usd_per_hour is None or not 0 < usd_per_hour <= POD:
        return UNKNOWN
    return usd_per_hour
