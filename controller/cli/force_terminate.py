"""`podctl gc --terminate --force`: the end of leases whose own way out is of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import Refused
from controller.terminal import formatting as words

if TYPE_CHECKING:
    from controller.leases.drive import force_end
    from controller.leases.project_session import ProjectSession
    from controller.orphans.sweep import OrphanPod
    from controller.project.project import Project
    from controller.terminal.terminal import Terminal

REASON = "podctl gc --terminate --force"


def end_owned(
    terminal: Terminal, project: Project, chosen: tuple[OrphanPod, ...], *, yes: bool
) -> tuple[OrphanPod, ...]:
    """End the leases of those pods that unfinished runs own; returns the pods that none does.

    Says what is lost, as far as it is known here, and asks. Raises Refused without a yes.
    """
    from controller.leases.project_session import CommandContext

    owned = tuple(one for one in chosen if one.whose == "live")
    if not owned:
        return chosen
    leases = list(dict.fromkeys(one.lease for one in owned))
    with CommandContext.of(project, terminal).owned("gc") as session:
        for lease in leases:
            for line in losses(session, lease):
                terminal.warn(line)
        pods = ", ".join(f"{one.pod} ${one.usd_per_hour:.4f}/h" for one in owned)
        if not yes and not terminal.confirm(f"Give all of that up and terminate {pods}?", "-y"):
            raise Refused("nothing was terminated", hint="podctl stop --terminate pulls first")
        for name in leases:
            found = session.journal.lease(name)
            if found is not None and found.open:
                force_end(session, found, REASON)
    return tuple(one for one in chosen if one not in owned)


def losses(session: ProjectSession, lease: str) -> tuple[str, ...]:
    """What is given up with `lease`, one line a run, as far as it is known here."""
    from controller.engine.lease_context import lease_state_of

    lease_state = lease_state_of(session.journal, lease)
    lines = [f"lease {lease} is given up, with every pod of it"]
    if lease_state.unreadable:
        lines.append(f"what its pods hold is not known: {lease_state.unreadable}")
    for run in lease_state.runs:
        if run.outcome is None or run.run in lease_state.unpulled:
            told = _of_run(session, run.run)
            if not run.started:
                lines.append(f"{run.run}: its job was not started; nothing of it is lost")
            elif run.pulled:
                lines.append(f"{run.run}: every artifact is here ({told}), and is not locked")
            else:
                lines.append(f"{run.run}: only what was pulled stays ({told}); the rest is lost")
    return tuple(lines)


def _of_run(session: ProjectSession, run: str) -> str:
    folder = session.context.project.run_dir(run) / "files"
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = words.size(sum(path.stat().st_size for path in files))
    return f"{len(files)} files, {size}, in {folder}"
