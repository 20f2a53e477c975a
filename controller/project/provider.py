"""From a project to its provider: which account, which address, which key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from controller.project.project import Project

if TYPE_CHECKING:
    from controller.providers.factory import Access
    from controller.providers.prefetch import Prefetching

EMULATOR_KEY = "rpa_emulator"  # what every emulated account's key begins with
PATIENCE_SECONDS = 90.0  # for all tries of one call


def access_of(project: Project) -> Access:
    """Base URL and key. Raises UsageError for a crooked URL, Refused without a usable key."""
    from controller.providers.factory import Settings, access

    chosen = project.config.project
    environ = dict(os.environ)
    if chosen.provider == "emulator":
        environ = _emulated(environ, chosen.api_base_url)
    settings = Settings(project.state_dir, chosen.api_base_url, environ)
    return access(chosen.provider, settings)


def _emulated(environ: dict[str, str], address: str | None) -> dict[str, str]:
    """The variables that `podctl emulator` prints for every client serve podctl too.

    A key is taken over only together with an address: the account's own key stays here.
    """
    found = environ.get("RUNPOD_API_BASE_URL") or address
    if found and "PODCTL_EMULATOR_URL" not in environ:
        environ["PODCTL_EMULATOR_URL"] = found
        key = environ.get("RUNPOD_API_KEY", "")
        if key.startswith(EMULATOR_KEY) and "PODCTL_EMULATOR_KEY" not in environ:
            environ["PODCTL_EMULATOR_KEY"] = key
    return environ


def base_url(project: Project) -> str:
    """Where the project's API is. Raises as `access_of`."""
    return access_of(project).base_url


def other_api(project: Project) -> str:
    """A line where the account's key goes elsewhere than to RunPod; empty where it does not."""
    from controller.providers.factory import is_runpods

    if project.config.project.provider != "runpod" or is_runpods(found := base_url(project)):
        return ""
    return f"the account's key goes to {found}, as you said outside of the project, not to RunPod"


def open_provider(project: Project, patience_seconds: float = PATIENCE_SECONDS) -> Prefetching:
    """The project's cloud, with what may be retried retried. Sends nothing. Raises likewise.

    One call has half a minute, or less where `patience_seconds` is less. What its pods may say is
    not to be shown: the secrets of every stage are hidden from here on.
    """
    from controller.credentials.job_secrets import hide
    from controller.providers.prefetch import Prefetching
    from controller.providers.retry import Patience
    from controller.providers.runpod.provider import CALL_SECONDS, RunPod

    hide(project.stages.values())
    found, name = access_of(project), project.config.project.provider
    seconds = min(CALL_SECONDS, patience_seconds)
    provider = RunPod(found.api_key, found.base_url, name=name, call_seconds=seconds)
    return Prefetching(provider, Patience(deadline=patience_seconds))
