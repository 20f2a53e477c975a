"""`podctl emulator`: serves RunPod's API on this machine, for podctl and other clients."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from controller.cli.emulator_choice import (
    current_project_if_any,
    running_emulator,
    usual_state_folder,
)
from controller.cli.options import json_option
from controller.errors import NotFound, Refused, UsageError
from controller.project.project import Project
from controller.providers.emulator_keys import storage_key
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    pass

F = TypeVar("F", bound=Callable[..., Any])


def serve_options(function: F) -> F:
    """Add the options of the command that serves and of the one that starts it."""
    options = (
        click.option(
            "--port",
            type=click.IntRange(0, 65_535),
            help="Default: 8642, or any free port if it is taken; 0: any free port.",
        ),
        state_option("Folder for its account, pods and volumes."),
        click.option(
            "--balance",
            type=float,
            default=100.0,
            show_default=True,
            help="Initial balance in US dollars.",
        ),
        click.option(
            "--boot",
            type=float,
            default=3.0,
            show_default=True,
            help="Seconds that a pod takes to boot.",
        ),
        click.option("--keep-pods", is_flag=True, help="Leave pods running when it ends."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def state_option(help_text: str) -> Callable[[F], F]:
    """Add `--state`, a folder."""
    kind = click.Path(file_okay=False, path_type=Path)
    return click.option("--state", type=kind, help=help_text)


port_option = click.option("--port", type=int, help="The emulator that listens on this port.")
which_state_option = state_option("The emulator with this state folder.")


@click.group("emulator", invoke_without_command=True)
@serve_options
@click.option("--key", help="Use this API key, for tests, instead of a random one.")
@click.pass_context
def command(
    ctx: click.Context,
    port: int | None,
    state: Path | None,
    balance: float,
    boot: float,
    keep_pods: bool,
    key: str | None,
) -> None:
    """Serve RunPod's API on this machine until Ctrl-C. Its pods run locally and cost nothing.

    `podctl emulator start` serves it in the background.

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
    project = current_project_if_any()
    folder = (state or usual_state_folder(project)).absolute()
    settings = EmulatorSettings(boot_seconds=boot, balance_usd=balance, leave_pods=keep_pods)
    notes: list[Path] = []

    def ready(base_url: str, api_key: str) -> None:
        document = key_document(base_url, api_key)
        if project is not None:
            notes.extend(_announce(terminal, project, document))
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


@command.command("start")
@serve_options
@click.pass_obj
def start(
    terminal: Terminal,
    port: int | None,
    state: Path | None,
    balance: float,
    boot: float,
    keep_pods: bool,
) -> None:
    """Start the emulator in the background. podctl emulator stop ends it."""
    from controller.cli import emulator_background
    from controller.providers import emulator_keys
    from controller.providers.emulator.requirements import check_installed
    from controller.providers.emulator.server import running

    check_installed()
    project = current_project_if_any()
    folder = (state or usual_state_folder(project)).absolute()
    ours = emulator_keys.read(folder / emulator_keys.FILE)
    if ours is not None and running(folder):
        terminal.say(f"the emulator is running already at {ours.base_url}; state in {folder}")
        return
    arguments = ["--balance", str(balance), "--boot", str(boot)]
    arguments += ["--keep-pods"] if keep_pods else []
    arguments += [] if port is None else ["--port", str(port)]
    cwd = project.root if project is not None else Path.cwd()
    show = project.state_dir / emulator_keys.FILE if project is not None else None
    file = emulator_background.start(folder, arguments, cwd, show)
    terminal.say(f"the emulator serves RunPod's API at {file.base_url}; state in {folder}")
    if project is None:
        terminal.say('other clients: eval "$(podctl emulator env)"')
    terminal.say("podctl emulator stop ends it")


@command.command("stop")
@port_option
@which_state_option
@click.pass_obj
def stop(terminal: Terminal, port: int | None, state: Path | None) -> None:
    """End a running emulator: this project's, else your only one."""
    from controller.cli import emulator_background

    emulator = running_emulator(port, state, own_only=True)
    emulator_background.stop(emulator)
    terminal.say(f"the emulator at {emulator.base_url} has ended")


@command.command("status")
@port_option
@which_state_option
@json_option
@click.pass_obj
def status(terminal: Terminal, port: int | None, state: Path | None) -> None:
    """Show a running emulator: address, process, balance, running pods."""
    from controller.cli import emulator_background

    emulator = running_emulator(port, state, own_only=True)
    found = emulator_background.state_of(emulator)
    if found is None:
        raise NotFound(
            "the emulator does not answer", where=emulator.base_url, hint="podctl emulator start"
        )
    if terminal.json:
        address = {"base_url": emulator.base_url, "pid": emulator.pid}
        terminal.emit_json("podctl/emulator/1", {**address, **found})
        return
    pods = words.count(len(found["running_pods"]), "running pod")
    balance = words.usd(found["balance_usd"])
    terminal.data(f"{emulator.base_url}: process {emulator.pid}, balance {balance}, {pods}")


@command.command("env")
@port_option
@which_state_option
@click.pass_obj
def env(terminal: Terminal, port: int | None, state: Path | None) -> None:
    """Print the export lines for a running emulator: eval "$(podctl emulator env)".

    The default is this project's emulator, else your only running one.
    """
    emulator = running_emulator(port, state)
    _export(terminal, emulator.base_url, emulator.api_key)


def _export(terminal: Terminal, base_url: str, key: str) -> None:
    terminal.data(f"export RUNPOD_API_BASE_URL={base_url}")
    terminal.data(f"export RUNPOD_API_KEY={shlex.quote(key)}", secret=True)
    access, secret = storage_key(key)
    terminal.data(f"export RUNPOD_S3_ENDPOINT_URL='{base_url}/s3/{{data_center}}'")
    terminal.data(f"export RUNPOD_S3_ACCESS_KEY={access}")
    terminal.data(f"export RUNPOD_S3_SECRET_KEY={secret}", secret=True)


def _checked(key: str | None) -> str | None:
    """`key`, which must fit into a header. Raises UsageError."""
    if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
        raise UsageError("--key must be one word of printable ASCII", hint="--key rpa_emulator")
    return key


def _forget(path: Path) -> None:
    """Remove a file that this process wrote, unless another emulator has replaced it."""
    from controller.providers import emulator_keys

    try:
        found = emulator_keys.read(path)
    except Refused:
        return
    if found is not None and found.pid == os.getpid():
        path.unlink(missing_ok=True)


def _announce(terminal: Terminal, project: Project, document: bytes) -> list[Path]:
    """Write the file by which this project's commands find the emulator, and return its path.

    Where another emulator of the project runs, its file stays.
    """
    from controller.providers.emulator_keys import FILE, read
    from state.atomic_files import write_atomically

    path = project.state_dir / FILE
    with contextlib.suppress(Refused):
        other = read(path)
        if other is not None and other.pid not in (None, os.getpid()) and other.alive:
            terminal.warn(
                f"this project's commands still use its other emulator, at {other.base_url}; "
                "podctl emulator stop ends that one"
            )
            return []
    write_atomically(path, document)
    return [path]
