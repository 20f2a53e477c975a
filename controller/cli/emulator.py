"""`podctl emulator`: serves RunPod's API on this machine, for podctl and other clients."""

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
@click.option("--port", default=PORT, show_default=True, help="0: any free port.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for its account, pods and volumes.",
)
@click.option(
    "--balance", type=float, default=100.0, show_default=True, help="Initial balance in US dollars."
)
@click.option(
    "--boot", type=float, default=3.0, show_default=True, help="Seconds that a pod takes to boot."
)
@click.option("--keep-pods", is_flag=True, help="Leave pods running when the emulator ends.")
@click.option("--key", help="Use this API key, for tests, instead of a random one.")
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
    """Serve RunPod's API on this machine until Ctrl-C. Its pods run locally and cost nothing.

    In a project, the other commands find the emulator by themselves. Any other client needs the
    two environment variables that it prints, and that `podctl emulator env` prints again. Each
    start generates a new key, which allows its holder to run programs on this machine as you.
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
            notes.append(emulator_keys.register(document, base_url, os.environ))
        except UsageError as error:
            terminal.warn(f"{error.what}; podctl emulator env --state {folder} prints the key")
        _export(terminal, base_url, api_key)
        terminal.say(f"serving RunPod's API at {base_url}; state in {folder}; Ctrl-C ends it")
        if key is not None:
            terminal.warn(
                "the key is on the command line: every user of this machine can read it, and run "
                "programs as you while the emulator runs"
            )

    try:
        serve(folder, port=port, api_key=_checked(key), settings=settings, ready=ready)
    finally:
        for path in notes:
            _forget(path)


@command.command("env")
@click.option("--port", type=int, help="The emulator that listens on this port.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="The emulator with this state folder.",
)
@click.pass_obj
def env(terminal: Terminal, port: int | None, state: Path | None) -> None:
    """Print the export lines for a running emulator: eval "$(podctl emulator env)".

    The default is this project's emulator, else your only running one.
    """
    emulator = _running(port, state)
    _export(terminal, emulator.base_url, emulator.api_key)


def _running(port: int | None, state: Path | None) -> EmulatorFile:
    """The selected emulator. Raises NotFound, and UsageError if several match."""
    from controller.providers import emulator_keys

    if state is not None:
        found = emulator_keys.read(state / emulator_keys.FILE)
        if found is None or not found.alive:
            raise NotFound(
                "no emulator is running with this state folder",
                where=str(state),
                hint=f"podctl emulator --state {shlex.quote(str(state))}",
            )
        return found
    every = emulator_keys.registered(os.environ)
    if port is None and (own := _of_project()) is not None:
        return own
    matching = [file for file in every if port is None or file.base_url.endswith(f":{port}")]
    if not matching:
        where = "" if port is None else f"port {port}"
        raise NotFound("none of your emulators is running", where=where, hint="podctl emulator")
    if len(matching) > 1:
        raise UsageError(
            f"{len(matching)} of your emulators are running",
            cause=", ".join(file.base_url for file in matching),
            hint=f"podctl emulator env --port {matching[0].base_url.rpartition(':')[2]}",
        )
    return matching[0]


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
    """`key`, which must fit into a header. Raises UsageError."""
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
    """The project's emulator folder, or the user's outside of a project."""
    from controller.user_state import folder

    return project.state_dir / "emulator" if project is not None else folder() / "emulator"


def _forget(path: Path) -> None:
    """Remove a file that this process wrote, unless another emulator has replaced it."""
    from controller.providers import emulator_keys

    try:
        found = emulator_keys.read(path)
    except Refused:
        return
    if found is not None and found.pid == os.getpid():
        path.unlink(missing_ok=True)


def _announce(project: Project, document: bytes) -> Path:
    """Write the file by which this project's commands find the emulator."""
    from controller.providers.emulator_keys import FILE
    from state.atomic_files import write_atomically

    path = project.state_dir / FILE
    write_atomically(path, document)
    return path
