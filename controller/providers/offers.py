"""Selects and orders the offers that a stage accepts, with reasons for the others. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from controller.providers import prices
from controller.providers.base import Hardware, Offer
from controller.providers.hardware_names import all_matching_ids

NONE = "NONE"


@dataclass(frozen=True)
class Rejection:
    """An offer that a stage does not accept, with the reason as text."""

    offer: Offer
    reason: str


def title(offer: Offer) -> str:
    """What one rents: `2 x NVIDIA L40S`, or a CPU flavor with the number of its vCPUs."""
    return units(offer.kind, offer.name, offer.count)


def units(kind: str, name: str, count: int) -> str:
    """`count` GPUs of a type, or one pod of a CPU flavor with so many vCPUs."""
    if kind == "cpu":
        return f"{name} with {count} vCPU{'s' if count != 1 else ''}"
    return f"{count} x {name}"


def priced(offer: Offer) -> str:
    """The offer and its price per hour, to the cent where that says enough."""
    digits = 2 if offer.usd_per_hour >= 0.1 else 3
    return f"{title(offer)} at ${offer.usd_per_hour:.{digits}f}/h"


def ranked(offers: Iterable[Offer], need: Hardware) -> tuple[Offer, ...]:
    """The accepted offers, cheapest first; those without stock come last."""
    offers = tuple(offers)
    need = by_id(need, offers)
    return by_price(offer for offer in offers if why_not(offer, need) is None)


def by_id(need: Hardware, offers: Iterable[Offer]) -> Hardware:
    """`need` with its GPU names resolved to ids of `offers`; unknown names stay and match
    nothing."""
    if not need.gpus:
        return need
    entries = [offer for offer in offers if offer.kind == "gpu"]
    return replace(need, gpus=tuple(sorted(all_matching_ids(need.gpus, entries))) or need.gpus)


def by_price(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """Cheapest first; availability NONE after all others."""
    return tuple(
        sorted(
            offers,
            key=lambda offer: (offer.availability == NONE, offer.usd_per_hour, offer.id),
        )
    )


def by_stage_usd(offers: Iterable[Offer], hours_of: Callable[[str], float]) -> tuple[Offer, ...]:
    """The cheapest for its hours first, then the cheaper an hour; availability NONE comes last.

    `hours_of` gives the expected hours by an offer's id; with equal hours this is `by_price`.
    """
    return tuple(
        sorted(
            offers,
            key=lambda offer: (
                offer.availability == NONE,
                hours_of(offer.id) * offer.usd_per_hour,
                offer.usd_per_hour,
                offer.id,
            ),
        )
    )


def rejections(offers: Iterable[Offer], need: Hardware) -> tuple[Rejection, ...]:
    """Every offer of the requested kind (GPU or CPU) that is not accepted, cheapest first."""
    kind = "cpu" if need.cpu else "gpu"
    offers = tuple(offers)
    need = by_id(need, offers)
    return tuple(
        Rejection(offer, reason)
        for offer in by_price(offer for offer in offers if offer.kind == kind)
        if (reason := why_not(offer, need)) is not None
    )


def why_not(offer: Offer, need: Hardware) -> str | None:
    """The first reason against `offer` as text; None if `need` accepts it."""
    if price_problem := prices.obstacle(offer.kind, offer.usd_per_hour, offer.count):
        return f"{price_problem}; {offer.name}: no"
    if need.cpu is not None:
        return _why_not_cpu(offer, need)
    return _why_not_gpu(offer, need) or _too_expensive(offer, need, need.gpu_count)


def _why_not_cpu(offer: Offer, need: Hardware) -> str | None:
    if offer.kind != "cpu":
        return f"needs no GPU; {offer.name}: no"
    if not _named(offer, (need.cpu or "",)):
        return f"needs the CPU flavor {need.cpu}; {offer.id}: no"
    if need.cloud != offer.cloud:
        return f"needs the {need.cloud} cloud; {offer.name} is in {offer.cloud}: no"
    return _too_expensive(offer, need, need.vcpu_count)


def _why_not_gpu(offer: Offer, need: Hardware) -> str | None:
    if offer.kind != "gpu":
        return f"needs a GPU; {offer.name} has none: no"
    if offer.memory_gb < need.min_gpu_memory_gb:
        return f"needs about {need.min_gpu_memory_gb} GB; {offer.name} {offer.memory_gb} GB: no"
    if need.gpus and not _named(offer, need.gpus):
        return f"not among the types that the stage accepts; {offer.name}: no"
    if not need.gpus and offer.id.startswith("AMD"):
        return f"needs CUDA unless the stage names the type; {offer.name}: no"
    if need.cloud != offer.cloud:
        return f"needs the {need.cloud} cloud; {offer.name} is in {offer.cloud}: no"
    return None


def _named(offer: Offer, names: tuple[str, ...]) -> bool:
    """Whether the catalog id or the short name is in `names`, ignoring case."""
    folded_names = {" ".join(name.split()).casefold() for name in names}
    return offer.id.casefold() in folded_names or offer.name.casefold() in folded_names


def _too_expensive(offer: Offer, need: Hardware, count: int) -> str | None:
    """Compares the price of `count` units, whatever number the offer is for."""
    price = offer.usd_per_hour / max(1, offer.count) * count
    if need.max_usd_per_hour is None or price <= need.max_usd_per_hour + 1e-9:
        return None
    what = units(offer.kind, offer.name, count) if count > 1 else offer.name
    return f"at most ${need.max_usd_per_hour:.2f}/h; {what} ${price:.2f}/h: no"
