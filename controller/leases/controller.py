"""Who drives a project and with what: the desk before, the office while it owns the project."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from controller.agent.connection import PodConnection
from controller.agent.guard_bootstrap import bootstrap
from controller.clock import Clock
from controller.diagnostics.drill import RecordingWorld
from controller.engine.executor import ActionExecutor
from controller.engine.lease_context import terms, unpinned
from controller.engine.loop import Plan, World, drive
from controller.engine.observer import Observer
from controller.engine.recorder import LeaseRecorder
from controller.errors import Busy, PodctlError
from controller.incident import Incident, attempt
from controller.leases.config_drift import check_provider
from controller.leases.lease_policy import lease_policy, proven, with_stages
from controller.leases.options import RunOptions
from controller.leases.outcome import left, raise_unless_passed, report
from controller.leases.progress import View
from controller.leases.stop_report import check_ended
from controller.leases.stop_requests import Attentive
from controller.orphans.force_terminate import ForcedTermination
from controller.planner import actions
from controller.planner.actions import Action, NeedsOperator
from controller.planner.decide import decide
from controller.planner.journal_fold import fold
from controller.planner.lease_state import LeaseState
from controller.planner.observation import Observation
from controller.planner.pod_spec import Shape
from controller.planner.policy import Policy
from controller.project.project import Project
from controller.project.provider import base_url, open_provider
from controller.providers.base import Provider
from controller.providers.clock import provider_clock
from controller.runtime.run_context import RunContext
from controller.runtime.ssh_runtime import SshJobRuntime
from controller.ssh.host_keys import ensure_key
from controller.status.write_status_page import refresh
from controller.terminal.terminal import Terminal
from jobs.stage import Stage
from remote.contract import GuardLimits
from state.contention import Contention, be_patient, hurry
from state.database import installation
from state.errors import OwnedElsewhere
from state.journal import Journal, Lease
from state.last_seen import LastSeen
from state.ledger import Ledger
from state.locks import Locks, StageLock
from state.project_lock import ProjectLock, acquire
from state.stop_requests import StopRequests

ANSWER_SECONDS = 120.0  # for a question while a pod bills that nothing stops


@dataclass(frozen=True)
class CommandContext:
    """What a command works with before it owns the project."""

    project: Project
    provider: Provider
    terminal: Terminal
    shape: Shape

    @classmethod
    def of(cls, project: Project, terminal: Terminal) -> CommandContext:
        pod = project.config.pod
        shape = Shape(
            image=pod.image,
            disk_gb=pod.disk_gb,
            volume_gb=pod.volume_gb,
            network_volume_id=pod.network_volume_id,
            cloud=pod.cloud,
            data_centers=pod.data_centers,
            api_base=base_url(project),
        )
        return cls(project, open_provider(project), terminal, shape)

    @contextmanager
    def owned(self, what: str, wait_seconds: float = 0.0) -> Iterator[LeaseController]:
        """Become the one who drives this project, or say who does."""
        self.terminal.bills.drive(self.project.database)
        self.project.prepare()
        patience = Contention(self._waits)
        try:
            owner = patience.outlast(partial(acquire, self.project.state_dir, what, wait_seconds))
        except OwnedElsewhere as error:
            raise Busy(error.what, where=str(self.project.state_dir), hint=error.hint) from error
        with owner:
            be_patient(owner.connection, patience)
            if owner.moved_from:
                self.terminal.warn(
                    f"this project was driven on {owner.moved_from} before: while a podctl still "
                    "runs there, each pod goes to the one that came last"
                )
            ensure_key(self.project.state_dir)
            yield LeaseController.of(self, owner)

    def _waits(self, why: str) -> None:
        """The state cannot be had for now: pods bill meanwhile."""
        told = self.terminal.bills.words()
        self.terminal.warn(f"{why}; {told}" if told else why)


@dataclass(frozen=True)
class LeaseController:
    """What a command works with while it owns the project."""

    context: CommandContext
    owner: ProjectLock
    journal: Journal
    ledger: Ledger

    @classmethod
    def of(cls, context: CommandContext, owner: ProjectLock) -> LeaseController:
        connection = owner.connection
        return cls(
            context, owner, Journal(connection, owner.epoch), Ledger(connection, owner.epoch)
        )

    def stages_of(self, lease: Lease) -> tuple[str, ...]:
        return tuple(run.stage for run in self.journal.runs(lease=lease.id))

    def begun(self, lease: Lease) -> tuple[Stage, ...]:
        """The stages of a lease as they were when it was opened."""
        return tuple(unpinned(run.spec)[0] for run in self.journal.runs(lease=lease.id))

    def names_of(self, lease: Lease) -> set[str]:
        """Everything that a user may call the lease by: itself, its stages, runs and pods."""
        return set(self._rental(lease).names)

    def locks(self) -> dict[str, StageLock]:
        """The locks in force by the database's record."""
        return {lock.stage: lock for lock in Locks(self.owner.connection).all()}

    def tell_resting(self) -> None:
        """Pods that wait for the user, and what they or their disks cost."""
        for lease in self.journal.open_leases():
            lease_state = self._rental(lease)
            if (
                not self._rests(lease, lease_state)
                or lease_state.pod is None
                or not lease_state.runs
            ):
                continue
            rate = sum(
                one.usd_per_hour
                for one in self.ledger.intervals(pod_id=lease_state.pod, open_only=True)
            )
            bills = (
                f"parked: ${24 * rate:.2f} a day" if lease_state.parked else f"kept: ${rate:.2f}/h"
            )
            run, end = lease_state.wanted[0].run, "--terminate"
            if lease_state.unpulled:
                bills += f"; what {', '.join(lease_state.unpulled)} wrote is not all here"
                bills += (
                    f" (podctl sync {lease_state.unpulled[0]} fetches it)"
                    if lease_state.parked
                    else ""
                )
                end += " --abandon REASON"
            self.context.terminal.say(
                f"pod {lease_state.pod} of {run} is {bills}; podctl stop {run} {end} ends it"
            )

    def _rental(self, lease: Lease) -> LeaseState:
        runs = [(run.id, run.stage) for run in self.journal.runs(lease=lease.id)]
        return fold(lease.id, runs, self.journal.ops(lease.id))

    def unfinished(self) -> tuple[Lease, ...]:
        """Open leases that have something left to do; the others wait for the user."""
        resting = {lease.id for lease in self.resting()}
        return tuple(lease for lease in self.journal.open_leases() if lease.id not in resting)

    def resting(self) -> tuple[Lease, ...]:
        """Leases whose pod is parked, or was to go on running, until the user says otherwise."""
        open_leases = self.journal.open_leases()
        return tuple(lease for lease in open_leases if self._rests(lease, self._rental(lease)))

    def _rests(self, lease: Lease, lease_state: LeaseState) -> bool:
        return lease_state.rests(kept=terms(self.journal, lease).get("on_success") == "keep")

    def drive(
        self, lease: Lease, options: RunOptions, *, ending: bool = False, plan: Plan = decide
    ) -> None:
        """Carry `lease` to its end. Returns when every run passed; raises what else happened.

        With `ending` the end itself is what was asked for, whatever became of the runs. Raises
        UsageError for a lease of another provider.
        """
        check_provider(lease, self.context.provider.name)
        terminal = options.terminal
        clock = provider_clock(self.context.provider, options.terminal.warn)
        view = View(options.terminal, clock)
        context = self._workshop(lease, options, clock, view)
        site = SshJobRuntime(context)
        rented = options.terminal.bills.unwritten
        books = LeaseRecorder(lease.id, self.journal, self.ledger, clock, rented)
        watch = _watch(self.context.project, self.journal, self.ledger, view, options)
        requests = StopRequests(self.context.project.state_dir)
        world: World = ActionExecutor(context, site, Observer(context, site))
        world = Attentive(world, requests, self.journal, lease.id, view.tell)
        if context.limits is not None:  # a drill
            world = witness = RecordingWorld(world, context.provider, clock, context.limits)
            plan = witness.decide
        try:
            end = drive(world, books, context.policy, clock, watch, plan)
        except KeyboardInterrupt:
            hurry(self.owner.connection)
            raise left(context) from None
        except BaseException:
            hurry(self.owner.connection)
            raise
        finally:
            attempt(site.drop)
            refresh(self.context.project, self.journal, self.ledger, terminal.warn)
        if isinstance(end, NeedsOperator):
            raise report(context, end)
        if not ending:
            raise_unless_passed(context)

    def force_end(self, lease: Lease, reason: str) -> None:
        """Close `lease` without its plan: its pods go, and the books follow.

        For a lease that its plan cannot end, whatever went wrong. Raises ProviderError, and
        ConnectionLost for a pod that does not go.
        """
        check_provider(lease, self.context.provider.name)
        terminal, provider = self.context.terminal, self.context.provider
        policy = self.policy(terms(self.journal, lease))
        work = ForcedTermination(
            lease.id,
            self.journal,
            self.ledger,
            provider,
            provider_clock(provider, terminal.warn),
            terminal.say,
            terminal.warn,
            settle=policy.settle,
            patience=policy.lost,
            again=policy.ask_again,
            pause=policy.poll_boot,
        )
        try:
            work.carry_out(reason)
        finally:
            refresh(self.context.project, self.journal, self.ledger, terminal.warn)

    def check_ended(self, lease: Lease, wish: str) -> None:
        """Raise ArtifactsNotSafe when a pod that was to be terminated is kept after all."""
        check_ended(self._rental(lease), wish)

    def _workshop(self, lease: Lease, options: RunOptions, clock: Clock, view: View) -> RunContext:
        runs = self.journal.runs(lease=lease.id)
        specs = {run.id: unpinned(run.spec) for run in runs}
        context = self.context
        shape = replace(next(iter(specs.values()))[1], api_base=context.shape.api_base)
        stages = {run: stage for run, (stage, _) in specs.items()}
        agreed = terms(self.journal, lease)
        policy, image = self.policy(agreed, options.budget_usd), shape.image
        connection = self.owner.connection
        return RunContext(
            project=context.project,
            lease=lease.id,
            stages=stages,
            shape=shape,
            policy=proven(
                with_stages(policy, stages.values()), context.project, self.journal, image
            ),
            provider=context.provider,
            link=PodConnection(context.project, context.provider, runs[0].stage),
            journal=self.journal,
            ledger=self.ledger,
            locks=Locks(connection, self.owner.epoch),
            last_seen=LastSeen(connection),
            clock=clock,
            owner=installation(connection),
            public_key=ensure_key(context.project.state_dir).public,
            bootstrap=bootstrap(),
            draw_nonce=partial(secrets.token_hex, 8),
            limits=_limits(lease),
            cap_usd=_cap(agreed.get("cap_usd"), options.budget_usd),
            accept_unguarded=_unguarded(options),
            accept_restart=_rework(options),
            tell=view.tell,
            brought=view.brought,
            stop_asked=lambda: bool(StopRequests(context.project.state_dir).of(lease.id)),
            moved=view.moved,
        )

    def policy(self, data: dict[str, Any], budget_usd: float | None = None) -> Policy:
        return lease_policy(self.context.project, self.context.provider.name, data, budget_usd)


def _cap(opened_with: float | None, now: float | None) -> float | None:
    """US dollars; a budget given now may allow more than the lease was opened with."""
    return opened_with if opened_with is None or now is None else max(opened_with, now)


def _limits(lease: Lease) -> GuardLimits | None:
    """A drill's guard is as impatient as it was opened with."""
    drill = lease.data.get("drill")
    return GuardLimits(**drill["limits"]) if drill else None


def _unguarded(options: RunOptions) -> Callable[[str], bool]:
    def accept(detail: str) -> bool:
        if options.unguarded:
            return True
        question = f"The guard is not armed ({detail}): the worst case is not bounded. Go on?"
        try:  # the pod bills while we ask, and nothing else would stop it
            return options.terminal.confirm(question, "--unguarded", ANSWER_SECONDS)
        except PodctlError as error:
            options.terminal.warn(f"{error.what} {error.hint}")
            return False

    return accept


def _rework(options: RunOptions) -> Callable[[str], bool]:
    def accept(detail: str) -> bool:
        try:
            return options.terminal.confirm(f"{detail}. Rent another pod?", "pod.on_vanished")
        except PodctlError:
            options.terminal.warn(f"{detail}: not asked, so nothing is rented")
            return False

    return accept


def _watch(
    project: Project, journal: Journal, ledger: Ledger, view: View, options: RunOptions
) -> Callable[[Observation, Action], None]:
    """The view, STATUS.md after what changes it, and the end of a detached command's patience."""

    def watch(seen: Observation, action: Action) -> None:
        shown = attempt(partial(view, seen, action))
        if isinstance(shown, Incident):
            options.terminal.warn(f"what goes on cannot be shown: {shown.text}")
        if isinstance(action, actions.Upload | actions.Pull | actions.Close | actions.Terminate):
            refresh(project, journal, ledger, options.terminal.warn)
        status = seen.job.contact.status if seen.job.contact else None
        if options.detach and status is not None and status.state == "running":
            raise KeyboardInterrupt

    return watch
