"""What a pod that waits for the user costs, until when, and the commands that use or end it."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from controller.planner import pod_spec as order
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import SUPERSEDED, LeaseState
from state.journal import Journal
from state.ledger import Ledger

if TYPE_CHECKING:
    import sqlite3

LEAST_WARM = 20.0  # seconds that a warm pod must have left for the first look to be in time


def resting_line(
    lease_state: LeaseState, usd_per_hour: float, now: float, *, listed: bool = True
) -> str:
    """One line about the pod of a lease that rests; `usd_per_hour` by the ledger."""
    pod, run, unpulled = lease_state.pod, lease_state.wanted[-1], lease_state.unpulled
    if not listed:
        return (
            f"pod {pod} of {run.run} is not in the provider's listing any more, and no run uses "
            f"it: podctl sync waits until it stays out, and records its end by the bill"
        )
    after = ""
    end = "--terminate --abandon REASON" if unpulled else "--terminate"
    if lease_state.parked:
        line = f"pod {pod} of {run.run} is parked: ${24 * usd_per_hour:.2f} a day"
    elif (until := lease_state.warm_until) is not None:
        if until - now < LEAST_WARM:
            return (
                f"pod {pod} of {run.run} is warm no longer than {clock_time(until)}, at "
                f"${usd_per_hour:.4f}/h: podctl stop {run.run} ends it now, its guard soon"
            )
        return (
            f"pod {pod} of {run.run} stays warm until {clock_time(until)} at "
            f"${usd_per_hour:.4f}/h: podctl run {run.stage} starts on it at once; "
            f"podctl stop {run.run} ends it now"
        )
    elif lease_state.visiting:
        return (
            f"pod {pod} of {run.run} is started to work on it by hand: ${usd_per_hour:.4f}/h; "
            f"podctl stop {run.run} parks it again; without podctl its guard does after 20 min"
        )
    else:
        grace = order.GRACE if lease_state.keeps_disk else order.GRACE_BARE
        line = f"pod {pod} of {run.run} is kept: ${usd_per_hour:.4f}/h"
        after = (
            f"; its guard stops it {grace / 60:.0f} min after podctl's last visit; podctl run "
            f"{run.stage} uses it again"
        )
    if unpulled:
        line += f"; the outputs of {', '.join(unpulled)} are not all downloaded"
        left = {run.outcome for run in lease_state.runs if run.run in unpulled}
        fetched = lease_state.parked and SUPERSEDED not in left
        line += f" (podctl sync {unpulled[0]} fetches them)" if fetched else ""
    return f"{line}; podctl stop {run.run} {end} ends it{after}"


def resting_lines(
    connection: sqlite3.Connection, listed: Collection[str] | None = None
) -> tuple[str, ...]:
    """One line for each pod of an open lease that has no run to work for.

    `listed` are the pods that the provider lists; None if it was not asked.
    """
    journal, ledger = Journal(connection), Ledger(connection)
    lines = []
    for lease in journal.open_leases():
        lease_state = lease_state_of(journal, lease.id)
        if lease_state.pod is not None and lease_state.current is None and lease_state.runs:
            rows = ledger.intervals(pod_id=lease_state.pod, open_only=True)
            shown = listed is None or lease_state.pod in listed
            rate = sum(row.usd_per_hour for row in rows)
            lines.append(resting_line(lease_state, rate, time.time(), listed=shown))
    return tuple(lines)


def clock_time(at: float) -> str:
    """Hours and minutes of this machine's clock."""
    return time.strftime("%H:%M", time.localtime(at))
