"""The tables of `podctl plan`: expected time and dollars of each stage and each offer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from controller.costs.pricing import expected_usd
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.costs.expectation import Expectation
    from controller.leases.preview import RunPreview
    from controller.leases.quote import Quote
    from controller.providers.base import Offer

MOST = 8  # rows of offers shown; --json has all of them


def show_stages(terminal: Terminal, preview: RunPreview) -> None:
    """Each stage on the offer that is tried first; nothing for stages that have only `hours`."""
    quote = preview.quote
    if quote is None or not quote.expectation.predicted:
        return
    expectation, offer = quote.expectation, quote.best
    rows = [
        (
            stage.name,
            words.span(prediction.hours),
            words.usd(prediction.hours * offer.usd_per_hour),
            f"{prediction.tokens_per_second:,.0f}" if prediction.tokens_per_second else "",
            prediction.source,
        )
        for stage, prediction in zip(expectation.stages, expectation.on(offer.id), strict=True)
    ]
    start = expectation.pod_hours
    usd = words.usd(start * offer.usd_per_hour)
    rows.append(("the pod", words.span(start), usd, "", "assumed: boot, environment, model"))
    terminal.table(("STAGE", "TIME", "$", "TOKENS/S", "RATE"), rows)
    terminal.prose("")


def show_offers(terminal: Terminal, preview: RunPreview, all_: bool) -> None:
    quote = preview.quote
    expectation = quote.expectation if quote and quote.expectation.predicted else None
    dropped = quote.dropped if quote else ()
    rows: list[Sequence[object]] = [
        _row(f"  {rank}", offer, expectation, offer.availability, "")
        for rank, offer in enumerate(quote.offers if quote else (), 1)
    ]
    refused: list[Sequence[object]] = [
        _row("  -", rejection.offer, expectation, "", rejection.reason, rejection in dropped)
        for rejection in preview.rejected
    ]
    hidden = 0 if all_ else max(0, len(rows) - MOST) + max(0, len(refused) - 2)
    if not all_:
        last = [rows[quote.offers.index(quote.dearest)]] if quote else []
        shown = rows[:MOST]
        if last and last[0] not in shown:  # the worst case is of this one
            shown = [*rows[: MOST - 1], *last]
        rows, refused = shown, refused[:2]
    cost = ("TIME", "$") if expectation else ()
    columns = ("  TRY", "TYPE", "GB", "$/H", *cost, "AVAILABLE", "NOT ACCEPTED")
    terminal.table(columns, [*rows, *refused], prose=("NOT ACCEPTED",))
    if hidden:
        terminal.prose(f"  and {hidden} more: podctl plan {' '.join(preview.stages)} --offers")


def _row(
    rank: str,
    offer: Offer,
    expectation: Expectation | None,
    availability: str,
    reason: str,
    usable: bool = True,
) -> Sequence[object]:
    """The columns of time and dollars are there with an expectation only."""
    cost = ("", "") if expectation else ()
    if expectation and usable:
        cost = (words.span(expectation.hours(offer.id)), words.usd(expectation.usd(offer)))
    price = f"{offer.usd_per_hour:.3f}"
    return (rank, offer.name, offer.memory_gb, price, *cost, availability, reason)


def expected_document(quote: Quote) -> list[dict[str, Any]]:
    """Hours and dollars of each offer that may be rented, and of each stage on it."""
    return [
        {
            "id": offer.id,
            "count": offer.count,
            "usd_per_hour": offer.usd_per_hour,
            "hours": quote.expectation.hours(offer.id),
            "usd": quote.expectation.usd(offer),
            "pod_hours": quote.expectation.pod_hours,
            "stages": list(_stages(quote.expectation, offer)),
        }
        for offer in quote.offers
    ]


def _stages(expectation: Expectation, offer: Offer) -> Iterator[dict[str, Any]]:
    for stage, prediction in zip(expectation.stages, expectation.on(offer.id), strict=True):
        usd = expected_usd(prediction.hours, offer.usd_per_hour)
        yield {"stage": stage.name, **vars(prediction), "usd": usd}
