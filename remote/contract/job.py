"""What a run is to do: `JobSpec`, and its parts."""

from ..light_dataclasses import dataclass, field
from .codec import SCHEMA


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
