"""Text of a pod on its way to a terminal: nothing in it steers, hides, or never ends."""

from __future__ import annotations

import io
import json
import os
import pty
import random
import unicodedata
from pathlib import Path

import pytest

from controller.cli.main import run
from controller.errors import PodctlError
from controller.project.project import Project
from controller.terminal.sanitize import CleanStream
from controller.terminal.terminal import LONGEST, Terminal
from state.journal import Journal
from state.last_seen import LastSeen
from state.ledger import Ledger
from state.project_lock import acquire

ATTACKS = (
    "\x1b[2J\x1b[H",  # CSI: wipe the screen
    "\x1b]52;c;ZXZpbA==\x07",  # OSC 52: write the clipboard
    "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",  # OSC 8: a link that says something else
    "\x1b]0;title",  # a string that never ends
    "\x1bP1$r0m\x1b\\",  # DCS
    "\x9b31m\x9dtitle\x9c\x90q\x9c",  # the same in C1
    "\u202egnp.exe\u2066\u2069\u200f",  # reading order
    "\x07\x08\x7f\x00\x0c\x0b\x1b",
    "\u2028\u2029\x85",
    "\ufeff\u200b\U000e0041",
    "\r50%\rPASS  fake\n",
    "\udc80\ud800",
    "x" * 40,
    "\u0301" * 5,
    "日本 🙂 ok\t",
)
HIDDEN = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF, 0x200B}


def unclean(text: str) -> set[str]:
    """What may never reach a terminal: any control character but newline and tab, and the like."""
    bad = {"Cc", "Cs", "Zl", "Zp"}
    return {
        character
        for character in set(text) - {"\n", "\t"}
        if unicodedata.category(character) in bad or ord(character) in HIDDEN
    }


def hostile(dice: random.Random) -> str:
    """A text of attacks, of pieces of them, and of anything else."""
    parts = []
    for _ in range(dice.randrange(1, 6)):
        attack = dice.choice(ATTACKS)
        parts.append(attack[: dice.randrange(len(attack) + 1)])
        parts.append(chr(dice.choice((dice.randrange(0xA0), dice.randrange(0x110000)))))
    return "".join(parts)


def test_row_74_nothing_unclean_leaves_by_any_door() -> None:
    """5,000 hostile texts, each through data, table, verdict, talk, errors, JSON and a stream."""
    dice = random.Random(74)
    for _ in range(5000):
        text = hostile(dice)
        out, err = io.StringIO(), io.StringIO()
        ours = Terminal(out=out, err=err, source=None)
        ours.data(text)
        ours.table(("A", "B"), [(text, "1")])
        ours.verdict("PASS", text)
        ours.say(text)
        ours.warn(text)
        ours.error(PodctlError(text, where=text, cause=text, hint=text))
        ours.emit_json("podctl/test/1", {"v": text, text: [text]})
        raw = text.encode("utf-8", "surrogatepass")
        stream, cut = CleanStream(), dice.randrange(len(raw) + 1)
        out.write(stream.feed(raw[:cut]) + stream.feed(raw[cut:]) + stream.finish())

        assert unclean(out.getvalue() + err.getvalue()) == set()


def test_row_74_a_terminal_sees_no_sequence_but_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real terminal, colours and the erasing of a progress line are podctl's; nothing else."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    control, descriptor = pty.openpty()
    with os.fdopen(control, "rb", buffering=0) as screen, os.fdopen(descriptor, "r+b", 0) as tty:
        stream = io.TextIOWrapper(tty, encoding="utf-8", errors="replace", write_through=True)
        ours, dice = Terminal(out=stream, err=stream, source=None), random.Random(1)
        for _ in range(300):
            ours.progress(hostile(dice))
            ours.verdict("FAIL", hostile(dice))
            ours.raw(hostile(dice).encode("utf-8", "surrogatepass") + b"\n")
            shown = screen.read(65536).decode("utf-8", "replace")
            for own in ("\r\n", "\r\x1b[2K", "\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m"):
                shown = shown.replace(own, "")

            assert unclean(shown) == set()


def test_row_74_no_line_of_talk_is_endless() -> None:
    """A megabyte without a line break is cut, and it is said how much is missing."""
    err = io.StringIO()
    Terminal(out=io.StringIO(), err=err, source=None).say("x" * 2**20)

    assert len(err.getvalue()) < LONGEST + 100
    assert f"and {2**20 - LONGEST} more characters" in err.getvalue()


CONFIG = """
[project]
name = "haunted"
provider = "emulator"

[stages.hello]
command = ["true"]
outputs = ["out/**"]
hours = 0.1
max_hours = 0.1
criteria = [{ kind = "opens", path = "out/a.json" }]
"""


@pytest.fixture
def haunted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose every text from a pod is an attack."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "podctl.toml").write_text(CONFIG)
    project, evil = Project(tmp_path), "".join(ATTACKS)
    project.prepare()
    with acquire(project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        ended = journal.open_run(journal.open_lease({}), "hello", {})
        journal.finish_run(ended, "failed", {"why": evil})
        lease = journal.open_lease({})
        name = journal.open_run(lease, "hello", {"stage": {"hours": 1.0}})
        journal.note(lease, "generation", {"number": 1, "nonce": "0123456789abcdef"})
        journal.note(lease, "adopt", {"pod": "podone"})
        Ledger(owner.connection, owner.epoch).open_interval(
            pod_id="podone",
            lease=lease,
            run=name,
            stage="hello",
            kind="compute",
            usd_per_hour=3.6,
            rate_source="offer",
            started_at=1e9,
        )
        seen = LastSeen(owner.connection)
        seen.see(f"run:{name}", "agent", {"state": evil, "phase": evil, "step": evil})
        seen.see("pod:podone", "provider", {"status": evil, "gpu": evil})
    for one in (ended, name):
        path = project.job_log(one)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"begin\n" + evil.encode("utf-8", "surrogatepass") + b"\xff\x9b2J")
    return project


COMMANDS = (
    ("status", "--cached"),
    ("status", "hello", "--cached"),
    ("logs", "hello-0001"),
    ("logs", "hello-0001", "-n", "1"),
    ("cost",),
    ("locks",),
    ("stop", "".join(ATTACKS).replace("\0", "")),
    ("verify", "\x1b[2J"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: ascii(" ".join(words))[:24])
def test_row_74_every_command_shows_a_pods_words_clean(
    haunted: Project, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Logs, status, costs and errors, as text and as JSON, of a project whose pod is hostile."""
    capsys.readouterr()
    for more in ((), ("--json",)):
        run([*words, *more])
        shown = capsys.readouterr()

        assert shown.out + shown.err
        assert unclean(shown.out + shown.err) == set()
        assert not more or json.loads(shown.out)
