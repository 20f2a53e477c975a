"""The documents about a run's progress and its end."""

from ..light_dataclasses import dataclass, field
from .codec import SCHEMA
from .guard import GuardReport


@dataclass(frozen=True)
class Attempt:
    run: str
    number: int  # from 1
    boot_id: str  # identifies one boot of the container
    started_at: float  # Unix seconds, the pod's clock
    schema: int = SCHEMA


@dataclass(frozen=True)
class Progress:
    """The job's last reported progress; None for values that it never reported."""

    step: int | None = None
    max_steps: int | None = None
    loss: float | None = None
    text: str | None = None  # e.g. "importing torch", for phases without steps
    source: str | None = None  # source of the step: one of `evidence.RANK`
    seconds_per_step: float | None = None  # since this attempt's first step
    step_age: float | None = None  # seconds since another step was seen, by the pod's clock
    patience: float | None = None  # seconds for which no step is nothing unusual
    figures: dict[str, float] = field(default_factory=dict)  # learning rate, rewards, accuracies
    loss_nan: bool = False  # the newest loss is NaN or infinite; `loss` is an earlier one


@dataclass(frozen=True)
class Heartbeat:
    run: str
    attempt: int
    boot_id: str
    phase: str  # preflight | environment | running | hashing
    monotonic: float
    wall: float
    log_size: int
    schema: int = SCHEMA


@dataclass(frozen=True)
class Exit:
    """The commit record. Only an Exit of the current attempt with rc 0 means the job is done."""

    run: str
    attempt: int
    rc: int
    # exited | signal | stopped | stalled | budget | preflight | environment | disk-full | lost
    reason: str
    detail: str
    manifest_sha256: str  # of the bytes of manifest.json
    log_size: int
    started_at: float
    ended_at: float
    schema: int = SCHEMA


@dataclass(frozen=True)
class Status:
    """The answer of `python3 -S -m remote.agent status`: the whole state of a run.

    `state` is absent (never started), starting, running, ended (exit.json of this attempt) or
    lost (neither alive nor ended: the shim died; start again to go on from the last checkpoint).
    """

    run: str
    state: str
    boot_id: str
    attempt: int = 0
    phase: str = ""
    heartbeat_age: float | None = None  # seconds, by the pod's monotonic clock
    progress: Progress = field(default_factory=Progress)
    log_size: int = 0
    ready_sha256: str | None = None  # of the bytes of ready.json
    exit: Exit | None = None
    guard: GuardReport | None = None
    free_bytes: int | None = None  # on the volume
    gpu_util: float | None = None  # percent, newest sample
    gpu_memory_gb: float | None = None
    cpu_util: float | None = None  # percent of all cores
    # Another text whenever state, attempt, phase or ready.json is another: what a waiting call
    # waits for. Empty: an older agent, which cannot wait.
    mark: str = ""
    schema: int = SCHEMA
