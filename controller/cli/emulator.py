"""`podctl emulator`: the embedded cloud, for any RunPod client."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.errors import NotFound, Refused, UsageError
from controller.project.project import Project, find
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.providers.emulator_keys import EmulatorFile

PORT = 8642


@click.group("emulator", invoke_without_command=True)
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
@click.option("--key", help="Take this API key, for tests, instead of drawing one.")
@click.pass_context
def command(
    ctx: click.Context,
    port: int,
    state: Path | None,
    balance: float,
    boot: float,
    keep_pods: bool,
    key: str | None,
) -> None:
    """Serve RunPod's API on this machine until Ctrl-C. Costs nothing; its pods are real.

    Within a project the other commands find it by themselves; any other client needs the two
    environment variables that are printed, and that `podctl emulator env` prints again. The key
    is drawn anew at every start: whoever has it can run programs on this machine as you.
    """
    if ctx.invoked_subcommand is not None:
        return
    from controller.providers import emulator_keys
    from controller.providers.emulator.requirements import check_installed

    check_installed()
    from controller.providers.emulator.server import key_document, serve
    from controller.providers.emulator.settings import EmulatorSettings

    terminal: Terminal = ctx.obj
    project = _project()
    folder = (state or _state_of(project)).absolute()
    settings = EmulatorSettings(boot_seconds=boot, balance_usd=balance, leave_pods=keep_pods)
    notes: list[Path] = []

    def ready(base_url: str, api_key: str) -> None:
        document = key_document(base_url, api_key)
        if project is not None:
            notes.append(_announce(project, document))
        try:
            notes.append(emulator_keys.note(document, base_url, os.environ))
        except UsageError as error:
            terminal.warn(f"{error.what}: podctl emulator env --state {folder} finds the key")
        _export(terminal, base_url, api_key)
        terminal.say(f"serving RunPod's API at {base_url}; state in {folder}; Ctrl-C ends it")
        if key is not None:
            terminal.warn(
                "the key was given on the command line: every program and user of this machine "
                "that knows it can run programs as you while this runs"
            )

    try:
        serve(folder, port=port, api_key=_checked(key), settings=settings, ready=ready)
    finally:
        for path in notes:
            _forget(path)


@command.command("env")
@click.option("--port", type=int, help="Of the one that listens there.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Of the one that keeps its account there.",
)
@click.pass_obj
def env(terminal: Terminal, port: int | None, state: Path | None) -> None:
    """Print the export lines for a running emulator: eval "$(podctl emulator env)".

    Without an option it is this project's, else the only one of yours that runs.
    """
    found = _running(port, state)
    _export(terminal, found.base_url, found.api_key)


def _running(port: int | None, state: Path | None) -> EmulatorFile:
    """The emulator that is meant. Raises NotFound, and UsageError where there are several."""
    from controller.providers import emulator_keys

    if state is not None:
        found = emulator_keys.read(state / emulator_keys.FILE)
        if found is None or not found.alive:
            raise NotFound(
                "no emulator serves this folder",
                where=str(state),
                hint=f"podctl emulator --state {shlex.quote(str(state))}",
            )
        return found
    every = emulator_keys.noted(os.environ)
    if port is None and (own := _of_project()) is not None:
        return own
    mine = [one for one in every if port is None or one.base_url.endswith(f":{port}")]
    if not mine:
        where = "" if port is None else f"port {port}"
        raise NotFound("no emulator of yours runs", where=where, hint="podctl emulator")
    if len(mine) > 1:
        raise UsageError(
            f"{len(mine)} emulators of yours run",
            cause=", ".join(one.base_url for one in mine),
            hint=f"podctl emulator env --port {mine[0].base_url.rpartition(':')[2]}",
        )
    return mine[0]


def _of_project() -> EmulatorFile | None:
    from controller.providers import emulator_keys

    try:
        found = emulator_keys.read(find().state_dir / emulator_keys.FILE)
    except NotFound:
        return None
    return found if found is not None and found.alive else None


def _export(terminal: Terminal, base_url: str, key: str) -> None:
    terminal.data(f"export RUNPOD_API_BASE_URL={base_url}")
    terminal.data(f"export RUNPOD_API_KEY={shlex.quote(key)}", secret=True)


def _checked(key: str | None) -> str | None:
    """One printable word: it travels in a header. Raises UsageError."""
    if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
        raise UsageError("--key must be one word of printable ASCII", hint="--key rpa_emulator")
    return key


def _project() -> Project | None:
    try:
        project = find()
    except NotFound:
        return None
    project.prepare()
    return project


def _state_of(project: Project | None) -> Path:
    """The project's own cloud, or the user's."""
    from controller.user_state import folder

    return project.state_dir / "emulator" if project is not None else folder() / "emulator"


def _forget(path: Path) -> None:
    """Remove what this process wrote; another emulator may have taken the port since."""
    from controller.providers import emulator_keys

    try:
        found = emulator_keys.read(path)
    except Refused:
        return
    if found is not None and found.pid == os.getpid():
        path.unlink(missing_ok=True)


def _announce(project: Project, document: bytes) -> Path:
    """How this project's commands find it."""
    from controller.providers.emulator_keys import FILE
    from state.atomic_files import write_atomically

    path = project.state_dir / FILE
    write_atomically(path, document)
    return path
