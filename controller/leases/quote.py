"""What a lease would cost, before it is opened: expected, and at worst with the laptop off.

One pod costs no more than its guard lets it: that is its worst case. The guard counts over restarts
of its container where a volume keeps the count; where none does, the price says so. A lease may
rent another pod in the place of a bad one, and start a stopped one again, only while what it spent
and one more worst case stay within `Quote.most_usd`. So that sum holds, and is printed beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from controller.costs.expectation import Expectation, by_definition
from controller.costs.offer_choice import Funds, choose_offers
from controller.costs.pricing import WorstCase, expected_usd, worst_case
from controller.errors import BudgetRefused, NoCapacity
from controller.planner import pod_spec as order
from controller.planner.pod_spec import Shape
from controller.planner.policy import PRICE_TOLERANCE, Policy
from controller.project.project import Project
from controller.providers.base import Offer, Provider, ProviderError
from controller.providers.offers import Rejection, priced
from controller.terminal import formatting
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
    expected_usd: float  # with the first available offer
    worst: WorstCase  # of one pod, the dearest that may be tried
    most_usd: float  # of the whole lease, with what podctl does when a pod fails
    counted: bool = True  # a volume keeps the guard's count over restarts, and what a job wrote
    dropped: tuple[Rejection, ...] = ()  # accepted by the stages, and too expensive
    too_slow: tuple[str, ...] = ()  # of the dropped, ids of those that would use up max_hours
    refusal: str = ""  # why not even the cheapest offer may be rented
    expectation: Expectation = field(default_factory=lambda: Expectation(()))
    most_stage_usd: float | None = None  # of compute; None: the stages are not predicted

    @property
    def best(self) -> Offer:
        """The available offer that is cheapest for the stages; of all when none is available."""
        return next(
            (offer for offer in self.offers if offer.availability != "NONE"), self.offers[0]
        )

    @property
    def dearest(self) -> Offer:
        """The dearest offer that may be tried: it was available when asked."""
        return max(_tried(self.offers), key=lambda offer: offer.usd_per_hour)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What the worst case assumes, and what a pod without a volume does not guarantee."""
        return (ASSUMED,) if self.counted else (ASSUMED, UNCOUNTED, UNKEPT)

    @property
    def worst_line(self) -> str:
        """The worst case, the offer that makes it, and what bills after it."""
        parked = self.worst.parked_usd_per_day
        then = f"; then {formatting.usd(parked)} a day for the parked disk" if parked else ""
        return (
            f"worst case {formatting.usd(self.worst.usd)} (this machine stays offline; the guard "
            f"stops the pod after {formatting.span(self.worst.hours)}), "
            f"{formatting.usd(self.most_usd)} with one replacement pod{then}"
        )

    @property
    def dearest_line(self) -> str:
        """Which offer the worst case is of, and what limits it."""
        return (
            f"the worst case is that of {priced(self.dearest)}, the dearest that may be rented; "
            "hardware.max_usd_per_hour lowers it"
        )

    @property
    def dropped_line(self) -> str:
        """How many accepted offers are too expensive, and why the cheapest of them is."""
        if not self.dropped:
            return ""
        count = len(self.dropped)
        first = min(self.dropped, key=lambda dropped: self.expectation.usd(dropped.offer))
        dearer = "" if self.expectation.predicted else "dearer "  # an hour
        return (
            f"{count} {dearer}{'offer is' if count == 1 else 'offers are'} left out, from "
            f"{priced(first.offer)}: {first.reason}"
        )

    def lines(self, stages: Sequence[Stage]) -> tuple[str, ...]:
        """Lines for the question before renting."""
        names = " ".join(stage.name for stage in stages)
        expected = f"{formatting.usd(self.expected_usd)} in {formatting.span(self.hours)}"
        more = (self.worst_line, self.dearest_line, self.dropped_line, *self.caveats)
        return (
            f"{names}: {priced(self.best)} ({self.best.cloud}), expected {expected}",
            *(f"  {line}" for line in more if line),
        )


def quote(
    provider: Provider,
    stages: Sequence[Stage],
    shape: Shape,
    policy: Policy,
    funds: Funds,
    held: tuple[str | None, int] | None = None,
    expectation: Expectation | None = None,
) -> Quote:
    """Ask the provider for prices, and leave out the offers that `funds` cannot bear.

    `held` is offer and count of a parked pod, which may be had though the offer has no stock.
    Without an `expectation` the stages' own `hours` count, on every offer.

    Raises: NoCapacity when nothing that the stages accept is in the catalog; ProviderError.
    """
    need = order.hardware(stages, shape)
    offers = provider.offers(need)
    if not offers:
        raise NoCapacity(
            f"nothing in the catalog is accepted by {stages[0].name}",
            cause=f"gpus: {', '.join(need.gpus) or 'any'}; memory of {need.min_gpu_memory_gb} GB "
            "or more",
            hint="podctl gpus; widen hardware.gpus in podctl.toml",
        )
    offers = tuple(
        _in_stock(offer) if (offer.id, offer.count) == held else offer for offer in offers
    )
    expected = expectation or by_definition(stages)
    worst_of = worst_cases(stages, shape, policy)
    ratio, usd_of = stages[0].hardware.max_price_ratio, expected.usd if expected.predicted else None
    ranked = expected.ranked(offers)
    slow = tuple(offer for offer in ranked if expected.too_slow(offer.id))
    choice = choose_offers(
        [offer for offer in ranked if offer not in slow] or ranked, worst_of, funds, ratio, usd_of
    )
    if choice.refusal or len(slow) == len(ranked):  # a prediction alone refuses nothing
        slow, choice = (), choose_offers(ranked, worst_of, funds, ratio, usd_of)
    tried = _tried(choice.offers)
    worst = worst_of(max(offer.usd_per_hour for offer in tried))
    hours = expected.hours(tried[0].id)
    sizes = _disk_gb(stages, shape), order.volume_gb(stages, shape)
    return Quote(
        offers=choice.offers,
        hours=hours,
        expected_usd=expected_usd(hours, tried[0].usd_per_hour, *sizes),
        worst=worst,
        most_usd=funds.most_usd(worst),
        counted=order.outlives_stop(stages, shape),
        dropped=(*choice.dropped, *_too_slow(slow, expected)),
        too_slow=tuple(offer.id for offer in slow),
        refusal=choice.refusal,
        expectation=expected,
        most_stage_usd=choice.most_stage_usd,
    )


def _too_slow(slow: Sequence[Offer], expected: Expectation) -> tuple[Rejection, ...]:
    return tuple(Rejection(offer, expected.too_slow(offer.id)) for offer in slow)


def worst_cases(
    stages: Sequence[Stage], shape: Shape, policy: Policy
) -> Callable[[float], WorstCase]:
    """A function from a quoted price in USD per hour to the worst case of one pod."""
    limits = order.guard_limits(stages, shape, policy.boot + BOOT_SLACK)

    def worst_of(usd_per_hour: float) -> WorstCase:
        return worst_case(
            boot_seconds=policy.boot,
            hard_cap_seconds=limits.hard_cap,
            usd_per_hour=usd_per_hour * PRICE_TOLERANCE,
            disk_gb=_disk_gb(stages, shape),
            volume_gb=order.volume_gb(stages, shape),
        )

    return worst_of


def _disk_gb(stages: Sequence[Stage], shape: Shape) -> int:
    return shape.disk_gb or max(stage.hardware.disk_gb for stage in stages)


def _in_stock(offer: Offer) -> Offer:
    return replace(offer, availability="LOW") if offer.availability == "NONE" else offer


def _tried(offers: Sequence[Offer]) -> Sequence[Offer]:
    """Those that have stock; all when none has."""
    return [offer for offer in offers if offer.availability != "NONE"] or offers


def balance_of(provider: Provider) -> float | None:
    """The account's balance; None if unknown: the provider itself refuses a create then."""
    try:
        return provider.account().balance_usd
    except ProviderError:
        return None


def check_budget(project: Project, offered: Quote) -> None:
    """Refuse before renting what the budget or the balance cannot bear. Raises BudgetRefused."""
    if offered.refusal:
        raise BudgetRefused(
            f"not rented: {offered.refusal}",
            where=str(project.file),
            cause=f"its guard would stop the pod after {formatting.span(offered.worst.hours)} "
            "if this machine stayed offline",
            hint="raise the budget or the balance, or lower max_hours; "
            "hardware.max_usd_per_hour limits the price: podctl plan shows the sum",
        )
