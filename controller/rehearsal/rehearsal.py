"""Runs a rehearsal, phase by phase."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from controller.costs.offer_choice import Funds, OfferChoice, choose_offers
from controller.costs.pricing import Budget
from controller.credentials.job_secrets import absent
from controller.errors import Busy, NotFound, PodctlError, UsageError
from controller.leases.quote import worst_cases
from controller.package_extras import install_hint
from controller.planner import pod_spec as order
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import LeaseState
from controller.planner.policy import Policy
from controller.preflight.stage_definition import check_definitions
from controller.project import consent
from controller.project.pod_settings import shape_of
from controller.project.project import Project
from controller.project.stages import declared_inputs, inputs_here
from controller.providers.base import Offer
from controller.providers.offers import ranked, rejections
from controller.rehearsal.emulated_cloud import Cloud, cloud, end_orphan
from controller.rehearsal.report import FAIL, PASS, SKIP, FindingLine, RehearsalReport
from controller.rehearsal.run import RehearsalRun, end
from controller.rehearsal.scratch_project import Scratch, files_of
from controller.rehearsal.upstream import NoUpstream, Upstream
from controller.terminal import formatting
from controller.transfer import snapshot
from controller.transfer.progress import TransferProgress
from jobs.stage import Stage

TRAINING = ("torch", "transformers", "trl", "peft")
PLACEHOLDER = "no-value-in-a-rehearsal"
SLACK_SECONDS = 120.0  # beside the job's own time: boots, uploads, pulls
AFTERWARDS = ("upload", "environment", "start", "save", "kill", "resume", "job", "pull",
              "outputs", "verify", "criteria", "shutdown")  # fmt: skip


@dataclass(frozen=True)
class Rehearsal:
    """Rehearses one stage; `minutes` limits the job."""

    project: Project
    stage: Stage
    minutes: float
    tell: Callable[[str], None] = lambda _: None
    show: Callable[[str, float], None] = lambda _said, _left: None  # podctl's, and seconds left
    moved: Callable[[str, TransferProgress], None] = lambda _what, _progress: None

    def lines(self) -> Generator[FindingLine]:
        """Yield the result of each phase when it is over. Leaves no pod and no process.

        Raises: Busy while another rehearsal runs; UsageError without the training stack.
        """
        self._check_stack()
        self.project.prepare()
        scratch = Scratch.of(self.project)
        with _alone(scratch):
            end_orphan(scratch.cloud)
            scratch.clear()
            failed = False
            with cloud(scratch.cloud) as sky:
                for line in self._phases(scratch, sky):
                    failed = failed or line.status == FAIL
                    yield line
            if not failed:  # else it is looked at
                scratch.clear()

    def _phases(self, scratch: Scratch, cloud: Cloud) -> Iterator[FindingLine]:
        config = self._config()
        yield config
        inputs = self._inputs(scratch)
        yield inputs
        yield self._secrets()
        yield self._hardware(cloud)
        if inputs.status == FAIL:
            yield from (FindingLine(phase, SKIP, "an input is missing") for phase in AFTERWARDS)
            return
        if config.status == FAIL:
            yield from (FindingLine(phase, SKIP, "it would be refused") for phase in AFTERWARDS)
            return
        yield from self._run(scratch, cloud)

    def _config(self) -> FindingLine:
        try:
            check_definitions(self.project, [self.stage])
        except UsageError as error:
            return FindingLine("config", FAIL, _full_text(error), error.hint)
        return FindingLine(
            "config", PASS, f"{self.project.file.name} and {self.stage.name} are sound"
        )

    def _check_stack(self) -> None:
        absent = [name for name in TRAINING if find_spec(name) is None]
        if self.stage.environment.kind == "training" and absent:
            raise UsageError(
                f"{self.stage.name} is rehearsed on this machine, which lacks {', '.join(absent)}",
                hint=install_hint("demo"),
            )

    # -- before anything is rented ---------------------------------------------------------

    def _inputs(self, scratch: Scratch) -> FindingLine:
        """Copy the user's files, and make the outputs of earlier stages."""
        earlier = Upstream(self.project, scratch, self.minutes * 60, self.tell)
        own = earlier.own_inputs(self.stage)
        try:
            reading = partial(self.moved, f"{self.stage.name}: reading the inputs")
            files = files_of(self.project, own, reading)
            scratch.bring(files, self.stage)
            made = [
                f"{path} by {by}"
                for path in declared_inputs(self.project, self.stage)
                if path not in own and (by := earlier.provide_upstream(self.stage, path))
            ]
        except (NotFound, NoUpstream, UsageError) as error:
            return FindingLine("inputs", FAIL, _full_text(error), error.hint)
        scratch.write_config(self.project, self.stage, self.minutes)
        size = sum(file.size for file in files)
        text = f"{formatting.count(len(files), 'file')} of yours, {formatting.size(size)}"
        return FindingLine(
            "inputs", PASS, "; ".join([text, *(f"stood in: {path}" for path in made)])
        )

    def _secrets(self) -> FindingLine:
        upload = self.project.config.upload
        present = inputs_here(self.project, self.stage)
        try:
            snapshot.take(self.project.root, present, upload.include, allow=upload.allowed)
        except snapshot.LikelySecret as error:
            return FindingLine("secrets", FAIL, _full_text(error), error.hint)
        except PodctlError:
            return FindingLine("secrets", SKIP, "the inputs cannot be read")
        missing = absent(self.stage)
        if missing:
            text = f"the job is to have {', '.join(missing)}, which is not set here"
            return FindingLine("secrets", FAIL, text, f"export {missing[0]}=…")
        if held_back := consent.lacking(self.project, [self.stage]):
            text = f"another text stands in for {', '.join(held_back)}: not given to this project"
            return FindingLine(
                "secrets", PASS, f"nothing that would be sent looks like a key; {text}"
            )
        return FindingLine("secrets", PASS, "nothing that would be sent looks like a key")

    def _given(self) -> dict[str, str]:
        """The job's secrets as this process has them, where this project's jobs may know them.

        Another text for the others, and for what is not set here.
        """
        held_back = consent.lacking(self.project, [self.stage])
        values = {
            name: os.environ[name]
            for name in self.stage.secrets
            if name in os.environ and name not in held_back
        }
        return dict.fromkeys((*absent(self.stage), *held_back), PLACEHOLDER) | values

    def _hardware(self, cloud: Cloud) -> FindingLine:
        """The unchanged stage, against the emulator's price list."""
        from controller.providers.factory import Settings, open_provider

        settings = Settings(environ=cloud.environment)
        catalog = open_provider("emulator", settings).catalog()
        need = order.hardware([self.stage], shape_of(self.project))
        accepted = ranked(catalog, need)
        if not accepted:
            nearest = rejections(catalog, need)
            text = nearest[-1].reason if nearest else f"no CPU flavor {need.cpu}"
            return FindingLine(
                "hardware", FAIL, text, "podctl plan --offers; change [stages.….hardware]"
            )
        choice = self._choice(accepted)
        if choice.refusal:
            name = self.stage.name
            return FindingLine(
                "hardware", FAIL, choice.refusal, f"podctl plan {name} shows the sum"
            )
        accepted = choice.offers
        memory = f"about {need.min_gpu_memory_gb} GB" if need.min_gpu_memory_gb else "any size"
        types = formatting.count(len(accepted), "type")
        text = f"{types} will do, {accepted[0].name} the cheapest"
        return FindingLine("hardware", PASS, text if need.cpu else f"needs {memory}; {text}")

    def _choice(self, accepted: Sequence[Offer]) -> OfferChoice:
        """Those that a run may take, by the project's budgets and the emulator's prices."""
        pod, budgets = self.project.config.pod, self.project.budgets()
        policy = Policy(boot=pod.boot_minutes * 60.0)
        worst_of = worst_cases([self.stage], shape_of(self.project), policy)
        funds = Funds(Budget(budgets.project_usd, budgets.run_usd))
        return choose_offers(accepted, worst_of, funds, self.stage.hardware.max_price_ratio)

    # -- the run ---------------------------------------------------------------------------

    def _run(self, scratch: Scratch, cloud: Cloud) -> Iterator[FindingLine]:
        deadline = time.monotonic() + self.minutes * 60 + SLACK_SECONDS
        drive = RehearsalRun(scratch, cloud, self.stage.name, deadline, self.show)
        process = drive.start(self._given())
        try:
            self.tell(f"running it, for at most {self.minutes:g} minutes; log: {scratch.log}")
            kill = drive.interrupt(process)
            ended = drive.finish(process)
        finally:
            end(process)
        lease_state = _rental(scratch.project)
        if lease_state is None:
            text = ": ".join(filter(None, (ended.error.get("what"), ended.error.get("cause"))))
            yield FindingLine(
                "rent", FAIL, text or "podctl run ended at once", ended.error.get("hint", "")
            )
            return
        small = scratch.project.stages[self.stage.name]
        story = RehearsalReport(scratch, small, lease_state, kill, ended)
        yield from story.lines(drive, cloud)


def _rental(project: Project) -> LeaseState | None:
    from state.database import open_database
    from state.journal import Journal

    if not project.database.exists():
        return None
    connection = open_database(project.database, readonly=True)
    try:
        journal = Journal(connection)
        leases = journal.leases()
        return lease_state_of(journal, leases[-1].id) if leases else None
    finally:
        connection.close()


@contextmanager
def _alone(scratch: Scratch) -> Iterator[None]:
    """Hold the lock that allows one rehearsal at a time in a project."""
    scratch.folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(scratch.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Busy(
            "another rehearsal of this project is running", where=str(scratch.folder)
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def _full_text(error: PodctlError) -> str:
    return ": ".join(part for part in (error.what, error.cause) if part)
