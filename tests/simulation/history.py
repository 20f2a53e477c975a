"""One history: a user, a host and a cloud; faults for 30 hours, then 60 hours without any."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from tests.simulation.cloud import Cloud
from tests.simulation.concurrent_stop import ConcurrentStop
from tests.simulation.event_loop import EventLoop
from tests.simulation.fault_schedule import CALM_AT, FaultSchedule, Tally
from tests.simulation.host import Host, SimulatedController
from tests.simulation.invariants import InvariantChecker, Violation
from tests.simulation.process import Process
from tests.simulation.project import POLICY
from tests.simulation.unexpected_error import InjectedError, UnexpectedError

END = CALM_AT + 60 * 3600.0  # every lease must be closed by then
TRIES = 40  # largest number of commands that the user runs


@dataclass
class History:
    """`violation` is empty when every invariant held."""

    seed: int
    violation: str = ""
    passed: bool = False
    tally: Tally = field(default_factory=Tally)


class World:
    """The simulated world of one seed."""

    def __init__(self, seed: int, bias: frozenset[str] = frozenset()) -> None:
        self.event_loop = EventLoop()
        self.faults = FaultSchedule(seed, bias)
        self.cloud = Cloud(self.event_loop, self.faults)
        policy = dataclasses.replace(POLICY, keep_warm=self.faults.keep_warm)
        self.host = Host(self.cloud, policy, injected_error=InjectedError.drawn(seed, bias))
        self.checker = InvariantChecker(self.cloud, self.host)
        self.concurrent_stops = ConcurrentStop.drawn(seed, bias, self.host, self._process)
        self.came_back = True

    def live(self) -> History:
        history = History(self.faults.seed, tally=self.faults.tally)
        self.event_loop.at(CALM_AT, self._calm)
        self.event_loop.process(self.user)
        self.event_loop.at(CALM_AT + 20 * 3600.0, lambda: self.event_loop.process(self.tidy))
        if self.faults.two:
            self.event_loop.process(self.second_terminal)
        for moment in self.concurrent_stops.moments() if self.concurrent_stops is not None else ():
            self.event_loop.at(moment, lambda: self.event_loop.process(self.concurrent_stop))
        self.faults.tally.surprises += bool(self.host.injected_error.place)
        try:
            self.event_loop.run(END, self.checker.check)
            self.checker.at_the_end(came_back=self.came_back)
        except Violation as violation:
            history.violation = str(violation)
        except UnexpectedError as error:
            history.violation = f"I10: an exception ended a command: {error}"
        history.passed = len(self.host.files.certificates) == 2
        return history

    def _calm(self) -> None:
        self.faults.calm = True

    def _process(self) -> Process:
        return Process(self.event_loop, self.faults)

    # -- the user's commands -----------------------------------------------------------------

    def user(self) -> None:
        """Runs all stages, again after any failure, and in the end gives up what cannot pass."""
        for number in range(TRIES):
            outcome = self.host.podctl(self._process(), SimulatedController.run)
            if outcome == "killed" and not self.faults.calm and self.faults.never_back:
                self.came_back = False
                return
            if outcome == "passed":
                break
            pause = 900.0 if self.faults.keep_warm else 7200.0
            self.event_loop.sleep(self.faults.between(30.0, pause))
            patience = 0 if "stop" in self.faults.bias else 5
            alive = outcome not in ("killed", "busy") or "stop" in self.faults.bias
            if number >= patience and alive:
                self._give_up(number)
                if not self.host.open_leases():
                    return

    def tidy(self) -> None:
        """The user gives up the leases that are still open."""
        while self.came_back and self.host.open_leases():
            self._give_up(TRIES)
            self.event_loop.sleep(60.0)

    def _give_up(self, number: int) -> None:
        abandon = number > 8
        calm = self.faults.calm
        done = self.host.podctl(self._process(), lambda session: session.stop(abandon=abandon))
        if abandon and calm and done == "stopped":
            self.checker.all_given_up()

    def concurrent_stop(self) -> None:
        """The user runs `podctl stop` in another terminal."""
        if self.concurrent_stops is not None and self.came_back:
            self.concurrent_stops.stop()

    def second_terminal(self) -> None:
        """The user runs commands in a second terminal while podctl runs in the first."""
        while not self.faults.calm and self.came_back:
            self.event_loop.sleep(self.faults.between(60.0, 5400.0))
            self.host.podctl(
                self._process(),
                self.faults.random.choice((SimulatedController.run, SimulatedController.sync)),
            )


def play(seed: int, bias: frozenset[str] = frozenset()) -> History:
    """Play the history of `seed`, which is the same every time."""
    return World(seed, bias).live()
