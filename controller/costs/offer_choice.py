"""Which of the offers that a stage accepts a lease may take, by price and worst case. Pure.

An offer is left out when it costs more than a multiple of the cheapest one, or when its worst case
does not fit the balance or the budget. A lease is refused only when the cheapest offer does not
fit; stock plays no part in this.
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


def choose_offers(
    offers: Sequence[Offer],
    worst_of: Callable[[float], WorstCase],
    funds: Funds,
    max_price_ratio: float,
) -> OfferChoice:
    """Divide `offers`, of which there is at least one; `worst_of` maps USD per hour to a sum."""
    cheapest = min(offers, key=lambda offer: (offer.usd_per_hour, offer.id))
    most = cheapest.usd_per_hour * max_price_ratio
    kept, dropped = [], []
    for offer in offers:
        if reason := _why_dropped(offer, most, worst_of, funds, max_price_ratio):
            dropped.append(Rejection(offer, reason))
        else:
            kept.append(offer)
    if kept:  # a worst case grows with the price, so the cheapest is among them
        return OfferChoice(tuple(kept), tuple(dropped))
    rest = tuple(one for one in dropped if one.offer is not cheapest)
    why = funds.refusal(worst_of(cheapest.usd_per_hour))
    return OfferChoice((cheapest,), rest, f"{why} ({priced(cheapest)}, the cheapest offer)")


def _why_dropped(
    offer: Offer,
    most: float,
    worst_of: Callable[[float], WorstCase],
    funds: Funds,
    max_price_ratio: float,
) -> str:
    """Empty when the lease may take the offer."""
    if offer.usd_per_hour > most + ROUNDING_USD:
        return f"over ${most:.2f}/h, {max_price_ratio:g} x the cheapest (max_price_ratio)"
    return funds.refusal(worst_of(offer.usd_per_hour))
