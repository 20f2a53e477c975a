"""From a project to its provider: which account, which address, which key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.project import Project

if TYPE_CHECKING:
    from controller.providers import Provider
    from controller.providers.open import Access

PATIENCE_SECONDS = 90.0  # for all tries of one call


def access_of(project: Project) -> Access:
    """Base URL and key. Raises UsageError for a crooked URL, Refused without a usable key."""
    from controller.providers.open import Settings, access

    chosen = project.config.project
    settings = Settings(state_dir=project.state_dir, api_base_url=chosen.api_base_url)
    return access(chosen.provider, settings)


def base_url(project: Project) -> str:
    """Where the project's API is. Raises as `access_of`."""
    return access_of(project).base_url


def open_provider(project: Project, patience_seconds: float = PATIENCE_SECONDS) -> Provider:
    """The project's cloud, with what may be retried retried. Sends nothing. Raises likewise."""
    from controller.providers.retry import Patience, Retrying
    from controller.providers.runpod import RunPod

    found = access_of(project)
    provider = RunPod(found.api_key, found.base_url, name=project.config.project.provider)
    return Retrying(provider, Patience(deadline=patience_seconds))
