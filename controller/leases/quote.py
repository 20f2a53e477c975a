"""What a lease would cost, before it is opened: expected, and at worst with the laptop off.

One pod costs no more than its guard lets it: that is its worst case. The guard counts over restarts
of its container where a volume keeps the count; where none does, the price says so. A lease may
rent another pod in the place of a bad one, and start a stopped one again, only while what it spent
and one more worst case stay within `Quote.most_usd`. So that sum holds, and is printed beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.costs.pricing import Budget, WorstCase, expected_usd, refusal, worst_case
from controller.errors import BudgetRefused, NoCapacity
from controller.planner import pod_spec as order
from controller.planner.pod_spec import Shape
from controller.planner.policy import PRICE_TOLERANCE, Policy
from controller.project.project import Project
from controller.providers.base import Offer, Provider, ProviderError
from jobs.stage import Stage

BOOT_SLACK = 900.0  # seconds of the guard's boot grace beyond the controller's own patience
ASSUMED = (
    "the worst case assumes that the job, which is root on its pod, leaves the guard alone; "
    "while podctl runs, it stops the pod at the same limits"
)
UNCOUNTED = (
    "without a volume the guard's count restarts when the host restarts a crashed container: "
    "the worst case assumes that this does not happen"
)
UNKEPT = (
    "a pod without a volume loses its disk when it stops: outputs that were not downloaded last "
    f"{order.GRACE_BARE / 3600:g} h after the job's end"
)


@dataclass(frozen=True)
class Quote:
    """The offers in the order in which they would be tried, and the money."""

    offers: tuple[Offer, ...]
    hours: float
    expected_usd: float  # with the cheapest available offer
    worst: WorstCase  # of one pod, the dearest that may be tried
    most_usd: float  # of the whole lease, with what podctl does when a pod fails
    counted: bool = True  # a volume keeps the guard's count over restarts, and what a job wrote

    @property
    def best(self) -> Offer:
        """The cheapest available offer; the cheapest at all when none is."""
        return next(
            (offer for offer in self.offers if offer.availability != "NONE"), self.offers[0]
        )

    @property
    def dearest(self) -> float:
        """USD per hour of the dearest offer that may be tried: it was available when asked."""
        return max(offer.usd_per_hour for offer in _tried(self.offers))

    @property
    def caveats(self) -> tuple[str, ...]:
        """What the worst case assumes, and what a pod without a volume does not guarantee."""
        return (ASSUMED,) if self.counted else (ASSUMED, UNCOUNTED, UNKEPT)

    def lines(self, stages: Sequence[Stage]) -> tuple[str, ...]:
        """Lines for the question before renting."""
        best = self.best
        names = " ".join(stage.name for stage in stages)
        return (
            f"{names}: {best.count} x {best.name} at ${best.usd_per_hour:.2f}/h ({best.cloud})",
            f"  expected ${self.expected_usd:.2f} in {self.hours:.2f} h; worst case "
            f"${self.worst.usd:.2f} (this machine stays offline; the guard stops the pod), "
            f"${self.most_usd:.2f} with one replacement pod; "
            f"then ${self.worst.parked_usd_per_day:.2f} a day for the parked disk",
            *(f"  {line}" for line in self.caveats),
        )


def quote(
    provider: Provider,
    stages: Sequence[Stage],
    shape: Shape,
    policy: Policy,
    budget: Budget,
    spent_usd: float,
    held: tuple[str | None, int] | None = None,
) -> Quote:
    """Ask the provider for prices; `spent_usd` by the project so far.

    `held` is offer and count of a parked pod, which may be had though the offer has no stock.

    Raises: NoCapacity when nothing that the stages accept is in the catalog; ProviderError.
    """
    need = order.hardware(stages, shape)
    offers = provider.offers(need)
    if not offers:
        raise NoCapacity(
            f"nothing in the catalog is accepted by {stages[0].name}",
            cause=f"gpus {list(need.gpus) or 'any'}, memory of {need.min_gpu_memory_gb} GB or more",
            hint="podctl gpus; widen hardware.gpus in podctl.toml",
        )
    offers = tuple(
        _in_stock(offer) if (offer.id, offer.count) == held else offer for offer in offers
    )
    tried = _tried(offers)
    disk = shape.disk_gb or max(stage.hardware.disk_gb for stage in stages)
    volume = order.volume_gb(stages, shape)
    hours = sum(stage.hours for stage in stages)
    limits = order.guard_limits(stages, shape, policy.boot + BOOT_SLACK)
    worst = worst_case(
        boot_seconds=policy.boot,
        hard_cap_seconds=limits.hard_cap,
        usd_per_hour=max(offer.usd_per_hour for offer in tried) * PRICE_TOLERANCE,
        disk_gb=disk,
        volume_gb=volume,
    )
    return Quote(
        offers=offers,
        hours=hours,
        expected_usd=expected_usd(hours, tried[0].usd_per_hour, disk, volume),
        worst=worst,
        most_usd=budget.lease_limit_usd(worst, spent_usd),
        counted=order.outlives_stop(stages, shape),
    )


def _in_stock(offer: Offer) -> Offer:
    return replace(offer, availability="LOW") if offer.availability == "NONE" else offer


def _tried(offers: Sequence[Offer]) -> Sequence[Offer]:
    """Those that have stock; all when none has."""
    return [offer for offer in offers if offer.availability != "NONE"] or offers


def check_budget(
    project: Project, provider: Provider, offered: Quote, budget: Budget, spent_usd: float
) -> None:
    """Refuse before renting what the budget or the balance cannot bear. Raises BudgetRefused."""
    try:
        balance = provider.account().balance_usd
    except ProviderError:
        balance = None  # the create itself refuses when it is too low
    why = refusal(offered.worst, budget, spent_usd, balance)
    if why:
        raise BudgetRefused(
            f"not rented: {why}",
            where=str(project.file),
            cause=f"worst case {offered.worst.hours:.1f} h on {offered.best.name}",
            hint="raise the budget or the balance, or lower max_hours; podctl plan shows the sum",
        )
