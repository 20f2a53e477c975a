"""An exception that nobody foresaw: at one place of the loop, once, a few times, or for ever.

Drawn beside a history's other luck, so that a seed means the same with and without it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from controller.engine.executor import ActionExecutor
from controller.engine.outcomes import LeaseOutcome
from controller.engine.recorder import LeaseRecorder
from controller.planner import actions
from controller.planner.actions import Action
from controller.planner.decide import decide
from controller.planner.lease_state import Step
from controller.planner.observation import Observation
from controller.planner.policy import Policy

FORESEEN = frozenset({"foreseen"})  # the bias of a history without one
SHARE = 0.3  # of histories that have one
ALWAYS = 10**9
ACTIONS = tuple(
    one.__name__
    for one in actions.Action.__subclasses__()
    if one not in (actions.Wait, actions.NeedsOperator, actions.Done)
)
MOMENTS = ("intent", "before", "after", "outcome")  # of one action
OFTEN = (actions.Judge, actions.Lock, actions.Pull, actions.Terminate, actions.Create)
# The nonce of a generation is the one thing by which its pods are known.
STEPS = tuple(step for step in Step if step not in (Step.GENERATION, Step.INCIDENT))


class Unforeseen(Exception):
    """No adapter knows of it."""


@dataclass
class Surprise:
    """`place` is `look`, `decide`, `watch`, `fold STEP`, or a moment and an action."""

    place: str = ""
    skips: int = 0  # passages of the place before it strikes
    times: int = 0
    struck: int = 0

    @classmethod
    def drawn(cls, seed: int, bias: frozenset[str]) -> Surprise:
        dice = random.Random(f"surprise {seed}")
        if bias & FORESEEN or (dice.random() >= SHARE and "surprise" not in bias):
            return cls()
        names = [one.__name__ for one in OFTEN] if dice.random() < 0.4 else ACTIONS
        kind = dice.choice(("look", "decide", "watch", "fold", *MOMENTS, *MOMENTS, *MOMENTS))
        place = {"fold": f"fold {dice.choice(STEPS)}"}.get(kind, f"{kind} {dice.choice(names)}")
        often = kind in ("look", "decide", "watch")
        return cls(
            kind if often else place,
            dice.randrange(40 if often else 3),
            1 if kind == "fold" else dice.choice((1, 2, ALWAYS, ALWAYS)),
        )

    def due(self, place: str) -> bool:
        """Whether it strikes here and now."""
        if place != self.place or self.struck >= self.times:
            return False
        if self.skips:
            self.skips -= 1
            return False
        self.struck += 1
        return True

    def strike(self, place: str) -> None:
        if self.due(place):
            raise Unforeseen(f"nobody foresaw this {place}")

    def decide(self, seen: Observation, policy: Policy) -> Action:
        self.strike("decide")
        return decide(seen, policy)

    def watch(self, *_: Any) -> None:
        self.strike("watch")


@dataclass
class SurprisedHands(ActionExecutor):
    """Eyes and hands of which any may fail."""

    surprise: Surprise | None = None

    def observe(self) -> Observation:
        _strike(self.surprise, "look")
        return super().observe()

    def _perform(self, action: Action) -> LeaseOutcome:
        name = type(action).__name__
        _strike(self.surprise, f"before {name}")
        outcome = super()._perform(action)
        _strike(self.surprise, f"after {name}")
        return outcome


@dataclass
class SurprisedBooks(LeaseRecorder):
    """Books in which any entry may fail; what is in the ledger by then stays there."""

    surprise: Surprise | None = None

    def intent(self, action: Action) -> None:
        _strike(self.surprise, f"intent {type(action).__name__}")
        super().intent(action)

    def _finish(self, action: Action) -> None:
        _strike(self.surprise, f"outcome {type(action).__name__}")
        super()._finish(action)


def _strike(surprise: Surprise | None, place: str) -> None:
    if surprise is not None:
        surprise.strike(place)


def spoiled(surprise: Surprise | None, step: str, phase: str, data: str) -> str:
    """The record as it is written: at times not as whoever reads it expects."""
    wants = phase != "intent" or step == Step.CREATE
    return "{}" if surprise is not None and wants and surprise.due(f"fold {step}") else data
