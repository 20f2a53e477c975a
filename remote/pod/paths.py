"""Paths on this pod: on the volume, in the container, in memory; and the identity of this boot.

A look at the status uses paths as text, because importing `pathlib` costs CPU; everything else uses
`Path`.
"""

from __future__ import annotations

import fcntl
import os

from .. import light_json
from ..contract.codec import ContractError, Json, load
from ..contract.variables import ENV_ROOT, LOCAL
from ..light_dataclasses import dataclass, field
from . import atomic_files

TYPE_CHECKING = False  # of `typing`, which a look at the status does without
if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeVar

    from .atomic_files import StrPath

    T = TypeVar("T")

SMALL = 64 * 1024  # bytes; records of one line
MAX_RUN_NAME = 120  # characters
_ALPHANUMERIC = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_RUN_CHARACTERS = _ALPHANUMERIC | frozenset("._-")


class BadName(ValueError):
    """A run or code name that could lead out of its folder."""


def is_run_name(name: str) -> bool:
    """Whether `name` may be a run's: a folder of that name lies below the folder of runs."""
    if not 0 < len(name) <= MAX_RUN_NAME or name[0] not in _ALPHANUMERIC:
        return False
    return _RUN_CHARACTERS.issuperset(name)


@dataclass(frozen=True)
class Boot:
    """One boot of the container, named by the guard, or without one by the first caller."""

    id: str
    pod: str = ""  # the provider's id, "" when nobody said it
    env: dict[str, str] = field(default_factory=dict)  # of the container's first process


class PodPaths:
    """Paths of one pod. `root` is on the volume; the others go away with the container.

    `memory` is on no disk, where the container has such a place. Properties that end in `_name` are
    text, the others `Path`.
    """

    def __init__(self, root: StrPath, local: StrPath, memory: StrPath | None = None) -> None:
        self.root_name, self.local_name = os.fspath(root), os.fspath(local)
        self._memory = memory

    @classmethod
    def at(cls, root: str) -> PodPaths:
        """`root` as the controller names it; the emulator's prefix is added when it is missing."""
        prefix = os.environ.get(ENV_ROOT, "")
        if prefix and not root.startswith(prefix.rstrip("/") + "/"):
            root = prefix.rstrip("/") + root
        return cls(os.path.join(os.getcwd(), root), local_folder(prefix))

    @property
    def root(self) -> Path:
        return _path(self.root_name)

    @property
    def local(self) -> Path:
        return _path(self.local_name)

    @property
    def memory(self) -> Path:
        if self._memory is None:
            self._memory = memory_folder(os.environ.get(ENV_ROOT, "")) or self.local
        return _path(self._memory)

    def run_name(self, run: str) -> str:
        """The run's folder. Raises BadName."""
        if not is_run_name(run):
            raise BadName(f"not a run's name: {run!r}")
        return f"{self.root_name}/runs/{run}"

    def run(self, run: str) -> Path:
        """The run's folder. Raises BadName."""
        return _path(self.run_name(run))

    def work(self, run: str) -> Path:
        return self.run(run) / "work"

    def code(self, sha256: str) -> Path:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise BadName(f"not the name of a code folder: {sha256!r}")
        return self.root / "code" / sha256

    @property
    def lock_name(self) -> str:
        return f"{self.local_name}/lock"

    @property
    def lock(self) -> Path:
        return _path(self.lock_name)

    @property
    def lease(self) -> Path:
        """The job's deadline for the guard, valid for this boot."""
        return self.local / "lease.json"

    @property
    def warm(self) -> Path:
        """Until when the guard lets the pod wait for another run, and after which one."""
        return self.local / "warm.json"

    @property
    def eviction(self) -> Path:
        """Holds the boot's id once the container was told to stop."""
        return self.local / "evict"

    @property
    def stop(self) -> Path:
        """The stop request, for a volume that is full."""
        return self.local / "stop.json"

    def secrets(self, run: str) -> Path:
        """A folder with one private file for each secret of the run's job."""
        return self.memory / f"secrets-{self.run(run).name}"

    def settings(self, run: str) -> Path:
        """A folder with what the run's environment is installed with."""
        return self.memory / f"settings-{self.run(run).name}"

    @property
    def beat(self) -> Path:
        """Absent until a controller came, to this pod and in this life of its container."""
        return self.local / "beat"

    @property
    def guard_name(self) -> str:
        """The guard's report."""
        return f"{self.local_name}/guard.json"

    def touch_beat(self) -> None:
        """Tell the guard that a controller came."""
        beat = f"{self.local_name}/beat"
        try:
            os.utime(beat)
        except OSError:
            os.close(os.open(beat, os.O_WRONLY | os.O_CREAT, 0o600))
            os.utime(beat)


def _path(name: StrPath) -> Path:
    from pathlib import Path

    return Path(name)


def document(kind: type[T], path: StrPath) -> T | None:
    """The document at `path`; None when absent or not what the contract says."""
    data = atomic_files.read(path)
    if data is None:
        return None
    try:
        return load(kind, data)
    except ContractError:
        return None


def record(path: StrPath) -> dict[str, Json] | None:
    """A small JSON object that only the pod's own side reads; None when absent or broken."""
    data = atomic_files.read(path, SMALL)
    return json_object(data or b"")


def json_object(data: bytes) -> dict[str, Json] | None:
    """The JSON object in `data`; None for whatever else a job may have written there."""
    if not data:
        return None
    try:
        value = light_json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def write_record(path: StrPath, value: Json, *, sync: bool = True) -> None:
    atomic_files.write(path, light_json.dumps(value).encode() + b"\n", sync=sync)


def local_folder(prefix: str) -> str:
    """A folder on the container's own disk: /run/podctl, or /tmp/podctl where /run is closed."""
    errors = []
    for candidate in LOCAL:
        folder = prefix + candidate
        try:
            os.makedirs(folder, exist_ok=True, mode=0o700)
        except OSError as error:
            errors.append(str(error))
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise OSError(f"no container-local folder: {'; '.join(errors)}")


def memory_folder(prefix: str) -> Path | None:
    """A folder of ours in the container's shared memory; None where that is no tmpfs."""
    import stat

    shared = _path(prefix + "/dev/shm")  # noqa: S108 - folder made 0700, and only used when ours
    try:
        mounts = _read("/proc/self/mounts").splitlines()
        if not any(line.split()[1:3] == [str(shared), "tmpfs"] for line in mounts):
            return None
        folder = shared / "podctl"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return folder if ours and not status.st_mode & 0o077 else None


def anchor() -> str:
    """Differs between two lives of a container even where its disk is kept."""
    try:
        kernel = _read("/proc/sys/kernel/random/boot_id").strip()
        first = _read("/proc/1/stat").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{kernel}/{first}"


def _read(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def boot(local: StrPath) -> Boot:
    """This boot's identity, generated once per boot of the container."""
    with open(os.path.join(local, "boot.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path, now = os.path.join(local, "boot.json"), anchor()
        document = record(path) or {}
        if not document.get("boot_id") or document.get("anchor", now) != now:
            document = {
                "boot_id": os.urandom(16).hex(),
                "anchor": now,
                "pod": _pod_id(),
                "env": {},
            }
            write_record(path, document, sync=False)
    env = document.get("env")
    return Boot(
        id=str(document["boot_id"]),
        pod=str(document.get("pod") or ""),
        env={str(k): str(v) for k, v in env.items()} if isinstance(env, dict) else {},
    )


def _pod_id() -> str:
    """An SSH session lacks the container's environment; its first process has it."""
    if "RUNPOD_POD_ID" in os.environ:
        return os.environ["RUNPOD_POD_ID"]
    try:
        with open("/proc/1/environ", "rb") as file:
            pairs = file.read().split(b"\0")
    except OSError:
        return ""
    name = b"RUNPOD_POD_ID="
    return next((p[len(name) :].decode(errors="replace") for p in pairs if p.startswith(name)), "")
