"""What exists apart from the database; read completely before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.locks import artifacts, certificate
from controller.locks.artifacts import Archived
from controller.locks.certificate import Certificate
from controller.project.project import Project
from controller.project.run_folder import Order, RunFolder
from controller.providers.base import BillingRecord, Pod, PodStatus, Provider, ProviderError
from state.journal import RUN

HOUR = 3600.0


@dataclass(frozen=True)
class Inventory:
    """The provider's pods and bill, the local run folders, and the certificates."""

    pods: tuple[Pod, ...]
    bill: tuple[BillingRecord, ...]  # empty when the provider does not tell it
    locks: Mapping[str, Certificate]  # in force, by stage
    archived: tuple[Archived, ...]  # locks that were ended
    folders: tuple[str, ...]  # runs with a local folder
    orders: Mapping[str, Order]  # their orders, if recorded in the folder
    absent: frozenset[str] = frozenset()  # neither listed nor found by id

    @property
    def living(self) -> set[str]:
        """Every pod that is known to exist, whoever owns it."""
        return {pod.id for pod in self.pods if pod.status is not PodStatus.TERMINATED}

    @property
    def certified(self) -> set[str]:
        """Runs that passed, also those whose lock was ended since."""
        runs = {lock.run for lock in self.locks.values()} | {
            archived.run for archived in self.archived
        }
        return {run for run in runs if RUN.fullmatch(run)}


def take_inventory(project: Project, provider: Provider, now: float) -> Inventory:
    """Read the inventory. Raises ProviderError when the provider does not list its pods."""
    folders = [path.name for path in sorted(project.runs.glob("*")) if RUN.fullmatch(path.name)]
    order_of = {run: RunFolder(project.run_dir(run)).order() for run in folders}
    orders = {run: order for run, order in order_of.items() if order}
    locks = certificate.read_all(project.root)
    pods = provider.list()
    times = [
        *(pod.created_at for pod in pods if pod.created_at),
        *(lock.started_at for lock in locks.values()),
        *(order.at for order in orders.values()),
    ]
    try:
        bill = provider.billing(min([now, *times]) - HOUR, now + HOUR)
    except ProviderError:
        bill = ()
    archived = artifacts.archived(project.root)
    return Inventory(pods, bill, locks, archived, tuple(folders), orders)


def stage_of(run: str) -> str:
    """The stage in a run's name."""
    named = RUN.fullmatch(run)
    assert named is not None
    return named[1]
