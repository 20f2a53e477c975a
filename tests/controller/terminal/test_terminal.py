"""What reaches a terminal: clean, without secrets, and to whoever still listens."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.errors import NotFound, UsageError
from controller.terminal.json_values import plain
from controller.terminal.sanitize import HOLD, KEEP, CleanStream, clean, clean_line
from controller.terminal.table import table
from controller.terminal.terminal import OutputClosed, Terminal
from state.redaction import REDACTED, Redactor

ROOT = Path(__file__).resolve().parents[3]
ALLOWED = set("\n\t")
HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x9b\x9d\x90\x07\\[]P;0m\r\n\u202e\u2066\u2028\ufeff\x00\x7f"),
    )
)


def terminal(
    *, source: str = "", as_json: bool = False
) -> tuple[Terminal, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Terminal(json=as_json, out=out, err=err, source=io.StringIO(source)), out, err


@settings(max_examples=500, deadline=None)
@given(HOSTILE)
def test_row_74_clean_text_has_no_control(text: str) -> None:
    """Whatever comes in, no control, direction or escape character comes out."""
    for character in clean(text):
        category = unicodedata.category(character)

        assert character in ALLOWED or category not in {"Cc", "Cs", "Zl", "Zp"}
        assert not 0x202A <= ord(character) <= 0x202E
        assert not 0x2066 <= ord(character) <= 0x2069


@given(HOSTILE)
def test_cleaning_is_idempotent(text: str) -> None:
    """Clean text stays as it is: removing one sequence never forms another."""
    once = clean(text)

    assert clean(once) == once


@given(st.binary())
def test_any_bytes_are_cleaned(data: bytes) -> None:
    """Bytes that are no UTF-8 are shown as replacement characters, never refused."""
    assert clean(data) == clean(clean(data).encode())


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_untouched(text: str) -> None:
    """ASCII text goes through unchanged."""
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1;2|payload\x1b\\after", "after"),
        ("\x9b2Jwiped", "wiped"),
        ("10%\r100%\r\n", "10%\n100%\n"),
        ("abc\u202edef", "abcdef"),
        ("\x1b]52;c;never ends\nnext line", "\nnext line"),
        ("caf\u00e9 \u65e5\u672c", "caf\u00e9 \u65e5\u672c"),
    ],
)
def test_sequences_go_whole(text: str, shown: str) -> None:
    """A sequence leaves no litter behind, and an unfinished one swallows only its line."""
    assert clean(text) == shown


def test_one_line_stays_one() -> None:
    """A name with newlines cannot fake another row."""
    assert clean_line("a\nPASS  b\r\n\tc") == "a PASS b c"


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_pieces_add_up(pieces: list[bytes]) -> None:
    """However a log is cut into pieces, the lines shown are those of the whole; but a cursor does
    not go up into what was shown already."""
    pieces = [piece.replace(b"\x1b", b"") for piece in pieces]
    stream, whole = CleanStream(), CleanStream()
    shown = "".join([stream.feed(piece) for piece in pieces]) + stream.finish()

    assert shown == whole.feed(b"".join(pieces)) + whole.finish()


def test_a_sequence_cut_in_two_is_removed() -> None:
    """An escape sequence that two reads share is still one."""
    stream = CleanStream()

    assert stream.feed(b"a\x1b[3") == ""
    assert stream.feed(b"1mb\n") == "ab\n"


def test_an_endless_line_is_not_held_for_ever() -> None:
    """A line without an end is shown once it is long, but for its last part."""
    stream = CleanStream()

    assert len(stream.feed(b"x" * (HOLD + 1))) == HOLD + 1 - KEEP
    assert len(stream.finish()) == KEEP


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("key rpa_ABCDEF123456 here", "rpa_ABCDEF123456"),
        ("hf_abcdefABCDEF0123456789", "abcdefABCDEF"),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("authorization: bearer abcdefgh", "abcdefgh"),
    ],
)
def test_keys_are_recognised(text: str, hidden: str) -> None:
    """What looks like a key is not shown, registered or not."""
    shown = Redactor()(text)

    assert hidden not in shown
    assert REDACTED in shown


def test_registered_secrets_are_hidden_everywhere() -> None:
    """Data, tables, JSON, talk and errors all pass the same redaction."""
    ours, out, err = terminal()
    ours.redact.add("correct-horse")
    ours.data("a correct-horse b")
    ours.table(("K",), [("correct-horse",)])
    ours.emit_json("podctl/test/1", {"deep": [{"v": "correct-horse"}]})
    ours.say("correct-horse")
    ours.progress("correct-horse")
    ours.error(NotFound("correct-horse", where="correct-horse", hint="correct-horse"))

    assert "correct-horse" not in out.getvalue() + err.getvalue()


def test_a_key_is_shown_where_it_is_the_answer() -> None:
    """Only what says so lets a key through."""
    ours, out, _ = terminal()
    ours.data("export RUNPOD_API_KEY=rpa_emulator", secret=True)

    assert out.getvalue() == "export RUNPOD_API_KEY=rpa_emulator\n"


def test_json_is_one_object_with_a_schema() -> None:
    """Enums, paths, tuples, dataclasses and odd numbers become what JSON has."""

    class Colour(Enum):
        RED = "red"

    ours, out, _ = terminal(as_json=True)
    ours.emit_json("podctl/test/1", {"c": Colour.RED, "p": Path("a"), "t": (1, float("nan"))})

    assert json.loads(out.getvalue()) == {
        "schema": "podctl/test/1",
        "c": "red",
        "p": "a",
        "t": [1, None],
    }


def test_json_escapes_what_could_hurt() -> None:
    """No raw control or direction character is in JSON output either."""
    ours, out, _ = terminal(as_json=True)
    ours.emit_json("podctl/test/1", {"v": "\x1b[2J\u202e"})

    assert "\x1b" not in out.getvalue()
    assert "\u202e" not in out.getvalue()


def test_errors_say_what_where_why_and_what_next() -> None:
    """One error is one block on stderr, and stdout stays empty."""
    ours, out, err = terminal()
    ours.error(NotFound("no stage 'x'", where="podctl.toml", cause="a\nb", hint="podctl plan"))

    assert err.getvalue().splitlines() == [
        "error: no stage 'x'",
        "  where: podctl.toml",
        "  cause: a",
        "         b",
        "  next:  podctl plan",
    ]
    assert out.getvalue() == ""


def test_errors_are_json_too() -> None:
    """With --json the error is an object on stdout with its code and exit code."""
    ours, out, _ = terminal(as_json=True)
    ours.error(NotFound("no stage"))
    found = json.loads(out.getvalue())

    assert found["schema"] == "podctl/error/1"
    assert found["error"]["code"] == "not-found"
    assert found["error"]["exit_code"] == 3


def test_no_question_without_a_terminal() -> None:
    """Where nobody can answer, the error names the flag that does."""
    ours, _, err = terminal(source="y\n")
    with pytest.raises(UsageError) as caught:
        ours.confirm("Rent it?", "--yes")

    assert "--yes" in caught.value.hint
    assert err.getvalue() == ""


@pytest.mark.parametrize(("answer", "expected"), [("y\n", True), ("\n", False), ("no\n", False)])
def test_questions_on_a_terminal(answer: str, expected: bool) -> None:
    """Only a yes is a yes."""
    with pseudo_terminal() as (control, slave):
        os.write(control, answer.encode())
        ours = Terminal(out=io.StringIO(), err=io.StringIO(), source=slave)

        assert ours.confirm("Rent it?", "-y") is expected


def test_a_question_that_nobody_answers_in_time_is_answered_with_no() -> None:
    """A pod may bill while it is asked; whoever comes in time is still heard."""
    with pseudo_terminal() as (control, slave):
        ours = Terminal(out=io.StringIO(), err=io.StringIO(), source=slave)

        assert not ours.confirm("Go on?", "--unguarded", seconds=0.05)
        os.write(control, b"y\n")
        assert ours.confirm("Go on?", "--unguarded", seconds=30.0)


def test_tables_align_and_cannot_be_faked() -> None:
    """Numbers stand right, wide characters count twice, newlines in cells are spaces."""
    lines = table(("NAME", "N"), [("\u65e5\u672c", "1"), ("b\nc", "20")])

    assert lines == ["NAME   N", "\u65e5\u672c   1", "b c   20"]


def test_no_colour_where_there_is_no_terminal() -> None:
    """A pipe gets no escape sequence, and neither does a terminal under NO_COLOR."""
    ours, out, err = terminal()
    ours.table(("V",), [("PASS",)])
    ours.progress("moving")
    ours.warn("careful")

    assert "\x1b" not in out.getvalue() + err.getvalue()


def test_colour_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts are coloured on a terminal, unless NO_COLOR is set."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with pseudo_terminal() as (control, slave):
        ours = Terminal(out=slave, err=io.StringIO(), source=None)
        ours.verdict("PASS", "python")
        coloured = os.read(control, 1000)
        monkeypatch.setenv("NO_COLOR", "1")
        ours.verdict("PASS", "python")
        bare = os.read(control, 1000)

    assert b"\x1b[32mPASS\x1b[0m  python" in coloured
    assert bare == b"PASS  python\r\n"


def test_a_closed_pipe_is_no_traceback() -> None:
    """`podctl … | head` ends quietly, with 128 + SIGPIPE."""
    code = (
        "import sys\nfrom controller.terminal.terminal import Terminal, OutputClosed\n"
        "t = Terminal()\n"
        "try:\n    [t.data('x' * 1000) for _ in range(1000)]\n"
        "except OutputClosed as e:\n    sys.exit(e.exit_code)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()

    assert process.wait(20) == OutputClosed.exit_code == 141
    assert said == b""


def test_a_closed_stderr_stops_nothing() -> None:
    """Talk that nobody hears is dropped; the work goes on."""
    ours = Terminal(out=io.StringIO(), err=io.StringIO(), source=None)
    assert ours.err is not None
    ours.err.close()
    ours.say("hello")
    ours.warn("hello")

    assert ours.err is None


def test_a_full_disk_is_said() -> None:
    """Output that cannot be written is an error, not silence."""
    code = (
        "from controller.terminal.terminal import Terminal\n"
        "from controller.errors import PodctlError\n"
        "t = Terminal()\n"
        "try:\n    t.data('x')\nexcept PodctlError as e:\n    t.error(e)\n    raise SystemExit(7)\n"
    )
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=20,
            check=False,
        )

    assert done.returncode == 7
    assert b"cannot write to standard output" in done.stderr


def test_plain_leaves_no_object_behind() -> None:
    """Mappings and sequences of anything end as JSON's own kinds."""
    assert plain({1: {"a"}, "b": [Path("x"), None, True]}) == {"1": ["a"], "b": ["x", None, True]}


@contextmanager
def pseudo_terminal() -> Iterator[tuple[int, io.TextIOWrapper]]:
    control, descriptor = pty.openpty()
    slave = os.fdopen(descriptor, "r+b", buffering=0)
    try:
        yield control, io.TextIOWrapper(slave, write_through=True)
    finally:
        os.close(control)
