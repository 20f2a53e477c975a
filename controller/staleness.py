"""Whether a locked stage still is what would run now, and what differs in words. Pure.

A lock is a statement about the past and stays true: stale means that its stage, run now, would be
given something else. Staleness goes downstream: what stands on a stale lock is stale as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.certificate import Certificate
from jobs.stage import Stage

MAX_VALUE = 60  # characters of a value that is shown


@dataclass(frozen=True)
class Difference:
    """One thing that would be another one now. `kind` is parameter, input, command, outputs, need
    or upstream."""

    kind: str
    text: str


def differences(
    stage: Stage,
    lock: Certificate,
    inputs: Mapping[str, str],
    locks: Mapping[str, Certificate],
) -> tuple[Difference, ...]:
    """What differs between `lock` and a run of `stage` now.

    `inputs` maps each present input's path to its sha256; `locks` are the certificates in force.
    """
    return (
        *_parameters(stage, lock),
        *_command(stage, lock),
        *_inputs(lock, inputs),
        *_needs(stage, lock, locks),
    )


def _parameters(stage: Stage, lock: Certificate) -> Iterable[Difference]:
    for name in sorted({*stage.parameters, *lock.parameters}):
        was, now = lock.parameters.get(name), stage.parameters.get(name)
        if was != now:
            text = f"parameter {name} was {shown(was)}, is {shown(now)}"
            yield Difference("parameter", text)


def _command(stage: Stage, lock: Certificate) -> Iterable[Difference]:
    if stage.command != lock.command:
        was, now = " ".join(lock.command), " ".join(stage.command)
        yield Difference("command", f"the command was {was!r}, is {now!r}")
    if stage.outputs != lock.outputs:
        yield Difference("outputs", f"the outputs were {list(lock.outputs)}")


def _inputs(lock: Certificate, inputs: Mapping[str, str]) -> Iterable[Difference]:
    recorded = {one.path: one.sha256 for one in lock.inputs}
    for path in sorted(recorded.keys() | inputs.keys()):
        if path not in inputs:
            yield Difference("input", f"input {path} is no longer there")
        elif path not in recorded:
            yield Difference("input", f"input {path} is new")
        elif recorded[path] != inputs[path]:
            yield Difference("input", f"input {path} changed")


def _needs(
    stage: Stage, lock: Certificate, locks: Mapping[str, Certificate]
) -> Iterable[Difference]:
    for need in stage.needs:
        recorded, current = lock.needs.get(need), locks.get(need)
        if recorded is None:
            continue
        if current is None:
            yield Difference("need", f"{need}, on which it stands, is no longer locked")
        elif current.sha256 != recorded:
            yield Difference("need", f"{need}, on which it stands, was locked again since")


def all_differences(
    stages: Mapping[str, Stage],
    locks: Mapping[str, Certificate],
    inputs: Mapping[str, Mapping[str, str]],
) -> dict[str, tuple[Difference, ...]]:
    """For every locked stage what differs; `stages` in an order in which needs come first."""
    found: dict[str, tuple[Difference, ...]] = {}
    for name, stage in stages.items():
        lock = locks.get(name)
        if lock is None:
            continue
        upstream = [need for need in stage.needs if found.get(need)]
        found[name] = (
            *differences(stage, lock, inputs.get(name, {}), locks),
            *(Difference("upstream", f"{need}, on which it stands, is stale") for need in upstream),
        )
    return found


def downstream(stages: Mapping[str, Stage], name: str) -> tuple[str, ...]:
    """Every stage that stands on `name`, directly or not, in plan order."""
    reached = {name}
    for one, stage in stages.items():
        if reached & set(stage.needs):
            reached.add(one)
    return tuple(one for one in stages if one in reached and one != name)


def shown(value: object) -> str:
    """A value in one short piece."""
    text = "not set" if value is None else repr(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
