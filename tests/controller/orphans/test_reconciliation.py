"""What the account pays for and who knows of it: strays, parked disks, volumes, unseen pods."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.costs.network_volumes import priced
from controller.orphans.reconciliation import UNLISTED, UnconfirmedCreate, intervals, unknown
from controller.orphans.sweep import OrphanPod, Ownership
from controller.providers.base import BillingRecord, NetworkVolume
from remote.contract import ENV_NONCE, ENV_OWNER
from state.database import installation, open_database
from tests.controller.cli.test_cli_read import NONCE, Shell
from tests.support.emulated_cloud import EmulatedCloud, until
from tests.support.laptop import Laptop, with_volume

VOLUME = {"name": "my-dataset", "size": 100, "dataCenter": "EU-RO-1"}
PARKED = {"persistent": {"size": 60, "path": "/workspace"}}
WINDOW = UnconfirmedCreate("l0001", "hello-0001", "hello", 10_000.0, 10_300.0, 0.69)


@pytest.fixture
def shell(
    tmp_path: Path,
    cloud: EmulatedCloud,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    """podctl in this process, in a project whose provider is the emulator."""
    Laptop(tmp_path, cloud).write()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PODCTL_EMULATOR_URL", cloud.base_url)
    return Shell(tmp_path, capsys)


def bill(pod: str, first: float = 7200.0, *, gpu: float = 0.1, hours: int = 1) -> BillingRecord:
    return BillingRecord(pod, first, first + 3600.0 * hours, gpu + 0.01, gpu, 0.01)


def test_row_25_a_billed_pod_that_no_list_ever_showed_is_found_on_the_bill(
    laptop: Laptop,
) -> None:
    """Born late and hidden until it was ended: told at the close, and entered when one says so."""
    laptop.write(settle=2)
    laptop.cloud.faults({"name": "fail_after_commit", "times": 1}, {"name": "unlisted", "times": 1})
    process = laptop.start("run", "hello", "-y")
    hidden = until(lambda: laptop.cloud.state()["pods"], 60)[0]["id"]
    laptop.cloud.kill_pod(hidden, status="TERMINATED")
    _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert f"pod {hidden} was billed" in err
    assert laptop.living_pods() == []
    document = laptop.json("cost", "--reconcile", expect=5)
    row = next(pod for pod in document["pods"] if pod["pod_id"] == hidden)

    laptop.podctl("cost", "--book", hidden)

    assert (row["whose"], row["ledger_usd"], row["agrees"]) == ("unseen", 0.0, False)
    after = laptop.json("cost", "--reconcile")
    assert after["agrees"] is True
    assert {pod["pod_id"] for pod in after["pods"]} == {
        pod["id"] for pod in laptop.cloud.state()["pods"]
    }
    laptop.assert_books_agree()
    assert "no record shows that" not in laptop.podctl("cost", "--book", hidden, expect=3).err


@pytest.mark.parametrize(
    ("record", "marks", "whose"),
    [
        (bill("x"), {}, UNLISTED),
        (bill("x", first=0.0), {}, "foreign"),  # its first hour was over before we asked
        (bill("x", first=10_800.0), {}, "foreign"),  # it began after the lease was closed
        (bill("x", gpu=9.0), {}, "foreign"),  # more than what was asked for can cost
        (bill("x"), {"x": Ownership.FOREIGN}, "foreign"),
        (bill("x"), {"x": Ownership.OTHER}, "other-podctl"),
        (bill("x"), {"x": Ownership.STALE}, "stale-own"),
    ],
)
def test_row_25_only_what_can_be_nothing_else_is_taken_for_ours(
    record: BillingRecord, marks: dict[str, Ownership], whose: str
) -> None:
    """A record has no name: time, amount and the present listing decide."""
    listed = [
        OrphanPod(pod, "", mark, "RUNNING", "", 0.69, 0.0, "", "", None)
        for pod, mark in marks.items()
    ]

    (charge,) = unknown([record, bill("known")], {"known": 1.0}, listed, [WINDOW])

    assert (charge.pod_id, charge.whose) == ("x", whose)


def test_an_unseen_pod_is_entered_with_what_the_bill_says() -> None:
    """To the last digit, at the rate that was asked for, from when it may have begun."""
    (charge,) = unknown([bill("x", gpu=0.069)], {}, [], [WINDOW])
    compute, disk = intervals(charge, WINDOW)

    assert compute.usd_per_hour == pytest.approx(0.69)
    assert compute.started_at == WINDOW.since
    assert sum(row.amount(0) for row in (compute, disk)) / 3.6e15 == pytest.approx(0.079, abs=1e-6)


def test_foreign_pods_on_the_bill_are_named_and_are_no_difference(
    cloud: EmulatedCloud, shell: Shell
) -> None:
    """Somebody else's pods on the same account, living or gone, do not make the books disagree."""
    pod = cloud.create(name="jupyter")
    cloud.api("DELETE", f"/v2/pods/{pod['id']}")
    living = cloud.create(name="another")
    shell.project.prepare()
    document = shell.json("cost", "--reconcile")

    assert (document["agrees"], document["pods"]) == (True, [])
    assert {row["pod_id"]: row["whose"] for row in document["others"]} == {
        pod["id"]: "foreign",
        living["id"]: "foreign",
    }
    shell("cost", "--book", pod["id"], expect=10)


@pytest.mark.parametrize("words", [["gpus"], ["plan", "hello"], ["doctor"], ["sync"]])
def test_pods_that_no_live_run_owns_are_told_beside_other_work(
    cloud: EmulatedCloud, shell: Shell, words: list[str]
) -> None:
    """One line with how many bill, at what rate, and the command; none when nothing is strange."""
    shell.project.prepare()
    _run(shell, words)
    assert "podctl gc" not in shell.err
    owner = installation(open_database(shell.project.database))
    cloud.create(name=f"podctl-hello-{NONCE}", env={ENV_NONCE: NONCE, ENV_OWNER: owner})
    cloud.create(name="jupyter")

    _run(shell, words)

    assert "warning: 2 pods bill $0.88/h, 2 not owned by a live run: podctl gc\n" in shell.err


def test_the_line_never_fails_a_command(cloud: EmulatedCloud, shell: Shell) -> None:
    """Where the list of pods cannot be had, the command does its own work all the same."""
    cloud.create(name="jupyter")
    cloud.faults({"name": "server_error", "match": {"path": "^/v2/pods$"}})

    assert "NVIDIA L40S" in shell("gpus")
    assert "podctl gc" not in shell.err


def _run(shell: Shell, words: list[str]) -> None:
    shell(*words, expect=1 if words == ["doctor"] else 0)


def test_gc_lists_parked_disks_and_network_volumes_by_the_month(
    cloud: EmulatedCloud, shell: Shell
) -> None:
    """60 GB parked are $12 a month, 100 GB of network volume $7; nothing of it is touched."""
    parked = cloud.create(name="jupyter", mounts=PARKED)
    cloud.until_running(parked["id"])
    cloud.api("POST", f"/v2/pods/{parked['id']}/action", {"action": "stop"})
    volume = cloud.api("POST", "/v2/network-volumes", VOLUME).body["id"]
    document = shell.json("gc")
    text = shell("gc")

    assert document["pods"][0]["usd_per_month_parked"] == pytest.approx(12.0)
    assert document["volumes"] == [
        {
            "id": volume,
            "name": "my-dataset",
            "size_gb": 100,
            "data_center": "EU-RO-1",
            "tier": "STANDARD",
            "usd_per_day": pytest.approx(7 / 730 * 24),
        }
    ]
    assert "$12.00" in text
    assert "$7.00" in text
    cloud.faults({"name": "server_error", "match": {"path": "^/v2/network-volumes$"}})
    assert "jupyter" in shell("gc")
    assert "network volumes could not be listed" in shell.err


def test_a_network_volume_is_planned_and_shown_apart(cloud: EmulatedCloud, shell: Shell) -> None:
    """`plan` says what it costs a day, `cost` too, in no stage's sum; an unknown one is told."""
    volume = cloud.api("POST", "/v2/network-volumes", VOLUME).body["id"]
    with_volume(Laptop(shell.project.root, cloud), volume)
    assert "$0.23 a day, with or without a pod" in shell("plan", "hello")
    document = shell.json("cost")
    text = shell("cost")

    assert document["volumes"][0]["volume"]["id"] == volume
    assert document["total"]["usd"] == 0.0
    assert f"network volume {volume} (100 GB): $0.23 a day" in text
    cloud.api("DELETE", f"/v2/network-volumes/{volume}")
    shell("plan", "hello", expect=3)
    assert f"the account has no network volume {volume!r}" in shell.err


def test_the_price_of_an_unknown_tier_is_not_guessed() -> None:
    """No price is published for it here: none is shown, rather than the cheaper one."""
    fast = priced(NetworkVolume("v", "v", 100, "EU-RO-1", "HIGH_PERFORMANCE"))

    assert (fast.usd_per_day, fast.usd_per_month) == (None, None)
