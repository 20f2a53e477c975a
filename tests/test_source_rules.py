"""Rules that a linter has no word for, checked on the syntax tree of every source file."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("controller", "jobs", "remote", "state")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
LOCAL = {"controller", "jobs", "remote", "state", "tests"}
PURE = (
    "controller/actions.py",
    "controller/books.py",
    "controller/closing.py",
    "controller/cost.py",
    "controller/loop.py",
    "controller/observe.py",
    "controller/order.py",
    "controller/perform.py",
    "controller/plan.py",
    "controller/policy.py",
    "controller/rental.py",
    "controller/renting.py",
    "controller/scene.py",
    "controller/site.py",
    "controller/staleness.py",
)
IMPURE = {"time", "random", "os", "socket", "subprocess", "datetime", "pathlib", "secrets"}
LONGEST = 400  # lines

# Where a broad except is a boundary, not flow: the probe tries foreign native code, whose every
# failure is the finding.
BOUNDARIES = ("remote/probe.py",)
BROAD = ("Exception", "BaseException")
# Programs on the pod, and processes of the emulator, whose stdout is their protocol or their log.
TALKERS = ("controller/terminal.py", "controller/providers/emulator/", "remote/")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a call's function; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    return ""


def imported(tree: ast.AST, *, everywhere: bool = True) -> Iterator[tuple[str, int]]:
    """Absolute modules that are imported, with the line; relative ones are of the same package."""
    nodes = ast.walk(tree) if everywhere else iter(getattr(tree, "body", []))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module, node.lineno


def violations(check: Callable[[Path, ast.Module], Iterator[int]]) -> list[str]:
    return [f"{name_of(path)}:{line}" for path in FILES for line in check(path, tree_of(path))]


def test_no_shell() -> None:
    """Every program is started with an argv list."""

    def check(_: Path, tree: ast.Module) -> Iterator[int]:
        for call in calls(tree):
            for word in call.keywords:
                if word.arg == "shell" and not _is(word.value, False):
                    yield call.lineno
            if dotted(call.func) in ("os.system", "os.popen", "subprocess.getoutput"):
                yield call.lineno

    assert violations(check) == []


def test_nothing_is_extracted() -> None:
    """No archive is ever unpacked: files come over one by one, by their manifest."""

    def check(_: Path, tree: ast.Module) -> Iterator[int]:
        for call in calls(tree):
            last = dotted(call.func).rpartition(".")[2]
            if last in ("extract", "extractall", "unpack_archive"):
                yield call.lineno
        for module, line in imported(tree):
            if module in ("tarfile", "pickle", "marshal", "shelve"):
                yield line

    assert violations(check) == []


def test_host_keys_are_always_checked() -> None:
    """Nothing switches host key checking off or accepts any key."""
    loose = re.compile(
        r"StrictHostKeyChecking\W+(no|off|accept-new)|AutoAddPolicy|WarningPolicy", re.IGNORECASE
    )
    found = [name_of(path) for path in FILES if loose.search(path.read_text(encoding="utf-8"))]

    assert found == []


def test_one_output_door() -> None:
    """Only the terminal prints; the rest says what it has to say through it."""

    def check(path: Path, tree: ast.Module) -> Iterator[int]:
        if name_of(path).startswith(TALKERS):
            return
        for call in calls(tree):
            name = dotted(call.func)
            if name == "print" or re.fullmatch(r"sys\.std(out|err)\.(buffer\.)?write", name):
                yield call.lineno
            if name in ("click.echo", "click.secho", "click.confirm", "click.prompt", "input"):
                yield call.lineno

    assert violations(check) == []


def test_decisions_are_pure() -> None:
    """Planning and pricing read no clock, no disk, no network and no dice."""

    def check(path: Path, tree: ast.Module) -> Iterator[int]:
        if name_of(path) in PURE:
            for module, line in imported(tree):
                if module.partition(".")[0] in IMPURE:
                    yield line
            for call in calls(tree):
                if dotted(call.func) in ("open", "input", "print", "exec", "eval"):
                    yield call.lineno

    assert [name for name in PURE if not (ROOT / name).is_file()] == []
    assert violations(check) == []


def test_no_blanket_except() -> None:
    """Errors are caught by what they are; a bare or broad except is no flow."""

    def check(path: Path, tree: ast.Module) -> Iterator[int]:
        if name_of(path) in BOUNDARIES:
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and not _reraises(node):
                kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
                if any(kind is None or dotted(kind) in BROAD for kind in kinds):
                    yield node.lineno
        for call in calls(tree):
            suppresses = dotted(call.func).endswith("suppress")
            if suppresses and any(dotted(kind) in BROAD for kind in call.args):
                yield call.lineno

    assert violations(check) == []


def _reraises(handler: ast.ExceptHandler) -> bool:
    """Cleaning up and raising again is what a broad except is for."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_every_request_has_a_deadline() -> None:
    """No HTTP request and no child process is waited for without a limit."""
    limited = {
        "urllib.request.urlopen": "timeout",
        "socket.create_connection": "timeout",
        "subprocess.run": "timeout",
        "subprocess.check_output": "timeout",
        "subprocess.check_call": "timeout",
        "requests.request": "timeout",
        "requests.get": "timeout",
        "requests.post": "timeout",
    }

    def check(_: Path, tree: ast.Module) -> Iterator[int]:
        for call in calls(tree):
            word = limited.get(dotted(call.func))
            if word and all(one.arg not in (word, None) for one in call.keywords):
                positional = dotted(call.func) == "socket.create_connection" and len(call.args) > 1
                if not positional:
                    yield call.lineno

    assert violations(check) == []


def test_the_pod_side_needs_only_python() -> None:
    """Outside of the stages, remote imports the standard library and itself, relatively."""

    def check(path: Path, tree: ast.Module) -> Iterator[int]:
        name = name_of(path)
        if name.startswith("remote/") and not name.startswith("remote/stages/"):
            for module, line in imported(tree):
                if module.partition(".")[0] not in sys.stdlib_module_names:
                    yield line

    assert violations(check) == []


def test_the_pod_side_imports_itself_relatively() -> None:
    """A bare copy of remote/ works under any folder's name."""

    def check(path: Path, tree: ast.Module) -> Iterator[int]:
        if name_of(path).startswith("remote/"):
            for module, line in imported(tree):
                if module.partition(".")[0] in LOCAL:
                    yield line

    assert violations(check) == []


def test_the_state_needs_only_python() -> None:
    """state imports the standard library and itself."""

    def check(path: Path, tree: ast.Module) -> Iterator[int]:
        if name_of(path).startswith("state/"):
            for module, line in imported(tree):
                first = module.partition(".")[0]
                if first != "state" and first not in sys.stdlib_module_names:
                    yield line

    assert violations(check) == []


def test_heavy_libraries_are_imported_late() -> None:
    """Nothing on the way to a command's help imports an SDK, SSH or a validator."""
    heavy = {"runpod", "paramiko", "fabric", "torch", "asyncssh", "starlette", "uvicorn", "rich"}

    def check(path: Path, tree: ast.Module) -> Iterator[int]:
        if name_of(path).startswith("controller/cli/"):
            for module, line in imported(tree, everywhere=False):
                if module.partition(".")[0] in heavy | {"pydantic"}:
                    yield line

    assert violations(check) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_ignores_have_reasons(path: Path) -> None:
    """Every silenced warning names its rule and why it is silenced."""
    blank = re.compile(r"#\s*(noqa(?!:)|type:\s*ignore(?!\[))")
    code = re.compile(r"#\s*(noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[a-z-]+(, ?[a-z-]+)*\])")
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        silenced = code.search(line)
        if blank.search(line) or (silenced and not line[silenced.end() :].strip(" -#")):
            found.append(number)

    assert found == []


def test_files_stay_small() -> None:
    """One concept a file: none grows past what can be read in one sitting."""
    long = [
        f"{name_of(path)}: {count}"
        for path in FILES
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    ]

    assert long == []


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
