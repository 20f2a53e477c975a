"""No state of a lease is without an exit: whatever raises, the user can end it, and it is told."""

from __future__ import annotations

import dataclasses
import errno
import sqlite3
from typing import Any

import pytest

from controller.errors import ArtifactsNotSafe
from controller.incident import Incident, attempt
from controller.orphans.force_terminate import Nonces
from controller.planner import actions
from controller.planner.decide import decide
from controller.planner.journal_fold import fold
from controller.planner.observation import Observation, Repeated
from controller.planner.policy import Policy
from controller.planner.unexpected_error import bounded, name_of
from controller.providers.base import PodStatus
from state.errors import Fenced
from state.journal import Journal
from tests.controller.planner.test_decide import POLICY, agent, lease_state, pod, running, seen
from tests.simulation.history import World
from tests.simulation.host import SimulatedController
from tests.simulation.unexpected_error import (
    ACTIONS,
    ALWAYS,
    MOMENTS,
    NO_INJECTED_ERROR,
    STEPS,
    InjectedError,
)
from tests.support.laptop import Laptop

PLACES = (
    "look",
    "decide",
    "watch",
    *(f"fold {step}" for step in STEPS),
    *(f"{moment} {action}" for moment in MOMENTS for action in ACTIONS),
)


def broken(action: actions.Action, times: int = POLICY.incidents) -> dict[str, Any]:
    return {"incidents": {name_of(action): Repeated(times, "OSError: no (x.py:1 in f)")}}


def next_of(look: Observation, policy: Policy = POLICY) -> actions.Action:
    return bounded(look, policy, decide(look, policy))


class TestWhatRaises:
    """An exception becomes data, but for those that are not this process's to bear."""

    def test_an_exception_is_kept_with_its_type_message_and_place(self) -> None:
        """All on one line; of our own code also file and number."""

        def lock() -> None:
            raise OSError(errno.EXDEV, "Invalid\ncross-device link")

        found = attempt(lock)

        assert isinstance(found, Incident)
        assert found.kind == "OSError"
        assert found.message == "[Errno 18] Invalid cross-device link"
        assert found.where == "lock"

    def test_an_error_of_our_own_explains_itself(self) -> None:
        """And is the one that the user sees."""

        def refuse() -> None:
            raise ArtifactsNotSafe("a file is missing", where="out/x")

        found = attempt(refuse)

        assert isinstance(found, Incident)
        assert found.text == "a file is missing: out/x"
        assert isinstance(found.as_error(), ArtifactsNotSafe)

    @pytest.mark.parametrize("error", [Fenced("another owner"), KeyboardInterrupt()])
    def test_another_owner_and_a_person_are_heard_at_once(self, error: BaseException) -> None:
        """Neither is an incident."""

        def interrupt() -> None:
            raise error

        with pytest.raises(type(error)):
            attempt(interrupt)


class TestWhatIsDecided:
    """An action that raised is tried again a few times; then comes what ends it."""

    def test_a_few_times_with_a_pause(self) -> None:
        """Not at once, and not for ever."""
        pulled = lease_state(running(pulled=True, rc=0))
        judge = actions.Judge("stage1c-0001")
        early = seen(pulled, pod(), incidents={name_of(judge): Repeated(1, "no", 1003.0)})
        late = seen(pulled, pod(), incidents={name_of(judge): Repeated(2, "no", 999.0)})

        assert isinstance(next_of(early), actions.Wait)
        assert next_of(late) == judge

    @pytest.mark.parametrize(
        ("verdict", "action", "end"),
        [
            (None, actions.Judge("stage1c-0001"), actions.StopPod("p1", "parked")),
            (
                "PASS",
                actions.Lock("stage1c-0001"),
                actions.Terminate("p1", "its artifacts are here and verified"),
            ),
        ],
    )
    def test_a_pod_whose_files_are_all_here_does_not_work_for_nobody(
        self, verdict: str | None, action: actions.Action, end: actions.Action
    ) -> None:
        """While judging raises, the pod is stopped, and before locking it is terminated; the run
        stays open for a retry."""
        stuck = lease_state(running(pulled=True, rc=0, verdict=verdict))
        told = next_of(seen(stuck, pod(), **broken(action)))
        parked = dataclasses.replace(stuck, parked=True)
        left = next_of(seen(parked, pod(PodStatus.EXITED), **broken(action)))

        assert told == end
        assert isinstance(left, actions.NeedsOperator)
        assert left.code == "failed"
        assert "OSError" in left.what
        assert "stage1c --terminate --abandon" in left.hint

    def test_a_stop_ends_what_cannot_be_judged(self) -> None:
        """The user's word is enough: everything is here."""
        stuck = lease_state(running(pulled=True, rc=0), stop="terminate")
        action = next_of(seen(stuck, pod(), **broken(actions.Judge("stage1c-0001"))))

        assert isinstance(action, actions.Finish)
        assert action.outcome == "failed"

    @pytest.mark.parametrize("verdict", [None, "PASS"])
    def test_what_is_abandoned_is_neither_judged_nor_locked(self, verdict: str | None) -> None:
        """Abandoning is decided before: both may be what cannot be done."""
        given_up = lease_state(running(pulled=True, rc=0, verdict=verdict), abandon="enough")

        assert next_of(seen(given_up, pod())) == actions.Finish(
            "stage1c-0001", "abandoned", "enough"
        )

    def test_any_exception_on_the_way_is_reason_enough_to_give_up(self) -> None:
        """The agent answers, and what is asked of it raises: the pod goes."""
        given_up = lease_state(running(), stop="terminate", abandon="enough")
        look = seen(given_up, pod(), contact=agent("running"))
        raised = dataclasses.replace(look, **broken(actions.StopJob("stage1c-0001", ""), 1))

        assert isinstance(next_of(look), actions.StopJob)
        assert next_of(raised) == actions.Finish("stage1c-0001", "abandoned", "enough")

    def test_work_that_is_only_there_is_told_with_exit_code_7(self) -> None:
        """A pull that raises keeps the pod; nothing is given up by itself."""
        look = seen(lease_state(running()), pod(), contact=agent("ended"))
        action = next_of(dataclasses.replace(look, **broken(actions.Pull("stage1c-0001"))))

        assert isinstance(action, actions.NeedsOperator)
        assert action.code == "artifacts-not-safe"

    def test_a_create_that_raises_ends_the_run(self) -> None:
        """Nothing is rented, and the last listing says whether that is so."""
        empty = lease_state(pod=None, had_pod=False, reached=False, pods=())
        looked = seen(empty, offers=(), **broken(actions.OpenGeneration(1)))
        action = bounded(looked, POLICY, actions.OpenGeneration(1))

        assert isinstance(action, actions.Finish)
        assert action.outcome == "failed"

    def test_a_run_that_is_here_needs_no_new_pod(self) -> None:
        """Its pod went while it could not be locked: it is locked without one."""
        alone = lease_state(running(pulled=True, rc=0, verdict="PASS"), pod=None)

        assert decide(seen(alone), POLICY) == actions.Lock("stage1c-0001")


@dataclasses.dataclass(frozen=True)
class Row:
    step: str
    phase: str
    data: dict[str, Any]
    run: str | None = None
    seq: int = 1
    of: int | None = None


class TestTheJournal:
    """Records that make no sense stop decisions, and no reader."""

    def test_a_record_that_lacks_what_it_should_have_stops_what_is_decided(self) -> None:
        """The rest is folded, nothing is done by it, and the next command is named."""
        rows = [Row("generation", "note", {"number": 1, "nonce": "n"}), Row("create", "done", {})]
        found = fold("l0001", [("r-0001", "r")], rows)
        action = decide(seen(found), POLICY)

        assert found.nonces == ("n",)
        assert "create done: KeyError" in (found.unreadable or "")
        assert isinstance(action, actions.NeedsOperator)
        assert "--abandon" in action.hint

    def test_a_lock_that_raised_is_tried_by_the_next_command(self) -> None:
        """Only an error that was foreseen ends the run."""
        runs = [("r-0001", "r")]
        odd = fold("l", runs, [Row("lock", "fail", {"why": "x", "unforeseen": True}, "r-0001")])
        known = fold("l", runs, [Row("lock", "fail", {"why": "x"}, "r-0001")])

        assert odd.runs[0].broken is None
        assert known.runs[0].broken == "x"


@pytest.mark.parametrize("place", PLACES)
def test_whatever_raises_for_ever_the_user_ends_the_lease(place: str) -> None:
    """Run, stop, and give up: no exception ends a command; the lease is closed, its pod is gone."""
    world = world_with(place)
    outcomes: list[str] = []

    def user() -> None:
        laptop, process = world.host, world._process
        for act in (SimulatedController.run, SimulatedController.sync):
            outcomes.append(laptop.podctl(process(), act))
        outcomes.append(laptop.podctl(process(), lambda session: session.stop(abandon=False)))
        outcomes.append(laptop.podctl(process(), lambda session: session.stop(abandon=True)))
        world.checker.all_given_up()

    world.event_loop.process(user)
    world.event_loop.run(40 * 3600.0, world.checker.check)

    assert len(outcomes) == 4
    assert world.host.open_leases() == ()
    assert not any(machine.billing for machine in world.cloud.pods.values())
    assert world.host.files.checkpoints or not world.host.files.outputs


def world_with(place: str) -> World:
    """A calm world but for one place that raises; no other luck."""
    world = World(7, NO_INJECTED_ERROR)
    world.faults.calm = True
    times = 1 if place.startswith("fold") else ALWAYS
    world.host.injected_error = InjectedError(place, 0, times)
    return world


def test_what_raised_is_in_the_journal(laptop_world: World) -> None:
    """As a failed outcome or an incident, with type, message and place."""
    journal = Journal(laptop_world.host.database)
    (lease,) = journal.leases()
    found = [op.data for op in journal.ops(lease.id) if op.data.get("unforeseen")]

    assert len(found) == POLICY.incidents
    assert {one["type"] for one in found} == {"UnexpectedError"}
    assert all(one["message"] and one["where"] for one in found)


@pytest.fixture
def laptop_world() -> World:
    world = world_with("before Lock")
    world.event_loop.process(lambda: world.host.podctl(world._process(), SimulatedController.run))
    world.event_loop.run(20 * 3600.0, world.checker.check)
    return world


def test_the_last_way_out_knows_pods_by_what_was_written_down() -> None:
    """Nonces and pods of every record, and whether a create may still show a pod."""
    world = world_with("after Create")
    world.event_loop.process(lambda: world.host.podctl(world._process(), SimulatedController.run))
    world.event_loop.run(20 * 3600.0, world.checker.check)
    marks = Nonces.of(Journal(world.host.database), "l0001")

    assert len(marks.nonces) == 1
    assert marks.unclear


# -- as a user meets it ---------------------------------------------------------------------------


def test_a_stage_that_cannot_be_locked_is_told_and_can_be_given_up(laptop: Laptop) -> None:
    """A file stands where locks/ belongs: no traceback, the pod is gone all the same, since all of
    its files are here, one word ends the run, and what was pulled stays here."""
    laptop.write()
    (laptop.folder / "locks").write_text("my notes\n")
    told = laptop.podctl("run", "hello", "-y", expect=1)
    again = laptop.podctl("sync", expect=1)
    states = [one["status"] for one in laptop.living_pods()]
    laptop.podctl("stop", "hello", "--terminate", "--abandon", "enough", "-y")

    for one in (told, again):
        assert "could not lock hello-0001" in one.err
        assert "Traceback" not in one.err
        assert "--abandon" in one.err
    assert states == []
    assert laptop.journal().open_leases() == ()
    kept = laptop.folder / ".podctl" / "runs" / "hello-0001" / "files" / "out" / "copy.txt"
    assert kept.read_text() == "hi\n"
    laptop.assert_books_agree()


def test_a_page_that_cannot_be_written_stops_nothing(laptop: Laptop) -> None:
    """STATUS.md is a folder: it is told, the run passes, and its pod goes."""
    laptop.write()
    (laptop.folder / "STATUS.md").mkdir()
    told = laptop.podctl("run", "hello", "-y")

    assert "STATUS.md is not up to date" in told.err
    laptop.assert_done()


def test_gc_ends_a_pod_that_a_run_owns_when_it_is_told_to(laptop: Laptop) -> None:
    """It refuses, then says with --force what is lost, and asks; the books follow."""
    laptop.write()
    laptop.detach()
    (pod,) = laptop.living_pods()
    refused = laptop.podctl("gc", "--terminate", pod["id"], "-y", expect=10)
    asked = laptop.podctl("gc", "--terminate", "--force", pod["id"], expect=2)
    told = laptop.podctl("gc", "--terminate", "--force", pod["id"], "-y")

    assert "--force" in refused.err
    assert "-y" in asked.err
    assert "hello-0001: only the downloaded files remain" in told.err
    assert laptop.living_pods() == []
    assert laptop.journal().open_leases() == ()
    assert laptop.journal().runs("hello")[0].outcome == "abandoned"
    laptop.assert_books_agree()


def test_a_lease_of_another_version_can_be_given_up(laptop: Laptop) -> None:
    """What was pinned cannot be read: run says so, and the pod goes by the provider's listing."""
    laptop.write()
    laptop.detach()
    connection = sqlite3.connect(laptop.folder / ".podctl" / "state.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("UPDATE run SET spec = '{}'")
    connection.commit()
    connection.close()
    told = laptop.podctl("sync", expect=1)
    laptop.podctl("stop", "--terminate", "--abandon", "an old one", "-y")

    assert "another version" in told.err
    assert laptop.living_pods() == []
    assert laptop.journal().open_leases() == ()
