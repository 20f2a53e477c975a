"""What this user allowed a project folder on this machine; kept outside of the project.

A podctl.toml may come from anybody. Its commands run on rented pods, not here; what they could
take along is what their jobs are given: secrets, and those only after a yes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from controller import user_state
from controller.errors import Refused, UsageError
from controller.planner.pod_spec import is_emulated
from controller.project.project import FILE, Project
from controller.project.provider import base_url
from controller.terminal.sanitize import clean_line
from controller.terminal.terminal import Terminal
from jobs.builtin_program import program
from jobs.launch import command_line
from remote.reserved_names import STATE

if TYPE_CHECKING:
    from jobs.stage import Stage

FOLDER = "projects"
FLAG = "--give-secrets"
MOST = 4  # commands shown at the first use
_ORIGIN = re.compile(r'^\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)', re.MULTILINE)
_MAX_GIT_CONFIG = 64 * 1024


@dataclass(frozen=True)
class Consent:
    """`secrets`: names whose values this folder's jobs may have."""

    folder: str
    since: float  # Unix time of the first use
    secrets: tuple[str, ...] = ()


def known(project: Project) -> Consent | None:
    """What was allowed; None for a folder that was never used, or whose record is broken."""
    path = _path(project)
    if path is None:
        return None
    try:
        found = json.loads(path.read_bytes())
        names = tuple(str(name) for name in found["secrets"])
        return Consent(str(found["folder"]), float(found["since"]), names)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def note_use(project: Project) -> None:
    """From now on the folder is a known one. Never fails: it would be told once more."""
    if known(project) is None:
        try:
            _save(project, _fresh(project))
        except UsageError:
            return


def introduce(
    project: Project, stages: Iterable[Stage], terminal: Terminal, *, here: bool = False
) -> None:
    """At the first use of a folder say where it comes from, and what would run where.

    `here`: its pods are of this machine, as those of the emulator are.
    """
    if known(project) is not None:
        return
    here = here or project.config.project.provider == "emulator"
    place = "on THIS machine, in pods of the emulator" if here else "on your pods"
    terminal.say(f"first use of {project.root} on this machine, {_whose(project)}")
    own = [stage for stage in stages if program(stage) is None or stage.env]
    for one in own[:MOST]:
        given = [f"{name}={value}" for name, value in one.env.items()]
        text = clean_line(" ".join((*given, *command_line(one))))
        terminal.say(f"  {one.name} runs {place}: {text[:200]}")
    if project.private_key.exists() or project.database.exists():
        terminal.warn(
            f"it has a {STATE} already: if you did not make it, others may know its SSH key; "
            f"rm -r {project.state_dir}"
        )
    if len(own) > MOST:
        terminal.say(f"  and {len(own) - MOST} more stages of its own: {FILE}")
    note_use(project)


def given(stages: Iterable[Stage]) -> str:
    """Which secrets the stages' jobs get: `HF_TOKEN (sft, dpo)`; empty when none."""
    users: dict[str, list[str]] = {}
    for stage in stages:
        for name in stage.secrets:
            users.setdefault(name, []).append(stage.name)
    return ", ".join(f"{name} ({', '.join(who)})" for name, who in users.items())


def lacking(project: Project, stages: Iterable[Stage]) -> tuple[str, ...]:
    """Names of secrets that the stages ask for and this folder's jobs were never allowed."""
    found = known(project)
    allowed = set(found.secrets) if found else set()
    names = dict.fromkeys(name for stage in stages for name in stage.secrets)
    return tuple(name for name in names if name not in allowed)


def withheld(project: Project, stages: Sequence[Stage]) -> tuple[str, ...]:
    """Those, and the settings with a login by which these stages' environments are installed."""
    from controller.project.installer_settings import applies, settings_of

    names = lacking(project, stages)
    if not any(applies(stage.environment) for stage in stages):
        return names
    emulated = is_emulated(base_url(project))
    found = known(project)
    allowed = set(found.secrets) if found else set()
    settings = settings_of(project.root, stages, emulated=emulated).secrets
    return (*names, *(name for name in settings if name not in {*allowed, *names}))


def ask(project: Project, stages: Sequence[Stage], terminal: Terminal, *, give: bool) -> None:
    """Have a yes for every secret that the stages ask for, now or from before.

    Raises: Refused after a no; UsageError naming the flag where nobody can be asked.
    """
    wanted = withheld(project, stages)
    if not wanted:
        return
    what = ", ".join(wanted)
    question = f"May the jobs of {project.root} have your {what}, now and later?"
    if not give and not terminal.confirm(question, FLAG):
        raise Refused(
            f"{what} is not given to this project's jobs",
            where=str(project.file),
            hint=f"take it out of the stages' secrets (environment.settings = false keeps what "
            f"pip and uv are told here), or {FLAG}",
        )
    allow(project, wanted)


def allow(project: Project, names: Iterable[str]) -> None:
    """Remember the yes. Raises UsageError where it cannot be kept."""
    found = known(project) or _fresh(project)
    _save(project, replace(found, secrets=tuple(dict.fromkeys((*found.secrets, *names)))))


def check(project: Project, stage: Stage) -> None:
    """Raises Refused when `stage` would get secrets that the user has not allowed."""
    if names := withheld(project, [stage]):
        raise Refused(
            f"{stage.name} asks for {', '.join(names)}, which you have not allowed this project",
            where=str(project.file),
            hint=f"podctl sync {stage.name} {FLAG}",
        )


def _fresh(project: Project) -> Consent:
    return Consent(str(project.root.resolve()), time.time())


def _path(project: Project) -> Path | None:
    """None where the user has no home: nothing was ever allowed then."""
    name = hashlib.sha256(os.fsencode(project.root.resolve())).hexdigest()[:24]
    try:
        return user_state.folder() / FOLDER / f"{name}.json"
    except UsageError:
        return None


def _save(project: Project, consent: Consent) -> None:
    path = _path(project) or user_state.folder() / FOLDER
    user_state.save(path, json.dumps(asdict(consent)).encode() + b"\n")


def _whose(project: Project) -> str:
    """Where the folder comes from, as far as it says so itself."""
    origin = _origin(project.root)
    owner = project.file.stat().st_uid
    other = "" if owner == os.geteuid() else f"; {FILE} belongs to user {owner}"
    return (f"a clone of {origin}" if origin else f"as its {FILE} says") + other


def _origin(root: Path) -> str:
    """The remote of the git repository around `root`: read, not asked, as git would run hooks."""
    for folder in (root, *root.parents):
        path = folder / ".git" / "config"
        try:
            with path.open("rb") as file:
                text = file.read(_MAX_GIT_CONFIG).decode("utf-8", "replace")
        except OSError:
            continue
        found = _ORIGIN.search(text)
        return _without_login(found[1]) if found else ""
    return ""


def _without_login(url: str) -> str:
    """An address of a remote may carry a token."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "a remote"
    shown = f"{host}{parts.path}" if host else url.rpartition("@")[2]
    return clean_line(shown)[:200]
