"""Starts a parked pod to work on it by hand, and parks it again.

`podctl ssh`, `exec` and `forward` do so after a question. The project lock is held for the start
and for the end only. Meanwhile this process tells the pod's guard every minute that it is there; if
it is killed, the guard stops the pod after its idle limit, and the next podctl does so at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from controller.agent.client import guard_report
from controller.agent.connection import PodConnection, refused
from controller.costs.offer_choice import Funds
from controller.costs.pricing import Budget, WorstCase, worst_case
from controller.engine.lease_context import terms, unpinned
from controller.errors import (
    BudgetRefused,
    Busy,
    ConnectionLost,
    Detached,
    NotFound,
    Refused,
)
from controller.incident import NOT_OURS, Incident, attempt
from controller.leases.drive import drive_lease
from controller.leases.options import RunOptions
from controller.leases.project_session import CommandContext, ProjectSession
from controller.leases.quote import balance_of
from controller.leases.reserved import reserved
from controller.leases.resting_pod import resting_line
from controller.planner import pod_spec as order
from controller.planner.lease_state import LeaseState, Step
from controller.planner.policy import Policy
from controller.planner.visit import plan_visit
from controller.project.project import Project
from controller.providers.base import Endpoint, Pod
from controller.terminal import formatting
from controller.terminal.terminal import Terminal
from state.journal_rows import Lease
from state.visit_lock import is_last, is_visited, visitor

if TYPE_CHECKING:
    from controller.ssh.session import Session

LONGEST_SECONDS = 4 * 3600.0  # after this the guard is no longer told that somebody is there
TELL_SECONDS = 60.0  # between two messages to the guard
END_SECONDS = 30.0  # to wait for another podctl that holds the project lock, at the end
CONNECT_PAUSE = 1.0


@dataclass(frozen=True)
class _Visit:
    """A pod that this process works on by hand; `then` is the disposal at its end."""

    project: Project
    terminal: Terminal
    lease: str
    stage: str
    user: int  # descriptor of the lock that counts the processes that use the pod
    context: CommandContext


@contextmanager
def visited(
    project: Project, terminal: Terminal, lease: str, command: str, *, yes: bool
) -> Iterator[Pod]:
    """The running pod of a resting lease, started if it is parked; parked again afterwards.

    Raises: Refused when the user declines; BudgetRefused; NotFound; ConnectionLost; NoCapacity.
    """
    context = CommandContext.of(project, terminal)
    with ExitStack() as stack:
        with context.owned(command) as session:
            opened = _resting(session, lease)
            state = session.state_of(opened)
            if not state.visiting:
                worst = _agree(session, opened, state, command, yes=yes)
            user = stack.enter_context(visitor(project.state_dir, lease))
            visit = _Visit(project, terminal, lease, state.runs[-1].stage, user, context)
            stack.callback(_finish, visit)
            if not state.visiting:
                spent = _spent(session, state)
                noted = {"most_usd": spent + worst.usd, "then": state.stop or "park"}
                session.journal.note(lease, Step.VISIT, noted)
            drive_lease(session, opened, _quietly(terminal), ending=True, plan=plan_visit)
            pod = _running(session, opened)
            policy = session.policy(terms(session.journal, opened))
        link = PodConnection(project, context.provider, visit.stage)
        stack.callback(link.drop)
        _check_guard(_connected(link, pod, policy, terminal), state, policy, terminal)
        stack.enter_context(_told(link, pod))
        yield pod


def end_visits(session: ProjectSession, options: RunOptions) -> None:
    """Park again every pod whose visitor is gone; says so. A failure is only a warning."""
    for lease in session.resting():
        state = session.state_of(lease)
        if state.visiting and not is_visited(session.context.project.state_dir, lease.id):
            options.terminal.say(
                f"pod {state.pod} was started to work on it by hand, and nobody does any more"
            )
            ended = attempt(
                partial(_park, session, lease, options.terminal), let_pass=(*NOT_OURS, Detached)
            )
            if isinstance(ended, Incident):
                options.terminal.warn(ended.text)


def _resting(session: ProjectSession, name: str) -> Lease:
    lease = session.journal.lease(name)
    if lease is None or not lease.open:
        raise NotFound(f"lease {name} has ended meanwhile", hint="podctl status")
    state = session.state_of(lease)
    if state.current is not None:
        raise ConnectionLost(
            f"pod {state.pod} is stopped, and {state.current.run} has not ended",
            hint=f"podctl sync goes on with it; podctl stop {state.current.run} ends it",
        )
    locks = {lock.stage: lock.run for lock in session.locks().values() if lock.run}
    superseded = state.superseded(locks)
    if run := next((run for run in state.unpulled if run in superseded), None):
        raise Refused(
            f"pod {state.pod} is not started: its start may continue {run}, whose stage is locked "
            f"by {superseded[run]}",
            hint=f"podctl stop {run} --terminate --abandon REASON ends the pod",
        )
    return lease


def _agree(
    session: ProjectSession, lease: Lease, state: LeaseState, command: str, *, yes: bool
) -> WorstCase:
    """Ask the user, with the worst case. Raises BudgetRefused, Refused, UsageError."""
    terminal = session.context.terminal
    worst = _worst(session, lease, state)
    budgets = session.context.project.budgets()
    funds = Funds(
        Budget(budgets.project_usd, None),
        session.ledger.spent(time.time()),
        balance_of(session.context.provider),
        reserved(session.journal, session.ledger, time.time(), besides=lease.id),
    )
    if why := funds.refusal(worst):
        raise BudgetRefused(
            f"pod {state.pod} is not started: {why}", hint="raise the budget or the balance"
        )
    rate = state.quoted_usd_per_hour
    longest = min(LONGEST_SECONDS, state.hard_cap or LONGEST_SECONDS) / 3600.0
    question = (
        f"Start parked pod {state.pod} of {state.wanted[-1].run} for podctl {command}, at "
        f"{f'${rate:.2f}/h' if rate else 'its price'}, and park it again afterwards? Worst case "
        f"{formatting.usd(worst.usd)}: podctl keeps it up for {formatting.span(longest)} "
        f"at most, and without podctl its guard stops it after 20 min"
    )
    if yes:
        terminal.say(question.replace("Start parked", "starting parked").replace("?", ".", 1))
    elif not terminal.confirm(question, "-y"):
        raise Refused("not started", hint=f"podctl sync {state.wanted[-1].run} downloads its files")
    return worst


def _worst(session: ProjectSession, lease: Lease, state: LeaseState) -> WorstCase:
    runs = session.journal.runs(lease=lease.id)
    pinned = [unpinned(run.spec) for run in runs if run.id in {one.run for one in state.wanted}]
    stages, shape = [stage for stage, _ in pinned], pinned[0][1]
    policy = session.policy(terms(session.journal, lease))
    limits = order.guard_limits(stages, shape, policy.boot)
    cap = state.hard_cap or limits.hard_cap
    return worst_case(
        boot_seconds=policy.boot,
        hard_cap_seconds=min(cap, LONGEST_SECONDS + limits.idle),
        usd_per_hour=state.quoted_usd_per_hour * policy.price_tolerance,
        disk_gb=shape.disk_gb or max(stage.hardware.disk_gb for stage in stages),
        volume_gb=order.volume_gb(stages, shape),
    )


def _spent(session: ProjectSession, state: LeaseState) -> float:
    now = time.time()
    return sum(session.ledger.spent(now, run=run.run) for run in state.runs)


def _quietly(terminal: Terminal) -> RunOptions:
    return RunOptions(terminal, yes=True, follow=False)


def _running(session: ProjectSession, lease: Lease) -> Pod:
    """The pod as the provider has it after the start."""
    state = session.state_of(lease)
    pod = session.context.provider.get(state.pod) if state.pod is not None else None
    if pod is None or pod.endpoint is None:
        raise NotFound("the pod is gone", where=f"lease {lease.id}", hint="podctl status")
    return pod


def _connected(link: PodConnection, pod: Pod, policy: Policy, terminal: Terminal) -> Session:
    """A verified connection; waits for the pod's sshd. Raises ConnectionLost."""
    assert pod.endpoint is not None
    until = time.monotonic() + policy.ssh
    while True:
        try:
            return link.connect(pod.id, pod.endpoint)
        except ConnectionLost as error:
            if refused(error) or time.monotonic() > until:
                raise
        terminal.progress(f"waiting for SSH, for up to {until - time.monotonic():.0f} s more")
        time.sleep(CONNECT_PAUSE)


def _check_guard(session: Session, state: LeaseState, policy: Policy, terminal: Terminal) -> None:
    """Wait until the pod's guard is armed. Raises Refused."""
    until = time.monotonic() + policy.guard
    while not state.unguarded:
        guard = guard_report(session)
        if policy.trusts(guard):
            break
        if time.monotonic() > until:
            raise Refused(
                "the pod's guard is not armed, so its bill has no bound",
                cause=guard.detail if guard else "the guard never reported",
                hint="podctl doctor --drill tests it",
            )
        terminal.progress(f"waiting for the guard, for {until - time.monotonic():.0f} s more")
        time.sleep(CONNECT_PAUSE)
    guard_report(session, hold_off=True)


@contextmanager
def _told(link: PodConnection, pod: Pod) -> Iterator[None]:
    """Meanwhile the pod's guard hears every minute that somebody is there."""
    over = threading.Event()
    thread = threading.Thread(target=_tell, args=(link, pod, over.wait), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(TELL_SECONDS)


def _tell(link: PodConnection, pod: Pod, wait: Callable[[float], bool]) -> None:
    assert pod.endpoint is not None
    until = time.monotonic() + LONGEST_SECONDS
    endpoint = pod.endpoint
    while not wait(TELL_SECONDS) and time.monotonic() < until:
        attempt(partial(_tell_guard, link, pod.id, endpoint), let_pass=())


def _tell_guard(link: PodConnection, pod: str, endpoint: Endpoint) -> None:
    guard_report(link.connect(pod, endpoint), hold_off=True)


def _finish(visit: _Visit) -> None:
    """Park the pod again, unless another process uses it; says what bills."""
    try:
        with visit.context.owned("park", wait_seconds=END_SECONDS) as session:
            lease = session.journal.lease(visit.lease)
            if lease is None or not lease.open or not session.state_of(lease).visiting:
                return
            if not is_last(visit.user):
                visit.terminal.say("another podctl still works on the pod: it keeps running")
                return
            _park(session, lease, visit.terminal)
            _say_what_bills(session, lease, visit.terminal)
    except Busy as error:
        visit.terminal.warn(
            f"the pod still runs and bills: {error.what}. Its guard stops it within 20 min; "
            f"podctl stop {visit.lease} parks it when that process has ended"
        )


def _park(session: ProjectSession, lease: Lease, terminal: Terminal) -> None:
    """End the visit: the pod is parked as before, or terminated as the user had asked."""
    then = terms(session.journal, lease).get("then") or "park"
    session.journal.note(lease.id, Step.STOP, {"disposal": then, "abandon": None})
    drive_lease(session, lease, _quietly(terminal), ending=True)


def _say_what_bills(session: ProjectSession, lease: Lease, terminal: Terminal) -> None:
    state = session.state_of(lease)
    if state.pod is None:
        terminal.say(f"the pod of {lease.id} is gone; nothing of it bills")
        return
    line = resting_line(state, session.usd_per_hour(state.pod), time.time())
    terminal.say(line)
    terminal.bills.reported = line
