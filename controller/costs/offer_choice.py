"""Which of the offers that a stage accepts a lease may take, by cost and worst case. Pure.

An offer is left out when its worst case does not fit the balance or the budget, or when it costs
more than a multiple of the cheapest one that fits: for the stages, where their hours are predicted
for each type of GPU, else an hour. A lease is refused only when no offer fits; stock plays no part
in this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from controller.costs.pricing import NOTHING_RESERVED, Budget, Reserved, WorstCase, refusal
from controller.providers.base import Offer
from controller.providers.offers import Rejection, priced

ROUNDING_USD = 1e-9


@dataclass(frozen=True)
class Funds:
    """The money that one more lease may use; `balance_usd` is None when it is unknown."""

    budget: Budget
    spent_usd: float = 0.0  # by the project so far
    balance_usd: float | None = None
    reserved: Reserved = NOTHING_RESERVED

    def refusal(self, worst: WorstCase) -> str:
        """Why a lease with this worst case is not begun; empty when it may be."""
        return refusal(worst, self.budget, self.spent_usd, self.balance_usd, self.reserved)

    def most_usd(self, worst: WorstCase) -> float:
        """What the whole lease may cost, with replacement pods."""
        return self.budget.lease_limit_usd(worst, self.spent_usd + self.reserved.lease_usd)


@dataclass(frozen=True)
class OfferChoice:
    """The offers that a lease may take, in the order in which they are tried.

    With a `refusal` no offer fits, and `offers` holds only the cheapest one.
    """

    offers: tuple[Offer, ...]
    dropped: tuple[Rejection, ...] = ()
    refusal: str = ""
    most_stage_usd: float | None = None  # expected, of an offer that is taken; None: by the hour


def choose_offers(
    offers: Sequence[Offer],
    worst_of: Callable[[float], WorstCase],
    funds: Funds,
    max_price_ratio: float,
    stage_usd: Callable[[Offer], float] | None = None,
) -> OfferChoice:
    """Divide `offers`, of which there is at least one; `worst_of` maps USD per hour to a sum.

    `stage_usd` is what an offer is expected to cost for the stages; None compares prices per hour.
    """
    refusals = {id(offer): funds.refusal(worst_of(offer.usd_per_hour)) for offer in offers}
    fitting = [offer for offer in offers if not refusals[id(offer)]]
    cost_of = stage_usd or _usd_per_hour
    most = max_price_ratio * min(cost_of(offer) for offer in fitting or offers)
    kept, dropped = [], []
    for offer in offers:
        reason = _too_dear(cost_of(offer), most, max_price_ratio, per_hour=stage_usd is None)
        if reason := reason or refusals[id(offer)]:
            dropped.append(Rejection(offer, reason))
        else:
            kept.append(offer)
    if kept:
        return OfferChoice(
            tuple(kept), tuple(dropped), most_stage_usd=None if stage_usd is None else most
        )
    cheapest = min(offers, key=lambda offer: (offer.usd_per_hour, offer.id))
    rest = tuple(rejection for rejection in dropped if rejection.offer is not cheapest)
    why = refusals[id(cheapest)]
    return OfferChoice((cheapest,), rest, f"{why} ({priced(cheapest)}, the cheapest offer)")


def _usd_per_hour(offer: Offer) -> float:
    return offer.usd_per_hour


def _too_dear(usd: float, most: float, max_price_ratio: float, *, per_hour: bool) -> str:
    """Empty when the offer costs `most` or less."""
    if usd <= most + ROUNDING_USD:
        return ""
    times = f"{max_price_ratio:g} x the cheapest (max_price_ratio)"
    if per_hour:
        return f"over ${most:.2f}/h, {times}"
    return f"about ${usd:.2f} for the stages, over ${most:.2f}, {times}"
