"""Starts a container from its ContainerSpec: disk, plan, supervisor."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import controller
from controller.providers.emulator.container import image, sshd
from controller.providers.emulator.container.namespaces import Bind
from controller.providers.emulator.container.spec import ContainerError, ContainerSpec
from controller.providers.emulator.container.supervisor import Plan, inside_ids
from remote.contract import ENV_ROOT

MARKER = "PODCTL_EMULATED_POD"  # process mode: identifies the pod of a process
_START_SECONDS = 20.0
_SUPERVISOR = "controller.providers.emulator.container.supervisor"


def write_disk(spec: ContainerSpec) -> None:
    """Create a new container disk with the image; `spec.mode` must be resolved."""
    spec.root.mkdir(parents=True, exist_ok=True)
    if spec.disk.exists():
        _wipe(spec.disk)
    account = None
    if spec.mode != "process":
        account = image.Account(*((0, 0) if spec.mode == "namespace" else inside_ids()))
    image.write_disk(spec.disk, account, spec.prefix, spec.pod_id, starts_ssh=spec.starts_ssh)
    _place_volume(spec)
    if spec.ssh_port is None:
        image.write_service(spec.disk, "echo 'no port 22 is exposed' >&2")
    else:
        server = sshd.choose(spec.mode, spec.ssh_server)
        sshd.install(server, _ssh_paths(spec, spec.ssh_port))


def _wipe(disk: Path) -> None:
    """Delete the disk, even if the pod removed its own permissions."""
    for folder, names, _ in os.walk(disk):
        for name in names:
            if not os.path.islink(path := os.path.join(folder, name)):
                os.chmod(path, 0o700)
    shutil.rmtree(disk)


def _place_volume(spec: ContainerSpec) -> None:
    mount = spec.disk / spec.mount_path.strip("/")
    mount.parent.mkdir(parents=True, exist_ok=True)
    if spec.volume_path is not None:
        spec.volume_path.mkdir(parents=True, exist_ok=True)
    if spec.volume_path is not None and spec.mode == "process":
        mount.symlink_to(spec.volume_path.absolute())
    else:
        mount.mkdir(exist_ok=True)


def _ssh_paths(spec: ContainerSpec, port: int) -> sshd.ServerPaths:
    session = {"PATH": image.search_path(), "LANG": "C.UTF-8"}
    home = f"{spec.prefix}/root"
    if spec.prefix:
        session |= {"HOME": home, ENV_ROOT: spec.prefix, MARKER: spec.pod_id}
    return sshd.ServerPaths(spec.disk, spec.prefix, home, sshd.user(spec.mode), port, session)


def plan(spec: ContainerSpec) -> Plan:
    """The supervisor's plan. Raises ContainerError if `args` cannot be split."""
    env = {"PATH": image.search_path(), "HOME": f"{spec.prefix}/root", "LANG": "C.UTF-8"}
    env |= {"HOSTNAME": spec.pod_id, **spec.env}
    if spec.prefix:
        env |= {ENV_ROOT: spec.prefix, MARKER: spec.pod_id}
    try:
        argv = shlex.split(spec.args) or ["/start.sh"]
    except ValueError as error:
        raise ContainerError(f"container command {spec.args!r}: {error}") from error
    return Plan(
        mode=spec.mode,
        disk=str(spec.disk),
        hostname=spec.pod_id,
        argv=tuple(spec.prefix + word if word == "/start.sh" else word for word in argv),
        env=env,
        cwd=spec.prefix or "/",
        log=str(spec.log_path),
        binds=_binds(spec),
    )


def _binds(spec: ContainerSpec) -> tuple[Bind, ...]:
    if spec.mode == "process":
        return ()
    volume = []
    if spec.volume_path is not None:
        volume = [Bind(str(spec.volume_path.absolute()), spec.mount_path, read_only=False)]
    return (*image.host_binds(), *volume, *image.python_binds())


def launch(spec: ContainerSpec) -> subprocess.Popen[bytes]:
    """Start the supervisor; returns once it has entered the container's root, else
    ContainerError."""
    text = plan(spec).dump().encode()
    status, writer = os.pipe()
    with open(status, "rb", buffering=0) as reader:
        popen = _start_supervisor(spec, writer)
        assert popen.stdin is not None
        try:
            popen.stdin.write(text)
            popen.stdin.close()
            message = _read_all(reader.fileno(), time.monotonic() + _START_SECONDS)
        except BrokenPipeError:
            message = ""
    if message == "ok":
        return popen
    popen.kill()
    popen.wait(_START_SECONDS)
    complaints = (spec.root / "supervisor.log").read_text(errors="replace").strip()
    raise ContainerError(
        f"pod {spec.pod_id}: the container could not be made",
        cause=message
        or complaints[-500:]
        or "its supervisor exited without writing an exit record",
        hint=f"a container mode other than {spec.mode!r}",
    )


def _start_supervisor(spec: ContainerSpec, status: int) -> subprocess.Popen[bytes]:
    """Start it in its own session, so that it outlives the emulator. Closes `status`."""
    root = Path(controller.__file__ or "").absolute().parent.parent
    environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    with open(spec.root / "supervisor.log", "wb") as complaints:
        try:
            return subprocess.Popen(
                [sys.executable, "-S", "-P", "-m", _SUPERVISOR, str(status)],
                env={"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", **environment},
                cwd=spec.root,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                pass_fds=(status,),
                start_new_session=True,
            )
        finally:
            os.close(status)


def _read_all(descriptor: int, deadline: float) -> str:
    """Read until the other side closes, or the deadline."""
    data = b""
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        block = os.read(descriptor, 4096)
        if not block:
            break
        data += block
    return data.decode(errors="replace")
