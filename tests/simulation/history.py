"""One history: a user, a laptop, a cloud, and two days of bad luck before it turns calm."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.cloud import Cloud
from tests.simulation.concurrent_stop import StopBeside
from tests.simulation.event_loop import Hub
from tests.simulation.fault_schedule import CALM_AT, Fate, Tally
from tests.simulation.host import Laptop, Office
from tests.simulation.invariants import Violation, Watchman
from tests.simulation.process import Process
from tests.simulation.unexpected_error import Surprise, Unforeseen

END = CALM_AT + 60 * 3600.0  # by then every lease must have been closed
TRIES = 40  # commands that a user types at most


@dataclass
class History:
    """`violation` is empty when every invariant held."""

    seed: int
    violation: str = ""
    passed: bool = False
    tally: Tally = field(default_factory=Tally)


class World:
    """Everything that one seed makes."""

    def __init__(self, seed: int, bias: frozenset[str] = frozenset()) -> None:
        self.hub = Hub()
        self.fate = Fate(seed, bias)
        self.cloud = Cloud(self.hub, self.fate)
        self.laptop = Laptop(self.cloud, surprise=Surprise.drawn(seed, bias))
        self.watchman = Watchman(self.cloud, self.laptop)
        self.beside = StopBeside.drawn(seed, bias, self.laptop, self._process)
        self.came_back = True

    def live(self) -> History:
        history = History(self.fate.seed, tally=self.fate.tally)
        self.hub.at(CALM_AT, self._calm)
        self.hub.process(self.user)
        self.hub.at(CALM_AT + 20 * 3600.0, lambda: self.hub.process(self.tidy))
        if self.fate.two:
            self.hub.process(self.second_terminal)
        for moment in self.beside.moments() if self.beside is not None else ():
            self.hub.at(moment, lambda: self.hub.process(self.stop_beside))
        self.fate.tally.surprises += bool(self.laptop.surprise.place)
        try:
            self.hub.run(END, self.watchman.look)
            self.watchman.at_the_end(came_back=self.came_back)
        except Violation as violation:
            history.violation = str(violation)
        except Unforeseen as error:
            history.violation = f"I10: an exception ended a command: {error}"
        history.passed = len(self.laptop.files.certificates) == 2
        return history

    def _calm(self) -> None:
        self.fate.calm = True

    def _process(self) -> Process:
        return Process(self.hub, self.fate)

    # -- who types ---------------------------------------------------------------------------

    def user(self) -> None:
        """Runs the plan; carries on after anything; at last gives up what will not come."""
        for number in range(TRIES):
            outcome = self.laptop.podctl(self._process(), Office.run)
            if outcome == "killed" and not self.fate.calm and self.fate.never_back:
                self.came_back = False
                return
            if outcome == "passed":
                break
            self.hub.sleep(self.fate.between(30.0, 7200.0))
            patience = 0 if "stop" in self.fate.bias else 5
            alive = outcome not in ("killed", "busy") or "stop" in self.fate.bias
            if number >= patience and alive:
                self._give_up(number)
                if not self.laptop.open_leases():
                    return

    def tidy(self) -> None:
        """What is parked is told at every command; in the end somebody gives it up."""
        while self.came_back and self.laptop.open_leases():
            self._give_up(TRIES)
            self.hub.sleep(60.0)

    def _give_up(self, number: int) -> None:
        abandon = number > 8
        calm = self.fate.calm
        done = self.laptop.podctl(self._process(), lambda session: session.stop(abandon=abandon))
        if abandon and calm and done == "stopped":
            self.watchman.all_given_up()

    def stop_beside(self) -> None:
        """Somebody wants an end to what runs in another terminal, or in none."""
        if self.beside is not None and self.came_back:
            self.beside.stop()

    def second_terminal(self) -> None:
        """Somebody forgot that a podctl runs already."""
        while not self.fate.calm and self.came_back:
            self.hub.sleep(self.fate.between(60.0, 5400.0))
            self.laptop.podctl(self._process(), self.fate.random.choice((Office.run, Office.sync)))


def play(seed: int, bias: frozenset[str] = frozenset()) -> History:
    """The history of `seed`; the same every time."""
    return World(seed, bias).live()
