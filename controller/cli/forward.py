"""`podctl forward`: forwards local ports to ports of a run's pod."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import click

from controller.cli.names import subject_names
from controller.cli.options import open_project, provider_of, yes_option
from controller.errors import UsageError
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.ssh.session import Session

LOOK_SECONDS = 0.5
PORTS = range(65536)


@click.command("forward")
@click.argument("name", metavar="STAGE|RUN|POD", shell_complete=subject_names)
@click.argument("ports", metavar="[LOCAL:]PORT…", nargs=-1, required=True)
@yes_option("Start a parked pod without asking; it is parked again afterwards.")
@click.pass_obj
def command(terminal: Terminal, name: str, ports: tuple[str, ...], yes: bool) -> None:
    """Forward local ports to PORT on the pod of a run, until Ctrl-C.

    `podctl forward stage1c 6006` shows the pod's TensorBoard at http://127.0.0.1:6006;
    `podctl forward stage1c 8889:8888` shows its notebook on local port 8889. Only this machine can
    connect. On the pod, the service must listen on 127.0.0.1 or on all addresses.

    A parked pod is started after a question that names the worst case, and parked again afterwards.
    """
    from controller.cli.pod_access import open_pod
    from controller.project.journal import open_journal
    from controller.status.target import connect, find_target

    wanted = [_pair(text) for text in ports]
    project = open_project(terminal)
    target = find_target(open_journal(project), name)
    provider = provider_of(project, terminal)
    with (
        open_pod(project, provider, target, terminal, "forward", yes=yes) as pod,
        connect(project, provider, pod) as session,
    ):
        _serve(session, terminal, wanted)


def _serve(session: Session, terminal: Terminal, wanted: list[tuple[int, int]]) -> None:
    from controller.ssh.forward import Forward

    with contextlib.ExitStack() as stack:
        for local, remote in wanted:

            def refused(why: str, port: int = remote) -> None:
                terminal.warn(f"port {port} of the pod refused a connection: {why}")

            transport = session.control().transport
            forward = stack.enter_context(Forward(transport, local, remote, refused))
            terminal.data(f"127.0.0.1:{forward.port} -> {remote}")
        terminal.say("forwarding until Ctrl-C; this does not affect the job")
        while session.alive:
            time.sleep(LOOK_SECONDS)
    raise session.unreachable(None)


def _pair(text: str) -> tuple[int, int]:
    """(local, remote) of `8888` or `8889:8888`. Raises UsageError."""
    local, colon, remote = text.partition(":")
    try:
        pair = int(local), int(remote if colon else local)
    except ValueError:
        pair = (-1, -1)
    if pair[0] not in PORTS or pair[1] not in PORTS or not pair[1]:
        raise UsageError(
            f"{text!r} is not a port",
            hint="give a number below 65536, or LOCAL:PORT such as 8889:8888",
        )
    return pair
