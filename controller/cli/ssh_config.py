"""`podctl ssh-config`: lets plain ssh, scp and VS Code find the pods of this project."""

from __future__ import annotations

from pathlib import Path

import click

from controller.cli.options import current_project
from controller.errors import UsageError
from controller.terminal.terminal import Terminal


@click.command("ssh-config")
@click.option("--install", is_flag=True, help="Add the line to the top of ~/.ssh/config.")
@click.pass_obj
def command(terminal: Terminal, install: bool) -> None:
    """Print the Include line for ~/.ssh/config, or add it there.

    With it `ssh podctl-STAGE`, scp, rsync and VS Code's Remote-SSH reach the newest pod of a stage,
    with its key and its known host key. podctl keeps the file that the line names up to date.
    """
    line = include_line(current_project().ssh_config)
    if not install:
        terminal.data(line)
        terminal.say("podctl ssh-config --install adds this line to the top of ~/.ssh/config")
        return
    path = Path.home() / ".ssh" / "config"
    done = "is in" if not added(path, line) else "was added to"
    terminal.say(f"the line {done} {path}: ssh podctl-STAGE connects while its pod runs")


def include_line(config: Path) -> str:
    """The line that includes the project's ssh_config."""
    return f'Include "{config}"' if " " in str(config) else f"Include {config}"


def added(path: Path, line: str) -> bool:
    """Put `line` before everything else in the file; False where it is there already.

    An Include below a `Host` line would hold for that host only. Raises UsageError.
    """
    from state.atomic_files import write_atomically

    target = path.resolve()  # may be a link into a folder of dotfiles
    try:
        present = target.read_bytes() if target.exists() else b""
        if line.encode() in [one.strip() for one in present.splitlines()]:
            return False
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        gap = b"\n" if present else b""
        write_atomically(target, line.encode() + b"\n" + gap + present, mode)
    except OSError as error:
        raise UsageError(
            "the line cannot be added", where=str(path), cause=str(error), hint=f"add: {line}"
        ) from error
    return True
