"""The job's Python: the pod's own when it has what is needed, else a venv on the volume.

The venv sits on top of the pod's interpreter, so that the image's torch is used and not fetched
again. It is built under another name and renamed when complete: it is there entirely or not.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import uv_pin
from .command import Command, Result, wait_all
from .contract import Environment, digest
from .durable import sync_folder
from .preflight import PROBE

QUICK_SECONDS = 60.0  # asking an interpreter what it has
OF_TORCH = re.compile(r"torch|triton|nvidia[-_.].*|pytorch[-_.]triton.*", re.IGNORECASE)
UV_LOCK, PYPROJECT = "uv.lock", "pyproject.toml"
WARNING = re.compile(r"(?:warning|notice|deprecation)\b|\[notice\]", re.IGNORECASE)
ERROR = re.compile(r"error\b|[\u00d7\u2717x] |could not|no matching|no solution", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class EnvironmentFailed(Exception):
    """The environment could not be made; the text is for the user."""


@dataclass(frozen=True)
class Workshop:
    """What building needs: `run(argv, seconds)` logs to the job's log and may be interrupted."""

    root: Path  # <mount>/podctl
    env: Mapping[str, str]
    log: Path
    scratch: Path  # container-local
    tick: Callable[[], None]

    def ask(self, argv: list[str]) -> str | None:
        """The output of a quick question; None when it fails."""
        output = self.scratch / "answer"
        output.write_bytes(b"")
        result = self._run(argv, output, QUICK_SECONDS)
        return result.output if result.rc == 0 else None

    def run(self, argv: list[str], seconds: float) -> None:
        """Do one step of building. Raises `EnvironmentFailed`."""
        self.say(" ".join(argv))
        result = self._run(argv, self.log, seconds)
        if result.rc is None:
            raise EnvironmentFailed(f"not ready within {seconds:.0f} s: {' '.join(argv[:4])} …")
        if result.rc != 0:
            raise EnvironmentFailed(reason(result.output) or f"{argv[0]} failed")

    def say(self, text: str) -> None:
        with self.log.open("ab") as log:
            log.write(f"podctl: {text}\n".encode())

    def _run(self, argv: list[str], output: Path, seconds: float) -> Result:
        try:
            command = Command(argv, env=self.env, cwd=self.root, output=output, seconds=seconds)
        except OSError as error:
            return Result(127, f"{argv[0]}: {error.strerror}")
        (result,) = wait_all([command], self.tick)
        return result


def reason(output: str) -> str:
    """From the line that says why an installation failed, without warnings; pip's or uv's."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = [line for line in lines if not WARNING.match(line)]
    first = next((n for n, line in enumerate(said) if ERROR.match(line)), max(0, len(said) - 12))
    return "; ".join(said[first : first + 12])


def interpreters(env: Mapping[str, str], own: str) -> list[Path]:
    """The pythons of this pod, most likely first."""
    names = [shutil.which(name, path=env["PATH"]) for name in ("python3", "python")]
    return list(dict.fromkeys(Path(name) for name in (*names, own) if name))


def choose(need: Environment, candidates: list[Path], shop: Workshop) -> tuple[Path, bool]:
    """(interpreter, whether it has everything that is needed already)."""
    for python in candidates:
        if present(python, need.provides, shop) == set(need.provides) and need.provides:
            return python, True
    if need.lock is None and not need.provides:
        return candidates[0], True
    working = [p for p in candidates if shop.ask([str(p), str(PROBE), "describe"]) is not None]
    if not working:
        raise EnvironmentFailed("no working Python on this pod")
    return working[0], need.lock is None


def present(python: Path, modules: tuple[str, ...], shop: Workshop) -> set[str]:
    """Those of `modules` that `python` finds."""
    if not modules:
        return set()
    answer = shop.ask([str(python), str(PROBE), "has", *modules]) or ""
    return {line[4:] for line in answer.splitlines() if line.startswith("has ")}


def prepare(need: Environment, work: Path, base: Path, shop: Workshop) -> Path:
    """The interpreter of a complete environment made from `need.lock`, built when absent."""
    lock = _lock(work, need.lock or "")
    about = shop.ask([str(base), str(PROBE), "describe"])
    if about is None:
        raise EnvironmentFailed(f"{base} does not run")
    keep_torch = bool(present(base, ("torch",), shop))
    key = digest(b"\0".join([lock, about.encode(), str(base).encode(), b"%d" % keep_torch]))
    venv = shop.root / "venvs" / key
    if not (venv / "complete").exists():
        _build(need, work, lock, base, about, keep_torch, venv, shop)
    return venv / "bin" / "python"


def install(need: Environment, work: Path, python: Path, into: Path, shop: Workshop) -> None:
    """The project of `need.install`, without its dependencies, into the folder `into`.

    It is made anew each time: code changes from run to run, what it depends on seldom does.
    Raises `EnvironmentFailed`.
    """
    name = need.install or "."
    source = work / name
    if ".." in Path(name).parts or Path(name).is_absolute() or not source.is_dir():
        raise EnvironmentFailed(f"no folder {name!r} in the work folder to install")
    shutil.rmtree(into, ignore_errors=True)
    words = ["--directory", str(source), "pip", "install", "--quiet", "--no-deps"]
    words += ["--python", str(python)]
    place = ["--target", str(into), str(source)]
    shop.run([*find_uv(python, shop), *words, *place], need.deadline_seconds)


def _lock(work: Path, name: str) -> bytes:
    path = work / name
    if ".." in Path(name).parts or Path(name).is_absolute() or not path.is_file():
        raise EnvironmentFailed(f"no lock file {name!r} in the work folder")
    return path.read_bytes()


def _build(
    need: Environment,
    work: Path,
    lock: bytes,
    base: Path,
    about: str,
    keep_torch: bool,
    venv: Path,
    shop: Workshop,
) -> None:
    half = venv.with_name(f"{venv.name[:16]}.half")
    shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(venv, ignore_errors=True)
    venv.parent.mkdir(parents=True, exist_ok=True)
    uv = find_uv(base, shop)
    seconds = need.deadline_seconds
    source = work / (need.lock or "")
    make = ["venv", "--quiet", "--relocatable", "--system-site-packages", "--python", str(base)]
    shop.run([*uv, *make, str(half)], seconds)
    _inherit(half, about)
    wanted = half / "requirements.txt"
    if source.name == UV_LOCK:
        export = ["export", "--quiet", "--frozen", "--no-emit-project", "--no-default-groups"]
        shop.run([*uv, *export, "--project", str(source.parent), "-o", str(wanted)], seconds)
        lock = wanted.read_bytes()
    elif source.name == PYPROJECT:
        wanted = half / PYPROJECT  # its dependencies are read from it, torch is overridden below
    if wanted.name == PYPROJECT:
        wanted.write_bytes(lock)
    else:
        wanted.write_bytes(without_torch(lock) if keep_torch else lock)
    # The settings of the user's project hold for it: its indexes, its [tool.uv].
    there = ["--directory", str(source.parent)]
    install = [*there, "pip", "install", "--quiet", "--python", str(half / "bin" / "python")]
    if (
        wanted.name != PYPROJECT and b"--hash=" in lock
    ):  # a complete closure: nothing is resolved, nothing unpinned gets in
        install += ["--require-hashes", "--no-deps"]
    elif keep_torch:
        never = half / "overrides.txt"
        never.write_text("torch ; sys_platform == 'never'\n")
        install += ["--override", str(never)]
    shop.run([*uv, *install, "-r", str(wanted)], seconds)
    (half / "complete").write_bytes(b"")
    os.rename(half, venv)
    sync_folder(venv.parent)


def _inherit(venv: Path, about: str) -> None:
    """Where the pod's own Python is a venv itself, its packages must be seen too.

    `addsitedir` follows the .pth files that lie there: those of editable installs.
    """
    sites = [line[5:] for line in about.splitlines() if line.startswith("site ")]
    lines = [f"import site; site.addsitedir({one!r})\n" for one in sites]
    for folder in venv.glob("lib/python*/site-packages"):
        if sites:
            (folder / "podctl_base.pth").write_text("".join(lines))


def find_uv(base: Path, shop: Workshop) -> list[str]:
    """argv of uv: the pod's, else the pinned one, fetched into the volume.

    Raises `EnvironmentFailed`.
    """
    tools = shop.root / "tools"
    for path in (shutil.which("uv", path=shop.env["PATH"]), str(tools / "bin" / "uv")):
        if path and shop.ask([path, "--version"]):
            return [path]
    if shop.ask([str(base), "-m", "uv", "--version"]):
        return [str(base), "-m", "uv"]
    pin = shop.scratch / "uv.txt"
    pin.write_text(uv_pin.requirement())
    fetch = [str(base), "-m", "pip", "install", "--quiet", "--target", str(tools)]
    shop.run([*fetch, "--no-deps", "--require-hashes", "-r", str(pin)], QUICK_SECONDS * 5)
    return [str(tools / "bin" / "uv")]


def without_torch(lock: bytes) -> bytes:
    """A requirements file less torch and what comes only with it."""
    kept = []
    dropping = False
    for line in lock.decode(errors="surrogateescape").splitlines():
        starts = not line.startswith((" ", "\t")) and line.strip() != ""
        if starts:
            name = NAME.match(line)
            dropping = bool(name and OF_TORCH.fullmatch(name.group()))
        if not dropping:
            kept.append(line)
    return ("\n".join(kept) + "\n").encode(errors="surrogateescape")
