"""Network volumes, which the user owns: podctl only reports their price.

A network volume bills from the day it was made, with a pod or without, for whoever uses it. So it
is in no stage's cost and not in the ledger: `podctl cost` shows it as a line of its own, by what
the provider last said of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from controller.costs.pricing import HOURS_PER_MONTH, network_volume_rate
from state.last_seen import LastSeen

if TYPE_CHECKING:
    import sqlite3

    from controller.project.project import Project
    from controller.providers.base import NetworkVolume, Provider

SUBJECT = "volume:"


@dataclass(frozen=True)
class Volume:
    """One network volume; the price is None for a tier whose price is not published."""

    id: str
    name: str
    size_gb: int
    data_center: str
    tier: str
    usd_per_day: float | None

    @property
    def usd_per_month(self) -> float | None:
        return None if self.usd_per_day is None else self.usd_per_day * HOURS_PER_MONTH / 24


@dataclass(frozen=True)
class LastSeenVolumes:
    """A volume as it was when the provider was last asked (Unix seconds)."""

    volume: Volume
    at: float


def priced(volume: NetworkVolume) -> Volume:
    standard = volume.tier in ("", "STANDARD")
    rate = network_volume_rate(volume.size_gb) * 24 if standard else None
    return Volume(volume.id, volume.name, volume.size_gb, volume.data_center, volume.tier, rate)


def find_volume(project: Project, provider: Provider) -> Volume | None:
    """The provider's record of podctl.toml's volume; stored for `podctl cost`.

    None without one, or when the account has none of that id. Raises: ProviderError.
    """
    wanted = project.config.pod.network_volume_id
    if wanted is None:
        return None
    volume = next((priced(volume) for volume in provider.volumes() if volume.id == wanted), None)
    if volume is not None:
        _remember(project, volume)
    return volume


def _remember(project: Project, volume: Volume) -> None:
    from state.database import open_database

    connection = open_database(project.database)
    try:
        LastSeen(connection).see(SUBJECT + volume.id, "provider", asdict(volume))
    finally:
        connection.close()


def remembered(connection: sqlite3.Connection) -> tuple[LastSeenVolumes, ...]:
    """Every volume that a podctl.toml of this project named and the provider showed."""
    return tuple(
        LastSeenVolumes(Volume(**record.data), record.at)
        for record in LastSeen(connection).all(SUBJECT)
    )
