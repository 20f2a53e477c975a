"""Isolates a pod with Linux namespaces, mounts and capabilities, by system call.

Only the container's supervisor uses this. Nothing here is visible on the host: every mount is made
in a mount namespace of its own, with propagation off, and vanishes with the last process in it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_ATTR_RDONLY = 1
_SYS_MOUNT_SETATTR = 442  # the same number on every architecture
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER = 1, 24, 36
_SIGKILL = 9

# The capabilities that a container runtime leaves to root: no mounts, raw devices or kernel.
_KEPT_CAPABILITIES = frozenset(
    {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31}
)  # chown … kill, set*id, setpcap, net_bind, net_raw, sys_chroot, audit_write, setfcap

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_ACCELERATORS = ("nvidia*", "dri", "kfd")


@dataclass(frozen=True)
class Bind:
    """A host path shown in the pod."""

    source: str
    target: str  # absolute path in the pod
    read_only: bool = True


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, operation: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{operation}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Leave the shared namespaces named by `flags` (a new PID namespace is for children)."""
    _check(_libc().unshare(flags), "unshare")


def map_user(outside: tuple[int, int], inside: tuple[int, int]) -> None:
    """Map one (uid, gid) of the parent user namespace to the one processes see inside."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside[0]} {outside[0]} 1")
    Path("/proc/self/gid_map").write_text(f"{inside[1]} {outside[1]} 1")


def die_with_parent() -> None:
    """Kill this process when its parent ends; for a PID namespace's init, all its processes."""
    _check(_libc().prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl(PDEATHSIG)")


def adopt_orphans() -> None:
    """Make orphaned descendants children of this process."""
    if platform.system() == "Linux":
        _check(_libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(SUBREAPER)")


def drop_capabilities() -> None:
    """Reduce the capabilities to those of a container's root; takes effect at the next exec."""
    last_capability = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in set(range(last_capability + 1)) - _KEPT_CAPABILITIES:
        _check(_libc().prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl(CAPBSET_DROP)")


def enter_root(root: Path, binds: Iterable[Bind], hostname: str, tty_group: bool) -> None:
    """Make the folder `root` the root of this mount namespace, with its mounts.

    Runs as process 1 of a new PID namespace: /proc is its own.
    """
    unshare(CLONE_NEWNS)
    _mount("none", "/", flags=_MS_REC | _MS_PRIVATE)
    _mount(root, root, flags=_MS_BIND | _MS_REC)
    for bind in binds:
        _bind(root, bind)
    _mount_devices(root, tty_group)
    _mount("proc", _mount_point(root, "/proc"), "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _pivot(root)
    socket.sethostname(hostname)


def _mount(
    source: str | Path, target: str | Path, kind: str = "", flags: int = 0, data: str = ""
) -> None:
    encoded = (os.fsencode(source), os.fsencode(target), kind.encode() or None)
    result = _libc().mount(*encoded, ctypes.c_ulong(flags), data.encode() or None)
    _check(result, f"mount {source} on {target}")


def _mount_point(root: Path, target: str, *, file: bool = False) -> Path:
    """The mount point `target` below `root`, created if missing; no symbolic link is followed."""
    path = root
    *parents, _last = parts = Path(target).parts[1:]
    for index, part in enumerate(parts):
        path = path / part
        if path.is_symlink():
            raise OSError(f"mount point {target} leads through a symbolic link")
        if file and index == len(parents):
            path.touch()
        else:
            path.mkdir(exist_ok=True)
    return path


def _bind(root: Path, bind: Bind) -> None:
    target_path = _mount_point(root, bind.target, file=not os.path.isdir(bind.source))
    _mount(bind.source, target_path, flags=_MS_BIND | _MS_REC)
    if bind.read_only:
        _set_read_only(target_path)


def _set_read_only(path: Path) -> None:
    """Make a mount read-only with everything below; on kernels before 5.12 only the top mount."""
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    result = _libc().syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(path),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    if result != 0:
        flags = _MS_REMOUNT | _MS_BIND | _MS_RDONLY | os.statvfs(path).f_flag & 0b1110
        _mount("none", path, flags=flags)


def _mount_devices(root: Path, tty_group: bool) -> None:
    """Create a small /dev: standard nodes, accelerators, terminals, shared memory."""
    dev = _mount_point(root, "/dev")
    _mount("tmpfs", dev, "tmpfs", _MS_NOSUID, "mode=755,size=1m")
    nodes = [Path("/dev") / name for name in _DEVICES]
    nodes += [node for pattern in _ACCELERATORS for node in Path("/dev").glob(pattern)]
    for node in filter(Path.exists, nodes):
        _bind(root, Bind(str(node), str(node), read_only=False))
    shared = _mount_point(root, "/dev/shm")  # noqa: S108 - the pod's own, not a temporary file
    _mount("tmpfs", shared, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")
    owner = ",gid=5,mode=620" if tty_group else ""
    terminals = _mount_point(root, "/dev/pts")
    _mount(
        "devpts", terminals, "devpts", _MS_NOSUID | _MS_NOEXEC, f"newinstance,ptmxmode=0666{owner}"
    )
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0"}
    for name, to in {**links, "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}.items():
        (dev / name).symlink_to(to)


def _pivot(root: Path) -> None:
    """Make `root` the root /, and detach the old root, so that no path leads back to the host."""
    os.chdir(root)
    number = _SYS_PIVOT_ROOT[platform.machine()]
    _check(_libc().syscall(ctypes.c_long(number), b".", b"."), "pivot_root")
    _check(_libc().umount2(b".", _MNT_DETACH), "umount of the old root")
    os.chdir("/")
