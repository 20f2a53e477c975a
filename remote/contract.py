"""The files through which laptop and pod understand one another; standard library only.

Everything on the pod lives under one folder of the volume, `<mount>/podctl`:

    code/<sha256>/remote/…     this package, content-addressed; complete or absent
    blobs/<ab>/<sha256>        uploaded bytes, each file once
    guard-<pod>.json           the guard's own: seconds that count on when the container restarts
    runs/<run>/spec.json       what to do (`JobSpec`), written once
              /attempt.json    the attempt in progress (`Attempt`)
              /heartbeat.json  the agent's last sign of life (`Heartbeat`)
              /samples.jsonl   GPU, CPU, memory and disk, one object a line
              /metrics.jsonl   what the job itself reports, one object a line
              /progress.json   what of this, its log and its framework's files is told
              /job.log         the job's output; byte offsets stay valid
              /settings.json   how to install was handed over; in memory, until it is installed
              /environment.json  the job's Python: all that the job needs is installed
              /ready.json      manifest of the outputs finished so far (`final` is false)
              /manifest.json   manifest of every declared output (`final` is true)
              /exit.json       the commit record (`Exit`), always written last
              /work/…          the job's working directory: code, inputs, outputs

What is one pod's alone, in one life of its container, lies in the first of `LOCAL` that can be
written: pods may share a volume.

    beat                       touched by every call of the controller
    guard.json                 what the guard is armed with (`GuardReport`)

Each document is one JSON object with a `schema` field, written beside itself and renamed.
Readers trust nothing: documents over `MAX_DOCUMENT` bytes, of the wrong type or of another schema
raise `ContractError`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from .document import MAX_FILES as MAX_FILES
from .document import ContractError as ContractError
from .document import Json as Json
from .document import Name, build, plain

SCHEMA = 1
MAX_DOCUMENT = 64 * 1024 * 1024  # bytes; a manifest of 100,000 files is about 12 MB and more
MAX_SMALL = 1024 * 1024  # bytes of every document that is no manifest
CROWDED = 0.8  # of MAX_FILES, from which on a job's number of outputs is told while it runs
GUARD_SILENT_SECONDS = 60.0  # a guard that lives writes guard.json every few seconds
MAX_PARTS = 10 * MAX_FILES  # objects and lists of a document: each takes twenty times its text


@dataclass(frozen=True)
class FileEntry:
    """One regular file: path relative to the work folder, with `/`."""

    path: Name
    size: int  # bytes
    sha256: str  # 64 lower-case hex digits


@dataclass(frozen=True)
class Left:
    """A name among the declared outputs under which no file travels, and why."""

    path: Name
    why: str


@dataclass(frozen=True)
class Manifest:
    """What a job wrote. `final` only after the job ended."""

    run: str
    attempt: int
    final: bool
    files: tuple[FileEntry, ...]
    left: tuple[Left, ...] = ()  # their content is only on the pod
    notes: tuple[Left, ...] = ()  # links to nothing, pipes …: nothing of them is lost
    beyond: int = 0  # more of them, which are not even named here
    seen: int = 0  # declared outputs while the job runs, once they come near MAX_FILES
    untouched: tuple[Name, ...] = ()  # of `files`: as they were sent, and nobody wrote them since
    unfit: tuple[str, ...] = ()  # of an older agent: `left`, as ASCII text
    # The receiver's own: path → path under which the file is here, where that is another one.
    here: dict[Name, Name] = field(default_factory=dict)
    schema: int = SCHEMA

    def local(self, path: str) -> str:
        """Where a file of this manifest is, below the folder that it was received in."""
        return self.here.get(path, path)


@dataclass(frozen=True)
class Preflight:
    """What must hold before the job may start; each check has its own deadline."""

    imports: tuple[str, ...] = ()  # modules that must import within `deadline_seconds`
    needs_gpu: bool = False
    min_gpu_memory_gb: float = 0.0
    gpus: tuple[str, ...] = ()  # types that will do, by catalog id or short name; empty: any
    gpu_count: int = 1  # at least
    min_free_gb: float = 0.0  # on the volume
    deadline_seconds: float = 180.0  # for one check


@dataclass(frozen=True)
class Environment:
    """The job's Python. `lock` names what is to be installed, a file inside the work folder:
    requirements with or without hashes, a pyproject.toml, or the uv.lock beside one.

    With None, or when every module of `provides` imports already, nothing is installed and the
    pod's own interpreter is used. `install` is a folder of the work folder with a project that is
    installed besides, without its dependencies, for this run alone.
    """

    lock: str | None = None
    provides: tuple[str, ...] = ()
    deadline_seconds: float = 1800.0
    install: str | None = None


@dataclass(frozen=True)
class JobSpec:
    """One run, in full. `argv[0]` may be "python": the environment's interpreter."""

    run: str
    stage: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]  # globs below work/, `**` allowed
    code: str  # sha256 of the remote package: code/<code>
    env: dict[str, str] = field(default_factory=dict)
    max_seconds: float = 3600.0  # the declared budget: the guard's lease
    stall_seconds: float = 3600.0  # no log, metric, output or GPU activity for so long: stop
    grace_done_seconds: float = 1800.0  # guard: after the end, while nobody came to fetch
    term_grace_seconds: float = 60.0  # SIGTERM to SIGKILL when we stop it
    max_restarts: int = 3  # after container restarts and lost shims; not after failures
    log_cap_bytes: int = 64 * 1024 * 1024
    preflight: Preflight = field(default_factory=Preflight)
    environment: Environment = field(default_factory=Environment)
    secrets: tuple[str, ...] = ()  # names of what it must have been handed before it may start
    stray_processes: str = "wait"  # or "kill": what its first process, returning 0, leaves running
    schema: int = SCHEMA


@dataclass(frozen=True)
class Attempt:
    run: str
    number: int  # from 1
    boot_id: str  # identifies one life of the container
    started_at: float  # Unix seconds, the pod's clock
    schema: int = SCHEMA


@dataclass(frozen=True)
class Progress:
    """What the job last told of how it gets on; None where it never did."""

    step: int | None = None
    max_steps: int | None = None
    loss: float | None = None
    text: str | None = None  # e.g. "importing torch", for phases without steps
    source: str | None = None  # of the step: one of `evidence.RANK`
    seconds_per_step: float | None = None  # since this attempt's first step
    step_age: float | None = None  # seconds since another step was seen, by the pod's clock
    patience: float | None = None  # seconds for which no step is nothing unusual
    figures: dict[str, float] = field(default_factory=dict)  # learning rate, rewards, accuracies


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
class GuardReport:
    """The dead-man switch as it sees itself. `armed` only after it read its own pod.

    `denied`: the API refuses that its key reads the pod, and never let it; it may stop it or not.
    """

    boot_id: str
    armed: bool
    detail: str
    phase: str  # boot | idle | job | done
    stops_in_seconds: float | None
    hard_cap_in_seconds: float | None
    age_seconds: float | None = None  # since it spoke, by the pod's clock; the reader fills it in
    denied: bool = False
    schema: int = SCHEMA

    def heard(self, age: float) -> GuardReport:
        """The report `age` seconds after it was written: silence disarms, and so does a future."""
        if 0 <= age <= GUARD_SILENT_SECONDS:
            return dataclasses.replace(self, age_seconds=age)
        text = f"silent for {age:.0f} s" if age > 0 else "not heard since this boot"
        return self.silenced(f"the guard was {text}", age if age > 0 else None)

    def silenced(self, detail: str, age: float | None = None) -> GuardReport:
        """A guard of which nothing is known now: its limits bound nothing."""
        return GuardReport(self.boot_id, False, detail, self.phase, None, None, age)


@dataclass(frozen=True)
class Status:
    """The answer of `python3 -S -m remote.agent status`: one look at everything.

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
    schema: int = SCHEMA


LOCAL = ("/run/podctl", "/tmp/podctl")  # noqa: S108 - one user per container, folder made 0700


@dataclass(frozen=True)
class Layout:
    """The contract's paths on the volume, from the one root `<mount>/podctl`."""

    root: PurePosixPath

    def code(self, sha256: str) -> PurePosixPath:
        return self.root / "code" / sha256

    def blob(self, sha256: str) -> PurePosixPath:
        return self.root / "blobs" / sha256[:2] / sha256

    def run(self, run: str) -> PurePosixPath:
        return self.root / "runs" / run

    def work(self, run: str) -> PurePosixPath:
        return self.run(run) / "work"


# A variable's name, and none of the pod's own.
SECRET_NAME = re.compile(r"(?!RUNPOD_API_KEY|PODCTL_)[A-Za-z_][A-Za-z0-9_]{0,127}")

# What a job finds in its environment.
ENV_RUN = "PODCTL_RUN"
ENV_STAGE = "PODCTL_STAGE"
ENV_RUN_DIR = "PODCTL_RUN_DIR"  # <root>/runs/<run>; lines appended to its file `announced` name
# finished outputs (relative to work/), which are then fetched without waiting for them to settle
ENV_METRICS = "PODCTL_METRICS"  # append JSON lines {"step", "max_steps", "loss", …} here
ENV_PARAMETERS = "PODCTL_PARAMETERS"  # path of the stage's parameters, a JSON object
ENV_MARK = "PODCTL_JOB"  # <boot id>/<run>/<attempt>: whose a process is
ENV_TOOL = "PODCTL_TOOL"  # in the supervisor's own environment, and in that of its tools: no job's
MODELS = ".podctl/models.json"  # in the work folder, beside them: {hub id: commit to load}
# What the pod finds in its own.
ENV_NONCE = "PODCTL_NONCE"
ENV_OWNER = "PODCTL_OWNER"
ENV_GUARD = "PODCTL_GUARD"  # JSON: `GuardLimits`
ENV_API_BASE = "PODCTL_API_BASE"  # e.g. https://api.runpod.io
ENV_MOUNT = "PODCTL_MOUNT"  # e.g. /workspace
# Set by the emulator where it cannot give a pod its own file system: a prefix for every path.
ENV_ROOT = "PODCTL_EMULATED_ROOT"


@dataclass(frozen=True)
class GuardLimits:
    """Seconds by monotonic clocks.

    Boot grace and hard cap count over a container that restarts unvisited as over one boot.
    """

    boot_grace: float = 2700.0  # booted and no controller ever came
    idle: float = 1200.0  # no job and no call of a controller
    hard_cap: float = 86400.0  # whatever happens, since this boot
    schema: int = SCHEMA


def dump(document: Json) -> bytes:
    """A dataclass of this module as canonical JSON bytes with a final newline."""
    text = json.dumps(plain(document), sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


T = typing.TypeVar("T")


def load(kind: type[T], data: bytes | str) -> T:
    """Parse one document strictly; unknown fields are ignored, wrong types are errors.

    Raises ContractError and nothing else, whatever `data` holds.
    """
    name, raw = kind.__name__, data.encode("utf-8", "replace") if isinstance(data, str) else data
    most = cap(kind)
    if len(raw) > most:
        raise ContractError(f"{name}: {len(raw)} bytes is over the cap of {most}")
    if raw.count(b"{") + raw.count(b"[") > MAX_PARTS:
        raise ContractError(f"{name}: over {MAX_PARTS} objects and lists")
    try:
        value = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{name}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ContractError(f"{name}: not an object")
    schema = value.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        shown = schema if type(schema) is int else type(schema).__name__
        raise ContractError(f"{name}: schema {shown}, need {SCHEMA}")
    return typing.cast(T, build(kind, value, name))


def number(value: Json) -> float | None:
    """A finite number; another's NaN, Infinity and endless integers are None."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if plain and abs(value) < 1e300 else None


def cap(kind: type) -> int:
    """Bytes that a document of this kind may have."""
    return MAX_DOCUMENT if kind is Manifest else MAX_SMALL


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
