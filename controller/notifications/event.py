"""Which events of a lease are worth a notification. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.planner import actions
from controller.planner.actions import Action
from controller.planner.job_progress import JobProgress, span
from controller.planner.observation import Observation

UNREACHABLE_SECONDS = 600.0  # without an answer of the pod, after which the run counts as stuck
LONGEST = 500  # characters of a text


@dataclass(frozen=True)
class Event:
    """`key` names it for good: what happened once is sent once."""

    kind: str  # passed | failed | question | stuck | budget
    key: str
    title: str
    text: str


def events_of(
    project: str, observation: Observation, action: Action, pace: JobProgress
) -> Iterator[Event]:
    """The events that an observation and the action chosen for it show; also earlier ones."""
    lease = observation.lease
    for ended in lease.wanted:
        if ended.outcome is not None:
            kind = "passed" if ended.outcome == "passed" else "failed"
            yield _event(project, kind, ended.run, ended.outcome, ended.why)
    match action:
        case actions.NeedsOperator(_, what, hint):
            yield _event(project, "question", lease.lease, what, hint)
        case actions.AskUnguarded(detail):
            yield _event(project, "question", lease.lease, "the guard is not armed", detail)
        case actions.ConfirmRestart(name, why):
            yield _event(project, "question", name, "restart", why)
    run = lease.current
    if run is None or not run.started:
        return
    if observation.over_cap:
        spent = f"${observation.local.spent_usd:.2f} spent; the job saves and is stopped"
        yield _event(project, "budget", run.run, "the budget is used up", spent)
    if observation.unreachable_for > UNREACHABLE_SECONDS:
        text = f"the pod has not answered for {span(observation.unreachable_for)}"
        yield _event(project, "stuck", run.run, f"unreachable on {lease.pod}", text)
    status = observation.job.contact.status if observation.job.contact else None
    steps = pace.steps(status.progress, observation.now) if status is not None else None
    silent = steps.silent(observation.now) if steps is not None else None
    if steps is not None and silent is not None and status is not None:
        what = f"attempt {status.attempt} is at step {steps.step}"
        yield _event(project, "stuck", run.run, what, f"no step for {span(silent)}")


def _event(project: str, kind: str, subject: str, what: str, text: str) -> Event:
    title = f"{project}: {subject} {kind}"
    body = text if what == kind else f"{what}: {text}" if text else what
    return Event(kind, f"{subject} {kind} {what}"[:200], title, (body or what)[:LONGEST])
