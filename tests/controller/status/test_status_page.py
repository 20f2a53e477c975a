"""STATUS.md: ticked boxes, measured values in place of estimates, and nobody's text runs free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.cli.main import run as cli
from controller.costs.pricing import Spending
from controller.locks import certificate
from controller.locks.certificate import Artifact, Certificate, CriterionMet, Price
from controller.status.status_page import Page, render, rows, write
from jobs.stage import Criterion, Stage
from state.journal_rows import Run

NOTHING = Spending("total", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def stage(name: str, needs: tuple[str, ...] = (), **changes: Any) -> Stage:
    values: dict[str, Any] = {
        "name": name,
        "title": f"Title of {name}",
        "command": ("python", "x.py"),
        "needs": needs,
        "outputs": ("data/x.json",),
        "criteria": (Criterion(kind="exists", path="data/x.json"),),
        "hours": 2.0,
        "max_hours": 4.0,
    }
    return Stage(**(values | changes))


STAGES = (stage("stage1a"), stage("stage1b", ("stage1a",)), stage("stage1c", ("stage1b",)))


def lock(name: str, detail: str = "fine") -> Certificate:
    return Certificate(
        stage=name,
        title=f"Title of {name}",
        run=f"{name}-0001",
        criteria=(CriterionMet(criterion="loss", status="PASS", measured=0.123456, detail=detail),),
        artifacts=(Artifact(path="data/x.json", size=1234567, sha256="a" * 64),),
        outputs=("data/x.json",),
        cost=Price(usd=3.456, hours=1.234, hardware="NVIDIA L40S"),
        started_at=0.0,
        ended_at=1.0,
        locked_at=86400.0,
    )


def run(name: str, outcome: str | None) -> Run:
    ended = None if outcome is None else 2.0
    return Run(f"{name}-0001", name, 1, "l0001", 1.0, {}, ended, outcome, {})


def page(locks: tuple[str, ...] = (), runs: tuple[Run, ...] = (), **changes: Any) -> Page:
    certificates = {name: lock(name) for name in locks}
    spent = changes.pop("spent", {})
    more = {key: changes.pop(key) for key in ("planned", "stale") if key in changes}
    found = rows(STAGES, certificates, runs, spent, {"stage1a": 1.0}, **more)
    return Page("proj", found, changes.pop("total", NOTHING), changes.pop("budget", None), 86400.0)


def test_fresh_plan_has_empty_boxes_and_estimates() -> None:
    """Before anything ran: no tick, the plan's hours and cost with a tilde, the first command."""
    text = render(page())

    assert "[x]" not in text
    assert "- [ ] **stage1a** Title of stage1a: can run" in text
    assert "- [ ] **stage1b** Title of stage1b: waits for stage1a" in text
    assert "| stage1a | ~2 h | ~$2.02 | 0 |" in text
    assert "\n  - [ ] data/x.json exists\n" in text
    assert "`podctl run stage1a`" in text
    assert "0 of 3 stages locked" in text


def test_locked_stage_is_ticked_with_what_was_measured() -> None:
    """A lock ticks the box; hours, cost, criteria and certificate are the measured ones."""
    text = render(page(("stage1a",)))

    assert "- [x] **stage1a** Title of stage1a: passed, locked 1970-01-02 00:00 UTC, $3.46" in text
    assert "| stage1a | 74 min | $3.46 | 0 | PASS: 1 criterion |" in text
    assert "\n  - [x] loss: 0.1235 (fine)\n" in text
    assert f"certificate {lock('stage1a').sha256[:12]}" in text
    assert "1,234,567 bytes" in text
    assert "`podctl run stage1b`" in text


def test_unfinished_run_comes_first() -> None:
    """What is unfinished is said, and the next command carries it on."""
    text = render(page(("stage1a",), (run("stage1b", None),)))

    assert "run stage1b-0001 is unfinished" in text
    assert "`podctl sync` resumes stage1b-0001." in text


def test_failed_run_is_not_a_tick() -> None:
    """A run that failed leaves the box empty and says how it ended and what it cost."""
    text = render(page((), (run("stage1a", "criteria"),), spent={"stage1a": 1.5}))

    assert "- [ ] **stage1a** Title of stage1a: run stage1a-0001 ended: criteria; can run" in text
    assert "| stage1a | ~2 h | $1.50 spent, ~$2.02 | 1 | criteria |" in text


def test_finished_plan_has_nothing_next() -> None:
    """With every stage locked only verification is left."""
    text = render(page(("stage1a", "stage1b", "stage1c")))

    assert "[ ]" not in text
    assert "Nothing: every stage is locked" in text


def test_a_stale_lock_is_marked_with_what_differs() -> None:
    """The box stays ticked, for the stage passed; why it is stale is said, and where to look."""
    text = render(page(("stage1a", "stage1b"), stale={"stage1b": ["parameter seed was 0, is 1"]}))

    assert "- [x] **stage1b**" in text
    assert "**stale**: parameter seed was 0, is 1" in text
    assert "PASS: 1 criterion, stale |" in text
    assert "`podctl run stage1c`: Title of stage1c. `podctl why stage1b` explains" in text


def test_the_sum_adds_what_was_measured_to_what_is_expected() -> None:
    """Hours and dollars of passed stages, and with a tilde those of the others."""
    text = render(page(("stage1b",)))

    assert "| all | 74 min + ~4 h | $3.46 + ~$2.02 | 0 | 1 of 3 passed |" in text
    done = render(page(("stage1a", "stage1b", "stage1c")))
    assert "| all | 3.7 h | $10.37 | 0 | 3 of 3 passed |" in done


def test_the_plans_estimate_is_told_beside_what_was_spent() -> None:
    """13 hours of an L40S, as the plan that comes with podctl has it."""
    hours = {"stage1a": 1.5, "stage1b": 4.0, "stage1c": 7.5}
    text = render(page(planned=hours, spent={"stage1a": 0.004, "stage1b": 1.0}))

    assert "The plan expects 13 h and about $11.18 at $0.86/h" in text
    assert "$1.00 has been spent on them" in text


def test_unlocking_unticks_the_box_at_once(tmp_path: Path, monkeypatch: Any) -> None:
    """STATUS.md is written anew by the command that changed the state."""
    (tmp_path / "podctl.toml").write_text("[project]\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.json").write_text("{}")
    certificate.write(tmp_path, lock("stage1a"))
    monkeypatch.chdir(tmp_path)
    command = ["unlock", "stage1a", "--reason", "another model"]

    assert cli(command) == 0
    text = (tmp_path / "STATUS.md").read_text()
    assert "- [ ] **stage1a** Baseline assessment of the base model: can run" in text
    assert "0 of 5 stages locked" in text


def test_money_is_on_top() -> None:
    """Spent, running and parked rates, and what is left of the budget."""
    total = Spending("total", 1.5, 4.0, 0.25, 2.5, 0.4, 4.25)
    text = render(page(total=total, budget=10.0))

    assert "$4.25 spent in 90 min · $2.50/h now · $0.40 a day for parked disk" in text
    assert "$5.75 of $10.00 left" in text


@pytest.mark.parametrize(
    "hostile", ["a | b", "x\n## Injected", "<script>alert(1)</script>", "\x1b[31mred", "`tick`"]
)
def test_text_from_a_pod_stays_text(hostile: str) -> None:
    """A detail that a job wrote cannot add a row, a heading, markup or a control character."""
    found = rows(STAGES, {"stage1a": lock("stage1a", hostile)}, (), {})
    text = render(Page("proj", found, NOTHING, None, 0.0))
    plain = render(
        Page("proj", rows(STAGES, {"stage1a": lock("stage1a")}, (), {}), NOTHING, None, 0.0)
    )

    assert text.count("\n") == plain.count("\n")
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\n## Injected" not in text
    assert "a | b" not in text


def test_page_is_replaced_whole(tmp_path: Path) -> None:
    """Writing leaves one readable file and nothing beside it."""
    path = tmp_path / "STATUS.md"
    path.write_text("old")
    write(path, page())

    assert path.read_text() == render(page())
    assert [one.name for one in tmp_path.iterdir()] == ["STATUS.md"]
    assert path.stat().st_mode & 0o777 == 0o644
