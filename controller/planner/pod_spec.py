"""Specifications of a stage's pod and job, and its guard's limits. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from urllib.parse import urlsplit

from controller.planner import cuda
from controller.planner.gpu_memory import needed_gb
from controller.providers.base import Hardware, Offer, PodSpec
from controller.providers.hardware_names import data_center
from jobs.launch import command_line
from jobs.stage import EnvironmentNeed, Stage
from remote import contract
from remote.contract import Environment, GuardLimits, JobSpec, Preflight

# The modules of the training stack, in the order in which they are checked.
TRAINING = (
    "torch", "transformers", "trl", "peft", "datasets", "accelerate",
    "scipy", "statsmodels",
)  # fmt: skip
LOCK = ".podctl/requirements.lock"  # inside the work folder
PARAMETERS = ".podctl/parameters.json"
MODELS = contract.MODELS  # beside it
HARD_CAP_SLACK = 7200.0  # seconds beside the jobs' budgets: boots, uploads, pulls
GUARD_SLACK = 30.0  # seconds by which podctl's own end of a warm pod comes before its guard's
GRACE = 1800.0  # seconds after a job's end to fetch its files, if a volume survives the stop
GRACE_BARE = 6 * 3600.0  # if none does and the stop wipes the only copy
MAX_NAME = 60  # largest length of a pod's name


@dataclass(frozen=True)
class Shape:
    """The project's settings for pods, which override those of the stages."""

    image: str
    disk_gb: int | None = None
    volume_gb: int | None = None
    network_volume_id: str | None = None
    cloud: str | None = None
    data_centers: tuple[str, ...] = ()
    api_base: str = "https://api.runpod.io"
    mount: str = "/workspace"


def hardware(stages: Sequence[Stage], shape: Shape) -> Hardware:
    """The hardware that stages on one pod accept, with the project's cloud and data centers.

    The memory is the largest estimate among the stages; the driver is what the image needs, unless
    `min_cuda` is set.
    """
    need = stages[0].hardware
    gpu = need.cpu is None
    return Hardware(
        gpus=need.gpus,
        gpu_count=need.gpu_count,
        min_gpu_memory_gb=max(needed_gb(stage) for stage in stages),
        cpu=need.cpu,
        vcpu_count=need.vcpu_count,
        cloud=shape.cloud or need.cloud,
        data_centers=data_centers(stages, shape),
        min_cuda=cuda.floor(need.min_cuda, shape.image) if gpu else None,
        max_usd_per_hour=need.max_usd_per_hour,
    )


def data_centers(stages: Sequence[Stage], shape: Shape) -> tuple[str, ...]:
    """Where the pod may be, by the provider's ids; empty: anywhere."""
    named = shape.data_centers or stages[0].hardware.data_centers
    return tuple(dict.fromkeys(data_center(name) for name in named))


def groups(stages: Sequence[Stage]) -> tuple[tuple[Stage, ...], ...]:
    """Group adjacent stages that accept the same hardware and image, to share a pod."""
    shared: list[list[Stage]] = []
    for stage in stages:
        if shared and _same_pod(shared[-1][-1], stage):
            shared[-1].append(stage)
        else:
            shared.append([stage])
    return tuple(tuple(group) for group in shared)


def _same_pod(one: Stage, other: Stage) -> bool:
    return (one.hardware, one.image, one.ports) == (other.hardware, other.image, other.ports)


def with_image(shape: Shape, stages: Sequence[Stage]) -> Shape:
    """The shape of a pod for `stages`, which share it: their own image is used before the
    project's."""
    return replace(shape, image=stages[0].image or shape.image)


def guard_limits(stages: Sequence[Stage], shape: Shape, boot_grace: float) -> GuardLimits:
    """The guard's limits; its hard cap is the sum of the jobs' budgets, graces and some slack."""
    budget = sum(stage.max_hours * 3600.0 + stage.grace_seconds for stage in stages)
    slack = HARD_CAP_SLACK + len(stages) * (grace_done(stages, shape) - GRACE)
    return GuardLimits(boot_grace=boot_grace, idle=1200.0, hard_cap=budget + slack)


def grace_done(stages: Sequence[Stage], shape: Shape) -> float:
    """Seconds after the job's end until the guard stops a pod that podctl does not visit."""
    return GRACE if outlives_stop(stages, shape) else GRACE_BARE


def outlives_stop(stages: Sequence[Stage], shape: Shape) -> bool:
    """Whether a volume keeps the job's files; a stop wipes the container's disk."""
    return bool(volume_gb(stages, shape) or shape.network_volume_id)


def volume_gb(stages: Sequence[Stage], shape: Shape) -> int:
    """The pod's own volume: none on a CPU pod or beside a network volume."""
    if stages[0].hardware.cpu is not None or shape.network_volume_id is not None:
        return 0
    return shape.volume_gb or max(stage.hardware.volume_gb for stage in stages)


def pod_spec(
    stages: Sequence[Stage],
    offer: Offer,
    shape: Shape,
    *,
    nonce: str,
    owner: str,
    public_key: str,
    args: str,
    limits: GuardLimits,
) -> PodSpec:
    """The create call. Name and environment carry the nonce, by which a lost pod is found."""
    disk = max(stage.hardware.disk_gb for stage in stages)
    first = stages[0]
    return PodSpec(
        name=f"podctl-{first.name}"[: MAX_NAME - len(nonce) - 1] + f"-{nonce}",
        image=shape.image,
        offer=offer,
        args=args,
        env={
            "PUBLIC_KEY": public_key,
            contract.ENV_NONCE: nonce,
            contract.ENV_OWNER: owner,
            contract.ENV_GUARD: json.dumps(asdict(limits), separators=(",", ":")),
            contract.ENV_API_BASE: shape.api_base,
            contract.ENV_MOUNT: shape.mount,
        },
        disk_gb=shape.disk_gb or disk,
        volume_gb=volume_gb(stages, shape),
        mount_path=shape.mount,
        network_volume_id=shape.network_volume_id,
        data_centers=data_centers(stages, shape),
        min_cuda=hardware(stages, shape).min_cuda,
        ports=("22/tcp", *first.ports),
    )


def job_spec(
    stage: Stage, run: str, code: str, *, emulated: bool = False, grace_done: float = GRACE
) -> JobSpec:
    """The specification of one run for the agent. Emulated pods have no GPU to check."""
    training = stage.environment.kind == "training"
    return JobSpec(
        run=run,
        stage=stage.name,
        argv=command_line(stage),
        outputs=stage.outputs,
        code=code,
        env=dict(stage.env),
        max_seconds=stage.max_hours * 3600.0,
        stall_seconds=stage.stall_minutes * 60.0,
        grace_done_seconds=grace_done,
        term_grace_seconds=stage.grace_seconds,
        stray_processes=stage.stray_processes,
        preflight=Preflight(
            imports=stage.environment.imports or (("torch",) if training else ()),
            needs_gpu=stage.hardware.cpu is None and not emulated,
            min_gpu_memory_gb=float(needed_gb(stage)),
            gpus=stage.hardware.gpus,
            gpu_count=stage.hardware.gpu_count,
            min_free_gb=1.0,
        ),
        environment=Environment(
            lock=_lock(stage.environment),
            provides=TRAINING if training else (),
            install=stage.environment.install,
        ),
        secrets=stage.secrets,
    )


def is_emulated(api_base: str) -> bool:
    """Whether the API is on this machine and so is the emulator's."""
    return (urlsplit(api_base).hostname or "") in ("127.0.0.1", "localhost", "::1")


def _lock(need: EnvironmentNeed) -> str | None:
    if need.kind == "training":
        return LOCK
    return need.lock if need.kind == "lock" else None


def models_json(models: Mapping[str, str]) -> bytes:
    """The commits of the hub models that the job loads, as a JSON file."""
    return (json.dumps(models, sort_keys=True, indent=1) + "\n").encode()


def parameters_json(parameters: Mapping[str, object]) -> bytes:
    """The stage's parameters as the JSON file that the job reads."""
    return (json.dumps(parameters, sort_keys=True, indent=1) + "\n").encode()
