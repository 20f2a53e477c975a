"""What came of an action: one frozen record per action, and one per way to fail.

The records hold facts only. `journal_data` turns any of them into the data of a journal record.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from controller.incident import Incident
from controller.planner import actions
from controller.planner.actions import Action


@dataclass(frozen=True)
class LeaseOutcome:
    """The outcome of an action; this class itself is a success without any data."""

    failed: ClassVar[bool] = False


@dataclass(frozen=True)
class GenerationOpened(LeaseOutcome):
    nonce: str


@dataclass(frozen=True)
class PodBilling(LeaseOutcome):
    """What the ledger needs to know about a pod that starts to bill."""

    pod: str
    usd_per_hour: float
    disk_gb: int
    volume_gb: int
    network_volume: str | None
    started_at: float  # Unix seconds
    for_run: str
    stage: str
    hard_cap: float | None = None  # seconds, of the guard of a pod that was created


@dataclass(frozen=True)
class PodKeptWarm(LeaseOutcome):
    until: float  # Unix seconds


@dataclass(frozen=True)
class PodStarted(LeaseOutcome):
    billing: PodBilling
    late: bool  # ordered so long after the listing that somebody else may have acted meanwhile


@dataclass(frozen=True)
class OrderAccepted(LeaseOutcome):
    unknown: bool  # the provider answered a terminate with 404


@dataclass(frozen=True)
class PodTerminated(LeaseOutcome):
    unknown: bool
    at: float  # Unix seconds
    seen_alive: bool  # it billed a moment before the order
    interrupted: bool  # it was stopped and started by somebody else since it answered


@dataclass(frozen=True)
class BilledUse(LeaseOutcome):
    """Compute that only the provider's bill shows; Unix seconds."""

    since: float
    until: float
    usd_per_hour: float
    for_run: str
    stage: str


@dataclass(frozen=True)
class PodGone(LeaseOutcome):
    ended_at: float  # Unix seconds
    unattributed: BilledUse | None = None


@dataclass(frozen=True)
class PodParked(LeaseOutcome):
    ended_at: float  # Unix seconds
    for_run: str
    stage: str
    volume_gb: int


@dataclass(frozen=True)
class PodReached(LeaseOutcome):
    started_at: float | None = None  # Unix seconds; None: the provider does not say
    image_digest: str | None = None


@dataclass(frozen=True)
class UnguardedDecision(LeaseOutcome):
    accepted: bool
    why: str


@dataclass(frozen=True)
class UploadedRun(LeaseOutcome):
    code: str  # sha256 of the remote package
    bytes: int  # that travelled
    tree: str  # digest of the work folder
    pod: str | None = None


@dataclass(frozen=True)
class JobStarted(LeaseOutcome):
    pod: str
    stage: str
    attempt: int
    at: float  # Unix seconds
    interrupted: bool  # somebody else restarted the pod; only its whole bill is known


@dataclass(frozen=True)
class RestartDecision(LeaseOutcome):
    """Whether a run starts again elsewhere, and the work that it repeats."""

    accepted: bool
    hours: float
    usd: float


@dataclass(frozen=True)
class PulledRun(LeaseOutcome):
    rc: int
    reason: str
    manifest_sha256: str
    files: int | None = None  # in the manifest
    pulled: int | None = None  # files that travelled
    bytes: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class JudgedRun(LeaseOutcome):
    verdict: str
    findings: list[dict[str, Any]]
    warnings: list[str] | None = None


@dataclass(frozen=True)
class LockedRun(LeaseOutcome):
    certificate_sha256: str


@dataclass(frozen=True)
class ActionFailed(LeaseOutcome):
    """The action failed in a foreseen way."""

    failed: ClassVar[bool] = True
    why: str


@dataclass(frozen=True)
class CreateFailed(ActionFailed):
    kind: str  # capacity, refused, later, or ambiguous: the pod may exist


@dataclass(frozen=True)
class OrderFailed(ActionFailed):
    kind: str  # the provider's `Kind`
    late: bool | None = None  # of a start only: as in PodStarted


@dataclass(frozen=True)
class UploadFailed(ActionFailed):
    fatal: bool  # another try on the same pod would fail as well
    disk_full: bool | None = None  # the pod's disk


@dataclass(frozen=True)
class PullFailed(ActionFailed):
    paused: bool | None = None


@dataclass(frozen=True)
class UnexpectedFailure(ActionFailed):
    """The action raised an exception that podctl does not handle; its effect is unknown."""

    unforeseen: bool
    type: str
    message: str
    where: str
    kind: str | None = None
    fatal: bool | None = None

    @classmethod
    def of(cls, action: Action, incident: Incident) -> UnexpectedFailure:
        """As unclear an outcome as `action` can have, so that the planner checks the effect."""
        unclear: dict[type[Action], str] = {
            actions.Create: "ambiguous",
            actions.StartPod: "transient",
        }
        return cls(
            why=incident.text,
            unforeseen=True,
            type=incident.kind,
            message=incident.message,
            where=incident.where,
            kind=unclear.get(type(action)),
            fatal=False if isinstance(action, actions.Upload) else None,
        )


def journal_data(outcome: LeaseOutcome) -> dict[str, Any]:
    """The journal's data for an outcome.

    A record inside the outcome adds its own keys. A field whose default is None is left out when
    it is None; any other None is written as null.
    """
    data: dict[str, Any] = {}
    for item in dataclasses.fields(outcome):
        value = getattr(outcome, item.name)
        if isinstance(value, LeaseOutcome):
            data |= journal_data(value)
        elif value is not None or item.default is not None:
            data[item.name] = value
    return data


def action_data(action: Action) -> Mapping[str, Any]:
    """The journal's data for an action that is about to be performed."""
    if isinstance(action, actions.Create):
        offer = action.offer
        return {"offer": offer.id, "count": offer.count, "usd_per_hour": offer.usd_per_hour}
    return {key: value for key, value in vars(action).items() if key != "run"}
