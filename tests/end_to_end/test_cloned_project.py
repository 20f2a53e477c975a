"""What a project that one cloned can take along: not the account's key, nor a secret unasked."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from controller.errors import Refused, UsageError
from controller.project import consent
from controller.project.project import Project
from controller.terminal.terminal import Terminal
from jobs.stage import Stage
from tests.support.guard_api import Api, serving
from tests.support.laptop import Laptop
from tests.support.shell import Shell

ORIGIN = '[core]\n\tbare = false\n[remote "origin"]\n\turl = https://me:ghp_x@example.com/a/b.git\n'
STAGE = """
[stages.{name}]
title = "t"
command = ["sh", "-c", "env > out/{name}"]
outputs = ["out/**"]
criteria = [{{ kind = "exists", path = "out/{name}" }}]
hours = 0.01
max_hours = 0.1
secrets = {secrets}
"""


@pytest.fixture(autouse=True)
def _own_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's user has used nothing before."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "user"))


@pytest.fixture
def talk() -> io.StringIO:
    return io.StringIO()


def project(folder: Path, *stages: tuple[str, list[str]], provider: str = "runpod") -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    tables = "".join(STAGE.format(name=name, secrets=json.dumps(names)) for name, names in stages)
    head = f'[project]\nname = "p"\nprovider = "{provider}"\n'
    (folder / "podctl.toml").write_text(head + tables)
    return Project(folder)


def own(one: Project) -> list[Stage]:
    return [stage for stage in one.stages.values() if stage.command[0] == "sh"]


def records(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "user").rglob("projects/*.json"))


def test_plan_sends_the_account_key_to_no_address_of_a_project_file(
    laptop: Laptop, tmp_path: Path
) -> None:
    """Nothing arrives there, from no command; the refusal says why and what to do instead."""
    laptop.write()
    config = laptop.folder / "podctl.toml"
    thief = Api()
    with serving(thief) as url:
        text = config.read_text().replace('"emulator"', f'"runpod"\napi_base_url = "{url}"')
        config.write_text(text)
        laptop.environment = {"RUNPOD_API_KEY": "rpa_REALACCOUNTKEY0123456789abcdef"}
        plan = laptop.podctl("plan", expect=UsageError.exit_code)
        for words in (["doctor"], ["gc"], ["gpus"], ["run", "hello", "-y"], ["doctor", "--drill"]):
            said = laptop.podctl(*words, expect=UsageError.exit_code)
            assert "another API than RunPod's" in said.out + said.err, words

    assert thief.calls == []
    assert "RUNPOD_API_BASE_URL" in plan.err
    assert "may come from anybody" in plan.err


def test_a_secret_is_given_after_a_yes_and_from_then_on(laptop: Laptop, tmp_path: Path) -> None:
    """`-y` rents and gives nothing; the flag is named; a yes is kept outside of the project."""
    laptop.write()
    config = laptop.folder / "podctl.toml"
    config.write_text(
        config.read_text().replace("hours = 0.01", 'secrets = ["MY_TOKEN"]\nhours = 0.01')
    )
    laptop.environment = {"MY_TOKEN": "kanarienvogel-4711"}
    plan = laptop.podctl("plan", "hello", expect=UsageError.exit_code)
    refused = laptop.podctl("run", "hello", "-y", expect=UsageError.exit_code)
    pods = laptop.cloud.state()["pods"]
    laptop.podctl("run", "hello", "-y", "--give-secrets")
    laptop.podctl("unlock", "hello", "--reason", "again")
    again = laptop.podctl("run", "hello", "-y")

    assert "secrets that its jobs receive: MY_TOKEN (hello)" in plan.out
    assert "--give-secrets" in refused.err
    assert "MY_TOKEN" in refused.err
    assert pods == []
    assert "secrets that its jobs receive: MY_TOKEN (hello)" in again.err
    assert [stat.S_IMODE(path.stat().st_mode) for path in records(tmp_path)] == [0o600]
    assert "kanarienvogel" not in records(tmp_path)[0].read_text()


def test_a_yes_is_of_one_folder_and_of_the_names_that_were_asked_for(tmp_path: Path) -> None:
    """Another clone is asked for anew, and so is a name that comes later."""
    first = project(tmp_path / "a", ("one", ["HF_TOKEN"]))
    other = project(tmp_path / "b", ("one", ["HF_TOKEN"]))
    consent.ask(first, own(first), Terminal(source=io.StringIO()), give=True)
    later = project(tmp_path / "a", ("one", ["HF_TOKEN"]), ("two", ["AWS_SECRET_ACCESS_KEY"]))

    assert consent.lacking(first, own(first)) == ()
    assert consent.lacking(other, own(other)) == ("HF_TOKEN",)
    assert consent.lacking(later, own(later)) == ("AWS_SECRET_ACCESS_KEY",)
    with pytest.raises(UsageError) as asked:
        consent.ask(later, own(later), Terminal(source=io.StringIO()), give=False)
    assert "AWS_SECRET_ACCESS_KEY" in asked.value.what
    assert "HF_TOKEN" not in asked.value.what
    with pytest.raises(Refused, match="AWS_SECRET_ACCESS_KEY"):
        consent.check(later, own(later)[1])
    consent.check(later, own(later)[0])


def test_a_record_in_the_project_itself_allows_nothing(tmp_path: Path) -> None:
    """A clone may bring a `.podctl` along; a broken record of the user's is none."""
    one = project(tmp_path / "a", ("one", ["HF_TOKEN"]))
    told = json.dumps({"folder": str(one.root), "since": 1.0, "secrets": ["HF_TOKEN"]})
    for path in (one.root / ".podctl" / "projects" / "x.json", one.root / "projects" / "x.json"):
        path.parent.mkdir(parents=True)
        path.write_text(told)
    assert consent.lacking(one, own(one)) == ("HF_TOKEN",)

    consent.allow(one, ["HF_TOKEN"])
    (kept,) = records(tmp_path)
    for broken in ("", "[]", "{}", '{"secrets": 3}', "[" * 100_000, "\xff"):
        kept.write_text(broken, encoding="latin-1")
        assert consent.lacking(one, own(one)) == ("HF_TOKEN",)


@pytest.mark.parametrize("provider", ["runpod", "emulator"])
def test_the_first_use_says_whose_commands_would_run_and_where(
    tmp_path: Path, talk: io.StringIO, provider: str
) -> None:
    """A notice, once, with the remote without its login; nothing is asked."""
    one = project(tmp_path / "a", ("one", []), provider=provider)
    (one.root / ".git").mkdir()
    (one.root / ".git" / "config").write_text(ORIGIN)
    terminal = Terminal(err=talk, source=io.StringIO())
    consent.introduce(one, one.stages.values(), terminal)
    told = talk.getvalue()
    consent.introduce(one, one.stages.values(), terminal)

    assert f"first use of {one.root} on this machine, a clone of example.com/a/b.git" in told
    assert "ghp_x" not in told
    assert ("on THIS machine" in told) is (provider == "emulator")
    assert "sh -c env > out/one" in told
    assert "remote.stages" not in told  # podctl's own programs are no news
    assert talk.getvalue() == told


def test_state_that_came_with_the_folder_is_named(tmp_path: Path, talk: io.StringIO) -> None:
    """A key that others know would let them into this user's pods."""
    one = project(tmp_path / "a", ("one", []))
    one.state_dir.mkdir()
    one.private_key.write_text("x")
    consent.introduce(one, own(one), Terminal(err=talk, source=io.StringIO()))

    assert "others may know its SSH key" in talk.getvalue()
    assert f"rm -r {one.state_dir}" in talk.getvalue()


def test_a_project_that_podctl_init_wrote_is_the_users_own(shell: Shell, tmp_path: Path) -> None:
    """It is known from the start."""
    one = tmp_path / "new"
    shell("init", str(one))

    assert consent.known(Project(one)) is not None


def test_where_nothing_can_be_remembered_nothing_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yes that cannot be kept is an error with the place; the notice comes again, that is all."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    one = project(tmp_path / "a", ("one", ["HF_TOKEN"]))
    consent.introduce(one, own(one), Terminal(err=io.StringIO()))

    with pytest.raises(UsageError) as caught:
        consent.ask(one, own(one), Terminal(source=io.StringIO()), give=True)
    assert str(tmp_path / "file") in caught.value.where
