"""Resolves a name that a user gives to a run, its pod, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.errors import ConnectionLost, NotFound
from controller.project.project import Project
from controller.providers.base import Pod, PodStatus, Provider, ProviderError

if TYPE_CHECKING:
    from controller.agent.client import AgentClient
    from controller.ssh.session import Session
    from state.journal import Journal
    from state.journal_rows import Run

CONNECT_SECONDS = 30.0
MOUNT = "/workspace"
_LIVE = (PodStatus.RUNNING, PodStatus.STARTING, PodStatus.UNKNOWN)


@dataclass(frozen=True)
class Target:
    """A run as the journal knows it. `pod` and `code` are empty before there are any."""

    run: str
    stage: str
    lease: str
    open: bool
    pod: str = ""
    code: str = ""  # sha256 of the remote package on the pod
    outcome: str = ""


def find_target(journal: Journal, name: str | None) -> Target:
    """The run that `name` means: a run, a stage's newest run, a pod's; None: the newest open one.

    Raises: NotFound.
    """
    runs = journal.newest_runs()
    chosen = _meant(journal, runs, name)
    targets = [target_of(journal, run) for run in chosen[-1:]]
    if not targets and name is not None:
        targets = [one for one in _with_pod(journal, runs, name) if one.pod == name]
    if not targets:
        told = f"no run, stage or pod is called {name!r}" if name else "no run yet"
        known = ", ".join(run.id for run in runs[-5:])
        raise NotFound(
            told,
            cause=f"the newest runs are {known}" if known else "nothing was run in this project",
            hint="podctl status" if known else "podctl plan",
        )
    return targets[-1]


def _meant(journal: Journal, runs: Sequence[Run], name: str | None) -> list[Run]:
    """The runs that `name` is the name or the stage of, newest last; None: the unfinished ones."""
    if name is None:
        return [run for run in runs if run.open] or list(runs)
    by_name, newest = journal.run(name), journal.newest_run(name)
    return [run for run in (by_name or newest,) if run is not None]


def _with_pod(journal: Journal, runs: Sequence[Run], pod: str) -> Iterator[Target]:
    """The runs of the leases that paid for `pod`, and those that may not have paid yet."""
    from state.ledger import Ledger

    paid = {interval.lease for interval in Ledger(journal.connection).intervals(pod_id=pod)}
    for lease in sorted(paid | {run.lease for run in runs if run.open}):
        yield from (target_of(journal, run) for run in journal.runs(lease=lease))


def target_of(journal: Journal, run: Run) -> Target:
    """What the journal says about where `run` is."""
    from controller.planner.journal_fold import fold

    siblings = [(item.id, item.stage) for item in journal.runs(lease=run.lease)]
    lease_state = fold(run.lease, siblings, journal.ops(run.lease))
    facts = next(entry for entry in lease_state.runs if entry.run == run.id)
    pod = (
        (lease_state.pod or facts.uploaded_to) if run.open else facts.uploaded_to or lease_state.pod
    )
    return Target(
        run=run.id,
        stage=run.stage,
        lease=run.lease,
        open=run.open,
        pod=pod or "",
        code=facts.code,
        outcome=run.outcome or "",
    )


def pod_of(provider: Provider, target: Target) -> Pod:
    """The target's pod, reachable. Raises NotFound, ConnectionLost, ProviderError."""
    return reachable(look_up(provider, target), target)


def look_up(provider: Provider, target: Target) -> Pod:
    """The target's pod as the provider has it. Raises NotFound, ProviderError."""
    if not target.pod:
        raise NotFound(
            f"{target.run} has no pod",
            cause="none was rented yet" if target.open else "the run is over",
            hint="podctl status",
        )
    pod = provider.get(target.pod)
    if pod is None or pod.status is PodStatus.TERMINATED:
        raise NotFound(
            f"the pod of {target.run} is gone",
            where=target.pod,
            hint=f"podctl logs {target.run} shows the downloaded log",
        )
    return pod


def reachable(pod: Pod, target: Target) -> Pod:
    """`pod`, if it can be connected to. Raises ConnectionLost."""
    if pod.status not in _LIVE or pod.endpoint is None:
        parked = pod.status is PodStatus.EXITED
        raise ConnectionLost(
            f"the pod of {target.run} cannot be reached: it is {pod.status}",
            where=pod.id,
            hint="podctl status; it is stopped" if parked else "wait until it is up: podctl status",
        )
    return pod


def connect(
    project: Project, provider: Provider, pod: Pod, deadline_seconds: float = CONNECT_SECONDS
) -> Session:
    """A connection whose host key and identity were checked. Raises ConnectionLost."""
    from controller.ssh.host_keys import PinnedKeys
    from controller.ssh.pod_identity import connect_verified

    if pod.endpoint is None:
        raise ConnectionLost("the pod has no address yet", where=pod.id, hint="podctl status")
    pins = PinnedKeys(project.known_hosts, pod.id, fingerprints(provider, pod))
    key, nonce = project.private_key, pod.nonce
    return connect_verified(
        pod.endpoint, key, pins, lambda: nonce, deadline_seconds=deadline_seconds
    )


def fingerprints(provider: Provider, pod: Pod) -> tuple[str, ...]:
    """The host keys that the pod's own log names; none where the log is silent or unreadable."""
    from controller.ssh.host_keys import log_fingerprints

    try:
        return log_fingerprints(provider.container_log(pod.id))
    except ProviderError:
        return ()  # then the pin of an earlier connection counts


def agent_of(session: Session, target: Target) -> AgentClient:
    """The agent of the target's pod. Raises NotFound while nothing of the run is there."""
    from controller.agent.client import AgentClient

    if not target.code:
        raise NotFound(f"podctl has not uploaded {target.run} to its pod yet", hint="podctl status")
    return AgentClient(session, session.layout(MOUNT), target.code)
