"""What the guard wrote, as it is read over SSH before our code is on the pod."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from controller.agent.client import guard_report
from controller.ssh.session import Session
from remote.contract import GuardReport
from tests.support.sshd_server import needs_sshd, sshd

pytestmark = needs_sshd
SAID = asdict(GuardReport("boot1", True, "reads its own pod", "boot", 100.0, 1000.0))


def test_row_64_only_a_fresh_word_of_the_guard_counts(tmp_path: Path) -> None:
    """A disk that was kept may hold the last word of an earlier boot: it arms nothing."""
    with sshd(tmp_path / "sshd") as server, server.connect() as session:
        path = server.root / "run/podctl/guard.json"
        path.parent.mkdir(parents=True)
        found = [guard_report(session)]
        for spoken in (time.monotonic(), time.monotonic() - 61, time.monotonic() + 9999, "x"):
            path.write_text(json.dumps(SAID | {"monotonic": spoken}))
            found.append(guard_report(session))
        path.write_text("{")
        found.append(guard_report(session))

    absent, fresh, old, future, odd, broken = found
    assert (absent, odd, broken) == (None, None, None)
    assert fresh is not None
    assert fresh.armed
    assert fresh.age_seconds is not None
    for one in (old, future):
        assert one is not None
        assert (one.armed, one.stops_in_seconds) == (False, None)


@pytest.mark.parametrize("spoken", ["1" + "0" * 400, "1" + "0" * 5000, "1e999", "true", "[]"])
def test_row_75_a_guards_clock_that_is_no_number_arms_nothing(
    session: Session, spoken: str
) -> None:
    """Endless integers, infinities and other types are no word of the guard, and no crash."""
    path = Path(session.root) / "run/podctl/guard.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{json.dumps(SAID)[:-1]}, "monotonic": {spoken}}}')

    assert guard_report(session) is None


def test_where_run_is_closed_the_word_is_below_tmp(tmp_path: Path) -> None:
    """The guard takes the first of both that can be written, and is found there."""
    with sshd(tmp_path / "sshd") as server, server.connect() as session:
        path = server.root / "tmp/podctl/guard.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(SAID | {"monotonic": time.monotonic()}))
        found = guard_report(session)

    assert found is not None
    assert found.armed
