"""The preview behind `podctl plan`: what a run would do and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.costs.offer_choice import Funds
from controller.costs.pricing import NOTHING_RESERVED, Budget, Reserved
from controller.errors import NoCapacity, UsageError
from controller.leases.quote import Quote, quote
from controller.leases.send_ahead import LEAST_BYTES
from controller.locks.certificate import Certificate
from controller.planner import pod_spec as order
from controller.planner.pod_spec import Shape
from controller.planner.policy import Policy
from controller.preflight import hardware as hardware_check
from controller.preflight import pins
from controller.preflight.obstacles import Findings, examine, unmade_inputs, unmet_needs
from controller.preflight.program import command_text
from controller.preflight.stage_expectation import expectation_of
from controller.preflight.volume_place import at_volume
from controller.project import consent
from controller.project.installer_settings import applies, settings_of
from controller.project.pod_settings import shape_of
from controller.project.project import Project
from controller.project.provider import base_url
from controller.project.stages import Missing
from controller.providers.base import Provider
from controller.providers.offers import Rejection, rejections
from jobs.builtin_program import program
from jobs.launch import command_line, idle_gpus

if TYPE_CHECKING:
    from controller.project.config import PodSection
    from jobs.stage import Stage


@dataclass(frozen=True)
class Upload:
    """What one stage would upload."""

    stage: str
    files: int
    bytes: int
    bytes_there: int = 0  # of them on the network volume, as far as it is known here
    environment_of: str = ""  # the run that made the environment there
    bytes_ahead: int = 0  # of them sent to the network volume before renting


@dataclass(frozen=True)
class RunPreview:
    """Stages that would share one pod."""

    stages: tuple[str, ...]
    commands: tuple[str, ...]  # the user's own, or with own variables, as one would type them
    image: str
    disk_gb: int
    volume_gb: int
    on_success: str
    on_failure: str
    locked: tuple[str, ...]
    needs: tuple[str, ...]  # stages that must be locked before, and are not
    missing: tuple[Missing, ...]  # inputs that nobody in this plan makes
    found: Findings  # whatever else is in the way, and what is worth knowing
    hours: float
    max_hours: float
    gpu_memory_gb: int  # that one GPU must have; 0: any will do
    min_cuda: str | None  # that the host's driver must support; None: any
    understood: tuple[str, ...]  # what words for hardware were taken as
    models: dict[str, str]  # of the hub → the commit that would be loaded
    remarks: tuple[str, ...]  # what is pinned to nothing
    unfit: str  # which conditions leave nothing of the catalog; empty: something fits
    guard_hours: float  # the dead-man switch ends the pod at the latest after so long
    quote: Quote | None  # None when nothing in the catalog is accepted
    rejected: tuple[Rejection, ...]
    refusal: str  # why it would not be rented: budget or balance; empty: it would
    balance_usd: float | None
    uploads: tuple[Upload, ...] = ()
    secrets: str = ""  # that its jobs get, with the stages that ask for them

    @property
    def ready(self) -> bool:
        hindered = self.locked or self.found.obstacles or self.refusal
        return not hindered and bool(self.quote)


def previews(
    project: Project,
    provider: Provider,
    stages: Sequence[Stage],
    locks: dict[str, Certificate],
    spent_usd: float,
    reserved: Reserved = NOTHING_RESERVED,
) -> tuple[RunPreview, ...]:
    """One preview for each pod; `reserved` is what open leases may still cost.

    Raises: UsageError for unknown hardware; ProviderError.
    """
    passed: set[str] = set()
    budgets = project.budgets()
    budget = Budget(budgets.project_usd, budgets.run_usd)
    funds = Funds(budget, spent_usd, provider.account().balance_usd, reserved)
    groups = order.groups(stages)
    examined = []
    for group in groups:
        ahead = tuple(stage for stage in group if stage.name not in locks)
        findings = examine(project, ahead, locks, frozenset(passed))
        passed |= {stage.name for stage in group}
        needs = dict.fromkeys(n for one in group for n in unmet_needs(project, one, locks, passed))
        missing = tuple(m for one in group for m in unmade_inputs(project, one, passed))
        examined.append((findings, tuple(needs), missing))
    try:
        return tuple(
            _preview(project, provider, group, locks, funds, missing, needs, findings)
            for group, (findings, needs, missing) in zip(groups, examined, strict=True)
        )
    except UsageError:  # unknown hardware; `podctl run` checks that last
        for findings, _, _ in examined:
            if findings.obstacles:
                raise findings.obstacles[0].error from None
        raise


def _preview(
    project: Project,
    provider: Provider,
    group: Sequence[Stage],
    locks: dict[str, Certificate],
    funds: Funds,
    missing: tuple[Missing, ...],
    needs: tuple[str, ...],
    found: Findings,
) -> RunPreview:
    pod = project.config.pod
    shape = at_volume(provider, group, order.with_image(shape_of(project), group))
    policy = Policy(boot=pod.boot_minutes * 60.0)
    understood: tuple[str, ...] = ()
    offered, unfit = None, ""
    try:
        understood = hardware_check.check(project, provider, group, shape)
        expected = expectation_of(project, group, shape)
        offered = quote(provider, group, shape, policy, funds, expectation=expected)
    except NoCapacity as error:
        unfit = error.cause
    need = order.hardware(group, shape)
    models, remarks = pins.pinned_models(project, group, locks)
    return RunPreview(
        stages=tuple(stage.name for stage in group),
        commands=tuple(
            command_text(command_line(one), one.env)
            for one in group
            if program(one) is None or one.env
        ),
        image=shape.image,
        disk_gb=shape.disk_gb or max(stage.hardware.disk_gb for stage in group),
        volume_gb=order.volume_gb(group, shape),
        on_success=pod.on_success,
        on_failure=_on_failure(pod),
        locked=tuple(stage.name for stage in group if stage.name in locks),
        needs=needs,
        missing=missing,
        found=found,
        hours=offered.hours if offered else sum(stage.hours for stage in group),
        max_hours=sum(stage.max_hours for stage in group),
        gpu_memory_gb=need.min_gpu_memory_gb,
        min_cuda=need.min_cuda,
        understood=understood,
        models=models,
        remarks=(
            *remarks,
            *pins.unhashed(project, group),
            *_settings(project, group),
            *_ports(group),
            *(_idle(stage) for stage in group if idle_gpus(stage)),
        ),
        unfit=unfit,
        guard_hours=order.guard_limits(group, shape, policy.boot).hard_cap / 3600.0,
        quote=offered,
        rejected=(*(offered.dropped if offered else ()), *rejections(provider.catalog(), need)),
        refusal=offered.refusal if offered else "",
        balance_usd=funds.balance_usd,
        uploads=tuple(_upload(project, stage, shape) for stage in group),
        secrets=consent.given(group),
    )


def _ports(group: Sequence[Stage]) -> Iterator[str]:
    if ports := group[0].ports:
        yield f"exposes {', '.join(ports)} to anyone who knows the address; podctl forward does not"


def _idle(stage: Stage) -> str:
    count = stage.hardware.gpu_count
    return (
        f"{stage.name} pays for {count} GPUs: its command must use all of them itself, or "
        'launch = "torchrun" starts one process a GPU'
    )


def _on_failure(pod: PodSection) -> str:
    wish, warm = pod.on_failure, pod.keep_warm_minutes
    return wish if not warm or wish == "keep" else f"warm for {warm:g} min, then {wish}"


def _settings(project: Project, group: Sequence[Stage]) -> Iterator[str]:
    """What of this machine's settings the environments would be installed with."""
    if not any(applies(stage.environment) for stage in group):
        return
    emulated = order.is_emulated(base_url(project))
    yield from settings_of(project.root, group, emulated=emulated).lines()


def _upload(project: Project, stage: Stage, shape: Shape) -> Upload:
    from controller.preflight import volume_contents
    from controller.preflight.upload_preview import sending

    sent = sending(project, stage)
    runs = volume_contents.sent_to(project, shape.network_volume_id)
    present = volume_contents.there(runs, sent.found.files)
    there = sum(sent.files[path] for path in present)
    made = volume_contents.environment_of(project, runs, shape, stage)
    missing = {path: size for path, size in sent.files.items() if path not in set(present)}
    ahead = sum(size for size in missing.values() if size >= LEAST_BYTES)
    if project.config.pod.send != "volume":
        ahead = 0
    return Upload(stage.name, len(sent.files), sent.bytes, there, made, ahead)
