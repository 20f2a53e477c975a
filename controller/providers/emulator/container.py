"""One life of an emulated pod's container: real processes on this machine.

Three ways, best first. "namespace" (root): PID, mount, UTS and IPC namespaces of its own, so that
/workspace and /start.sh are where the image has them. "userns": the same without root, in a user
namespace. "process": a plain process tree; PODCTL_EMULATED_ROOT stands before the pod's paths.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import getpass
import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

import controller
from controller.errors import PodctlError
from controller.providers.emulator import image, sshd
from controller.providers.emulator.image import Account
from controller.providers.emulator.namespace import Bind
from controller.providers.emulator.supervisor import Plan, inside_ids
from remote.contract import ENV_ROOT

MARKER = "PODCTL_EMULATED_POD"  # process mode: whose process this is
_START_SECONDS = 20.0
_KILL_SECONDS = 10.0


class ContainerError(PodctlError):
    """This machine could not make the container."""


@dataclass(frozen=True)
class ContainerSpec:
    """What one life of a pod's container needs."""

    pod_id: str
    root: Path  # the pod's folder; everything but the volume lives below it
    image: str
    args: str  # the container command; empty means the image's own, /start.sh
    env: dict[str, str] = dataclasses.field(repr=False)  # of the first process, in full
    disk_gb: int
    volume_path: Path | None  # on the host; survives stop
    mount_path: str  # where the volume is in the pod
    ssh_port: int | None  # on 127.0.0.1: the public mapping of 22
    mode: str = "auto"  # namespace | userns | process | auto
    ssh_server: str = "auto"  # openssh | embedded | auto

    @property
    def disk(self) -> Path:
        """The container disk: made anew at every start."""
        return self.root / "disk"

    @property
    def log_path(self) -> Path:
        """The container's output, `<unix ns> <line>`, over all of its lives."""
        return self.root / "container.log"


class Container:
    """A running container, by the process above it. That process outlives the emulator."""

    def __init__(self, spec: ContainerSpec, pid: int, popen: subprocess.Popen[bytes] | None) -> None:
        self.spec = spec
        self.pid = pid
        self.log_path = spec.log_path
        self._identity = _identity(pid)
        self._popen = popen  # ours to reap; None when attached

    @classmethod
    def start(cls, spec: ContainerSpec) -> Container:
        """Wipe the container disk and start the first process. ContainerError when impossible."""
        spec = _resolved(spec)
        if spec.mode == "process":
            _sweep(spec.pod_id)  # a life whose supervisor was killed
        _prepare(spec)
        popen = _launch(spec, _plan(spec))
        container = cls(spec, popen.pid, popen)
        _write_record(spec, popen.pid, container._identity)
        return container

    @classmethod
    def attach(cls, spec: ContainerSpec, pid: int) -> Container | None:
        """The life started earlier as `pid`; None when it is over, or `pid` is another's now."""
        try:
            record = json.loads(_record_path(spec).read_text())
        except (OSError, ValueError):
            return None
        if record.get("pid") != pid or record.get("identity") != _identity(pid):
            return None
        container = cls(dataclasses.replace(spec, mode=str(record["mode"])), pid, None)
        return container if container.running() else None

    def running(self) -> bool:
        """Whether the first process lives."""
        if self._popen is not None:
            return self._popen.poll() is None
        return self._identity is not None and _identity(self.pid) == self._identity

    def wait(self, seconds: float) -> bool:
        """Wait until the life is over; False when it is not within `seconds`."""
        deadline = time.monotonic() + seconds
        pause = 0.002
        while self.running():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
        return True

    def stop(self, term_seconds: float) -> None:
        """SIGTERM to the first process, then the end for whatever is left after `term_seconds`."""
        self._signal(signal.SIGTERM)
        self.wait(term_seconds)
        self.kill()

    def kill(self) -> None:
        """End every process of the pod, now. Returns when they are gone."""
        self._signal(signal.SIGUSR1)
        if not self.wait(_KILL_SECONDS):
            self._signal(signal.SIGKILL)
            self.wait(_KILL_SECONDS)
        if self.spec.mode == "process":
            _sweep(self.spec.pod_id)

    def _signal(self, number: signal.Signals) -> None:
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


@functools.cache
def default_mode() -> str:
    """The best mode that works on this machine, found by trying."""
    candidates = ("namespace", "userns") if os.geteuid() == 0 else ("userns",)
    return next((mode for mode in candidates if _works(mode)), "process")


def available_modes() -> tuple[str, ...]:
    """Every mode that works here, best first."""
    candidates = ("namespace", "userns") if os.geteuid() == 0 else ("userns",)
    return (*filter(_works, candidates), "process")


def ssh_user(mode: str) -> str:
    """Who logs in: root as on the real image, unless the host's own accounts have to serve."""
    resolved = default_mode() if mode == "auto" else mode
    return getpass.getuser() if resolved == "process" else "root"


@functools.cache
def _works(mode: str) -> bool:
    if sys.platform != "linux":
        return False
    with tempfile.TemporaryDirectory(prefix="podctl-probe-") as folder:
        spec = ContainerSpec(
            *("probe", Path(folder), "probe", "true", {}, 1, None, "/workspace", None, mode)
        )
        try:
            probe = Container.start(spec)
        except ContainerError:
            return False
        over = probe.wait(_START_SECONDS)
        probe.kill()
        return over and probe._popen is not None and probe._popen.returncode == 0


def _resolved(spec: ContainerSpec) -> ContainerSpec:
    """The spec with its mode decided and its paths absolute."""
    mount = spec.mount_path
    if not mount.startswith("/") or ".." in mount.split("/") or mount.strip("/") == "":
        raise ContainerError(f"mount path {mount!r} is not an absolute folder of the pod")
    mode = default_mode() if spec.mode == "auto" else spec.mode
    return dataclasses.replace(spec, mode=mode, root=spec.root.absolute())


def _prepare(spec: ContainerSpec) -> None:
    """A fresh container disk with the image on it."""
    spec.root.mkdir(parents=True, exist_ok=True)
    if spec.disk.exists():
        _wipe(spec.disk)
    account = None
    if spec.mode != "process":
        account = Account(*((0, 0) if spec.mode == "namespace" else inside_ids()))
    image.write_disk(spec.disk, account, _prefix(spec))
    mount = spec.disk / spec.mount_path.strip("/")
    mount.parent.mkdir(parents=True, exist_ok=True)
    if spec.volume_path is not None and spec.mode == "process":
        mount.symlink_to(spec.volume_path.absolute())
    else:
        mount.mkdir(exist_ok=True)
    if spec.ssh_port is None:
        image.write_service(spec.disk, "echo 'no port 22 is exposed' >&2")
    else:
        sshd.install(sshd.choose(spec.mode, spec.ssh_server), _ssh_site(spec, spec.ssh_port))


def _wipe(disk: Path) -> None:
    """Delete the disk, also where a pod took permissions away from itself."""
    for folder, _, _ in os.walk(disk):
        if not os.access(folder, os.W_OK | os.X_OK):
            os.chmod(folder, 0o700)
    shutil.rmtree(disk)


def _ssh_site(spec: ContainerSpec, port: int) -> sshd.Site:
    prefix = _prefix(spec)
    session = {"PATH": image.search_path(), "LANG": "C.UTF-8"}
    if prefix:
        session |= {"HOME": f"{prefix}/root", ENV_ROOT: prefix, MARKER: spec.pod_id}
    return sshd.Site(spec.disk, prefix, f"{prefix}/root", ssh_user(spec.mode), port, session)


def _prefix(spec: ContainerSpec) -> str:
    return str(spec.disk) if spec.mode == "process" else ""


def _plan(spec: ContainerSpec) -> Plan:
    prefix = _prefix(spec)
    env = {"PATH": image.search_path(), "HOME": f"{prefix}/root", "LANG": "C.UTF-8"}
    env |= {"HOSTNAME": spec.pod_id, **spec.env}
    if prefix:
        env |= {ENV_ROOT: prefix, MARKER: spec.pod_id}
    argv = shlex.split(spec.args) or ["/start.sh"]
    return Plan(
        mode=spec.mode,
        disk=str(spec.disk),
        hostname=spec.pod_id,
        argv=tuple(prefix + word if word == "/start.sh" else word for word in argv),
        env=env,
        cwd=prefix or "/",
        log=str(spec.log_path),
        binds=_binds(spec),
    )


def _binds(spec: ContainerSpec) -> tuple[Bind, ...]:
    volume = []
    if spec.volume_path is not None:
        volume = [Bind(str(spec.volume_path.absolute()), spec.mount_path, read_only=False)]
    return (*image.host_binds(), *volume, *image.python_binds())


def _launch(spec: ContainerSpec, plan: Plan) -> subprocess.Popen[bytes]:
    """Start the supervisor and wait for its word that the container's root is entered."""
    path = spec.root / "plan.json"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(plan.dump())
    status, writer = os.pipe()
    module = "controller.providers.emulator.supervisor"
    inherited = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    try:
        popen = subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", module, str(path), str(writer)],
            env={"PYTHONPATH": str(_import_root()), "PYTHONDONTWRITEBYTECODE": "1", **inherited},
            cwd=spec.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writer,),
            start_new_session=True,
        )
    finally:
        os.close(writer)
    answer = _read_status(status, time.monotonic() + _START_SECONDS)
    if answer != "ok":
        popen.kill()
        popen.wait()
        raise ContainerError(
            f"pod {spec.pod_id}: the container could not be made",
            cause=answer or "its supervisor ended without a word",
            hint=f"another container mode than {spec.mode!r}",
        )
    return popen


def _read_status(status: int, deadline: float) -> str:
    said = b""
    with open(status, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            data = pipe.read(4096)
            if not data:
                break
            said += data
    return said.decode(errors="replace")


def _import_root() -> Path:
    return Path(controller.__file__ or "").absolute().parent.parent


def _record_path(spec: ContainerSpec) -> Path:
    return spec.root / "container.json"


def _write_record(spec: ContainerSpec, pid: int, identity: str | None) -> None:
    path = _record_path(spec)
    beside = path.with_suffix(".tmp")
    with open(beside, "w") as file:
        json.dump({"pid": pid, "identity": identity, "mode": spec.mode}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _identity(pid: int) -> str | None:
    """What tells this process from a later one of the same number; None once it is dead."""
    try:
        if sys.platform == "linux":
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except (OSError, psutil.Error):
        return None


def _sweep(pod_id: str) -> None:
    """Kill what carries the pod's mark, until nothing does."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (left := _marked(pod_id)) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=1.0)


def _marked(pod_id: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARKER) == pod_id:
                found.append(process)
    return found
