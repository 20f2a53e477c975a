"""Where things are on this pod: the volume's folder, the container-local one, this boot."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from pathlib import Path, PurePosixPath

from ..contract import ENV_ROOT, LOCAL, ContractError, Json, Layout, load
from ..light_dataclasses import dataclass, field
from . import atomic_files as durable

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
CODE_NAME = re.compile(r"[0-9a-f]{64}")
SMALL = 64 * 1024  # bytes; records of one line

TYPE_CHECKING = False  # of `typing`, which a look at the status does without
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")


class BadName(ValueError):
    """A run or code name that could lead out of its folder."""


@dataclass(frozen=True)
class Boot:
    """One life of the container. The guard names it; without a guard the first caller does."""

    id: str
    pod: str = ""  # the provider's id, "" when nobody said it
    env: dict[str, str] = field(default_factory=dict)  # of the container's first process


@dataclass(frozen=True)
class PodPaths:
    """Paths of one pod. `root` is on the volume; the others go away with the container.

    `memory` is on no disk, where the container has such a place.
    """

    root: Path
    local: Path
    memory: Path

    @classmethod
    def at(cls, root: str) -> PodPaths:
        """`root` as the controller names it; the emulator's prefix is added when it is missing."""
        prefix = os.environ.get(ENV_ROOT, "")
        if prefix and not root.startswith(prefix.rstrip("/") + "/"):
            root = prefix.rstrip("/") + root
        local = local_folder(prefix)
        return cls(Path(root).absolute(), local, memory_folder(prefix) or local)

    @property
    def layout(self) -> Layout:
        return Layout(PurePosixPath(self.root))

    def run(self, run: str) -> Path:
        if not RUN_NAME.fullmatch(run):
            raise BadName(f"not a run's name: {run!r}")
        return self.root / "runs" / run

    def work(self, run: str) -> Path:
        return self.run(run) / "work"

    def code(self, sha256: str) -> Path:
        if not CODE_NAME.fullmatch(sha256):
            raise BadName(f"not the name of a code folder: {sha256!r}")
        return self.root / "code" / sha256

    @property
    def lock(self) -> Path:
        return self.local / "lock"

    @property
    def lease(self) -> Path:
        """What the guard may believe about the job, in this container's life."""
        return self.local / "lease.json"

    @property
    def eviction(self) -> Path:
        """Holds the boot's id once the container was told to stop."""
        return self.local / "evict"

    @property
    def stop(self) -> Path:
        """Who is to end early, where the volume had no room for it."""
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
    def guard(self) -> Path:
        """What the guard says of itself."""
        return self.local / "guard.json"

    def touch_beat(self) -> None:
        """Tell the guard that a controller came."""
        self.beat.touch(mode=0o600)
        os.utime(self.beat)


def document(kind: type[T], path: Path) -> T | None:
    """The document at `path`; None when absent or not what the contract says."""
    data = durable.read(path)
    if data is None:
        return None
    try:
        return load(kind, data)
    except ContractError:
        return None


def record(path: Path) -> dict[str, Json] | None:
    """A small JSON object that only the pod's own side reads; None when absent or broken."""
    data = durable.read(path, SMALL)
    return json_object(data or b"")


def json_object(data: bytes) -> dict[str, Json] | None:
    """The JSON object in `data`; None for whatever else a job may have written there."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def write_record(path: Path, value: Json, *, sync: bool = True) -> None:
    durable.write(path, json.dumps(value).encode() + b"\n", sync=sync)


def local_folder(prefix: str) -> Path:
    """A folder on the container's own disk: /run/podctl, or /tmp/podctl where /run is closed."""
    errors = []
    for one in LOCAL:
        folder = Path(prefix + one)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            errors.append(str(error))
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise OSError(f"no container-local folder: {'; '.join(errors)}")


def memory_folder(prefix: str) -> Path | None:
    """A folder of ours in the container's shared memory; None where that is no tmpfs."""
    shared = Path(prefix + "/dev/shm")  # noqa: S108 - folder made 0700, and only used when ours
    try:
        mounts = Path("/proc/self/mounts").read_text(errors="replace").splitlines()
        if not any(line.split()[1:3] == [str(shared), "tmpfs"] for line in mounts):
            return None
        folder = shared / "podctl"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return folder if ours and not found.st_mode & 0o077 else None


def anchor() -> str:
    """Differs between two lives of a container even where its disk is kept."""
    try:
        kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        first = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{kernel}/{first}"


def boot(local: Path) -> Boot:
    """This boot's identity, made up once per container life."""
    with (local / "boot.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = record(local / "boot.json") or {}
        if not found.get("boot_id") or found.get("anchor", anchor()) != anchor():
            found = {
                "boot_id": os.urandom(16).hex(),
                "anchor": anchor(),
                "pod": _pod_id(),
                "env": {},
            }
            write_record(local / "boot.json", found, sync=False)
    env = found.get("env")
    return Boot(
        id=str(found["boot_id"]),
        pod=str(found.get("pod") or ""),
        env={str(k): str(v) for k, v in env.items()} if isinstance(env, dict) else {},
    )


def _pod_id() -> str:
    """An SSH session lacks the container's environment; its first process has it."""
    if "RUNPOD_POD_ID" in os.environ:
        return os.environ["RUNPOD_POD_ID"]
    try:
        pairs = Path("/proc/1/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    name = b"RUNPOD_POD_ID="
    return next((p[len(name) :].decode(errors="replace") for p in pairs if p.startswith(name)), "")
