"""`{name}` in a stage's command is the value of that parameter; every other brace stays."""

from __future__ import annotations

import subprocess

import pytest

from jobs.arguments import filled, misspelt

ODD = 'it\'s a "$HOME" `x` \\ {lr}'
PARAMETERS = {"lr": 1e-4, "n": 3, "on": True, "name": ODD, "optimizer": {"beta": 0.9}, "l": [1, 2]}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("{lr}", "0.0001"),
        ("--n={n}", "--n=3"),
        ("{on}", "true"),
        ("{optimizer.beta}", "0.9"),
        ("{l}", "[1, 2]"),
        ('{"a": {n}}', '{"a": 3}'),
        ("{name}", ODD),
        ("{{n}}", "{n}"),
        ("{nothing}", "{nothing}"),
        ("{{nothing}}", "{{nothing}}"),
        ("{{ n }}", "{{ n }}"),
        ("${n}", "${n}"),
        ("{a,b}", "{a,b}"),
        ("{}", "{}"),
        ("{{{n}}}", "{{n}}"),
        ("awk '{print $1}'", "awk '{print $1}'"),
    ],
)
def test_a_brace_is_replaced_only_where_it_names_a_parameter(word: str, meant: str) -> None:
    """Doubled braces are the text; after a `$` it is a shell's variable."""
    assert filled(["python", word], PARAMETERS) == ("python", meant)


@pytest.mark.parametrize("shell", [("sh", "-c"), ("bash", "-euo", "pipefail", "-c")])
@pytest.mark.parametrize("quoted", ["{name}", "'{name}'", '"{name}"', "a'b'\"c\"'{name}'"])
def test_a_shell_reads_exactly_the_value(shell: tuple[str, ...], quoted: str) -> None:
    """Whatever quotes stand around it, a value is one word and runs no command."""
    command = filled([*shell, f"printf %s {quoted}"], PARAMETERS)
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert shown == quoted.replace("{name}", "").replace("a'b'\"c\"", "abc").strip("'\"") + ODD


def test_an_argument_of_a_script_is_not_quoted() -> None:
    """Only what a shell reads as a program is."""
    command = ["sh", "run.sh", "-c", "{name}"]

    assert filled(command, PARAMETERS)[-1] == ODD


def test_a_misspelt_name_is_reported_with_the_one_that_is_near() -> None:
    """It stays as it is, so it would reach the script."""
    parameters = {"learning_rate": 1, "n": 2}
    command = ["python", "{learnin_rate}", "{n}", "{other}"]

    assert misspelt(command, parameters) == (("learnin_rate", "learning_rate"),)
