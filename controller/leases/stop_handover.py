"""`podctl stop` while another podctl holds the project lock: requests the end, and waits for it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial

from controller.clock import SystemClock
from controller.errors import Busy
from controller.leases.options import StopOptions
from controller.leases.project_session import CommandContext, ProjectSession
from controller.leases.stop_requests import Handover
from controller.leases.stop_target import named
from controller.terminal.terminal import Terminal
from state.database import open_database
from state.journal import Journal
from state.project_lock import epoch_of, holder
from state.stop_requests import StopRequest, StopRequests

QUIET_EVERY = 15.0  # seconds between lines where no terminal shows a moving one


@dataclass(frozen=True)
class Handed:
    """The requests to `driver`; `session` is set when this process must do the rest."""

    driver: str
    asked: tuple[StopRequest, ...]
    session: ProjectSession | None


def hand_over(
    context: CommandContext,
    stack: ExitStack,
    name: str | None,
    disposal: str,
    options: StopOptions,
    busy: Busy,
) -> Handed:
    """Request the end of the leases that `name` names, and wait until they have ended.

    If that process ends first, this one takes the lock: the session is entered into `stack`. Raises
    `busy` when it drives none of them yet, and Busy when time is up.
    """
    state, terminal = context.project.state_dir, context.terminal
    driver = _driver(context)
    with closing(open_database(context.project.database, readonly=True)) as connection:
        journal = Journal(connection)
        leases = named(journal, name, every=options.every)
        if not leases:
            raise busy
        asked = tuple(_request(lease, disposal, options) for lease in leases)
        handover = Handover(
            StopRequests(state),
            journal,
            partial(epoch_of, connection),
            SystemClock(),
            partial(_enter, context, stack),
            _Shown(terminal, driver),
            options.wait_seconds,
        )
        terminal.say(
            f"{driver} drives this project: requested the end of {', '.join(leases)}; waiting "
            f"for up to {options.wait_seconds / 60:g} min. A request that it has not accepted when "
            "you leave is withdrawn"
        )
        session = handover.wait(asked)
        if session is None and (left := handover.unended(asked)):
            raise _late(handover, left, driver, options)
    return Handed(driver, asked, session)


def _request(lease: str, disposal: str, options: StopOptions) -> StopRequest:
    me = "podctl stop in another terminal"
    return StopRequest(secrets.token_hex(8), lease, 0, disposal, options.abandon, me, time.time())


def _enter(context: CommandContext, stack: ExitStack) -> ProjectSession | None:
    try:
        return stack.enter_context(context.owned("stop"))
    except Busy:
        return None


def _driver(context: CommandContext) -> str:
    found = holder(context.project.state_dir)
    return f"pid {found.pid} on {found.host} (podctl {found.what})" if found else "another podctl"


def _late(
    handover: Handover[ProjectSession],
    left: Sequence[StopRequest],
    driver: str,
    options: StopOptions,
) -> Busy:
    minutes = f"{options.wait_seconds / 60:g} min"
    leases = ", ".join(request.lease for request in left)
    if all(handover.taken_up(request) for request in left):
        return Busy(
            f"{driver} accepted the request to end {leases} but is not done after {minutes}",
            cause="it continues: the job saves, and its outputs are downloaded",
            hint="podctl status; podctl stop waits again",
        )
    return Busy(
        f"{driver} did not accept the request to end {leases} within {minutes}",
        cause="it may be suspended, waiting for an answer, or busy with another run; the request "
        "was withdrawn",
        hint="end that process, then podctl stop again",
    )


@dataclass
class _Shown:
    """Shows the progress: an updating line on a terminal, else one every 15 s."""

    terminal: Terminal
    driver: str
    _at: float = field(default=-1e9)

    def __call__(self, text: str, left: float) -> None:
        line = f"waiting for {self.driver}: {text}; {max(0.0, left) / 60:.1f} min left"
        self.terminal.progress(line)
        if time.monotonic() - self._at >= QUIET_EVERY:
            self._at = time.monotonic()
            self.terminal.say(line)
