"""The journal, the ledger and the locks again, from what exists without the database.

Sources: the provider's pods with our marks and its bill; what each run left in .podctl/runs; the
pod's own records, over SSH; the certificates in locks/. Everything is added, nothing overwritten,
so that it may be done again, and to a database that is sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from controller import actions, certificate, safekeeping
from controller.books import LeaseBooks
from controller.certificate import Certificate
from controller.clock import SystemClock
from controller.cloud import base_url
from controller.doctor import key_words
from controller.errors import ConnectionLost, NotFound, PodctlError
from controller.hindsight import Served, billing_since, post_before, post_gone
from controller.hostkeys import pinned_pods
from controller.link import Link, endpoint_of
from controller.loop import Outcome
from controller.overview import rental_of
from controller.pod_records import runs_on
from controller.project import Project
from controller.prospect import shape_of
from controller.providers import BillingRecord, Pod, PodStatus, Provider, ProviderError
from controller.rental import Step
from controller.run_folder import Order, RunFolder
from controller.scene import pinned
from controller.strays import Stray, Whose, claim, found_lease, sweep
from remote import contract
from remote.contract import FileEntry
from state.journal import RUN, Journal
from state.ledger import Ledger
from state.locks import Locks
from state.owner import Owner

HOUR = 3600.0
NOWHERE: dict[str, object] = {"stage": {}, "shape": {}}  # the pin of a run that left none


@dataclass
class Recovered:
    """What was added, and what could not be."""

    pods: dict[str, list[str]] = field(default_factory=dict)  # pod → the runs it is carried on for
    runs: dict[str, str] = field(default_factory=dict)  # run that is over → outcome
    locks: list[str] = field(default_factory=list)  # stages
    billed: list[str] = field(default_factory=list)  # pods that are gone, booked by the bill
    empty: list[str] = field(default_factory=list)  # pods of ours without any run
    unread: dict[str, str] = field(default_factory=dict)  # pods of ours that cannot be read → why
    others: list[str] = field(default_factory=list)  # podctl's pods that carry another mark and key
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class World:
    """What was asked for before anything is written."""

    pods: tuple[Pod, ...]
    bill: tuple[BillingRecord, ...]
    locks: Mapping[str, Certificate]
    orders: Mapping[str, Order]  # by run, of every run folder that has one
    folders: tuple[str, ...]  # runs that left a folder here


def look(project: Project, provider: Provider) -> World:
    """Raises ProviderError when the provider does not list its pods: then nothing is done."""
    names = [path.name for path in sorted(project.runs.glob("*")) if RUN.fullmatch(path.name)]
    orders = {run: RunFolder(project.run_dir(run)).order() for run in names}
    locks = certificate.read_all(project.root)
    pods = provider.list()
    now = SystemClock().wall()
    times = [pod.created_at for pod in pods if pod.created_at]
    times += [one.started_at for one in locks.values()] + [one.at for one in orders.values() if one]
    try:
        bill = provider.billing(min([now, *times]) - HOUR, now + HOUR)
    except ProviderError:
        bill = ()
    known = {run: order for run, order in orders.items() if order}
    return World(pods, bill, locks, known, tuple(names))


@dataclass
class Recovery:
    """Writes what `world` shows and the database of `owner` lacks."""

    project: Project
    provider: Provider
    owner: Owner
    world: World
    found: Recovered = field(default_factory=Recovered)

    def __post_init__(self) -> None:
        self.journal = Journal(self.owner.connection, self.owner.epoch)
        self.ledger = Ledger(self.owner.connection, self.owner.epoch)
        self.clock = SystemClock()

    def run(self) -> Recovered:
        strays = {one.pod: one for one in sweep(self.owner.connection, self.world.pods)}
        for pod in self.world.pods:
            stray = strays.get(pod.id)
            if stray is not None and not stray.lease and stray.whose is not Whose.FOREIGN:
                self._pod(pod, stray)
        self._past_runs({strays[pod].stage for pod in self.found.unread})
        self._gone_pods()
        for one in self.world.locks.values():
            self._lock(one)
        return self.found

    # -- pods that are there ---------------------------------------------------------------------

    def _pod(self, pod: Pod, stray: Stray) -> None:
        if stray.whose is Whose.OTHER and not self._has_our_key(pod):
            self.found.others.append(pod.id)
            return
        try:
            orders = self._orders_of(pod, stray)
        except PodctlError as error:
            self.found.unread[pod.id] = f"{error.what} {error.cause}".strip()
            return
        rows = {run: self.journal.run(run) for run in orders}
        orders = {run: one for run, one in orders.items() if (row := rows[run]) is None or row.open}
        if not orders:
            self.found.empty.append(pod.id)
            return
        leases = [row.lease for run in orders if (row := rows[run]) is not None]
        self._carry_on(pod, leases[0] if leases else None, orders)

    def _has_our_key(self, pod: Pod) -> bool:
        try:
            ours = key_words(self.project.public_key.read_text())
        except OSError:
            return False
        return bool(ours) and key_words(pod.env.get("PUBLIC_KEY", "")) == ours

    def _orders_of(self, pod: Pod, stray: Stray) -> dict[str, Order]:
        """What runs on `pod`, by the folders here; else by the pod itself. Raises PodctlError."""
        here = {run: one for run, one in self.world.orders.items() if one.pod == pod.id}
        return here or dict(self._told_by(pod, stray))

    def _told_by(self, pod: Pod, stray: Stray) -> Iterator[tuple[str, Order]]:
        endpoint = endpoint_of(pod)
        if endpoint is None:
            raise ConnectionLost(f"it is {pod.status} and cannot be asked")
        link = Link(self.project, self.provider, stray.stage or "import")
        try:
            session = link.reach(pod.id, endpoint)
            layout = session.layout(pod.env.get(contract.ENV_MOUNT) or "/workspace")
            told = runs_on(session, layout)
        finally:
            link.drop()
        if pod.network_volume_id:  # it has what earlier pods left, too
            told = told[-1:]
        for one in told:
            elsewhere = self.world.orders.get(one.run)
            if elsewhere is not None and elsewhere.pod != pod.id:
                continue
            try:
                stage = self.project.stage(one.stage)
            except NotFound:
                self.found.remarks.append(f"{one.run}: podctl.toml has no stage {one.stage}")
                continue
            if (one.argv, one.outputs) != (stage.command, stage.outputs):
                text = f"{one.run}: podctl.toml has another command or other outputs than it was"
                self.found.remarks.append(f"{text} begun with")
            spec = pinned(stage, shape_of(self.project, base_url(self.project)))
            at = min(one.started_at or self.clock.wall(), self.clock.wall())
            yield one.run, Order("", pod.id, one.code, at, spec)

    def _carry_on(self, pod: Pod, lease: str | None, orders: Mapping[str, Order]) -> None:
        config = self.project.config.pod
        if lease is None:
            lease = found_lease(self.journal, self.project, config.on_success, config.on_failure)
        for run, order in orders.items():
            if self.journal.run(run) is None:
                self.journal.restore_run(lease, run, order.spec, order.at)
        rental = rental_of(self.journal, lease)
        claim(self.journal, lease, rental.generation + 1, pod)
        self._book(lease, pod, orders)
        for run, order in orders.items():
            self._replay(lease, pod, run, order)
        self.found.pods[pod.id] = list(orders)

    def _book(self, lease: str, pod: Pod, orders: Mapping[str, Order]) -> None:
        """The pod is this lease's, and bills: from its creation on, for one run after the other."""
        now = self.clock.wall()
        books = LeaseBooks(lease, self.journal, self.ledger, self.clock)
        first, *others = orders.items()
        stage = _stage_of(first[0])
        post_before(self.ledger, pod, Served(stage, first[0], lease), self.world.bill, now)
        bill = {
            "usd_per_hour": pod.usd_per_hour,
            "disk_gb": pod.disk_gb,
            "volume_gb": pod.volume_gb,
            "network_volume": pod.network_volume_id,
            "started_at": billing_since(pod, now),
            "for_run": first[0],
            "stage": stage,
        }
        books.outcome(actions.Adopt(pod.id), Outcome(data=bill))
        for run, order in others:
            self.ledger.attribute(pod.id, run, _stage_of(run), min(order.at, now))
        if pod.status is PodStatus.EXITED:
            parked = {"ended_at": now, "for_run": first[0], "stage": stage}
            parked |= {"volume_gb": pod.volume_gb}
            books.outcome(actions.ConfirmParked(pod.id), Outcome(data=parked))

    def _replay(self, lease: str, pod: Pod, run: str, order: Order) -> None:
        """What certainly was done, and that a job may have been started: its pod is not given up
        before it was asked."""
        facts = next(one for one in rental_of(self.journal, lease).runs if one.run == run)
        if self._passed(run):
            books = LeaseBooks(lease, self.journal, self.ledger, self.clock)
            books.outcome(actions.Finish(run, "passed", "by its certificate"), Outcome())
            return
        if facts.uploaded_to != pod.id:
            intent = self.journal.intent(lease, Step.UPLOAD, run=run)
            self.journal.done(intent, {"pod": pod.id, "code": order.code, "bytes": 0})
        if not facts.started:
            self.journal.intent(lease, Step.START_JOB, run=run)
        if not facts.pulled and (ended := _pulled(RunFolder(self.project.run_dir(run)))):
            self.journal.done(self.journal.intent(lease, Step.PULL, run=run), ended)

    # -- what is over --------------------------------------------------------------------------

    def _passed(self, run: str) -> bool:
        lock = self.world.locks.get(_stage_of(run))
        return lock is not None and lock.run == run

    def _past_runs(self, unread: set[str]) -> None:
        """Runs that only their folder or certificate remembers; their names are not given again.

        Left out are those that may be on a pod which cannot be read yet.
        """
        certified = {one.run for one in self.world.locks.values() if RUN.fullmatch(one.run)}
        names = [
            run
            for run in sorted({*self.world.folders, *certified})
            if self.journal.run(run) is None
            and (self._passed(run) or run in self.world.orders or _stage_of(run) not in unread)
        ]
        if not names:
            return
        lease = self.journal.open_lease({"imported": True})
        for run in names:
            order = self.world.orders.get(run)
            lock = self.world.locks.get(_stage_of(run))
            at = order.at if order else lock.started_at if lock else self.clock.wall()
            self.journal.restore_run(lease, run, order.spec if order else NOWHERE, at)
            self.found.runs[run] = self._outcome(run)
            why = {"why": "by what it left here; its pod is gone"}
            self.journal.finish_run(run, self.found.runs[run], why)
        self.journal.close_lease(lease, "imported")

    def _outcome(self, run: str) -> str:
        if self._passed(run):
            return "passed"
        ended = RunFolder(self.project.run_dir(run)).exit()
        return "failed" if ended is not None and ended.rc != 0 else "pod-lost"

    def _gone_pods(self) -> None:
        """What pods cost that nobody lists any more, where something says that they were ours."""
        known = {pod: Served(stage="import") for pod in pinned_pods(self.project.known_hosts)}
        for one in self.world.locks.values():
            known |= dict.fromkeys(one.cost.pods, Served(one.stage, one.run))
        for run, order in self.world.orders.items():
            known[order.pod] = Served(_stage_of(run), run, order.lease or "import")
        known = {pod: one for pod, one in known.items() if pod not in self._living()}
        self.found.billed += post_gone(self.ledger, known, self.world.bill)

    def _living(self) -> set[str]:
        return {pod.id for pod in self.world.pods if pod.status is not PodStatus.TERMINATED}

    def _lock(self, one: Certificate) -> None:
        locks = Locks(self.owner.connection, self.owner.epoch)
        recorded = locks.current(one.stage)
        if recorded is not None and recorded.certificate == one.sha256:
            return
        if recorded is not None:
            text = "the database records another lock than its certificate"
            self.found.remarks.append(f"{one.stage}: {text}")
            return
        if problems := safekeeping.verify_artifacts(self.project.root, one):
            text = f"{one.stage} is not locked again: {problems[0].path}: {problems[0].what}"
            self.found.remarks.append(text)
            return
        locks.lock(one.stage, one.run, one.sha256)
        self.found.locks.append(one.stage)


def _stage_of(run: str) -> str:
    named = RUN.fullmatch(run)
    assert named is not None
    return named[1]


def _pulled(folder: RunFolder) -> dict[str, object] | None:
    """How the run ended, when its records and every file of its manifest are here."""
    manifest, ended = folder.manifest(), folder.exit()
    if manifest is None or ended is None or not manifest.final:
        return None
    if not all(_whole(folder, entry) for entry in manifest.files):
        return None
    return {"rc": ended.rc, "reason": ended.reason, "manifest_sha256": ended.manifest_sha256}


def _whole(folder: RunFolder, entry: FileEntry) -> bool:
    try:
        found = safekeeping.hash_file(folder.files / entry.path)
    except OSError:
        return False
    return found == (entry.size, entry.sha256)
