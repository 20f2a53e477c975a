"""An unexpected exception, raised at one place of the loop once, a few times, or always.

It has a random generator of its own, so that a seed gives the same other faults without it.
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

NO_INJECTED_ERROR = frozenset({"foreseen"})  # the bias of a history without an injected error
SHARE = 0.3  # of histories that have an injected error
ALWAYS = 10**9
ACTIONS = tuple(
    choose.__name__
    for choose in actions.Action.__subclasses__()
    if choose not in (actions.Wait, actions.NeedsOperator, actions.Done)
)
MOMENTS = ("intent", "before", "after", "outcome")  # of one action
OFTEN = (actions.Judge, actions.Lock, actions.Pull, actions.Terminate, actions.Create)
# The nonce of a generation is the one thing by which its pods are known.
STEPS = tuple(step for step in Step if step not in (Step.GENERATION, Step.INCIDENT))


class UnexpectedError(Exception):
    """An exception type that no part of podctl handles."""


@dataclass
class InjectedError:
    """`place` is `look`, `decide`, `watch`, `fold STEP`, or a moment and an action."""

    place: str = ""
    skips: int = 0  # times that the place is passed before it raises
    times: int = 0
    struck: int = 0

    @classmethod
    def drawn(cls, seed: int, bias: frozenset[str]) -> InjectedError:
        random_source = random.Random(f"surprise {seed}")
        if bias & NO_INJECTED_ERROR or (random_source.random() >= SHARE and "surprise" not in bias):
            return cls()
        names = [action.__name__ for action in OFTEN] if random_source.random() < 0.4 else ACTIONS
        kind = random_source.choice(
            ("look", "decide", "watch", "fold", *MOMENTS, *MOMENTS, *MOMENTS)
        )
        place = {"fold": f"fold {random_source.choice(STEPS)}"}.get(
            kind, f"{kind} {random_source.choice(names)}"
        )
        often = kind in ("look", "decide", "watch")
        return cls(
            kind if often else place,
            random_source.randrange(40 if often else 3),
            1 if kind == "fold" else random_source.choice((1, 2, ALWAYS, ALWAYS)),
        )

    def due(self, place: str) -> bool:
        """Whether it raises at this call."""
        if place != self.place or self.struck >= self.times:
            return False
        if self.skips:
            self.skips -= 1
            return False
        self.struck += 1
        return True

    def strike(self, place: str) -> None:
        if self.due(place):
            raise UnexpectedError(f"unexpected error at {place}")

    def decide(self, observation: Observation, policy: Policy) -> Action:
        self.strike("decide")
        return decide(observation, policy)

    def watch(self, *_: Any) -> None:
        self.strike("watch")


@dataclass
class FailingExecutor(ActionExecutor):
    """An executor that may raise when it observes or before or after an action."""

    injected_error: InjectedError | None = None

    def observe(self) -> Observation:
        _strike(self.injected_error, "look")
        return super().observe()

    def _perform(self, action: Action) -> LeaseOutcome:
        name = type(action).__name__
        _strike(self.injected_error, f"before {name}")
        outcome = super()._perform(action)
        _strike(self.injected_error, f"after {name}")
        return outcome


@dataclass
class FailingRecorder(LeaseRecorder):
    """A recorder that may raise at any entry; earlier ledger writes remain."""

    injected_error: InjectedError | None = None

    def intent(self, action: Action) -> None:
        _strike(self.injected_error, f"intent {type(action).__name__}")
        super().intent(action)

    def _finish(self, action: Action) -> None:
        _strike(self.injected_error, f"outcome {type(action).__name__}")
        super()._finish(action)


def _strike(injected_error: InjectedError | None, place: str) -> None:
    if injected_error is not None:
        injected_error.strike(place)


def spoiled(injected_error: InjectedError | None, step: str, phase: str, data: str) -> str:
    """The data to write for a record: sometimes without the keys that a reader expects."""
    wants = phase != "intent" or step == Step.CREATE
    return (
        "{}"
        if injected_error is not None and wants and injected_error.due(f"fold {step}")
        else data
    )
