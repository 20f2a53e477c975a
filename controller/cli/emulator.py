"""`podctl emulator`: the embedded cloud, for any RunPod client."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from controller.errors import NotFound
from controller.project import Project, find
from controller.terminal import Terminal

PORT = 8642


@click.command("emulator")
@click.option("--port", default=PORT, show_default=True, help="0: any free one.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where its account, pods and volumes are kept.",
)
@click.option(
    "--balance", type=float, default=100.0, show_default=True, help="US dollars at first."
)
@click.option("--boot", type=float, default=3.0, show_default=True, help="Seconds a pod boots.")
@click.option("--keep-pods", is_flag=True, help="Leave pods running when it ends.")
@click.pass_obj
def command(
    terminal: Terminal,
    port: int,
    state: Path | None,
    balance: float,
    boot: float,
    keep_pods: bool,
) -> None:
    """Serve RunPod's API on this machine until Ctrl-C. Costs nothing; its pods are real.

    Within a project the other commands find it by themselves; any other client needs the two
    environment variables that are printed.
    """
    from controller.providers.emulator.server import serve
    from controller.providers.emulator.settings import DEFAULT_KEY, EmulatorSettings

    project = _project()
    folder = (state or _state_of(project)).absolute()
    settings = EmulatorSettings(boot_seconds=boot, balance_usd=balance, leave_pods=keep_pods)

    def ready(base_url: str) -> None:
        if project is not None:
            _announce(project, base_url, DEFAULT_KEY)
        terminal.data(f"export RUNPOD_API_BASE_URL={base_url}")
        terminal.data(f"export RUNPOD_API_KEY={DEFAULT_KEY}", secret=True)
        terminal.say(f"serving RunPod's API at {base_url}; state in {folder}; Ctrl-C ends it")

    try:
        serve(folder, port=port, api_key=DEFAULT_KEY, settings=settings, ready=ready)
    finally:
        if project is not None:
            (project.state_dir / "emulator.json").unlink(missing_ok=True)


def _project() -> Project | None:
    try:
        project = find()
    except NotFound:
        return None
    project.prepare()
    return project


def _state_of(project: Project | None) -> Path:
    """The project's own cloud, or the user's."""
    if project is not None:
        return project.state_dir / "emulator"
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(home) / "podctl" / "emulator"


def _announce(project: Project, base_url: str, key: str) -> None:
    """How this project's commands find it."""
    from state.durable import write_atomically

    document = json.dumps({"base_url": base_url, "api_key": key}).encode() + b"\n"
    write_atomically(project.state_dir / "emulator.json", document)
