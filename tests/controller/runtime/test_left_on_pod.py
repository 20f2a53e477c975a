"""What could not travel, in words, and the command that brings it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.left_on_pod import fetch_command, quoted, unpulled_files
from remote.contract import Left, Manifest
from remote.names import text

FILES = Path("/p/.podctl/runs/job-0001/files")


@given(st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name))
def test_a_shell_takes_the_word_for_the_name(name: bytes) -> None:
    """Whatever bytes a name has, the word that is printed stands for exactly these."""
    word = quoted(text(name))
    made = subprocess.run(
        ["bash", "-c", f"printf %s {word}"], capture_output=True, check=True, timeout=20
    )

    assert made.stdout == name
    assert word.isprintable() or word == shlex.quote(text(name))


def test_many_names_are_told_shortly() -> None:
    """Five of them, how many more there are, and a command for as many as a line takes."""
    left = tuple(Left(f"out/{number:02}", "a link") for number in range(40))
    found = unpulled_files(Manifest("r", 1, True, (), left, beyond=3), "job", FILES, ("out/**",))

    assert found.what.endswith("out/04 (a link) and 38 more")
    assert found.fetch.count("out/") == 20
    assert found.by_word


def test_a_flood_is_told_as_what_it_is() -> None:
    """Files that are not even listed are fetched by their folders."""
    found = unpulled_files(
        Manifest("r", 1, True, (), beyond=7), "job", FILES, ("out/**", "a/b/*.pt")
    )

    assert found.what == "only on the pod: 7 outputs beyond the 100,000 that can be listed"
    assert f"tar -chf - -- a out | tar -xf - -C {FILES}" in found.fetch


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "$(touch x)", "-rf"])
def test_a_pods_words_are_no_commands(path: str) -> None:
    """What leads out is in no command; the rest is quoted and behind `--`."""
    command = fetch_command("job", [path, "out/a"], FILES, ("out/**",))
    words = shlex.split(command.partition(" | ")[0])

    assert words[:6] == ["podctl", "exec", "job", "--", "tar", "-chf"]
    assert words[8:] == ([path, "out/a"] if path[0] in "$-" else ["out/a"])


def test_a_forged_reason_makes_no_line_of_ours() -> None:
    """Line breaks and control sequences of the pod's text are gone, and it is short."""
    left = (Left("out/a", "x\nerror: all is lost\x1b[2J" + "y" * 1000),)
    found = unpulled_files(Manifest("r", 1, True, (), left), "job", FILES, ("out/**",))

    assert "\n" not in found.what
    assert "\x1b" not in found.what
    assert len(found.what) < 400
