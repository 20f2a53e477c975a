"""What a podctl.toml with errors still says, completed by what the state records.

For commands that must work for a pod that bills already: status, stop, sync, ssh, gc and others.
Keys that are in order count; provider and stages are otherwise those of the newest leases.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from controller.errors import PodctlError
from controller.project.config import MAX_BYTES, Config
from controller.project.project import Project
from jobs.stage import PINNED, Stage
from state.errors import StateError

if TYPE_CHECKING:
    from state.journal import Journal

_PROVIDER = re.compile(r'^\s*provider\s*=\s*["\'](runpod|emulator)["\']', re.MULTILINE)


def recovered_config(project: Project) -> Config | None:
    """The readable part of podctl.toml; None where even the provider is unknown."""
    text = _text(project)
    document = _document(text)
    sections: dict[str, Any] = {}
    for name in Config.model_fields:
        section = document.get(name)
        if isinstance(section, dict):
            valid = {key: value for key, value in section.items() if _valid(name, key, value)}
            sections[name] = valid
    chosen: dict[str, Any] = sections.setdefault("project", {})
    written_section = document.get("project", {})
    if document and isinstance(written_section, dict) and "provider" not in written_section:
        chosen["provider"] = "runpod"  # the default, in a file that can be read
    if "provider" not in chosen:
        recorded, written = _rented_from(project), _PROVIDER.search(text)
        if not recorded and written is None:
            return None
        chosen |= recorded or {"provider": written[1] if written is not None else "runpod"}
    if not document:
        chosen.setdefault("plan", "none")  # the stages are those that were run
    try:
        return Config.model_validate(sections)
    except ValidationError:  # two keys that exclude each other
        return Config.model_validate({"project": {"provider": chosen["provider"]}})


def recorded_stages(project: Project) -> dict[str, Stage]:
    """Each stage that was run, as its newest run had it."""
    from controller.project.journal import open_journal

    stages: dict[str, Stage] = {}
    with suppress(PodctlError, StateError):
        for run in open_journal(project).newest_runs():
            with suppress(KeyError, TypeError, ValueError):
                stages[run.stage] = Stage.model_validate(run.spec["stage"], context=PINNED)
    return stages


def _valid(section: str, key: str, value: object) -> bool:
    try:
        Config.model_validate({section: {key: value}})
    except (ValidationError, RecursionError):
        return False
    return True


def _text(project: Project) -> str:
    try:
        with project.file.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _document(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return {}


def _rented_from(project: Project) -> dict[str, Any]:
    """Provider and address of the newest lease that is open, else of the newest; empty: none."""
    from controller.project.journal import open_journal

    with suppress(PodctlError, StateError, KeyError, TypeError, ValueError):
        journal = open_journal(project)
        leases = journal.open_leases() or journal.leases()
        named = [lease for lease in leases if lease.data.get("provider")]
        if named:
            return _address(journal, named[-1].id, str(named[-1].data["provider"]))
    return {}


def _address(journal: Journal, lease: str, provider: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {"provider": provider}
    address = next((run.spec["shape"]["api_base"] for run in journal.runs(lease=lease)), None)
    if provider == "emulator" and isinstance(address, str):
        chosen["api_base_url"] = address
    return chosen
