"""A stage's `env`: the job has it, plan shows it, the lock is made of it, and no key is in it."""

from __future__ import annotations

import json

import pytest

from controller.locks.certificate import Certificate, Price
from controller.preflight.program import command_text
from tests.support.laptop import Laptop

READS = 'set -e\nmkdir -p out\necho "{\\"ok\\": true, \\"word\\": \\"$WORD\\"}" > out/result.json\n'


def with_word(laptop: Laptop, word: str) -> None:
    laptop.write()
    (laptop.folder / "job.sh").write_text(READS)
    path = laptop.folder / "podctl.toml"
    path.write_text(path.read_text().replace("hours = 0.01", f"env = {{ {word} }}\nhours = 0.01"))


def test_a_job_finds_its_stages_variables_and_another_value_makes_the_lock_stale(
    laptop: Laptop,
) -> None:
    """One run: what plan shows, what the job reads, what the lock has, what `why` says later."""
    with_word(laptop, "WORD = 'two words'")
    shown = laptop.podctl("plan", "hello").out
    laptop.podctl("run", "hello", "-y")
    lock = json.loads((laptop.folder / "locks" / "hello.json").read_text())
    with_word(laptop, "WORD = 'three'")
    why = laptop.podctl("why", "hello")

    assert "runs: WORD='two words' bash job.sh" in shown
    assert json.loads((laptop.folder / "out" / "result.json").read_text())["word"] == "two words"
    assert lock["env"] == {"WORD": "two words"}
    assert "variable WORD was 'two words', is 'three'" in why.out + why.err


def test_a_value_that_is_a_key_is_refused_before_renting(laptop: Laptop) -> None:
    """podctl.toml is in git: a key belongs into `secrets`; the value is not repeated."""
    key = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567"  # pragma: allowlist secret
    with_word(laptop, f"PLACE = '{key}'")
    said = laptop.podctl("plan", "hello", expect=2).err

    assert "the value of PLACE looks like a secret" in said
    assert 'secrets = ["PLACE"]' in said
    assert key not in said
    assert laptop.creates() == []


@pytest.mark.parametrize(
    ("env", "typed"),
    [({}, "python train.py"), ({"A": "1", "B": "x y"}, "A=1 B='x y' python train.py")],
)
def test_a_command_is_shown_as_one_would_type_it(env: dict[str, str], typed: str) -> None:
    """Its variables before it, quoted."""
    assert command_text(("python", "train.py"), env) == typed


def test_a_lock_without_variables_has_no_word_of_them() -> None:
    """Locks of before there was `env` are the same bytes, and keep their sha256."""
    plain = Certificate(
        stage="a", title="", run="a-0001", criteria=(), artifacts=(), outputs=("x",),
        cost=Price(usd=0, hours=0), started_at=0, ended_at=0, locked_at=0,
    )  # fmt: skip

    assert "env" not in plain.document()
    assert plain.model_copy(update={"env": {"A": "1"}}).sha256 != plain.sha256
