"""The job's Python: the pod's own when it has what is needed, else a venv on the volume.

The venv sits on top of the pod's interpreter, so that the image's torch is used and not fetched
again. It is built under another name and renamed when complete: it is there entirely or not.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ..contract import Environment, digest
from ..light_dataclasses import dataclass
from ..lock_file import PYPROJECT, UV_LOCK, Lockfile, NoLock
from ..pod.paths import record, write_record
from .installer import BuildContext, EnvironmentFailed, beside, find_uv
from .preflight import PROBE

COMPLETE = "complete"  # in a finished environment: when, by which run and how fast it was made
STALE_SECONDS = 24 * 3600.0  # after which another pod's half-built folder is nobody's


def interpreters(env: Mapping[str, str], own: str) -> list[Path]:
    """The pythons of this pod, most likely first."""
    names = [shutil.which(name, path=env["PATH"]) for name in ("python3", "python")]
    return list(dict.fromkeys(Path(name) for name in (*names, own) if name))


def choose(need: Environment, candidates: list[Path], context: BuildContext) -> tuple[Path, bool]:
    """(interpreter, whether it has everything that is needed already)."""
    for python in candidates:
        if present(python, need.provides, context) == set(need.provides) and need.provides:
            return python, True
    if need.lock is None and not need.provides:
        return candidates[0], True
    working = [p for p in candidates if context.ask([str(p), str(PROBE), "describe"]) is not None]
    if not working:
        raise EnvironmentFailed("no working Python on this pod")
    return working[0], need.lock is None


def present(python: Path, modules: tuple[str, ...], context: BuildContext) -> set[str]:
    """Those of `modules` that `python` finds."""
    if not modules:
        return set()
    answer = context.ask([str(python), str(PROBE), "has", *modules]) or ""
    return {line[4:] for line in answer.splitlines() if line.startswith("has ")}


@dataclass(frozen=True)
class Making:
    """One environment of one run: where it is, and what it is made of."""

    need: Environment
    work: Path
    run: str
    context: BuildContext

    def prepare(self, base: Path) -> Path:
        """The interpreter of a complete environment made from the lock, built when absent."""
        try:
            lock = Lockfile.read(self.work, self.need.lock or "", self.need.install)
            content = lock.key()
        except NoLock as error:
            raise EnvironmentFailed(str(error)) from None
        about = self.context.ask([str(base), str(PROBE), "describe"])
        if about is None:
            raise EnvironmentFailed(f"{base} does not run")
        keep_torch = bool(present(base, ("torch",), self.context))
        key = digest(b"\0".join([content, about.encode(), str(base).encode(), b"%d" % keep_torch]))
        venv = self.context.root / "venvs" / key
        if not self._is_complete(venv):
            self._make(venv, lambda half: self._build(lock, base, about, keep_torch, half))
        return venv / "bin" / "python"

    def install(self, python: Path, into: Path, tree: str) -> None:
        """The project of `need.install`, without its dependencies, into the folder `into`.

        It is made anew when `tree`, the name of all that was sent, is another one. Raises
        `EnvironmentFailed`.
        """
        name = self.need.install or "."
        source = self.work / name
        if ".." in Path(name).parts or os.path.isabs(name) or not source.is_dir():
            raise EnvironmentFailed(f"no folder {name!r} in the work folder to install")
        made_of = digest(f"{tree}\0{name}\0{python}".encode())
        if (record(into / COMPLETE) or {}).get("made_of") == made_of and self._is_complete(into):
            return
        words = ["--directory", str(source), "pip", "install", "--quiet", "--no-deps"]
        words += ["--python", str(python)]

        def build(half: Path) -> None:
            uv = find_uv(python, self.context)
            with tidied(self.work):
                target_options = ["--target", str(half), "."]
                self.context.run([*uv, *words, *target_options], self.need.deadline_seconds)

        shutil.rmtree(into, ignore_errors=True)
        self._make(into, build, made_of=made_of)

    def _is_complete(self, folder: Path) -> bool:
        """Whether it is there and complete; what is there and is not, is removed."""
        if not folder.exists():
            return False
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            return False
        made = record(folder / COMPLETE) or {}
        by = (
            f", made by {made['run']} at {made['at']} UTC" if "run" in made and "at" in made else ""
        )
        self.context.say(f"environment: kept from {folder}{by}")
        return True

    def _make(self, folder: Path, build: Callable[[Path], None], **more: str) -> None:
        """Beside, and with its name only when it is complete."""
        sweep(folder.parent)
        began = time.monotonic()
        with beside(folder, self.context.boot) as half:
            build(half)
            seconds = time.monotonic() - began
            at = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
            made = {"run": self.run, "at": at, "seconds": round(seconds, 1), **more}
            write_record(half / COMPLETE, made)
        self.context.say(f"environment: made in {seconds:.1f} s: {folder}")

    def _build(self, lock: Lockfile, base: Path, about: str, keep_torch: bool, half: Path) -> None:
        uv, context, seconds = find_uv(base, self.context), self.context, self.need.deadline_seconds
        make = ["venv", "--quiet", "--relocatable", "--system-site-packages", "--python", str(base)]
        context.run([*uv, *make, str(half)], seconds)
        _inherit(half, about)
        # The settings of the user's project hold for it: its indexes, its [tool.uv].
        arguments = ["--directory", str(lock.source.parent)]
        install = [
            *arguments,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(half / "bin" / "python"),
        ]
        hashed = lock.hashed
        if lock.source.name == UV_LOCK:
            wanted = half / "exported.txt"
            export = ["export", "--quiet", "--frozen", "--no-emit-project", "--no-default-groups"]
            context.run([*uv, *arguments, *export, "-o", str(wanted)], seconds)
            exported = Lockfile.read(half, wanted.name)
            wanted, hashed = exported.copy(half, keep_torch=keep_torch), exported.hashed
        elif lock.source.name == PYPROJECT:
            wanted = lock.source
        else:
            wanted = lock.copy(half, keep_torch=keep_torch)
        if hashed:
            install += ["--require-hashes", "--no-deps"]
        elif keep_torch:
            never = half / "overrides.txt"
            never.write_text("torch ; sys_platform == 'never'\n")
            install += ["--override", str(never)]
        with tidied(self.work):
            context.run([*uv, *install, "-r", str(wanted)], seconds)


def sweep(folder: Path) -> None:
    """Remove what pods that are gone were building; what is being built is left alone."""
    for left in (*folder.glob(".*.half"), *folder.glob("*.half")):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def tidied(folder: Path) -> Iterator[None]:
    """Build backends leave files beside the sources; those are no outputs, and go again."""
    before = set(_below(folder))
    try:
        yield
    finally:
        for path in sorted(set(_below(folder)) - before, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(path) if os.path.isdir(path) else os.unlink(path)


def _below(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        yield from (os.path.join(parent, name) for name in (*folders, *files))


def _inherit(venv: Path, about: str) -> None:
    """Where the pod's own Python is a venv itself, its packages must be seen too.

    `addsitedir` follows the .pth files that lie there: those of editable installs.
    """
    sites = [line[5:] for line in about.splitlines() if line.startswith("site ")]
    lines = [f"import site; site.addsitedir({site!r})\n" for site in sites]
    for folder in venv.glob("lib/python*/site-packages"):
        if sites:
            (folder / "podctl_base.pth").write_text("".join(lines))
