"""The planner: what is done next in every situation that a run can meet."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from controller.planner import actions
from controller.planner.boot_log import BootFault
from controller.planner.decide import decide, plan_passive
from controller.planner.journal_fold import fold
from controller.planner.lease_state import LeaseState, PendingTermination, RunFacts
from controller.planner.observation import ALIVE, Contact, Failure, Listing, Observation
from controller.planner.policy import Policy
from controller.planner.unpulled_files import UnpulledFiles
from controller.providers.base import Endpoint, Offer, Pod, PodStatus
from remote.contract import Exit, GuardReport, Status
from tests.support.observations import changed, observe

POLICY = Policy()
NONCE = "0123456789abcdef"
OFFER = Offer("gpu", "NVIDIA L40S", "L40S", 1, 48, 0.86, "HIGH", "SECURE")
DEARER = dataclasses.replace(OFFER, id="NVIDIA H200", usd_per_hour=3.6)
GUARD = GuardReport("boot", True, "read its own pod", "idle", 100.0, 1000.0)


def pod(status: PodStatus = PodStatus.RUNNING, pod_id: str = "p1", **changes: Any) -> Pod:
    ready = status is PodStatus.RUNNING
    found = Pod(
        pod_id,
        f"podctl-stage1c-{NONCE}",
        status,
        env={"PODCTL_NONCE": NONCE},
        usd_per_hour=0.86,
        endpoint=Endpoint("127.0.0.1", 2222, "root") if ready else None,
        ready=ready,
        volume_gb=20,
    )
    return dataclasses.replace(found, **changes)


def lease_state(run: RunFacts | None = None, **changes: Any) -> LeaseState:
    found = LeaseState(
        "l0001",
        (run or RunFacts("stage1c-0001", "stage1c"),),
        generation=1,
        nonces=(NONCE,),
        pod="p1",
        had_pod=True,
        reached=True,
        pods=("p1",),
    )
    return dataclasses.replace(found, **changes)


def running(**changes: Any) -> RunFacts:
    found = RunFacts("stage1c-0001", "stage1c", uploaded_to="p1", code="c", started=True, starts=1)
    return dataclasses.replace(found, **changes)


def seen(found: LeaseState, *pods: Pod, **changes: Any) -> Observation:
    booked = frozenset(one.id for one in pods if one.status in ALIVE)
    look = observe(found, now=1000.0, listing=Listing(999.0, pods), booked=booked)
    return changed(look, **changes)


def agent(state: str, **changes: Any) -> Contact:
    status = Status(run="stage1c-0001", state=state, boot_id="boot", guard=GUARD, **changes)
    return Contact(True, status=status, guard=GUARD)


def ended(rc: int = 0, reason: str = "exited") -> Exit:
    return Exit("stage1c-0001", 1, rc, reason, "", "0" * 64, 10, 0.0, 1.0)


class TestRenting:
    """From nothing to one pod, and never to two."""

    def test_a_fresh_lease_writes_its_nonce_down_before_it_creates(self) -> None:
        """The first action is to open a generation."""
        fresh = LeaseState("l0001", (RunFacts("r", "stage1c"),))

        assert decide(seen(fresh, offers=(OFFER,)), POLICY) == actions.OpenGeneration(1)

    def test_the_cheapest_offer_is_tried_first_and_a_refused_one_not_again(self) -> None:
        """Offers are a ladder: the next create takes the first that did not fail."""
        empty = lease_state(pod=None, had_pod=False, reached=False, pods=())
        tried = dataclasses.replace(empty, tried=((OFFER.id, "no capacity"),))

        assert decide(seen(empty, offers=(OFFER, DEARER)), POLICY) == actions.Create(OFFER)
        assert decide(seen(tried, offers=(OFFER, DEARER)), POLICY) == actions.Create(DEARER)

    def test_no_offer_left_ends_the_run_with_an_account_of_what_was_tried(self) -> None:
        """The reason names every type and why it was not had."""
        tried = lease_state(pod=None, had_pod=False, tried=((OFFER.id, "no capacity"),))
        action = decide(seen(tried, offers=(OFFER,)), POLICY)

        assert isinstance(action, actions.Finish)
        assert action.outcome == "no-capacity"
        assert "NVIDIA L40S: no capacity" in action.why

    def test_an_unanswered_create_is_looked_for_and_adopted(self) -> None:
        """A pod with the nonce in name and environment is ours."""
        unclear = lease_state(pod=None, had_pod=False, unsettled=True)

        assert decide(seen(unclear, pod(), probing_since=990.0), POLICY) == actions.Adopt("p1")

    def test_an_unanswered_create_is_not_repeated_within_the_settle_window(self) -> None:
        """An empty listing proves nothing until a whole window after entering the probe."""
        unclear = lease_state(pod=None, had_pod=False, unsettled=True)
        early = decide(seen(unclear, probing_since=800.0, offers=(OFFER,)), POLICY)
        late = decide(seen(unclear, probing_since=600.0, offers=(OFFER,)), POLICY)

        assert isinstance(early, actions.Wait)
        assert late == actions.Create(OFFER)

    def test_a_pod_with_our_name_and_another_nonce_is_not_adopted(self) -> None:
        """Only name and environment together are identity."""
        unclear = lease_state(pod=None, had_pod=False, unsettled=True)
        stranger = pod(env={})

        action = decide(seen(unclear, stranger, probing_since=990.0, offers=(OFFER,)), POLICY)

        assert isinstance(action, actions.Wait)

    def test_a_surplus_pod_of_the_lease_is_terminated_first(self) -> None:
        """Two pods of one run never bill side by side for longer than one look."""
        known = lease_state(pods=("p1", "p2"))
        action = decide(seen(known, pod(), pod(pod_id="p2")), POLICY)

        assert isinstance(action, actions.Terminate)
        assert action.pod == "p2"

    def test_nothing_is_rented_while_a_given_up_pod_is_not_confirmed_gone(self) -> None:
        """A debt comes before everything else."""
        owing = lease_state(pod=None, pending_terminations=(PendingTermination("p1", clean=True),))
        look = seen(owing, pod(), asked={"p1": 998.0}, offers=(OFFER,))

        assert isinstance(decide(look, POLICY), actions.Wait)

    def test_absence_confirms_only_what_was_listed_and_acknowledged(self) -> None:
        """A pod that no listing ever showed needs a settle window to count as gone."""
        owing = lease_state(pod=None, pending_terminations=(PendingTermination("p1", clean=True),))
        known = seen(owing, asked={"p1": 998.0}, listed=frozenset({"p1"}))
        unknown = seen(owing, asked={"p1": 998.0})
        later = seen(owing, asked={"p1": 600.0})

        assert decide(known, POLICY) == actions.ConfirmGone("p1")
        assert isinstance(decide(unknown, POLICY), actions.Wait)
        assert decide(later, POLICY) == actions.ConfirmGone("p1")

    def test_a_pod_over_the_price_limit_is_given_back_before_anything_is_sent(self) -> None:
        """What the pod really costs decides, not what was quoted."""
        fresh = lease_state(reached=False)
        policy = dataclasses.replace(POLICY, max_usd_per_hour=0.5)

        assert isinstance(decide(seen(fresh, pod()), policy), actions.Terminate)


class TestBooting:
    """From a pod to an agent that answers."""

    def test_a_pod_that_never_boots_is_replaced(self) -> None:
        """The deadline counts from when the pod was first seen alive."""
        young = lease_state(reached=False)
        booting = pod(PodStatus.PROVISIONING)

        assert isinstance(decide(seen(young, booting, booting_since=990.0), POLICY), actions.Wait)
        late = decide(seen(young, booting, booting_since=1000.0 - POLICY.boot), POLICY)
        assert isinstance(late, actions.Terminate)

    def test_a_pod_that_runs_is_looked_at_more_often_than_one_that_boots(self) -> None:
        """Its port and its sshd follow soon, and it bills already; a boot is looked at after a
        tenth of its time so far, within limits, so that a quick one is seen soon."""
        young = lease_state(reached=False)
        booting, begun = (
            decide(seen(young, pod(PodStatus.PROVISIONING), booting_since=since), POLICY)
            for since in (900.0, 999.0)
        )
        deaf = decide(seen(young, pod(), contact=Contact(False), silent_since=999.0), POLICY)

        assert isinstance(booting, actions.Wait)
        assert isinstance(begun, actions.Wait)
        assert isinstance(deaf, actions.Wait)
        assert deaf.seconds < booting.seconds
        assert begun.seconds == POLICY.poll_boot / 3

    def test_a_new_pod_whose_ssh_never_answers_is_replaced(self) -> None:
        """Nothing can be on it yet."""
        young = lease_state(reached=False)
        silent = seen(young, pod(), contact=Contact(False), silent_since=600.0)

        assert isinstance(decide(silent, POLICY), actions.Terminate)

    def test_boot_minutes_bound_the_whole_way_to_ssh(self) -> None:
        """A port that was mapped late leaves the less time for sshd to answer."""
        young = lease_state(reached=False)
        look = seen(young, pod(), contact=Contact(False), silent_since=990.0)
        late = changed(look, pod_since=1000.0 - POLICY.boot)

        assert isinstance(decide(look, POLICY), actions.Wait)
        assert isinstance(decide(late, POLICY), actions.Terminate)

    def test_case_26_an_image_without_sshd_ends_the_run_on_the_first_pod(self) -> None:
        """Another pod would be as deaf. While its start script may still come to it, it waits."""
        deaf = Contact(False, no_sshd="the image starts no sshd")
        over = dataclasses.replace(deaf, no_sshd_ever=True)
        young = lease_state(reached=False)

        def after(seconds: float, contact: Contact) -> actions.Action:
            since = 1000.0 - seconds
            look = seen(young, pod(), contact=contact, silent_since=since, pod_since=since)
            return decide(look, POLICY)

        ended = actions.Finish("stage1c-0001", "no-sshd", deaf.no_sshd)
        assert isinstance(after(POLICY.no_sshd + 1, deaf), actions.Wait)
        assert after(POLICY.ssh + 1, deaf) == ended
        assert after(POLICY.no_sshd + 1, over) == ended
        assert isinstance(after(POLICY.no_sshd - 1, over), actions.Wait)

    def test_a_host_that_cannot_start_the_container_is_given_back_at_once(self) -> None:
        """Its own log says so; of a run that was started, or a pod that answered, it says nothing
        that would be worth a disk."""
        fault = BootFault("requirement error: cuda>=12.9", image=False)
        young = lease_state(reached=False)
        booting = pod(PodStatus.STARTING)
        action = decide(seen(young, booting, boot_fault=fault), POLICY)
        resumed = decide(
            seen(lease_state(running(), reached=False), booting, boot_fault=fault), POLICY
        )
        known = decide(seen(lease_state(), booting, boot_fault=fault), POLICY)

        assert isinstance(action, actions.Terminate)
        assert fault.line in action.reason
        assert isinstance(resumed, actions.Wait)
        assert isinstance(known, actions.Wait)

    def test_an_image_that_no_host_can_pull_ends_the_run(self) -> None:
        """Its name is wrong, or it is not public: no second pod is rented."""
        fault = BootFault("manifest unknown", image=True)
        look = seen(lease_state(reached=False), pod(PodStatus.STARTING), boot_fault=fault)
        action = decide(look, POLICY)

        assert isinstance(action, actions.Finish)
        assert (action.outcome, fault.line in action.why) == ("bad-image", True)

    def test_creates_that_nobody_takes_are_an_outage_after_a_while(self) -> None:
        """Exit code 8 with the provider's words; one without an answer may have been taken."""
        empty = lease_state(pod=None, had_pod=False, reached=False, pods=())
        look = seen(empty, offers=(OFFER,), create_trouble="objectMounts is not defined")
        young = changed(look, throttled_since=999.0)
        old = changed(look, throttled_since=1000.0 - POLICY.blind - 1)
        unclear = dataclasses.replace(empty, ambiguous=True)
        left = decide(old, POLICY)
        doubtful = decide(dataclasses.replace(old, lease=unclear), POLICY)

        assert decide(young, POLICY) == actions.Create(OFFER)
        assert isinstance(left, actions.NeedsOperator)
        assert left.code == "connection-lost"
        assert "objectMounts" in left.what
        assert "nothing was rented" in left.hint
        assert isinstance(doubtful, actions.NeedsOperator)
        assert "nothing was rented" not in doubtful.hint

    def test_a_catalog_that_does_not_come_is_waited_for_as_long_as_a_listing(self) -> None:
        """The list of pods answers all the while."""
        empty = lease_state(pod=None, had_pod=False, reached=False, pods=())
        look = seen(empty, unquoted_since=990.0)
        old = changed(look, unquoted_since=1000.0 - POLICY.blind - 1)

        assert isinstance(decide(look, POLICY), actions.Wait)
        assert isinstance(decide(old, POLICY), actions.NeedsOperator)

    def test_after_the_last_generation_the_run_ends_instead_of_renting_on(self) -> None:
        """Bad hosts cost a bounded number of pods."""
        why = "it did not boot in time"
        spent = lease_state(pod=None, generation=POLICY.generations, given_back=why)
        action = decide(seen(spent, offers=(OFFER,)), POLICY)

        assert isinstance(action, actions.Finish)
        assert action.outcome == "bad-hosts"
        assert action.why == "4 pods, none was usable; of the last: it did not boot in time"

    def test_silence_of_a_pod_with_a_job_never_leads_to_another_pod(self) -> None:
        """SSH failure is not pod death: first wait, then leave it to a person."""
        short = seen(lease_state(running()), pod(), contact=Contact(False), silent_since=500.0)
        long = seen(lease_state(running()), pod(), contact=Contact(False), silent_since=50.0)

        assert isinstance(decide(short, POLICY), actions.Wait)
        action = decide(long, POLICY)
        assert isinstance(action, actions.NeedsOperator)
        assert action.code == "connection-lost"

    def test_a_foreign_host_key_is_no_reason_to_wait(self) -> None:
        """Something else answers at the pod's address."""
        spoofed = Contact(False, error="another key", refused=True)
        action = decide(seen(lease_state(running()), pod(), contact=spoofed), POLICY)

        assert isinstance(action, actions.NeedsOperator)

    def test_no_job_starts_on_a_pod_whose_guard_is_not_armed_unless_accepted(self) -> None:
        """Without the dead-man switch the worst case has no bound."""
        bare = Contact(True, guard=None)
        waiting = seen(lease_state(), pod(), contact=bare, guard_since=990.0)
        asking = seen(lease_state(), pod(), contact=bare, guard_since=10.0)
        accepted = seen(lease_state(unguarded=True), pod(), contact=bare, guard_since=10.0)

        assert isinstance(decide(waiting, POLICY), actions.Wait)
        assert isinstance(decide(asking, POLICY), actions.AskUnguarded)
        assert decide(accepted, POLICY) == actions.Upload("stage1c-0001")

    def test_a_preflight_failure_gives_the_host_back(self) -> None:
        """First the run is as if never started, then the pod goes."""
        contact = agent("ended", exit=ended(1, "preflight"))
        started = decide(seen(lease_state(running()), pod(), contact=contact), POLICY)
        fresh = running(started=False, unfit_host="p1")
        after = decide(seen(lease_state(fresh), pod(), contact=contact), POLICY)
        next_host = running(started=False, unfit_host="p0")
        elsewhere = decide(seen(lease_state(next_host), pod(), contact=contact), POLICY)

        assert isinstance(started, actions.RejectHost)
        assert isinstance(after, actions.Terminate)
        assert elsewhere == actions.StartJob("stage1c-0001", again=True)  # one volume, two hosts


class TestJob:
    """From the first start to the last byte."""

    @pytest.mark.parametrize(
        ("state", "action"),
        [
            ("absent", actions.StartJob("stage1c-0001")),
            ("lost", actions.StartJob("stage1c-0001", again=True)),
            ("running", actions.Wait(POLICY.poll, "for the job")),
            ("starting", actions.Wait(POLICY.poll, "for the job")),
        ],
    )
    def test_the_agents_state_decides(self, state: str, action: actions.Action) -> None:
        """One state, one action."""
        assert decide(seen(lease_state(running()), pod(), contact=agent(state)), POLICY) == action

    def test_what_is_finished_comes_over_while_the_job_runs(self) -> None:
        """A new ready manifest is pulled once."""
        contact = agent("running", ready_sha256="a" * 64)
        new = seen(lease_state(running()), pod(), contact=contact)
        old = changed(new, ready_pulled="a" * 64)

        assert decide(new, POLICY) == actions.PullReady("stage1c-0001")
        assert isinstance(decide(old, POLICY), actions.Wait)

    def test_the_cap_stops_the_job_once(self) -> None:
        """At its budget the job is asked to checkpoint and end."""
        contact = agent("running")
        over = seen(lease_state(running()), pod(), contact=contact, spent_usd=5.0, cap_usd=5.0)
        stopping = dataclasses.replace(over, lease=lease_state(running(stopping="budget")))

        assert isinstance(decide(over, POLICY), actions.StopJob)
        assert isinstance(decide(stopping, POLICY), actions.Wait)

    def test_the_cap_asks_nobody_first(self) -> None:
        """A guard that died is a question; what may not be spent is none."""
        bare = dataclasses.replace(agent("running"), guard=None)
        look = seen(lease_state(running()), pod(), contact=bare, guard_since=10.0)
        over = changed(look, spent_usd=5.0, cap_usd=5.0)

        assert isinstance(decide(look, POLICY), actions.AskUnguarded)
        assert isinstance(decide(over, POLICY), actions.StopJob)

    def test_a_stop_that_the_agent_refuses_is_repeated_after_a_pause_and_a_few_times(self) -> None:
        """Then its pod is stopped through the provider; without a volume a person decides."""
        over = seen(
            lease_state(running()), pod(), contact=agent("running"), spent_usd=5.0, cap_usd=5.0
        )
        pause = changed(over, retry_at=1005.0)
        failed = {"stop": Failure(POLICY.tries, "it cannot write")}
        ends = decide(changed(over, failures=failed), POLICY)
        bare = dataclasses.replace(over, lease=lease_state(running(), keeps_disk=False))
        left = decide(changed(bare, failures=failed), POLICY)

        assert isinstance(decide(pause, POLICY), actions.Wait)
        assert isinstance(ends, actions.Finish)
        assert ends.outcome == "overdue"
        assert isinstance(left, actions.NeedsOperator)
        assert "still bills: it cannot write" in left.what

    def test_an_ended_job_is_pulled_whatever_its_exit_code(self) -> None:
        """A failed job's files are worth as much."""
        for rc in (0, 1):
            contact = agent("ended", exit=ended(rc))

            action = decide(seen(lease_state(running()), pod(), contact=contact), POLICY)

            assert action == actions.Pull("stage1c-0001")

    def test_an_incomplete_pull_never_gives_the_pod_up(self) -> None:
        """After the tries a person decides; the pod is left as it is."""
        contact = agent("ended", exit=ended())
        tries = POLICY.pull_tries
        stuck = seen(lease_state(running()), pod(), contact=contact, pull_failures=tries)

        action = decide(stuck, POLICY)

        assert isinstance(action, actions.NeedsOperator)
        assert action.code == "artifacts-not-safe"

    def test_an_output_that_cannot_travel_keeps_the_pod_until_a_person_decides(self) -> None:
        """With its price and the command; a stop parks it, an abandon ends it."""
        guard = dataclasses.replace(GUARD, phase="done", stops_in_seconds=21600.0)
        contact = dataclasses.replace(agent("ended", exit=ended()), guard=guard)
        held = UnpulledFiles("only on the pod: out/x (a link)", "podctl exec … | tar …")
        bare = lease_state(running(), keeps_disk=False, quoted_usd_per_hour=0.5)
        stuck = seen(bare, pod(), contact=contact, pull_failures=1, unpulled=held)
        parked, given_up = (
            lease_state(running(), stop="park"),
            lease_state(running(), abandon="enough"),
        )
        left = decide(stuck, POLICY)
        many = decide(changed(stuck, unpulled=UnpulledFiles("many", "tar", by_word=True)), POLICY)
        stopped = decide(dataclasses.replace(stuck, lease=parked), POLICY)
        ending = decide(dataclasses.replace(stuck, lease=given_up), POLICY)

        assert isinstance(left, actions.NeedsOperator)
        assert left.code == "artifacts-not-safe"
        assert (
            "$0.50 an hour ($12.00 a day). Its guard stops it in 6.0 h, and no volume" in left.what
        )
        assert "podctl exec … | tar …, then podctl sync; or podctl stop stage1c" in left.hint
        assert isinstance(many, actions.NeedsOperator)
        assert many.hint.endswith("--terminate --abandon 'fetched by hand'")
        assert stopped == actions.Finish("stage1c-0001", "unpulled", stopped.why)
        assert ending == actions.Finish("stage1c-0001", "abandoned", "enough")

    def test_row_23_a_pod_that_vanished_with_a_job_is_not_blindly_rented_again(self) -> None:
        """Missing for a whole settle window: the user is asked, unless the policy answers."""
        gone = seen(lease_state(running()), missing_since=600.0)
        declined = seen(lease_state(running(given_up="not asked")), missing_since=600.0)
        retry = dataclasses.replace(POLICY, on_vanished="retry")

        assert isinstance(decide(gone, POLICY), actions.ConfirmRestart)
        assert isinstance(decide(gone, retry), actions.RestartRun)
        assert decide(declined, retry) == actions.Finish("stage1c-0001", "pod-lost", "not asked")

    def test_row_23_a_pod_that_somebody_else_stopped_is_not_fought_over(self) -> None:
        """Stopped under this very process: left alone; the next command may start it again."""
        stopped = pod(PodStatus.EXITED)
        parked = lease_state(running(), parked=True)
        here = decide(seen(parked, stopped, stopped_elsewhere=frozenset({"p1"})), POLICY)
        later = decide(seen(parked, stopped), POLICY)

        assert isinstance(here, actions.NeedsOperator)
        assert "not by podctl" in here.what
        assert isinstance(later, actions.StartPod)

    def test_row_57_a_run_whose_disk_is_gone_begins_again_a_bounded_number_of_times(self) -> None:
        """From what is here; then it ends as lost."""
        forgot = Contact(True, forgotten=True)
        first = decide(seen(lease_state(running()), pod(), contact=forgot), POLICY)
        tired = lease_state(running(reworks=POLICY.reworks))
        last = decide(seen(tired, pod(), contact=forgot), POLICY)

        assert isinstance(first, actions.RestartRun)
        assert isinstance(last, actions.Finish)
        assert last.outcome == "pod-lost"

    def test_row_19_a_stuck_pod_on_a_network_volume_is_given_up_for_another(self) -> None:
        """The disk outlives it; a pod whose own volume has the work is kept and asked about."""
        tried = {"start_failures": {"p1": POLICY.pod_starts}}
        stopped, parked = pod(PodStatus.EXITED), lease_state(running(), parked=True)
        on_network = dataclasses.replace(parked, shared_disk=True)
        shared = decide(seen(on_network, stopped, **tried), POLICY)
        own = decide(seen(parked, stopped, **tried), POLICY)

        assert isinstance(shared, actions.Terminate)
        assert isinstance(own, actions.NeedsOperator)

    def test_row_62_a_job_that_stalled_is_started_again_once(self) -> None:
        """With why. The second stall is an end like any other: its files are pulled."""
        stalled = agent("ended", exit=ended(1, "stalled"))
        first = decide(seen(lease_state(running()), pod(), contact=stalled), POLICY)
        second = decide(seen(lease_state(running(starts=2)), pod(), contact=stalled), POLICY)

        assert first == actions.StartJob("stage1c-0001", again=True, why="it stalled: ")
        assert second == actions.Pull("stage1c-0001")

    def test_one_empty_listing_is_no_evidence(self) -> None:
        """The provider's list may lag."""
        assert isinstance(
            decide(seen(lease_state(running()), missing_since=990.0), POLICY), actions.Wait
        )

    def test_a_stopped_pod_with_work_on_it_is_started_again(self) -> None:
        """First the books learn that it is parked, then it starts."""
        stopped = pod(PodStatus.EXITED)
        first = decide(seen(lease_state(running()), stopped), POLICY)
        then = decide(seen(lease_state(running(), parked=True), stopped), POLICY)

        assert first == actions.ConfirmParked("p1")
        assert then == actions.StartPod("p1", 0.0)

    def test_a_stopped_pod_that_does_not_start_is_kept_for_a_person(self) -> None:
        """What it holds is only there."""
        stuck = lease_state(running(), parked=True)
        refused = {"start_failures": {"p1": POLICY.pod_starts}}

        action = decide(seen(stuck, pod(PodStatus.EXITED), **refused), POLICY)

        assert isinstance(action, actions.NeedsOperator)
        assert action.code == "artifacts-not-safe"


class TestEnding:
    """From the last byte to a clean listing."""

    @pytest.mark.parametrize(
        ("facts", "action"),
        [
            ({"rc": 0}, actions.Judge("stage1c-0001")),
            (
                {"rc": 0, "verdict": "PASS"},
                actions.Terminate("p1", "its artifacts are here and verified"),
            ),
            (
                {"rc": 0, "verdict": "PASS", "locked": True},
                actions.Finish("stage1c-0001", "passed"),
            ),
            (
                {"rc": 0, "verdict": "FAIL"},
                actions.Finish("stage1c-0001", "criteria", "FAIL"),
            ),
            (
                {"rc": 3, "reason": "exited"},
                actions.Finish("stage1c-0001", "failed", "the job ended with 3 (exited)"),
            ),
        ],
    )
    def test_a_pulled_run_is_concluded_here(
        self, facts: dict[str, Any], action: actions.Action
    ) -> None:
        """Nothing more is asked of the pod, not even that it answers."""
        concluded = lease_state(running(pulled=True, **facts))

        assert decide(seen(concluded, pod()), POLICY) == action

    def test_a_verified_run_gives_up_its_pod_before_it_is_locked(self) -> None:
        """Locking needs local files only: a pod that goes anyway does not bill meanwhile."""
        judged = running(pulled=True, rc=0, verdict="PASS")
        verified = seen(lease_state(judged), pod())
        keeps = dataclasses.replace(POLICY, on_success="keep")
        another = dataclasses.replace(
            lease_state(judged), runs=(judged, RunFacts("stage1d-0001", "stage1d"))
        )
        failed_before = dataclasses.replace(
            lease_state(judged), runs=(RunFacts("a-0001", "a", outcome="failed"), judged)
        )

        told = decide(verified, POLICY)

        assert isinstance(told, actions.Terminate)
        assert "verified" in told.reason
        for policy, facts in (
            (keeps, lease_state(judged)),
            (POLICY, lease_state(judged, stop="park")),
            (POLICY, another),
            (POLICY, failed_before),
        ):
            assert decide(seen(facts, pod()), policy) == actions.Lock("stage1c-0001")

    def test_a_stage_is_locked_while_the_provider_confirms_the_end_of_its_pod(self) -> None:
        """The lock waits for no listing; one that did not tell the pod to go does so."""
        judged = running(pulled=True, rc=0, verdict="PASS")
        pending = (PendingTermination("p1", clean=True),)
        given_up = lease_state(judged, pod=None, pending_terminations=pending)

        assert isinstance(decide(seen(given_up, pod()), POLICY), actions.Terminate)
        asked = changed(seen(given_up, pod()), asked={"p1": 999.0})
        assert decide(asked, POLICY) == actions.Lock("stage1c-0001")

    def test_a_passed_lease_terminates_and_a_failed_one_parks(self) -> None:
        """The default policy; the disk of a failed run is worth keeping."""
        passed = lease_state(running(pulled=True, outcome="passed"))
        failed = lease_state(running(pulled=True, outcome="failed"))

        assert isinstance(decide(seen(passed, pod()), POLICY), actions.Terminate)
        assert isinstance(decide(seen(failed, pod()), POLICY), actions.StopPod)

    def test_a_pod_with_unpulled_work_is_parked_even_when_told_to_terminate(self) -> None:
        """Only a reason to abandon lets it go."""
        unpulled = lease_state(running(outcome="stopped"), stop="terminate")
        abandoned = lease_state(
            running(outcome="abandoned"), stop="terminate", abandon="not needed"
        )

        assert isinstance(decide(seen(unpulled, pod()), POLICY), actions.StopPod)
        assert isinstance(decide(seen(abandoned, pod()), POLICY), actions.Terminate)

    def test_a_run_that_never_started_leaves_no_parked_pod(self) -> None:
        """There is nothing to keep."""
        unused = lease_state(RunFacts("stage1c-0001", "stage1c", outcome="refused"))

        assert isinstance(decide(seen(unused, pod()), POLICY), actions.Terminate)

    def test_the_lease_closes_on_a_clean_listing(self) -> None:
        """With every create answered, one listing without our nonces is enough."""
        done = lease_state(running(pulled=True, outcome="passed"), pod=None)

        assert decide(seen(done), POLICY) == actions.Close("passed")

    def test_an_unclear_create_costs_a_settle_window_at_the_end(self) -> None:
        """A late commit would otherwise bill for ever."""
        done = lease_state(running(pulled=True, outcome="passed"), pod=None, ambiguous=True)

        assert isinstance(decide(seen(done, probing_since=900.0), POLICY), actions.Wait)
        assert decide(seen(done, probing_since=600.0), POLICY) == actions.Close("passed")

    def test_after_an_import_the_settle_window_counts_over_processes(self) -> None:
        """No create of a lost database is under way: a new process does not wait anew."""
        passed = running(pulled=True, outcome="passed")
        done = lease_state(passed, pod=None, ambiguous=True, claimed_at=100_000.0)
        just_started = {"probing_since": 999.0, "now": 1000.0}
        waits = decide(seen(done, wall=100_200.0, **just_started), POLICY)

        assert isinstance(waits, actions.Wait)
        assert waits.until == pytest.approx(999.0 + 300.0 - 199.0)
        assert decide(seen(done, wall=100_302.0, **just_started), POLICY) == actions.Close("passed")

    def test_the_absence_of_an_ended_pod_counts_over_processes(self) -> None:
        """From the order that the provider accepted, in whichever process that was."""
        pending = PendingTermination("p1", clean=False, ended_at=100_000.0, orders=1)
        owing = lease_state(running(pulled=True, outcome="passed"), pod=None)
        owing = dataclasses.replace(owing, pending_terminations=(pending,))
        again = {"asked": {"p1": 998.0}, "now": 1000.0}
        waits = decide(seen(owing, wall=100_200.0, **again), POLICY)

        assert isinstance(waits, actions.Wait)
        assert waits.until == pytest.approx(999.0 + 300.0 - 199.0)
        assert decide(seen(owing, wall=100_302.0, **again), POLICY) == actions.ConfirmGone("p1")

    def test_a_late_pod_is_found_by_the_last_sweep(self) -> None:
        """Every pod of any generation's nonce goes."""
        passed = running(pulled=True, outcome="passed")
        done = lease_state(passed, pod=None, pods=("p1", "late"))

        action = decide(seen(done, pod(pod_id="late")), POLICY)

        assert isinstance(action, actions.Terminate)
        assert action.pod == "late"

    def test_a_revoked_key_stops_the_drive_at_once(self) -> None:
        """Nothing can be done with it; the guard bounds the cost."""
        action = decide(seen(lease_state(running()), pod(), refused="Unauthorized"), POLICY)

        assert isinstance(action, actions.NeedsOperator)
        assert action.code == "refused"


class TestNeverForEver:
    """What could go round in circles comes to an end."""

    def test_row_64_a_guard_that_died_under_a_job_is_asked_about_then_the_job_saved(
        self,
    ) -> None:
        """Once; without a yes the job is told to save and end, and its files come home."""
        bare = dataclasses.replace(agent("running"), guard=None)
        young = seen(lease_state(running()), pod(), contact=bare, guard_since=990.0)
        old = seen(lease_state(running()), pod(), contact=bare, guard_since=10.0)
        refused = lease_state(running(), refused="no guard")
        no = seen(refused, pod(), contact=bare, guard_since=10.0)
        yes = seen(lease_state(running(), unguarded=True), pod(), contact=bare, guard_since=10.0)

        assert isinstance(decide(young, POLICY), actions.Wait)
        assert isinstance(decide(old, POLICY), actions.AskUnguarded)
        assert decide(no, POLICY) == actions.StopJob("stage1c-0001", "no guard")
        assert isinstance(decide(yes, POLICY), actions.Wait)

    def test_a_run_that_ended_as_lost_leaves_nothing_to_keep_its_pod_for(self) -> None:
        """The volume is new: nothing of the run can be on it, and the pod goes."""
        over = lease_state(running(outcome="pod-lost"))

        assert isinstance(decide(seen(over, pod()), POLICY), actions.Terminate)

    def test_a_mute_agent_is_left_to_a_person_in_the_end(self) -> None:
        """sshd answers, the agent makes no sense: first wait, then leave."""
        mute = seen(lease_state(running()), pod(), contact=Contact(True, guard=GUARD))
        long = changed(mute, mute_since=10.0)

        assert isinstance(decide(mute, POLICY), actions.Wait)
        assert isinstance(decide(long, POLICY), actions.NeedsOperator)

    def test_abandoning_does_not_wait_for_a_mute_agent(self) -> None:
        """The decision is made; the pod goes."""
        given_up = lease_state(running(), stop="terminate", abandon="enough")
        action = decide(seen(given_up, pod(), contact=Contact(True, guard=GUARD)), POLICY)

        assert isinstance(action, actions.Finish)
        assert action.outcome == "abandoned"

    def test_abandoning_does_not_wait_for_a_job_that_cannot_be_stopped(self) -> None:
        """Its volume is full, say, and nothing can be written down there: the pod goes."""
        given_up = lease_state(running(), stop="terminate", abandon="enough")
        look = seen(given_up, pod(), contact=agent("running"))
        failed = changed(look, failures={"stop": Failure(1, "no space left")})

        assert isinstance(decide(look, POLICY), actions.StopJob)
        assert isinstance(decide(failed, POLICY), actions.Finish)

    def test_a_stop_parks_what_cannot_be_pulled(self) -> None:
        """After the tries the pod stops billing, and its disk is kept."""
        contact = agent("ended", exit=ended())
        stuck = seen(
            lease_state(running(), stop="park"),
            pod(),
            contact=contact,
            pull_failures=POLICY.pull_tries,
        )
        finished = lease_state(running(outcome="unpulled"), stop="park")

        assert isinstance(decide(stuck, POLICY), actions.Finish)
        assert isinstance(decide(seen(finished, pod()), POLICY), actions.StopPod)

    def test_nothing_is_parked_where_parking_keeps_nothing(self) -> None:
        """A CPU pod has no volume: pulled, it goes; unpulled, it runs on."""
        failed = lease_state(running(pulled=True, outcome="failed"), keeps_disk=False)
        unpulled = lease_state(running(outcome="unpulled"), keeps_disk=False)

        assert isinstance(decide(seen(failed, pod()), POLICY), actions.Terminate)
        assert isinstance(decide(seen(unpulled, pod()), POLICY), actions.Done)

    def test_a_pod_that_listings_hide_is_ended_before_another_is_rented(self) -> None:
        """Its id is known: it is asked to go, and is a debt until that is certain."""
        young = lease_state(reached=False)

        assert isinstance(decide(seen(young, missing_since=600.0), POLICY), actions.Terminate)

    def test_a_surplus_pod_is_in_the_books_before_it_is_ended(self) -> None:
        """What it cost is written down first."""
        found = seen(lease_state(), pod(), pod(pod_id="p2"))
        known = seen(lease_state(pods=("p1", "p2")), pod(), pod(pod_id="p2"))

        assert decide(found, POLICY) == actions.RecordPod("p2")
        assert isinstance(decide(known, POLICY), actions.Terminate)

    def test_an_adopted_pod_is_never_replaced(self) -> None:
        """Older files may be on it: a person decides, and nothing else is rented."""
        policy = dataclasses.replace(POLICY, may_rent=False)
        young = lease_state(reached=False)
        silent = seen(young, pod(), contact=Contact(False), silent_since=600.0)
        gone = seen(lease_state(pod=None), offers=(OFFER,))

        assert isinstance(decide(silent, policy), actions.NeedsOperator)
        action = decide(gone, policy)
        assert isinstance(action, actions.Finish)
        assert action.outcome == "pod-lost"


class TestBooks:
    """The ledger follows what the provider shows, whoever made it so."""

    def test_a_pod_that_runs_while_the_books_have_it_parked_is_booked_first(self) -> None:
        """A start whose answer was lost bills from its beginning."""
        look = seen(lease_state(running(), parked=True), pod(), booked=frozenset())

        assert decide(look, POLICY) == actions.RecordRestart("p1")

    def test_a_pod_that_its_guard_stopped_is_closed_in_the_books_before_anything_else(self) -> None:
        """Also when all that is left to do is to terminate it."""
        over = lease_state(running(outcome="passed", pulled=True))
        stopped = seen(over, pod(PodStatus.EXITED), booked=frozenset({"p1"}))
        silent = changed(stopped, bill_retry_at=1010.0)

        assert decide(stopped, POLICY) == actions.ConfirmParked("p1")
        assert isinstance(decide(silent, POLICY), actions.Wait)

    def test_a_start_without_an_answer_is_looked_up_on_the_bill(self) -> None:
        """The pod may have run and stopped again while nobody looked."""
        unclear = lease_state(running(), parked=True, start_unclear=900.0)

        assert decide(seen(unclear, pod(PodStatus.EXITED)), POLICY) == actions.ReconcileBilling(
            "p1", 900.0
        )

    def test_a_start_long_after_the_look_leaves_room_for_somebody_else(self) -> None:
        """A lid was closed between look and order, or order and answer: the bill is asked once."""
        order = _record("start-pod", "intent", pod="p1", at=100.0)
        done, late = (_record("start-pod", "done", pod="p1", late=late) for late in (False, True))
        failed = _record("start-pod", "fail", pod="p1", kind="transient", late=True)
        soon, hours = (_record("resumed", "note", pod="p1", started_at=at) for at in (130.0, 9e3))
        stale = _record("start-pod", "intent", pod="p1", at=100.0, late=True)

        assert not fold("l0001", [], (order, done)).meddled
        assert fold("l0001", [], (order, late)).meddled
        assert fold("l0001", [], (order, failed, order, done)).meddled
        assert not fold("l0001", [], (order, soon)).meddled
        assert fold("l0001", [], (order, hours)).meddled
        assert fold("l0001", [], (stale, soon)).meddled  # killed before it wrote down more

    def test_a_start_says_when_the_look_that_it_goes_by_is_old(self) -> None:
        """A lid was closed in the middle of that look."""
        look = seen(lease_state(running(), parked=True), pod(PodStatus.EXITED))
        assert look.provider.listing is not None
        old = changed(look, listing=Listing(10.0, look.provider.listing.pods))

        assert decide(look, POLICY) == actions.StartPod("p1", 0.0)
        assert decide(old, POLICY) == actions.StartPod("p1", 0.0, late=True)

    def test_an_end_is_when_the_first_order_was_taken(self) -> None:
        """Later orders to a pod that is gone end nothing; one that was ignored did not."""
        order = (
            _record("terminate", "intent", pod="p1"),
            _record("terminate", "done", pod="p1", at=5.0),
        )
        again = (
            _record("terminate", "intent", pod="p1"),
            _record("terminate", "done", pod="p1", at=50.0),
        )
        ignored = (
            _record("terminate", "intent", pod="p1", still_there=True),
            _record("terminate", "done", pod="p1", at=90.0, still_there=True),
        )
        gone = fold("l0001", [], (*order, *again))
        still = fold("l0001", [], (*order, *ignored))

        assert gone.pending_terminations == (PendingTermination("p1", True, 5.0, orders=1),)
        assert still.pending_terminations == (PendingTermination("p1", True, 90.0, orders=2),)

    def test_row_17_an_order_that_was_answered_404_proves_no_end(self) -> None:
        """The pod stays a debt until a settle window has passed, though it was listed before."""
        asked = _record("terminate", "intent", pod="p1")
        told = _record("terminate", "done", pod="p1", at=5.0, seen_alive=True, unknown=True)
        known = _record("terminate", "done", pod="p1", at=5.0, seen_alive=True, unknown=False)
        look = {"asked": {"p1": 998.0}, "listed": frozenset({"p1"})}
        unsure, sure = fold("l0001", [], (asked, told)), fold("l0001", [], (asked, known))

        assert isinstance(decide(seen(unsure, **look), POLICY), actions.Wait)
        assert decide(seen(sure, **look), POLICY) == actions.ConfirmGone("p1")

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"gpu": "NVIDIA A40", "gpu_count": 1}, "1 x NVIDIA A40; 1 x NVIDIA L40S was asked"),
            ({"gpu": "NVIDIA L40S", "gpu_count": 0}, "0 x NVIDIA L40S"),
            ({"gpu": "NVIDIA L40S", "gpu_count": 1, "usd_per_hour": 2.0}, "$2.00/h, over $0.90/h"),
            ({"gpu": "NVIDIA L40S", "gpu_count": 1}, ""),
            ({"gpu": None}, ""),
        ],
    )
    def test_row_22_a_pod_that_is_not_what_was_ordered_is_given_back(
        self, changes: dict[str, Any], word: str
    ) -> None:
        """By the provider's own words, and before anything is sent to it."""
        ordered = lease_state(offer=OFFER.id, offer_count=1, quoted_usd_per_hour=OFFER.usd_per_hour)
        action = decide(seen(ordered, pod(**changes)), POLICY)

        assert isinstance(action, actions.Terminate) == bool(word)
        assert word in getattr(action, "reason", "")


def _record(step: str, phase: str, **data: Any) -> SimpleNamespace:
    return SimpleNamespace(step=step, phase=phase, run=None, data=data)


class TestNothingRepeatsForEver:
    """What fails again and again comes to an end that a person can act on."""

    @pytest.mark.parametrize("what", ["upload", "start"])
    def test_a_failed_upload_or_start_is_repeated_after_a_pause_and_a_few_times(
        self, what: str
    ) -> None:
        """Then the command leaves, saying how it failed and that the pod bills on."""
        run = running(started=False, uploaded_to="p1" if what == "start" else None)
        look = seen(lease_state(run), pod(), contact=agent("absent"))
        pause = changed(look, retry_at=1005.0, failures={what: Failure(1, "no")})
        tired = changed(look, failures={what: Failure(POLICY.tries, "no secret")})
        left = decide(tired, POLICY)

        assert isinstance(decide(look, POLICY), actions.Upload | actions.StartJob)
        assert isinstance(decide(pause, POLICY), actions.Wait)
        assert isinstance(left, actions.NeedsOperator)
        assert "no secret" in left.what

    def test_row_09_a_provider_that_asks_to_wait_for_ever_is_left(self) -> None:
        """Between two creates as it wishes, and after ten minutes not at all; nothing is rented."""
        bare = seen(lease_state(pod=None, had_pod=False), offers=(OFFER,))
        asked = changed(bare, throttled_until=1005.0, throttled_since=990.0)
        again = changed(asked, throttled_until=999.0)
        left = decide(changed(asked, throttled_since=1000.0 - 601.0), POLICY)

        assert decide(asked, POLICY) == actions.Wait(
            5.0, "because the provider asked us to slow down"
        )
        assert decide(again, POLICY) == actions.Create(OFFER)
        assert isinstance(left, actions.NeedsOperator)
        assert "nothing was rented" in left.hint

    def test_row_20_an_error_that_may_bill_on_is_asked_of_the_bill(self) -> None:
        """A pod with a job that shows as ERROR is started again only once it is known to stand."""
        broken = pod(PodStatus.ERROR)

        assert decide(seen(lease_state(running()), broken), POLICY) == actions.ConfirmParked("p1")
        parked = lease_state(running(), parked=True)
        assert isinstance(decide(seen(parked, broken), POLICY), actions.StartPod)

    @pytest.mark.parametrize(
        "wish", [{"stop": "terminate"}, {"abandon": "enough"}, {"refused": "no guard"}]
    )
    def test_a_job_that_never_began_is_not_begun_to_be_ended(self, wish: dict[str, str]) -> None:
        """The run ends at once; its pod has nothing to be kept for."""
        unanswered = lease_state(running(), **wish)
        action = decide(seen(unanswered, pod(), contact=agent("absent")), POLICY)
        over = lease_state(running(outcome="not-begun"), **wish)

        assert isinstance(action, actions.Finish)
        assert action.outcome == "not-begun"
        assert isinstance(decide(seen(over, pod()), POLICY), actions.Terminate)

    def test_a_lost_job_is_pulled_with_the_patience_of_every_pull(self) -> None:
        """A pause, a few tries, then it is left to a person."""
        lost = lease_state(running(starts=POLICY.restarts + 1))
        look = seen(lost, pod(), contact=agent("lost"))
        tired = changed(look, pull_failures=POLICY.pull_tries)

        assert decide(look, POLICY) == actions.Pull("stage1c-0001")
        assert isinstance(decide(changed(look, retry_at=1005.0), POLICY), actions.Wait)
        assert isinstance(decide(tired, POLICY), actions.NeedsOperator)

    def test_row_48_a_pod_with_a_job_that_is_not_ready_for_a_while_is_no_dead_pod(self) -> None:
        """Restarted by its host, or shown without its runtime: waited for, and never replaced."""
        unready = pod(PodStatus.STARTING)
        shared = lease_state(running(), shared_disk=True)
        old = {"pod_since": -9e9}  # it has run for long; that counts for nothing here
        short = decide(seen(shared, unready, booting_since=990.0, **old), POLICY)
        long = decide(seen(shared, unready, booting_since=1000.0 - POLICY.boot, **old), POLICY)

        assert isinstance(short, actions.Wait)
        assert isinstance(long, actions.NeedsOperator)
        assert long.code == "connection-lost"

    def test_row_10_an_order_that_is_refused_ends_the_command(self) -> None:
        """A key that may list and not delete: said at once, and not repeated for ever."""
        owing = lease_state(pod=None, pending_terminations=(PendingTermination("p1"),))
        refused = seen(owing, pod(), asked={"p1": 998.0}, order_refused="terminate: 403")
        action = decide(refused, POLICY)

        assert isinstance(action, actions.NeedsOperator)
        assert action.code == "refused"

    def test_row_16_a_pod_that_never_goes_is_left_to_a_person(self) -> None:
        """After a quarter of an hour of orders that were taken."""
        owing = lease_state(pod=None, pending_terminations=(PendingTermination("p1", clean=True),))
        look = seen(owing, pod(), asked={"p1": 900.0}, owing_since=10.0)

        assert isinstance(decide(look, POLICY), actions.NeedsOperator)

    def test_a_pod_that_cannot_be_parked_is_not_stopped_for_ever(self) -> None:
        """Gone by itself, in error, or deaf to every order."""
        over = lease_state(running(outcome="failed", pulled=True))
        asked = {"asked": {"p1": 900.0}}
        gone = seen(over, pod(PodStatus.TERMINATED), missing_since=10.0, **asked)
        broken = seen(over, pod(PodStatus.ERROR), **asked)
        deaf = seen(over, pod(), parking_since=10.0, **asked)

        assert decide(gone, POLICY) == actions.ConfirmGone("p1")
        assert isinstance(decide(broken, POLICY), actions.Terminate)
        assert isinstance(decide(deaf, POLICY), actions.NeedsOperator)

    def test_a_pod_is_not_called_parked_while_it_runs_or_is_gone(self) -> None:
        """Whatever the journal says: the books follow, and what is gone costs no more."""
        parked = lease_state(running(outcome="failed", pulled=True), parked=True)
        runs = seen(parked, pod())
        gone = seen(parked, missing_since=10.0)

        assert decide(runs, POLICY) == actions.RecordRestart("p1")
        assert decide(gone, POLICY) == actions.ConfirmGone("p1")

    def test_a_kept_pod_that_is_gone_is_kept_no_longer(self) -> None:
        """One that passed, and one of which something is only there: neither bills for ever."""
        keeping = dataclasses.replace(POLICY, on_success="keep")
        passed = lease_state(running(outcome="passed", pulled=True, locked=True))
        unpulled = lease_state(running(outcome="failed"), keeps_disk=False)

        for kept in (passed, unpulled):
            assert decide(seen(kept, pod()), keeping) == actions.Done("kept")
            assert isinstance(decide(seen(kept, missing_since=990.0), keeping), actions.Wait)
            assert decide(seen(kept, missing_since=10.0), keeping) == actions.ConfirmGone("p1")

    def test_a_look_in_passing_waits_for_no_bill_and_orders_nothing(self) -> None:
        """What somebody started in the console is theirs; what is gone is booked as gone."""
        parked = lease_state(running(outcome="failed", pulled=True), parked=True)
        gone = seen(parked, missing_since=10.0)
        later = changed(gone, bill_retry_at=1100.0)

        assert plan_passive(gone, POLICY) == decide(gone, POLICY) == actions.ConfirmGone("p1")
        assert isinstance(decide(later, POLICY), actions.Wait)
        assert plan_passive(later, POLICY) == actions.Done("kept")
        assert decide(seen(parked, pod()), POLICY) == actions.RecordRestart("p1")
        assert plan_passive(seen(parked, pod()), POLICY) == actions.Done("kept")

    def test_a_parked_lease_that_owes_another_pod_is_not_at_rest(self) -> None:
        """The other one is ended first."""
        over = lease_state(running(outcome="failed", pulled=True), parked=True)

        assert over.rests()
        assert not dataclasses.replace(
            over, pending_terminations=(PendingTermination("p2"),)
        ).rests()

    def test_what_was_stopped_and_is_parked_is_at_rest(self) -> None:
        """A next run is no carrying on; what is to be terminated yet is."""
        over = lease_state(running(outcome="stopped", pulled=True), stop="park", parked=True)
        unpulled = lease_state(running(outcome="unpulled"), stop="terminate", parked=True)

        assert over.rests()
        assert unpulled.rests()
        assert not dataclasses.replace(over, stop="terminate").rests()
        assert not dataclasses.replace(unpulled, abandon="enough").rests()
        assert not dataclasses.replace(over, parked=False).rests()

    def test_only_a_pod_that_passed_is_kept(self) -> None:
        """After a failure, or without its pod, something is left to do: to park, to sweep."""
        passed = lease_state(running(outcome="passed", pulled=True, locked=True))
        failed = lease_state(running(outcome="failed", pulled=True))
        gone = dataclasses.replace(passed, pod=None, ambiguous=True)

        assert passed.rests(kept=True)
        assert not passed.rests()
        assert not failed.rests(kept=True)
        assert not gone.rests(kept=True)
