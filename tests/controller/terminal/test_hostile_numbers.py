"""Sizes, offsets and depths that a pod makes up, over a real sshd."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from controller.agent.client import AgentClient
from controller.agent.job_log import MAX_LOG, append_log, append_rest, follow_log
from controller.errors import ConnectionLost
from controller.planner.observation import Contact
from controller.providers.base import Endpoint
from controller.runtime.ssh_runtime import SshJobRuntime
from controller.ssh.session import Session
from remote.contract import Layout
from tests.support.sshd_server import needs_sshd

pytestmark = needs_sshd
CODE = "f" * 64


def agent(session: Session, layout: Layout, script: str) -> AgentClient:
    """An agent that prints what `script` makes it."""
    home = Path(layout.code(CODE)) / "remote"
    home.mkdir(parents=True, exist_ok=True)
    calls = home / "calls"
    (home / "agent.py").write_text(f"open({str(calls)!r}, 'a').write('x')\n{script}\n")
    return AgentClient(session, layout, CODE)


def calls(layout: Layout) -> int:
    return len((Path(layout.code(CODE)) / "remote" / "calls").read_text())


@pytest.mark.parametrize(
    "head",
    [
        "'{\"size\": 100, \"offset\": 1' + '0' * 30 + '}'",
        "'{\"size\": 100, \"offset\": 1' + '0' * 9000 + '}'",
        '\'{"size": 100, "offset": 9223372036854775807}\'',
        '\'{"size": 100, "offset": 1000000000000000}\'',
        '\'{"size": 100, "offset": -1}\'',
        '\'{"size": 100, "offset": true}\'',
        '\'{"size": 100, "offset": 1.0}\'',
        '\'{"size": 100, "offset": 101}\'',
        '\'{"size": 4, "offset": 0}\'',
        '\'{"size": 1e9, "offset": 0}\'',
        '\'{"size": 9223372036854775808, "offset": 0}\'',
        "'{\"offset\": 0}'",
        "'[' * 200_000",
    ],
)
def test_row_75_a_log_that_begins_nowhere_is_refused(
    session: Session, layout: Layout, tmp_path: Path, head: str
) -> None:
    """Beyond any file, beyond the log's own size, before what was asked for, nested without end:
    the pod's answer is no answer, and nothing is written."""
    liar = agent(session, layout, f"print({head}); print('hello')")
    copy = tmp_path / "job.log"

    with pytest.raises(ConnectionLost, match="response to a log request"):
        append_log(liar, "r", copy)

    assert not copy.exists()


def test_row_75_a_log_beyond_the_cap_is_not_kept(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """A log that let go of so much that all it has is past the cap: no look fails for it."""
    liar = agent(
        session,
        layout,
        f"print('{{\"offset\": {MAX_LOG}, \"size\": {2 * MAX_LOG}}}'); print('hello')",
    )
    copy = tmp_path / "job.log"

    follow_log(liar, "r", copy, 2 * MAX_LOG)

    assert not copy.exists()


def test_row_75_a_log_of_any_size_that_brings_nothing_is_left(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """The pod tells of 2^62 bytes and sends five: fetched is what comes, and then no more."""
    liar = agent(
        session,
        layout,
        "print('{\"offset\": 0, \"size\": 4611686018427387904}'); print('hello', end='')",
    )
    copy = tmp_path / "job.log"

    append_rest(liar, "r", copy)

    assert copy.read_bytes() == b"hello"
    assert calls(layout) == 2


@pytest.mark.parametrize("error", [OverflowError("too large"), RecursionError(), ValueError("no")])
def test_row_75_what_no_check_knew_is_said_and_ends_nothing(error: Exception) -> None:
    """A number or a depth that upsets us is the pod's error: it answers, and is not understood."""

    class Upset(SshJobRuntime):
        def _ask(self, *_: object) -> Contact:
            raise error

    context, run = cast(Any, None), cast(Any, None)
    found = Upset(context).ask("pod", Endpoint("127.0.0.1", 1, "root"), run)

    assert found.reached
    assert found.status is None
    assert type(error).__name__ in found.error
