"""The outcome of driving a lease, as the error that the user reacts to."""

from __future__ import annotations

from controller.billing_pods import in_words, rates_of
from controller.diagnostics.drill_results import REFUTED, UNCLEAR
from controller.errors import (
    ArtifactsNotSafe,
    ConnectionLost,
    Detached,
    DetachedAsAsked,
    NoCapacity,
    PodctlError,
    Refused,
    TimeUp,
    VerificationFailed,
)
from controller.leases import environment_failure
from controller.leases.resting_pod import resting_line
from controller.planner.actions import NeedsOperator
from controller.planner.lease_state import OVERDUE, SUPERSEDED
from controller.planner.policy import DRILL
from controller.project.run_folder import RunFolder
from controller.runtime.checkpoint import newest_step
from controller.runtime.resume import received
from controller.runtime.run_context import RunContext
from controller.status.log_reader import last_words, tail_of

BAD_IMAGE = (
    "check the name and tag of pod.image: docker manifest inspect IMAGE; the image must be public, "
    "for linux/amd64, and contain bash"
)
NO_SSHD = (
    "use an image whose /start.sh starts sshd for PUBLIC_KEY, as runpod/pytorch and runpod/base "
    "do, or build yours FROM one; docs/stages.md, Images, has a /start.sh for your own image"
)
_KINDS: dict[str, type[PodctlError]] = {
    kind.code: kind for kind in (ArtifactsNotSafe, ConnectionLost, Refused)
}

LAST_LINE = 120  # characters of a job's last line; podctl logs has the rest
OF_THE_JOB = ("failed", "stopped", "criteria")  # endings that the job's log may explain


def report(context: RunContext, end: NeedsOperator) -> PodctlError:
    """The error for the operator: what happened, what keeps billing, the next command."""
    kind = _KINDS.get(end.code, PodctlError)
    return kind(end.what, where=f"lease {context.lease}", cause=billing(context), hint=end.hint)


def detached(context: RunContext, *, asked: bool = False) -> Detached:
    """The end of a detached command: what keeps running, what it costs, how to come back."""
    lease_state = context.lease_state()
    running = lease_state.current
    wait_until = context.policy.wait_until
    what = "detached"
    if lease_state.pod is not None and running is not None:
        what = f"detached: {running.run} keeps running on pod {lease_state.pod}"
    elif lease_state.unsettled:
        what = "detached while a create was unconfirmed: a pod may exist"
    elif running is not None and context.clock.wall() < wait_until:
        what = f"detached: nothing is rented for {running.run}, which waits for capacity"
    name = running.stage if running else ""
    kind = DetachedAsAsked if asked else Detached
    return kind(
        what,
        where=f"lease {context.lease}",
        cause=billing(context),
        hint=resuming(name, known=name in context.project.stages),
    )


def resuming(stage: str, *, known: bool) -> str:
    """The next commands of a detached run of `stage`; empty: the lease has no open run."""
    again = f"podctl run {stage} or podctl sync" if known else "podctl sync"
    end = f"; podctl stop {stage} ends it" if stage else ""
    return f"{again} resumes it{end}"


def billing(context: RunContext) -> str:
    """The pods of this lease that bill now, according to the ledger."""
    found = context.ledger.intervals(open_only=True)
    rates = rates_of(one for one in found if one.lease == context.lease)
    return in_words(rates) or "no pod of this lease bills, as far as podctl knows"


def resting(context: RunContext) -> str:
    """What is left of the lease's pod and bills; empty: nothing is."""
    lease_state = context.lease_state()
    if lease_state.pod is None or lease_state.current is not None:
        return ""
    found = context.ledger.intervals(pod_id=lease_state.pod, open_only=True)
    rate = sum(row.usd_per_hour for row in found)
    return resting_line(lease_state, rate, context.clock.wall())


def cost_of_all(context: RunContext) -> str:
    """What the runs of a lease cost that was renewed; empty for any other."""
    lease_state, now = context.lease_state(), context.clock.wall()
    if len(lease_state.runs) == len(lease_state.wanted):
        return ""
    usd = sum(context.ledger.spent(now, run=run.run) for run in lease_state.runs)
    pods = "one pod" if len(lease_state.pods) == 1 else f"{len(lease_state.pods)} pods"
    names = ", ".join(run.run for run in lease_state.runs)
    return f"{names} cost ${usd:.4f} in all, on {pods}"


def raise_unless_passed(context: RunContext) -> None:
    """Raise for the first run that did not pass."""
    for run in context.lease_state().wanted:
        if run.outcome != "passed":
            raise _failure(context, run.run, run.outcome or "open", run.why)


def _failure(context: RunContext, run: str, outcome: str, why: str) -> PodctlError:
    """The error of a run that did not pass, with the next command."""
    stage = context.stages[run].name
    folder = str(RunFolder(context.project.run_dir(run)).files)
    if outcome in ("bad-image", "no-sshd"):
        folder = f"{context.project.file}: pod.image = {context.shape.image}"
    kinds: dict[str, tuple[type[PodctlError], str]] = {
        "criteria": (
            VerificationFailed,
            f"correct the criteria, then podctl judge {stage} (no cost); podctl take {run} copies "
            "its "
            f"files into the project; podctl logs {stage}",
        ),
        "no-capacity": (
            NoCapacity,
            f"podctl run {stage} --wait 6h asks again until there is; podctl gpus; "
            "widen hardware.gpus",
        ),
        "refused": (Refused, "podctl doctor"),
        "not-sent": (PodctlError, f"podctl plan {stage} --files; .podctlignore leaves out"),
        "bad-hosts": (
            PodctlError,
            f"podctl run {stage} rents another pod, with its own worst case",
        ),
        "bad-image": (Refused, BAD_IMAGE),
        "no-sshd": (PodctlError, NO_SSHD),
        "stopped": (PodctlError, f"podctl run {stage}"),
        SUPERSEDED: (PodctlError, f"podctl take {run} copies its files into the project"),
        "time-up": (TimeUp, f"podctl run {stage} resumes it, within max_hours and --budget"),
        OVERDUE: (
            ArtifactsNotSafe,
            f"podctl sync {run} starts its pod again only to download the outputs; "
            f"podctl stop {run} --terminate --abandon REASON ends it",
        ),
        "unpulled": (
            ArtifactsNotSafe,
            f"podctl sync {run} starts its pod again only to download the outputs; "
            f"podctl stop {run} --terminate --abandon REASON discards them",
        ),
        "pod-lost": (
            PodctlError,
            f"podctl run {stage} resumes from the downloaded files on another pod",
        ),
        REFUTED: (PodctlError, "podctl doctor explains the result"),
        UNCLEAR: (PodctlError, DRILL),
    }
    files = RunFolder(context.project.run_dir(run)).files
    more = ""
    if received(files):
        step = newest_step(files)
        at = "the downloaded files" if step is None else f"step {step}"
        more = (
            f"; podctl run {stage} resumes from {at}; "
            f"podctl take {run} copies its files into the project"
        )
    plain = f"podctl logs {stage}{more}"
    if outcome == "failed" and (remedy := environment_failure.remedy(why)):
        plain = f"{remedy}; podctl logs {stage}"
    kind, hint = kinds.get(outcome, (PodctlError, plain))
    if line := resting(context):
        hint = f"{hint}\n{line}"
    if "guard" in why and outcome == "refused":
        drill = f"{DRILL} tests it once; " if DRILL in why else ""
        hint = f"{drill}podctl run {stage} --unguarded accepts it"
    last = "" if environment_failure.MARK in why else _last(context, run, outcome)
    what, cause = f"{run}: {_outcome_text(context, run, outcome)}", why + last
    return kind(what, where=folder, cause=cause, hint=hint)


def _outcome_text(context: RunContext, run: str, outcome: str) -> str:
    """The outcome as text; for a job whose time is up, with the step from which it can resume."""
    if outcome != "time-up":
        return outcome
    step = newest_step(RunFolder(context.project.run_dir(run)).files)
    return "time is up" if step is None else f"time is up at step {step}"


def _last(context: RunContext, run: str, outcome: str) -> str:
    """What the job wrote last, where it is the job that failed."""
    if outcome not in OF_THE_JOB:
        return ""
    words = last_words(tail_of(context.project.job_log(run)))
    words = words if len(words) <= LAST_LINE else f"{words[:LAST_LINE]}…"
    return f"\nthe job's last line: {words}" if words else ""
