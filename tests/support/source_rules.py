"""Rules that no linter has, each with code that breaks it.

A rule looks at one file's syntax tree (or text) and names the lines that are against it. That it
holds everywhere means nothing until it is seen to fire: `breaks` has what it must find.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("controller", "jobs", "remote", "state")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LOCAL = {"controller", "jobs", "remote", "state", "tests"}
# Folders that decide or drive, and touch no world: effects reach them through ports only.
PURE = ("controller/planner/", "controller/engine/")
PURE_FILES = (
    "controller/costs/pricing.py",
    "controller/costs/plan_spending.py",
)
IMPURE = {"time", "random", "os", "socket", "subprocess", "datetime", "pathlib", "secrets"}
HEAVY = {"runpod", "paramiko", "fabric", "torch", "asyncssh", "starlette", "uvicorn", "rich"}
LONGEST = 400  # lines

# Where a broad except is a boundary, not flow: the probe tries foreign native code, whose every
# failure is the finding; a download meets whatever the HTTP library of the hub has for errors; and
# whatever an action raises becomes an incident, since no exception may keep a lease from its end.
BOUNDARIES = (
    "controller/incident.py",
    "remote/supervisor/probe.py",
    "remote/stages/model/download.py",
)
BROAD = ("Exception", "BaseException")
# Programs on the pod, and processes of the emulator, whose stdout is their protocol or their log.
TALKERS = ("controller/terminal/terminal.py", "controller/providers/emulator/", "remote/")
# Servers: what they wait for without a limit is the end of what they serve.
SERVERS = (
    "controller/providers/emulator/container/lifecycle.py",
    "controller/providers/emulator/container/embedded_sshd.py",
)

Found = Iterator[int]


@dataclass(frozen=True)
class Rule:
    """`check` gives the lines that are against it; `breaks` are snippets it must find, by file."""

    name: str
    check: Callable[[str, ast.Module], Found]
    breaks: tuple[str, ...]
    file: str = "controller/any.py"  # as which the snippets are read


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@functools.cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree))


@functools.cache
def calls(tree: ast.AST) -> tuple[ast.Call, ...]:
    return tuple(node for node in nodes(tree) if isinstance(node, ast.Call))


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a call's function; `.c` when what stands before is no name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def imported(tree: ast.AST, *, everywhere: bool = True) -> Iterator[tuple[str, int]]:
    """Absolute modules that are imported, with the line; relative ones are of the same package."""
    for node in nodes(tree) if everywhere else getattr(tree, "body", []):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module, node.lineno


def has(call: ast.Call, *words: str) -> bool:
    """Whether one of the keywords is given; `**more` may hold it."""
    return any(keyword.arg in (*words, None) for keyword in call.keywords)


def is_constant(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def no_shell(_: str, tree: ast.Module) -> Found:
    for call in calls(tree):
        for keyword in call.keywords:
            if keyword.arg == "shell" and not is_constant(keyword.value, False):
                yield call.lineno
        if re.fullmatch(r"os\.(system|popen)|subprocess\.get(status)?output", dotted(call.func)):
            yield call.lineno


def nothing_extracted(_: str, tree: ast.Module) -> Found:
    for call in calls(tree):
        last = dotted(call.func).rpartition(".")[2]
        if last in ("extract", "extractall", "extractfile", "unpack_archive"):
            yield call.lineno
    for module, line in imported(tree):
        if module in ("tarfile", "pickle", "marshal", "shelve", "dill", "joblib"):
            yield line


LOOSE = re.compile(
    r"StrictHostKeyChecking\W+(no|off|accept-new)|AutoAddPolicy|WarningPolicy", re.IGNORECASE
)


def host_keys_checked(_: str, tree: ast.Module) -> Found:
    """In names and in texts; a split text is one in the tree."""
    for node in nodes(tree):
        text = node.value if isinstance(node, ast.Constant) else getattr(node, "attr", "")
        if isinstance(text, str) and LOOSE.search(text):
            yield getattr(node, "lineno", 0)


def one_output_door(name: str, tree: ast.Module) -> Found:
    if name.startswith(TALKERS):
        return
    for call in calls(tree):
        func = dotted(call.func)
        if func == "print" or re.fullmatch(r"sys\.(__)?std(out|err)(__)?\.(buffer\.)?write", func):
            yield call.lineno
        if func in ("click.echo", "click.secho", "click.confirm", "click.prompt", "input"):
            yield call.lineno


def decisions_pure(name: str, tree: ast.Module) -> Found:
    if not name.startswith(PURE) and name not in PURE_FILES:
        return
    for module, line in imported(tree):
        if module.partition(".")[0] in IMPURE:
            yield line
    for call in calls(tree):
        if dotted(call.func) in ("open", "input", "print", "exec", "eval", "__import__"):
            yield call.lineno


def no_blanket_except(name: str, tree: ast.Module) -> Found:
    if name in BOUNDARIES:
        return
    for node in nodes(tree):
        if isinstance(node, ast.ExceptHandler) and not _reraises(node):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(kind is None or dotted(kind) in BROAD for kind in kinds):
                yield node.lineno
    for call in calls(tree):
        suppresses = dotted(call.func).endswith("suppress")
        if suppresses and any(dotted(kind) in BROAD for kind in call.args):
            yield call.lineno


def _reraises(handler: ast.ExceptHandler) -> bool:
    """Cleaning up and raising again is what a broad except is for."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


_REQUESTS = re.compile(
    r"urllib\.request\.urlopen|socket\.create_connection|http\.client\.HTTPS?Connection"
    r"|subprocess\.(run|call|check_call|check_output)"
    r"|(requests|.*session|.*client)\.(request|get|post|put|patch|delete|head)"
)
_SECOND = ("socket.create_connection",)  # where the limit may be the second argument


def requests_have_deadlines(_: str, tree: ast.Module) -> Found:
    for call in calls(tree):
        func = dotted(call.func)
        limited = has(call, "timeout") or (func in _SECOND and len(call.args) > 1)
        if _REQUESTS.fullmatch(func) and not limited:
            yield call.lineno


# Methods that wait for ever when nothing is said; the number is where the limit may stand.
_WAITS = {"wait": 0, "join": 0, "get": 0, "result": 0, "communicate": 1, "acquire": 0, "pause": 0}


def waits_have_deadlines(name: str, tree: ast.Module) -> Found:
    if name in SERVERS:
        return
    for call in calls(tree):
        if not isinstance(call.func, ast.Attribute):
            continue
        place = _WAITS.get(call.func.attr)
        if place is None or len(call.args) > place or has(call, "timeout", "blocking"):
            continue
        yield call.lineno
    for call in calls(tree):
        if dotted(call.func) == "select.select" and len(call.args) < 4:
            yield call.lineno


_STARTS = re.compile(
    r"subprocess\.(run|call|check_call|check_output|Popen)|os\.(exec|spawn|posix_spawn)\w*"
)


def children_get_an_environment(name: str, tree: ast.Module) -> Found:
    """On the laptop: a program that inherits everything inherits the account's key."""
    if not name.startswith("controller/"):
        return
    for call in calls(tree):
        func = dotted(call.func)
        chosen = func in ("os.execve", "os.execvpe") or has(call, "env")
        if _STARTS.fullmatch(func) and not chosen:
            yield call.lineno


def pod_side_needs_only_python(name: str, tree: ast.Module) -> Found:
    if name.startswith("remote/") and not name.startswith("remote/stages/"):
        for module, line in imported(tree):
            if module.partition(".")[0] not in sys.stdlib_module_names:
                yield line


def pod_side_imports_relatively(name: str, tree: ast.Module) -> Found:
    if name.startswith("remote/"):
        for module, line in imported(tree):
            if module.partition(".")[0] in LOCAL:
                yield line


def state_needs_only_python(name: str, tree: ast.Module) -> Found:
    if name.startswith("state/"):
        for module, line in imported(tree):
            first = module.partition(".")[0]
            if first != "state" and first not in sys.stdlib_module_names:
                yield line


def heavy_imports_late(name: str, tree: ast.Module) -> Found:
    if name.startswith("controller/cli/"):
        for module, line in imported(tree, everywhere=False):
            if module.partition(".")[0] in HEAVY | {"pydantic"}:
                yield line


# What only Linux has, in the modules that macOS has too. A branch on `sys.platform` is not looked
# into: the laptop's side needs none of these.
_LINUX_CALLS = re.compile(
    r"os\.(sched_\w+|posix_fadvise|posix_fallocate|copy_file_range|sendfile|splice|memfd_create"
    r"|eventfd\w*|pidfd_open|pipe2|fdatasync|setns|unshare|setres\w+|getres\w+|getrandom"
    r"|getxattr|setxattr|listxattr|removexattr)"
    r"|select\.epoll|signal\.(pidfd_send_signal|sigtimedwait|sigwaitinfo)|resource\.prlimit"
    r"|ctypes\.\w+|os\.fsync"
)
_LINUX_NAMES = {
    "O_PATH", "O_TMPFILE", "O_DIRECT", "O_DSYNC", "TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_INFO",
    "SOCK_CLOEXEC", "SOCK_NONBLOCK", "SO_PEERCRED", "SO_BINDTODEVICE", "MSG_MORE",
    "CLOCK_BOOTTIME", "SCHED_BATCH", "SCHED_IDLE", "SEEK_DATA", "SEEK_HOLE", "F_SETPIPE_SZ",
    "F_OFD_SETLK", "F_OFD_SETLKW",
}  # fmt: skip
# Paths read on this machine; a text with more than a path in it is a command for a pod.
_LINUX_PATH = re.compile(r"/(proc|sys|dev/shm)(/[^\s]*)?")
# The emulator's pods, which are processes of Linux, and what makes bytes durable on both.
LINUX_ONLY = ("controller/providers/emulator/container/", "state/file_sync.py")


def laptop_runs_on_macos(name: str, tree: ast.Module) -> Found:
    """What may be missing is asked for by `getattr` or `hasattr`, or behind a platform branch."""
    if name.startswith(("remote/", *LINUX_ONLY)):
        return
    for call in calls(tree):
        if _LINUX_CALLS.fullmatch(dotted(call.func)):
            yield call.lineno
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and (
            node.attr in _LINUX_NAMES or dotted(node) == "os.fsync"
        ):
            yield node.lineno
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and _LINUX_PATH.fullmatch(text):
            yield node.lineno
    for module, line in imported(tree):
        if module in ("ctypes", "spwd", "ossaudiodev", "pyinotify"):
            yield line


RULES = (
    Rule(
        "the laptop's side needs nothing that only Linux has",
        laptop_runs_on_macos,
        (
            "os.sched_getaffinity(0)",
            "os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)",
            "os.fsync(fd)",
            "pool.submit(os.fsync, fd)",
            "os.open(path, os.O_PATH)",
            "connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)",
            "Path('/proc/self/status').read_text()",
            "import ctypes",
        ),
    ),
    Rule(
        "every program is started with an argv list",
        no_shell,
        ("subprocess.run('ls', shell=True)", "run('ls', shell=yes)", "os.system('ls')"),
    ),
    Rule(
        "no archive is unpacked and nothing unpickled: files come one by one, by their manifest",
        nothing_extracted,
        ("archive.extractall(path)", "a.b().extract(x)", "import pickle", "import tarfile"),
    ),
    Rule(
        "host key checking is never switched off",
        host_keys_checked,
        (
            "argv = ['ssh', '-o', 'StrictHostKeyChecking=no']",
            "text = 'StrictHostKey' 'Checking accept-new'",
            "client.set_missing_host_key_policy(paramiko.AutoAddPolicy())",
        ),
    ),
    Rule(
        "only the terminal prints",
        one_output_door,
        ("print('x')", "sys.stdout.write('x')", "sys.stderr.buffer.write(b'x')", "click.echo('x')"),
    ),
    Rule(
        "decisions read no clock, no disk, no network and no dice",
        decisions_pure,
        ("import time", "from datetime import datetime", "def f():\n    import os", "open('x')"),
        "controller/planner/decide.py",
    ),
    Rule(
        "errors are caught by what they are",
        no_blanket_except,
        (
            "try:\n    f()\nexcept:\n    pass",
            "try:\n    f()\nexcept (ValueError, Exception):\n    pass",
            "with suppress(Exception):\n    f()",
        ),
    ),
    Rule(
        "every request has a limit",
        requests_have_deadlines,
        (
            "urllib.request.urlopen(url)",
            "socket.create_connection((host, 22))",
            "http.client.HTTPSConnection(host)",
            "subprocess.run(['true'], check=False)",
            "requests.put(url, json={})",
            "async def f():\n    async with self.session.request('GET', url) as r:\n        pass",
        ),
    ),
    Rule(
        "every wait has a limit",
        waits_have_deadlines,
        (
            "process.wait()",
            "process.communicate(data)",
            "thread.join()",
            "queue.get()",
            "future.result()",
            "lock.acquire()",
            "threading.Event().wait()",
            "select.select([a], [], [])",
            "signal.pause()",
        ),
    ),
    Rule(
        "a child gets a chosen environment, without the account's key",
        children_get_an_environment,
        (
            "subprocess.run(['git'], timeout=5)",
            "subprocess.Popen(['ssh'])",
            "os.execv('/usr/bin/ssh', argv)",
        ),
    ),
    Rule(
        "outside of the stages the pod's side needs only Python",
        pod_side_needs_only_python,
        ("import requests", "def f():\n    from torch import nn"),
        "remote/any.py",
    ),
    Rule(
        "the pod's side imports itself relatively: a bare copy works under any name",
        pod_side_imports_relatively,
        ("from remote.contract import Exit", "import state.redaction"),
        "remote/stages/any.py",
    ),
    Rule(
        "the state needs only Python",
        state_needs_only_python,
        ("import pydantic", "from controller.errors import PodctlError"),
        "state/any.py",
    ),
    Rule(
        "nothing on the way to a command's help imports what is heavy",
        heavy_imports_late,
        ("import runpod", "from pydantic import BaseModel"),
        "controller/cli/any.py",
    ),
)
