"""Restarts a parked pod only to download its outputs; it is then parked again or terminated."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from controller.engine.lease_context import terms
from controller.errors import ArtifactsNotSafe, PodctlError
from controller.incident import NOT_OURS, Incident, attempt
from controller.leases.drive import drive_lease
from controller.leases.options import RunOptions
from controller.leases.project_session import ProjectSession
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import LeaseState, Step
from state.journal_rows import Lease


@dataclass(frozen=True)
class Unfetched:
    """A resting lease of which something is only on its parked pod."""

    lease: Lease
    lease_state: LeaseState

    @property
    def runs(self) -> str:
        return ", ".join(self.lease_state.unpulled)

    def locked_meanwhile(self, locks: Mapping[str, str]) -> str:
        """Why the pod is left stopped, for its start would resume a job; `locks`: stage → run."""
        superseded = self.lease_state.superseded(locks)
        run = next((run for run in self.lease_state.unpulled if run in superseded), None)
        if run is None:
            return ""
        stage = next(facts.stage for facts in self.lease_state.runs if facts.run == run)
        return (
            f"the outputs of {self.runs} stay on pod {self.lease_state.pod}: its start may "
            f"continue {run}, and {stage} is locked by {superseded[run]}; podctl stop {run} "
            f"--terminate --abandon REASON discards them, podctl unlock {stage} --reason REASON "
            "allows the download"
        )

    def question(self) -> str:
        """The question to the user, with purpose and price."""
        lease_state = self.lease_state
        then = "terminated" if lease_state.stop == "terminate" else "parked again"
        rate = lease_state.quoted_usd_per_hour
        price = f"at ${rate:.2f}/h" if rate else "at its price"
        return (
            f"Start pod {lease_state.pod} only to download the outputs of {self.runs}, {price} "
            "until "
            f"they are downloaded, after which it is {then}?"
        )


def unfetched(session: ProjectSession, names: tuple[str, ...]) -> tuple[Unfetched, ...]:
    """Every one, or those that `names` name: by stage, run, lease or pod."""
    found = (Unfetched(one, lease_state_of(session.journal, one.id)) for one in session.resting())
    return tuple(
        one
        for one in found
        if one.lease_state.parked
        and one.lease_state.unpulled
        and (not names or one.lease_state.names & {*names})
    )


def fetch(session: ProjectSession, options: RunOptions) -> PodctlError | None:
    """Ask about each, and fetch; returns the first error.

    Without a terminal, a lease that was not named is not asked about: the command that downloads
    its outputs is shown instead.
    """
    failed: PodctlError | None = None
    locks = {lock.stage: lock.run for lock in session.locks().values() if lock.run}
    for entry in unfetched(session, options.stages):
        if locked := entry.locked_meanwhile(locks):
            options.terminal.say(locked)
            continue
        if not _agreed(entry, options):
            run = entry.lease_state.unpulled[0]
            options.terminal.say(f"podctl sync {run} -y downloads the outputs of {entry.runs}")
            continue
        done = attempt(partial(_fetch, session, entry, options), let_pass=(*NOT_OURS, PodctlError))
        if isinstance(done, Incident):
            done = done.as_error()
        failed = failed or done
    return failed


def _agreed(entry: Unfetched, options: RunOptions) -> bool:
    if options.yes:
        options.terminal.say(entry.question().replace("Start pod", "starting pod").rstrip("?"))
        return True
    if not options.stages and not options.terminal.answers:
        return False
    return options.terminal.confirm(entry.question(), "-y")


def _fetch(session: ProjectSession, entry: Unfetched, options: RunOptions) -> PodctlError | None:
    journal, lease = session.journal, entry.lease.id
    now, agreed = time.time(), terms(journal, entry.lease)
    spent = sum(session.ledger.spent(now, run=run.run) for run in entry.lease_state.runs)
    worst = float(agreed.get("worst_usd") or 0.0)
    more = {"most_usd": spent + 2 * worst} if worst else {}
    journal.note(lease, Step.FETCH, {"runs": list(entry.lease_state.unpulled), **more})
    drive_lease(session, entry.lease, options, ending=True)
    left = lease_state_of(journal, lease)
    if not left.unpulled or left.pod is None:
        return None
    return ArtifactsNotSafe(
        f"pod {left.pod} is parked again: outputs of {', '.join(left.unpulled)} are only on it",
        where=f"lease {lease}",
        cause="; ".join(run.why for run in left.runs if run.run in left.unpulled),
        hint=f"podctl sync {left.unpulled[0]} -y tries again; podctl stop {left.unpulled[0]} "
        "--terminate --abandon REASON discards them",
    )
