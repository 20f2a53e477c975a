"""What a pod that waits for the user costs, until when, and the commands that use or end it."""

from __future__ import annotations

import time

from controller.planner import pod_spec as order
from controller.planner.lease_state import LeaseState


def resting_line(lease_state: LeaseState, usd_per_hour: float) -> str:
    """One line about the pod of a lease that rests; `usd_per_hour` by the ledger."""
    pod, run, unpulled = lease_state.pod, lease_state.wanted[-1], lease_state.unpulled
    end = "--terminate --abandon REASON" if unpulled else "--terminate"
    if lease_state.parked:
        line = f"pod {pod} of {run.run} is parked: ${24 * usd_per_hour:.2f} a day"
    elif (until := lease_state.warm_until) is not None:
        return (
            f"pod {pod} of {run.run} stays warm until {clock_time(until)} at "
            f"${usd_per_hour:.4f}/h: podctl run {run.stage} starts on it at once; "
            f"podctl stop {run.run} ends it now"
        )
    else:
        grace = order.GRACE if lease_state.keeps_disk else order.GRACE_BARE
        line = (
            f"pod {pod} of {run.run} is kept: ${usd_per_hour:.4f}/h until its guard stops it, "
            f"{grace / 60:.0f} min after podctl's last visit; podctl run {run.stage} uses it again"
        )
    if unpulled:
        line += f"; the outputs of {', '.join(unpulled)} are not all downloaded"
        line += f" (podctl sync {unpulled[0]} fetches them)" if lease_state.parked else ""
    return f"{line}; podctl stop {run.run} {end} ends it"


def clock_time(at: float) -> str:
    """Hours and minutes of this machine's clock."""
    return time.strftime("%H:%M", time.localtime(at))
