"""What must hold before anything is rented: no lock and no obstacle in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from controller.errors import Locked, VerificationFailed
from controller.locks import certificate
from controller.preflight.obstacles import examine
from controller.project.project import Project
from controller.status.status_page import moment
from controller.terminal import formatting
from jobs.stage import Stage
from state.locks import StageLock


def unlocked(
    project: Project, stages: Sequence[Stage], recorded: Mapping[str, StageLock], *, every: bool
) -> tuple[Stage, ...]:
    """The stages that may run. A locked one is refused; `all` passes over it.

    Raises: Locked; VerificationFailed when the record says locked and the certificate is gone.
    """
    locks = certificate.read_all(project.root)
    check_certificates(stages, recorded, locks)
    done = [stage for stage in stages if stage.name in locks]
    if done and (not every or len(done) == len(stages)):
        raise _locked(locks[done[0].name], done[0])
    return tuple(stage for stage in stages if stage.name not in locks)


def check_certificates(
    stages: Sequence[Stage],
    recorded: Mapping[str, StageLock],
    locks: Mapping[str, certificate.Certificate],
) -> None:
    """Raise VerificationFailed for a stage that is locked by the record alone."""
    for stage in stages:
        if stage.name in recorded and stage.name not in locks:
            raise VerificationFailed(
                f"{stage.name} is locked but its certificate is missing",
                where=f"locks/{stage.name}.json",
                cause=(
                    f"it was locked by {recorded[stage.name].run}; deleting the file does not "
                    "unlock it"
                ),
                hint=f"restore the file, or podctl unlock {stage.name} --reason …",
            )


def _locked(lock: certificate.Certificate, stage: Stage) -> Locked:
    rate = lock.cost.usd / lock.cost.hours if lock.cost.hours else lock.cost.usd_per_hour
    return Locked(
        f"{stage.name} passed and is locked since {moment(lock.locked_at)}",
        where=f"locks/{stage.name}.json",
        cause=f"it cost {formatting.usd(lock.cost.usd)} in {formatting.span(lock.cost.hours)}; "
        f"a re-run would cost about {formatting.usd(stage.hours * rate)}",
        hint=f"podctl unlock {stage.name} --reason … to run it again",
    )


def check_ready(project: Project, stages: Sequence[Stage], tell: Callable[[str], None]) -> None:
    """Raise the first obstacle; `tell` receives remarks and the other obstacles."""
    locks = certificate.read_all(project.root)
    found = examine(project, stages, locks)
    for remark in found.remarks:
        tell(remark)
    for obstacle in found.obstacles[1:]:
        tell(f"also: {obstacle.error.what}")
    if found.obstacles:
        raise found.obstacles[0].error
