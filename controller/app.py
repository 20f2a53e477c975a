"""What `podctl run`, `sync` and `stop` do: open leases, drive them, say how they ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from controller import certificate, order
from controller.books import LeaseBooks
from controller.clock import SystemClock
from controller.cloud import base_url, open_provider
from controller.deliver import secrets_of
from controller.errors import (
    BudgetRefused,
    Busy,
    Detached,
    Locked,
    NoCapacity,
    NotFound,
    PodctlError,
    Refused,
    VerificationFailed,
)
from controller.forecast import Quote, check_budget, quote
from controller.hostkeys import ensure_key
from controller.link import Link
from controller.loop import drive
from controller.observe import Eyes
from controller.observed import Observed
from controller.options import RunOptions, StopOptions
from controller.order import Shape
from controller.outcome import left, report
from controller.perform import Hands
from controller.plan import Action, Leave, Policy
from controller.progress_page import refresh
from controller.project import Project
from controller.providers import Provider
from controller.rental import Step, fold
from controller.scene import Scene, pinned, unpinned
from controller.stages import ALL, maker_of, missing_inputs, select
from controller.terminal import Terminal
from controller.view import View
from jobs.stage import Stage
from state.database import installation
from state.errors import OwnedElsewhere
from state.journal import Journal, Lease
from state.ledger import Ledger
from state.locks import Locks
from state.owner import Owner, acquire
from state.sightings import Sightings


def run_stages(project: Project, names: Sequence[str], options: RunOptions) -> None:
    """Run the stages in order, each to its lock. Returns only when every one passed.

    A lease that was left unfinished for one of them is carried on, not rented again.
    """
    stages = _unlocked(project, select(project, names), every=ALL in names)
    desk = Desk.of(project, options.terminal)
    with desk.owned(f"run {' '.join(names)}") as office:
        carried = {run for lease in office.unfinished() for run in office.stages_of(lease)}
        for lease in office.unfinished():
            if any(stage.name in office.stages_of(lease) for stage in stages):
                office.drive(lease, options)
        rest = [stage for stage in stages if stage.name not in carried]
        _check_ready(project, rest)
        for group in order.groups(rest):
            lease = office.open(group, options)
            office.drive(lease, options)


def sync(project: Project, options: RunOptions) -> None:
    """Carry every unfinished lease on: pull, verify, lock, shut down."""
    desk = Desk.of(project, options.terminal)
    with desk.owned("sync") as office:
        leases = [
            lease
            for lease in office.unfinished()
            if not options.stages or set(options.stages) & set(office.stages_of(lease))
        ]
        if not leases:
            options.terminal.say("nothing is unfinished")
        failed: PodctlError | None = None
        for lease in leases:
            try:
                office.drive(lease, options)
            except PodctlError as error:
                failed = failed or error
                options.terminal.warn(error.what)
        refresh(project, office.journal, office.ledger)
        if failed:
            raise failed


def stop(project: Project, stage: str | None, options: StopOptions) -> None:
    """End leases early, pulling first. A lease that another podctl drives is told to end."""
    desk = Desk.of(project, options.terminal)
    with desk.owned("stop", wait_seconds=0.0) as office:
        leases = [
            lease
            for lease in office.journal.open_leases()
            if stage is None or stage in office.stages_of(lease) or stage == lease.id
        ]
        if not leases:
            raise NotFound("nothing to stop", hint="podctl status; podctl gc")
        for lease in leases:
            wish = {"disposal": _disposal(project, options), "abandon": options.abandon}
            office.journal.note(lease.id, Step.STOP, wish)
            office.drive(lease, RunOptions(options.terminal, yes=options.yes), ending=True)


def _disposal(project: Project, options: StopOptions) -> str:
    if options.terminate or options.abandon:
        return "terminate"
    policy = project.config.pod.on_failure
    return "park" if policy == "keep" else policy


# -- before anything is rented ---------------------------------------------------------------


def _unlocked(project: Project, stages: Sequence[Stage], *, every: bool) -> tuple[Stage, ...]:
    """The stages that may run. A locked one is refused; `all` passes over it."""
    locks = certificate.read_all(project.root)
    done = [stage for stage in stages if stage.name in locks]
    if done and (not every or len(done) == len(stages)):
        raise _locked(locks[done[0].name], done[0])
    return tuple(stage for stage in stages if stage.name not in locks)


def _locked(lock: certificate.Certificate, stage: Stage) -> Locked:
    from controller.plan_page import moment

    rate = lock.cost.usd / lock.cost.hours if lock.cost.hours else lock.cost.usd_per_hour
    return Locked(
        f"{stage.name} passed and is locked since {moment(lock.locked_at)}",
        where=f"locks/{stage.name}.json",
        cause=f"it cost ${lock.cost.usd:.2f} in {lock.cost.hours:.2f} h; "
        f"a re-run would cost about ${stage.hours * rate:.2f}",
        hint=f"podctl unlock {stage.name} --reason …, if it must be run again",
    )


def _check_ready(project: Project, stages: Sequence[Stage]) -> None:
    """Every need is locked or comes earlier in this run; every input is here or will be."""
    locks = certificate.read_all(project.root)
    coming: set[str] = set()
    for stage in stages:
        for need in stage.needs:
            if need not in locks and need not in coming and not _inputs_here(project, stage, need):
                raise NotFound(
                    f"{stage.name} needs {need}, which is not locked",
                    where=str(project.file),
                    hint=f"podctl run {need} {stage.name}",
                )
        secrets_of(stage)
        for missing in missing_inputs(project, stage):
            if missing.made_by not in coming:
                maker = f"{missing.made_by} makes it" if missing.made_by else "no stage makes it"
                first = f"podctl run {missing.made_by}" if missing.made_by else "put it there"
                raise NotFound(
                    f"{stage.name}: the input {missing.path} is missing",
                    where=str(project.root),
                    cause=maker,
                    hint=first,
                )
        coming.add(stage.name)


def _inputs_here(project: Project, stage: Stage, need: str) -> bool:
    """A needed stage may be stood in for by its outputs, put there by the user."""
    from_need = [path for path in stage.inputs if maker_of(project, path) == need]
    return bool(from_need) and all((project.root / path).exists() for path in from_need)


# -- driving ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Desk:
    """What a command works with before it owns the project."""

    project: Project
    provider: Provider
    terminal: Terminal
    shape: Shape

    @classmethod
    def of(cls, project: Project, terminal: Terminal) -> Desk:
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
    def owned(self, what: str, wait_seconds: float = 0.0) -> Iterator[Office]:
        """Become the one who drives this project, or say who does."""
        self.project.prepare()
        try:
            owner = acquire(self.project.state_dir, what, wait_seconds)
        except OwnedElsewhere as error:
            raise Busy(error.what, where=str(self.project.state_dir), hint=error.hint) from error
        with owner:
            ensure_key(self.project.state_dir)
            yield Office.of(self, owner)


@dataclass(frozen=True)
class Office:
    """What a command works with while it owns the project."""

    desk: Desk
    owner: Owner
    journal: Journal
    ledger: Ledger

    @classmethod
    def of(cls, desk: Desk, owner: Owner) -> Office:
        connection = owner.connection
        return cls(desk, owner, Journal(connection, owner.epoch), Ledger(connection, owner.epoch))

    def stages_of(self, lease: Lease) -> tuple[str, ...]:
        return tuple(run.stage for run in self.journal.runs(lease=lease.id))

    def unfinished(self) -> tuple[Lease, ...]:
        """Open leases that have something left to do; parked ones wait for the user."""
        return tuple(lease for lease in self.journal.open_leases() if not self._resting(lease))

    def _resting(self, lease: Lease) -> bool:
        runs = [(run.id, run.stage) for run in self.journal.runs(lease=lease.id)]
        rental = fold(lease.id, runs, self.journal.ops(lease.id))
        kept = lease.data.get("on_success") == "keep" and not rental.debts
        return rental.current is None and not rental.stop and (rental.parked or kept)

    def open(self, stages: Sequence[Stage], options: RunOptions) -> Lease:
        """Price it, check it against budget and balance, ask, and write the lease down."""
        desk = self.desk
        offered = quote(desk.provider, stages, desk.shape, self._policy({}))
        check_budget(desk.project, desk.provider, offered, self.ledger, options.budget_usd)
        self._agree(stages, offered, options)
        pod = desk.project.config.pod
        budgets = desk.project.budgets()
        lease = self.journal.open_lease(
            {
                "cap_usd": options.budget_usd or budgets.run_usd,
                "on_success": options.disposal or pod.on_success,
                "on_failure": pod.on_failure,
                "settle": pod.settle_seconds,
                "boot": pod.boot_minutes * 60.0,
                "provider": desk.provider.name,
            }
        )
        for stage in stages:
            self.journal.open_run(lease, stage.name, pinned(stage, desk.shape))
        found = self.journal.lease(lease)
        assert found is not None
        return found

    def _agree(self, stages: Sequence[Stage], offered: Quote, options: RunOptions) -> None:
        terminal = self.desk.terminal
        for line in offered.lines(stages):
            terminal.say(line)
        if options.yes:
            return
        if not terminal.confirm("Rent it?", "-y"):
            raise Refused("not rented", hint="podctl plan shows the price beforehand")

    def drive(self, lease: Lease, options: RunOptions, *, ending: bool = False) -> None:
        """Carry `lease` to its end. Returns when every run passed; raises what else happened.

        With `ending` the end itself is what was asked for, whatever became of the runs.
        """
        scene = self._scene(lease, options)
        books = LeaseBooks(lease.id, self.journal, self.ledger, scene.clock)
        hands = Hands(scene, Eyes(scene))
        view = View(options.terminal, scene.clock)
        scene = replace(scene, tell=view.tell)
        hands.scene = scene
        watch = _watch(self.desk.project, self.journal, self.ledger, view, options)
        try:
            end = drive(hands, books, scene.policy, scene.clock, watch)
        except KeyboardInterrupt:
            raise left(scene) from None
        finally:
            scene.link.drop()
            refresh(self.desk.project, self.journal, self.ledger)
        if isinstance(end, Leave):
            raise report(scene, end)
        if not ending:
            _conclude(scene)

    def _scene(self, lease: Lease, options: RunOptions) -> Scene:
        runs = self.journal.runs(lease=lease.id)
        specs = {run.id: unpinned(run.spec) for run in runs}
        desk, clock = self.desk, SystemClock()
        shape = replace(next(iter(specs.values()))[1], api_base=desk.shape.api_base)
        connection = self.owner.connection
        return Scene(
            project=desk.project,
            lease=lease.id,
            stages={run: stage for run, (stage, _) in specs.items()},
            shape=shape,
            policy=self._policy(lease.data),
            provider=desk.provider,
            link=Link(desk.project, desk.provider, runs[0].stage),
            journal=self.journal,
            ledger=self.ledger,
            locks=Locks(connection, self.owner.epoch),
            sightings=Sightings(connection),
            clock=clock,
            owner=installation(connection),
            cap_usd=lease.data.get("cap_usd"),
            accept_unguarded=_unguarded(options),
        )

    def _policy(self, data: dict[str, object]) -> Policy:
        pod = self.desk.project.config.pod
        policy = Policy(
            settle=float(str(data.get("settle", pod.settle_seconds))),
            boot=float(str(data.get("boot", pod.boot_minutes * 60.0))),
            on_success=str(data.get("on_success", pod.on_success)),
            on_failure=str(data.get("on_failure", pod.on_failure)),
        )
        if self.desk.provider.name == "emulator":
            return replace(policy, poll=1.0, poll_boot=0.3, ask_again=2.0)
        return policy


def _conclude(scene: Scene) -> None:
    """Raise for the first run that did not pass."""
    for run in scene.rental().runs:
        if run.outcome != "passed":
            raise _failure(scene, run.run, run.outcome or "open", run.why)


def _unguarded(options: RunOptions) -> Callable[[str], bool]:
    def accept(detail: str) -> bool:
        if options.unguarded:
            return True
        question = f"The guard is not armed ({detail}): the worst case is not bounded. Go on?"
        try:
            return options.terminal.confirm(question, "--unguarded")
        except PodctlError as error:
            options.terminal.warn(f"{error.what} {error.hint}")
            return False

    return accept


def _watch(
    project: Project, journal: Journal, ledger: Ledger, view: View, options: RunOptions
) -> Callable[[Observed, Action], None]:
    """The view, STATUS.md after what changes it, and the end of a detached command's patience."""
    from controller import plan

    def watch(seen: Observed, action: Action) -> None:
        view(seen, action)
        if isinstance(action, plan.Upload | plan.Pull | plan.Close | plan.Terminate):
            refresh(project, journal, ledger)
        status = seen.contact.status if seen.contact else None
        if options.detach and status is not None and status.state == "running":
            raise KeyboardInterrupt

    return watch


def _failure(scene: Scene, run: str, outcome: str, why: str) -> PodctlError:
    """The error of a run that did not pass, with the next command."""
    stage = scene.stages[run].name
    folder = str(scene.project.run_dir(run))
    kinds: dict[str, tuple[type[PodctlError], str]] = {
        "criteria": (VerificationFailed, f"podctl status {stage}; podctl logs {stage}"),
        "no-capacity": (NoCapacity, "podctl gpus; widen hardware.gpus, or try again later"),
        "refused": (Refused, "podctl doctor"),
        "stopped": (PodctlError, f"podctl run {stage}"),
    }
    kind, hint = kinds.get(outcome, (PodctlError, f"podctl logs {stage}"))
    if "budget" in why:
        kind, hint = BudgetRefused, "raise budget.run_usd, or lower the stage's hours"
    return kind(f"{run}: {outcome}", where=folder, cause=why, hint=hint)


__all__ = ["Detached", "run_stages", "stop", "sync"]
