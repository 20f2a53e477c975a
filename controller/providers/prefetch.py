"""A provider that can be asked ahead: the answers arrive while the command does something else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from controller.errors import ConnectionLost
from controller.providers.background import BackgroundCall
from controller.providers.base import Account, Hardware, Inventory, Offer, Pod, PodSpec, Provider
from controller.providers.retry import Patience, Retrying

T = TypeVar("T")
ANSWER_SECONDS = 120.0  # for all tries of a request that was sent ahead
FRESH = 5.0  # seconds for which an answer that was asked for ahead may be used, once
ACCOUNT_FRESH = 30.0  # seconds for which balance and clock are not asked for again


class Prefetching(Retrying):
    """Retries as `Retrying`; `ask_ahead` starts requests whose answers the next calls return.

    An order to a pod drops what was asked before it.
    """

    def __init__(self, provider: Provider, patience: Patience) -> None:
        super().__init__(provider, patience)
        self._ahead: dict[tuple[Any, ...], tuple[float, BackgroundCall[Any]]] = {}
        self.newest_pods: tuple[Pod, ...] = ()  # of the newest listing
        self._account: tuple[float, Account] | None = None  # with when it was asked for

    def ask_ahead(self, needs: Iterable[Hardware], *, pods: bool) -> None:
        """Ask for the account, for the catalog and offers of each of `needs`, and for the pods."""
        calls: dict[tuple[Any, ...], Callable[[], Any]] = {("account",): super().account}
        if pods:
            calls["list",] = super().list
        for need in needs:
            calls["inventory", need] = partial(super().inventory, need)
            calls["offers", need] = partial(super().offers, need)
        now = time.monotonic()
        self._ahead = {
            question: (now, BackgroundCall(call, f"ahead-{question[0]}"))
            for question, call in calls.items()
        }

    def ask_for_pods_ahead(self) -> None:
        """Ask for the pods once more."""
        call = BackgroundCall(super().list, "ahead-list")
        self._ahead[("list",)] = time.monotonic(), call

    def _answer(self, question: tuple[Any, ...], call: Callable[[], T]) -> T:
        asked_at, answer = self._ahead.pop(question, (0.0, None))
        if answer is not None and time.monotonic() - asked_at < FRESH:
            with suppress(ConnectionLost):  # it is asked for anew, with a limit of its own
                result: T = answer.result(ANSWER_SECONDS)
                return result
        return call()

    def list(self) -> tuple[Pod, ...]:
        self.newest_pods = self._answer(("list",), super().list)
        return self.newest_pods

    def offers(self, need: Hardware) -> tuple[Offer, ...]:
        return self._answer(("offers", need), partial(super().offers, need))

    def inventory(self, need: Hardware) -> Inventory:
        return self._answer(("inventory", need), partial(super().inventory, need))

    def account(self) -> Account:
        """Balance, keys and clock, at most half a minute old."""
        if self._account is not None and time.monotonic() - self._account[0] < ACCOUNT_FRESH:
            return self._account[1]
        asked_at = time.monotonic()
        account = self._answer(("account",), super().account)
        self._account = asked_at, account
        return account

    def create(self, spec: PodSpec) -> Pod:
        self._ahead.clear()
        return super().create(spec)

    def start(self, pod_id: str) -> None:
        self._ahead.clear()
        super().start(pod_id)

    def stop(self, pod_id: str) -> None:
        self._ahead.clear()
        super().stop(pod_id)

    def terminate(self, pod_id: str) -> bool:
        self._ahead.clear()
        return super().terminate(pod_id)

    def register_key(self, public_key: str) -> None:
        self._account = None
        super().register_key(public_key)
