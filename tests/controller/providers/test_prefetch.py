"""Answers of the provider that were asked for ahead."""

from __future__ import annotations

from collections import Counter

from controller.credentials.secret import Secret
from controller.providers.base import Account, Hardware, Offer, Pod
from controller.providers.prefetch import Prefetching
from controller.providers.retry import Patience
from controller.providers.runpod.provider import RunPod
from tests.support.emulated_cloud import EmulatedCloud

NEED = Hardware(cpu="cpu5c")


class Counting(RunPod):
    """Counts the questions that reach the API."""

    asked: Counter[str]

    def list(self) -> tuple[Pod, ...]:
        self.asked["list"] += 1
        return super().list()

    def offers(self, need: Hardware) -> tuple[Offer, ...]:
        self.asked["offers"] += 1
        return super().offers(need)

    def account(self) -> Account:
        self.asked["account"] += 1
        return super().account()


def test_an_answer_that_was_asked_for_ahead_is_used_once(cloud: EmulatedCloud) -> None:
    """The second listing and the second offers are new; the balance is not asked for again; after
    an order to a pod no older listing is used."""
    api = Counting(Secret(cloud.api_key), cloud.base_url, name="emulator")
    api.asked = Counter()
    provider = Prefetching(api, Patience(deadline=20.0))
    provider.ask_ahead([NEED], pods=True)
    first = provider.list(), provider.offers(NEED), provider.account(), provider.account()
    after_first = dict(api.asked)
    again = provider.list(), provider.offers(NEED)
    provider.ask_for_pods_ahead()
    provider.terminate("no-such-pod")
    provider.list()

    assert after_first == {"list": 1, "offers": 1, "account": 1}
    assert again == first[:2]
    assert first[2] == first[3]
    assert api.asked == {"list": 4, "offers": 2, "account": 1}
    assert provider.newest_pods == again[0]
