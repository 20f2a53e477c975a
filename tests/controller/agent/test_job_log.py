"""The copy of a job's log and what `podctl logs` reads: real agents over a real sshd."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.agent.client import AgentClient
from controller.agent.job_log import MAX_ASIDE, append_log, append_rest, follow_log
from controller.agent.log_position import LogPosition
from controller.credentials.secret import Secret
from controller.ssh.session import Session
from controller.status import log_reader
from remote import contract
from remote.contract import Layout
from remote.pod import log_file as logfile
from tests.support.sshd_server import needs_sshd

pytestmark = needs_sshd
CODE = "e" * 64
CANARY = "kanarienvogel-of-the-log"
FIRST = b"".join(b"first pod, step %d\n" % step for step in range(1000))
SECOND = b"Traceback (most recent call last):\nOSError: no CUDA\n"
# Answers with five bytes from wherever it is asked on, and more to come.
ENDLESS = """
import sys
offset = int(sys.argv[sys.argv.index("--offset") + 1])
print('{"offset": %d, "size": %d}' % (offset, SIZE))
print("hello", end="")
"""


@dataclass
class Pod:
    """A pod with one run, and the copy of its log here."""

    agent: AgentClient
    layout: Layout
    copy: Path

    @property
    def log(self) -> Path:
        return Path(self.layout.run("r")) / "job.log"

    def write(self, data: bytes) -> None:
        """Its log is this one."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(data)

    def kept(self) -> dict[str, bytes]:
        """What is here of its logs, without the times at which they were read."""
        logs = (path for path in self.copy.parent.iterdir() if path.suffix != ".times")
        return {path.name: path.read_bytes() for path in logs}

    def lies(self, script: str) -> None:
        """From now on its agent is this one."""
        (Path(self.layout.code(CODE)) / "remote" / "agent" / "__main__.py").write_text(script)


@pytest.fixture
def pod(session: Session, layout: Layout, tmp_path: Path) -> Pod:
    package = Path(contract.__file__).parents[1]
    skip = shutil.ignore_patterns("stages", "*.lock", "__pycache__")
    shutil.copytree(package, Path(layout.code(CODE)) / "remote", ignore=skip)
    return Pod(AgentClient(session, layout, CODE), layout, tmp_path / "here" / "job.log")


@pytest.mark.parametrize("second", [SECOND, SECOND * 1000, b""], ids=["short", "long", "none yet"])
def test_another_disks_log_is_kept_apart(pod: Pod, second: bytes) -> None:
    """Shorter than the copy or longer: the new log is here from its first byte, the old one whole
    under another name."""
    pod.write(FIRST)
    append_rest(pod.agent, "r", pod.copy)
    pod.write(second)
    follow_log(pod.agent, "r", pod.copy, len(second))
    append_rest(pod.agent, "r", pod.copy)

    new = {"job.log": second} if second else {}
    assert pod.kept() == new | {"job.log.1": FIRST}


def test_another_disks_log_of_the_same_length_is_kept_apart_at_the_end(pod: Pod) -> None:
    """By its length alone a look cannot tell; when the run has ended the bytes are compared."""
    pod.write(FIRST)
    append_rest(pod.agent, "r", pod.copy)
    pod.write(FIRST.swapcase())
    follow_log(pod.agent, "r", pod.copy, len(FIRST))
    append_rest(pod.agent, "r", pod.copy)

    assert pod.kept() == {"job.log": FIRST.swapcase(), "job.log.1": FIRST}


@pytest.mark.parametrize("shown", [5, len(CANARY), len(CANARY) + 3000])
def test_a_log_with_secrets_goes_on(pod: Pod, shown: int) -> None:
    """What is masked in the copy, wholly or not yet, is no sign of another log."""
    log = FIRST + CANARY.encode() + FIRST
    for size in (len(FIRST) + shown, len(log)):
        pod.write(log[:size])
        append_log(pod.agent, "r", pod.copy, [Secret(CANARY)])

    assert pod.kept() == {"job.log": FIRST + b"*" * len(CANARY) + FIRST}


def test_a_head_that_goes_between_two_questions_stays_a_hole(pod: Pod) -> None:
    """A flood: by the time its log is asked for, all that the status told of is gone. The look
    fails by nothing, and what is left is here at its own offset."""
    pod.write(FIRST)
    append_rest(pod.agent, "r", pod.copy)
    reported_size = len(FIRST) + 1
    flood = FIRST * 10
    pod.write(flood)
    assert logfile.trim(pod.log, 2 * logfile.BLOCK)
    base = logfile.base(pod.log)
    follow_log(pod.agent, "r", pod.copy, reported_size)

    assert base > reported_size
    assert pod.kept() == {"job.log": FIRST + bytes(base - len(FIRST)) + flood[base:]}


def test_a_pod_that_makes_up_logs_fills_no_disk(pod: Pod) -> None:
    """However often the log is another one, so many are kept: the first ones, and the present."""
    for number in range(MAX_ASIDE + 5):
        pod.write(b"%d" % number * 9)
        append_log(pod.agent, "r", pod.copy)

    files = pod.kept()
    assert len(files) == MAX_ASIDE + 1
    assert files["job.log.1"] == b"0" * 9
    assert files["job.log"] == b"%d" % (MAX_ASIDE + 4) * 9


def test_a_log_that_grows_faster_than_it_is_read_is_shown_to_where_it_was(pod: Pod) -> None:
    """Each answer tells of more: it is read to the size of the first one."""
    pod.lies(ENDLESS.replace("SIZE", "offset + 8"))

    parts = list(log_reader.rest(pod.agent, "r", LogPosition()))

    assert [(mark.offset, part) for mark, part in parts] == [(5, b"hello"), (10, b"hello")]


def test_of_a_log_of_any_size_a_bounded_number_of_looks_is_shown(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pod tells of 2^62 bytes and sends five at a time: it is left after so many looks."""
    monkeypatch.setattr(log_reader, "MOST_LOOKS", 4)
    pod.lies(ENDLESS.replace("SIZE", "2**62"))

    dropped, *parts = [part for _, part in log_reader.rest(pod.agent, "r", LogPosition())]

    assert b"bytes of the log were dropped" in dropped
    assert parts == [b"hello"] * 4
