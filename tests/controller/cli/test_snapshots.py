"""`--help` of every command and the catalogue of errors, word for word, and without jargon.

To accept a change, run this file with PODCTL_UPDATE_SNAPSHOTS=1 and read the diff:
`PODCTL_UPDATE_SNAPSHOTS=1 python -m pytest -n 0 tests/controller/cli/test_snapshots.py`
"""

from __future__ import annotations

import ast
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from controller import errors, incident
from controller.cli.group import EXIT_CODES, podctl
from controller.terminal.terminal import Terminal

ROOT = Path(__file__).resolve().parents[3]
SNAPSHOTS = Path(__file__).with_name("snapshots")
UPDATE = "PODCTL_UPDATE_SNAPSHOTS"
WIDTH = 80
SOURCES = sorted(
    [*(ROOT / "controller" / "cli").glob("*.py"), *(ROOT / "controller" / "terminal").glob("*.py")]
    + [Path(inspect.getfile(module)) for module in (errors, incident)]
)
ERROR_WORDS = ("what", "where", "cause", "hint")
# Wording that must not come back, each with a sentence in which it is found.
FORBIDDEN = {
    r"\bwhat (runs|is)( on pods)? goes? on\b": "what runs goes on",
    r"\bcarr(y|ies|ied) .{0,40}\bon\b": "carry unfinished runs (of STAGES, or all) on",
    r"\bcome back\b": "come back as soon as the job runs",
    r"\bwhose they are\b": "by whose they are",
    r"\bwho(ever|so)? (could|drives|comes|goes)\b": "who could tell the state",
    r"\b(is|are|was) (told|said|asked)\b": "it is told before renting",
    r"\bnobody (comes|came|asked|answers)\b": "when nobody comes",
    r"\b(the|a) mend\b|\bmend (the|it)\b": "mend the disk",
    r"\bfor (ever|good)\b": "the provider says no for good",
    r"(?<!-)\banew\b": "the key is drawn anew",
    r"\b(stands?|hangs?|stood|hung) on\b": "what hangs on it",
    r"\bhome\b": "bring the artifacts home",
    r"\bembedded cloud\b": "on the embedded cloud",
    r"\b(a|the) person\b": "until a person decides",
    r"\bmistake of (its|podctl's|our) own\b": "podctl made a mistake of its own",
    r"\bin the way of\b": "nothing in the way of stage1c",
    r"\bmakes? no sense\b": "the answer makes no sense",
    r"\ba word\b|\bwithout a word\b": "it ended without a word",
    r"\btalk\b": "talk to stderr",
    r"\bgives? .{0,20}\bno more\b": "this machine gives podctl no more open files",
}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command and subcommand."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        yield (*path, name)
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = [(), *commands(podctl)]


def help_of(path: tuple[str, ...]) -> str:
    done = CliRunner().invoke(
        podctl, [*path, "--help"], prog_name="podctl", obj=Terminal(), terminal_width=WIDTH
    )
    assert done.exit_code == 0
    return done.output


def catalogue() -> str:
    """Every class of error with its code, and every text of an error in the command line."""
    lines = [f"exit {code}: {meaning}" for code, meaning in EXIT_CODES]
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.PodctlError):
            first = (kind.__doc__ or "").splitlines()[0]
            lines.append(f"{kind.__name__} ({kind.code}, exit {kind.exit_code}): {first}")
    for path in SOURCES:
        for call in raised(path):
            lines += ["", path.relative_to(ROOT).as_posix(), *call]
    return "\n".join(lines) + "\n"


def raised(path: Path) -> Iterator[list[str]]:
    """For each error that a module builds from literals: its words, with {} for values."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and is_error(node.func.id)
        ):
            given = [(ERROR_WORDS[0], one) for one in node.args[:1]]
            given += [(one.arg or "", one.value) for one in node.keywords]
            words = [f"  {label}: {text}" for label, value in given if (text := literal(value))]
            if words:
                yield words


def is_error(name: str) -> bool:
    kind = getattr(errors, name, None)
    return name == "kind" or (isinstance(kind, type) and issubclass(kind, errors.PodctlError))


def literal(value: ast.expr) -> str:
    """The text of a string or an f-string; empty for any other expression."""
    if isinstance(value, ast.JoinedStr):
        return "".join(literal(part) or "{}" for part in value.values)
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def compare(name: str, text: str) -> None:
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get(UPDATE):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path} is missing: run this file once with {UPDATE}=1"
    assert text == path.read_text(encoding="utf-8"), f"if this is meant: run with {UPDATE}=1"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_is_as_recorded(path: tuple[str, ...]) -> None:
    """The help of each command at 80 columns is the recorded one."""
    compare("-".join(("podctl", *path)), help_of(path))


def test_the_error_catalogue_is_as_recorded() -> None:
    """Exit codes, classes of errors and the texts of the command line's errors."""
    compare("errors", catalogue())


def test_no_snapshot_is_left_over() -> None:
    """Each file belongs to a command that exists."""
    wanted = {"errors.txt", *("-".join(("podctl", *path)) + ".txt" for path in COMMANDS)}

    assert {path.name for path in SNAPSHOTS.iterdir()} == wanted


@pytest.mark.parametrize("phrase", FORBIDDEN)
def test_forbidden_phrases_are_found_in_their_example(phrase: str) -> None:
    """Each pattern matches what it is there for."""
    assert re.search(phrase, FORBIDDEN[phrase], re.IGNORECASE)


def test_help_and_errors_have_no_forbidden_phrase() -> None:
    """The style guide's wording is kept in every help text and error."""
    texts = {" ".join(("podctl", *path)): help_of(path) for path in COMMANDS}
    texts["errors"] = catalogue()
    found = [
        f"{name}: {match[0]!r}"
        for name, text in texts.items()
        for phrase in FORBIDDEN
        if (match := re.search(phrase, " ".join(text.split()), re.IGNORECASE))
    ]

    assert found == []
