"""What the user asked for on the command line, as the loop takes it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.terminal.terminal import Terminal


@dataclass(frozen=True)
class RunOptions:
    """`podctl run` and `podctl sync`. None: as podctl.toml says."""

    terminal: Terminal
    yes: bool = False  # rent without asking
    budget_usd: float | None = None  # for this run, over podctl.toml's run_usd
    disposal: str | None = None  # terminate | park | keep, on success
    detach: bool = False  # come back as soon as the job runs
    follow: bool = True  # show the job's log
    unguarded: bool = False  # accept a pod whose guard is not armed
    fresh: bool = False  # begin at the beginning, whatever an earlier attempt left here
    resume: str | None = None  # the earlier attempt to go on from, whatever was changed since
    give_secrets: bool = False  # let the jobs have what the stages name in `secrets`
    wait_seconds: float | None = None  # for capacity; None: not, or as the lease was opened
    stages: tuple[str, ...] = ()  # sync: only these; empty: every unfinished run


@dataclass(frozen=True)
class StopOptions:
    """`podctl stop`: pull first, then park, or terminate once everything is here."""

    terminal: Terminal
    yes: bool = False
    terminate: bool = False  # else the project's policy on failure
    abandon: str | None = None  # the reason for which unpulled artifacts may be lost
    every: bool = False  # every open lease, whatever is named
    wait_seconds: float = 1800.0  # for another podctl that drives the project to carry it out
