"""How a drive ended, as the error that the user reacts to."""

from __future__ import annotations

from controller.actions import Leave
from controller.bills import in_words, rates_of
from controller.errors import (
    ArtifactsNotSafe,
    BudgetRefused,
    ConnectionLost,
    Detached,
    NoCapacity,
    PodctlError,
    Refused,
    VerificationFailed,
)
from controller.log_reader import last_words, tail_of
from controller.proof import DRILL, REFUTED, UNCLEAR
from controller.workshop import Workshop

_KINDS: dict[str, type[PodctlError]] = {
    kind.code: kind for kind in (ArtifactsNotSafe, ConnectionLost, Refused)
}

OF_THE_JOB = ("failed", "stopped", "criteria")  # endings that the job's log may explain


def report(shop: Workshop, end: Leave) -> PodctlError:
    """A person must decide: what happened, what bills on, what to type."""
    kind = _KINDS.get(end.code, PodctlError)
    return kind(end.what, where=f"lease {shop.lease}", cause=billing(shop), hint=end.hint)


def left(shop: Workshop) -> Detached:
    """The user left: what goes on without us, and what it costs."""
    rental = shop.rental()
    running = rental.current
    what = "detached"
    if rental.pod is not None and running is not None:
        what = f"detached; {running.run} goes on on pod {rental.pod}"
    elif rental.unsettled:
        what = "detached while a create had no answer: a pod may exist"
    name = running.stage if running else ""
    again = f"podctl run {name} or podctl sync" if name in shop.project.stages else "podctl sync"
    return Detached(
        what,
        where=f"lease {shop.lease}",
        cause=billing(shop),
        hint=f"{again} carries on; podctl stop {name} ends it".strip(),
    )


def billing(shop: Workshop) -> str:
    """What bills now, by the ledger."""
    found = shop.ledger.intervals(open_only=True)
    rates = rates_of(one for one in found if one.lease == shop.lease)
    return in_words(rates) or "nothing of it bills, as far as is known"


def raise_unless_passed(shop: Workshop) -> None:
    """Raise for the first run that did not pass."""
    for run in shop.rental().runs:
        if run.outcome != "passed":
            raise _failure(shop, run.run, run.outcome or "open", run.why)


def _failure(shop: Workshop, run: str, outcome: str, why: str) -> PodctlError:
    """The error of a run that did not pass, with the next command."""
    stage = shop.stages[run].name
    folder = str(shop.project.run_dir(run))
    kinds: dict[str, tuple[type[PodctlError], str]] = {
        "criteria": (VerificationFailed, f"podctl logs {stage}; change the stage and run it again"),
        "no-capacity": (NoCapacity, "podctl gpus; widen hardware.gpus, or try again later"),
        "refused": (Refused, "podctl doctor"),
        "bad-hosts": (PodctlError, f"podctl run {stage} rents anew, with a worst case of its own"),
        "stopped": (PodctlError, f"podctl run {stage}"),
        "pod-lost": (PodctlError, f"podctl run {stage} goes on from what is here, on another pod"),
        REFUTED: (PodctlError, "podctl doctor says what that means"),
        UNCLEAR: (PodctlError, DRILL),
    }
    kind, hint = kinds.get(outcome, (PodctlError, f"podctl logs {stage}"))
    if "budget" in why:
        kind, hint = BudgetRefused, "raise budget.run_usd, or lower the stage's hours"
    if "guard" in why and outcome == "refused":
        hint = f"podctl run {stage} --unguarded accepts it"
    return kind(f"{run}: {outcome}", where=folder, cause=why + _last(shop, run, outcome), hint=hint)


def _last(shop: Workshop, run: str, outcome: str) -> str:
    """What the job wrote last, where it is the job that failed."""
    if outcome not in OF_THE_JOB:
        return ""
    words = last_words(tail_of(shop.project.job_log(run)))
    return f"\nthe job's last line: {words}" if words else ""
