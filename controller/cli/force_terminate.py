"""`podctl gc --terminate --force`: ends leases that cannot be ended in an ordinary way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import Refused
from controller.terminal import formatting
from controller.terminal import formatting as words

if TYPE_CHECKING:
    from controller.leases.project_session import ProjectSession
    from controller.orphans.sweep import OrphanPod
    from controller.project.project import Project
    from controller.terminal.terminal import Terminal

REASON = "podctl gc --terminate --force"


def end_owned(
    terminal: Terminal, project: Project, chosen: tuple[OrphanPod, ...], *, yes: bool
) -> tuple[OrphanPod, ...]:
    """End the leases of the pods that unfinished runs own; return the pods without a run.

    It reports what will be lost, by local records, and asks. Raises Refused if the user declines.
    """
    from controller.leases.drive import force_end
    from controller.leases.project_session import CommandContext

    owned = tuple(pod for pod in chosen if pod.whose == "live")
    if not owned:
        return chosen
    leases = list(dict.fromkeys(pod.lease for pod in owned))
    with CommandContext.of(project, terminal).owned("gc") as session:
        for name in leases:
            for line in losses(session, name):
                terminal.warn(line)
        pods = ", ".join(f"{pod.pod} ${pod.usd_per_hour:.4f}/h" for pod in owned)
        if not yes and not terminal.confirm(f"Give up these files and terminate {pods}?", "-y"):
            raise Refused(
                "nothing was terminated", hint="podctl stop --terminate downloads the files first"
            )
        for name in leases:
            lease = session.journal.lease(name)
            if lease is not None and lease.open:
                force_end(session, lease, REASON)
    return tuple(pod for pod in chosen if pod not in owned)


def losses(session: ProjectSession, lease: str) -> tuple[str, ...]:
    """What is lost with `lease` by local records, one line for each run."""
    from controller.planner.journal_fold import lease_state_of

    lease_state = lease_state_of(session.journal, lease)
    lines = [f"lease {lease} ends, and all of its pods are terminated"]
    if lease_state.unreadable:
        lines.append(f"the contents of its pods are unknown: {lease_state.unreadable}")
    for run in lease_state.runs:
        if run.outcome is None or run.run in lease_state.unpulled:
            local = _local_files(session, run.run)
            if not run.started:
                lines.append(f"{run.run}: its job was not started; nothing is lost")
            elif run.pulled:
                lines.append(
                    f"{run.run}: every artifact was downloaded ({local}), but is not locked"
                )
            else:
                lines.append(
                    f"{run.run}: only the downloaded files remain ({local}); the rest is lost"
                )
    return tuple(lines)


def _local_files(session: ProjectSession, run: str) -> str:
    folder = session.context.project.run_dir(run) / "files"
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = words.size(sum(path.stat().st_size for path in files))
    return f"{formatting.count(len(files), 'file')}, {size}, in {folder}"
