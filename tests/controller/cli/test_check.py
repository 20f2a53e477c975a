"""`podctl check`, `schema`, `completion`, `ssh-config` and `init`: all without network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest

from controller.cli.examples import EXAMPLES
from controller.cli.group import COMMANDS
from controller.cli.ssh_config import added
from controller.project.config import example
from controller.project.schema import schema
from controller.project.templates import TEMPLATES
from tests.support.shell import Shell

ROOT = Path(__file__).resolve().parents[3]
PLANS = sorted((ROOT / "docs" / "how-to").glob("*/podctl.toml"))
BAD = """
[project]
plan = "none"

[stages.a]
command = ["python", "a.py", "{epoch}"]

[stages.b]
command = ["python", "b.py", "{epoch}"]
outputs = ["out/**"]
hours = 1
max_hours = 1
criteria = [{ kind = "exists", path = "out/x" }]
parameters = { epochs = 3 }
inputs = ["data.jsonl"]
secrets = ["NEVER_SET_ANYWHERE"]
requirements = "requirements.txt"
gpu_count = 2
hardware = { gpus = ["H10O"] }
"""
CPU = """
[project]
plan = "none"

[stages.b]
command = "true"
outputs = ["out/**"]
hours = 1
max_hours = 1
criteria = [{ kind = "exists", path = "out/x" }]
hardware = { gpus = ["H100"], cpu = "cpu9c" }
"""


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)


@pytest.mark.parametrize(
    ("text", "demand"),
    [
        ("[stages.Sft]", "a letter first, at most 32 in all"),
        (f"[stages.{'s' * 33}]", "a letter first, at most 32 in all"),
        ('[project]\nname = "a b"', "letters, digits, dots, - and _, at most 63"),
        ("[project]\nkeep_warm_minutes = 1", "unknown key; it belongs in [pod]"),
        ("keep_warm_minutes = 1", "unknown key; it belongs in [pod]"),
        ('[notify]\nto = ["OTHER"]', "a variable that begins with PODCTL_NOTIFY"),
        ('[project]\napi_base_url = "ftp://a"', "must begin with http:// or https://"),
    ],
)
def test_where_a_key_belongs_and_what_a_name_may_be_is_said_in_words(
    shell: Shell, tmp_path: Path, text: str, demand: str
) -> None:
    """Not as a regular expression."""
    own = """
command = ["true"]
outputs = ["out/**"]
hours = 1
max_hours = 1
criteria = [{ kind = "exists", path = "out/x" }]
"""
    (tmp_path / "podctl.toml").write_text(text + (own if "stages" in text else "\n"))
    refused = shell("check", expect=2) + shell.err
    assert demand in " ".join(refused.split())
    assert "pattern" not in refused


def test_a_command_without_the_name_of_a_pod_is_explained(shell: Shell) -> None:
    """What follows `--` is never taken for the name."""
    shell("exec", "--", "sh", "-c", "ls /", expect=2)
    assert "podctl exec STAGE -- sh -c 'ls /'" in shell.err


def test_everything_wrong_is_told_at_once_without_network(shell: Shell, tmp_path: Path) -> None:
    """First stages that are not defined, with all the keys they lack; then what they name."""
    path = tmp_path / "podctl.toml"
    path.write_text(BAD)
    undefined = shell("check", expect=2)
    path.write_text(BAD.replace('[stages.a]\ncommand = ["python", "a.py", "{epoch}"]\n', ""))
    found = shell.json("check", expect=2)
    what = [problem["what"] for problem in found["problems"]]

    assert "stages.a: outputs, criteria, hours and max_hours are required" in undefined
    assert "line 5" in undefined
    assert "b needs NEVER_SET_ANYWHERE, which is not set here" in what
    assert "b: the input data.jsonl is missing" in what
    assert "b: the input requirements.txt is missing" in what
    assert "b cannot start: b.py is not in the upload" in what
    assert any("{epoch}" in one and "'epochs'" in one for one in found["remarks"])
    assert any("'H10O'" in one and "H100" in one for one in found["remarks"])


def test_a_cpu_pod_is_checked_too(shell: Shell, tmp_path: Path) -> None:
    """A flavor that is unknown here, and GPUs that such a pod does not have, are remarks."""
    (tmp_path / "podctl.toml").write_text(CPU)

    assert [line.partition("; ")[0] for line in shell.json("check")["remarks"]] == [
        "b: hardware.cpu asks for a pod without GPU",
        "b: no CPU flavor 'cpu9c' is known here",
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[stages]\nstage1a = false", 'must be a table; [project] plan = "none" leaves out'),
        ('[stages.stage1a]\noutputs = "x"', 'outputs: must be a list, like ["x"]'),
        ("[stages.stage1a]\ninputs = ['/x']", "inputs.0: must be a plain relative path"),
        ("[pod]\ndisk_gb = 'x'", "pod.disk_gb (line 2): must be a whole number"),
        ("[stages.stage1a]\ngpu_count = 'x'", "stages.stage1a.gpu_count: must be a whole"),
        ("[stages.stage1a]\nparameters = { a = { b = nan } }", "parameters.a.b must be a finite"),
        ("[stages.stage1a]\noutputs = []", "outputs: must have at least 1 item"),
        ("[stages.stage1a]\ngpu_count = 2\nhardware = { gpu_count = 1 }", "gpu_count: is said"),
        ('[stages.stage1a]\nimage = "run pod/x"', "image: is no name of an image"),
        ('[pod]\nimage = "https://x/y"', "pod.image (line 2): is no name of an image"),
        ("[stages.stage1a]\nstall_minutes = inf", "stall_minutes: must be a finite number"),
        ("[stages.stage1a]\nhours = 1e300", "hours: must be less than or equal to 10000"),
        ("[stages.stage1a.hardware]\nmax_usd_per_hour = inf", "must be a finite number"),
        (
            "[stages.stage1a]\nparameters = { a = 2020-01-01 }",
            "parameters.a (line 2): must be text",
        ),
        ("[stages.stage1a]\ncriteria = [{ equals = 12:00:00 }]", "criteria.0.equals (line 2)"),
        ('[stages."größe"]\nhours = 1', "stages.größe: is no name of a stage"),
        ("[stages.all]\nhours = 1", "stages.all: must have another name"),
        (f"[stages.a.parameters]\nb = {'9' * 5000}", "podctl.toml is not TOML"),
        ("[notify]\nto = ['https://x/secret']", "notify.to.0 (line 2): must be the name of a var"),
    ],
)
def test_a_mistake_in_podctl_toml_is_told_in_plain_words(
    shell: Shell, tmp_path: Path, line: str, told: str
) -> None:
    """No validator's terms: what it must be instead."""
    (tmp_path / "podctl.toml").write_text(line + "\n")
    shown = shell("check", expect=2) + shell.err

    assert told in shown
    assert "Input should" not in shown
    assert "Value error" not in shown


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.parent.name)
def test_the_schema_accepts_what_podctl_accepts(path: Path) -> None:
    """Every project of docs/how-to, and the example of `podctl init`."""
    for text in (path.read_text(), example()):
        jsonschema.validate(tomllib.loads(text), schema())


def test_the_schema_describes_every_key_and_refuses_unknown_ones() -> None:
    """Editors show the descriptions."""
    made = schema()
    keys = {
        f"{name}.{key}": found
        for name, definition in [("", made), *made["$defs"].items()]
        for key, found in definition.get("properties", {}).items()
    }
    silent = [name for name, found in keys.items() if "description" not in found]

    assert silent == []
    assert {"Stage.gpu_count", "Stage.requirements", "Stage.image", "Stage.ports"} <= {*keys}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"stages": {"a": {"comand": ["x"]}}}, made)


def test_init_leads_editors_to_the_schema(shell: Shell, tmp_path: Path) -> None:
    """The first line names a file that is there; --plan none has no stage of podctl's."""
    shell("init", "--plan", "none")
    first = (tmp_path / "podctl.toml").read_text().splitlines()[0]
    named = tmp_path / first.removeprefix("#:schema ")

    assert json.loads(named.read_text()) == schema()
    assert shell.json("check")["stages"] == []
    assert "no stage" in shell("plan", expect=2) + shell.err


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_a_template_is_a_project_without_a_problem(shell: Shell, tmp_path: Path, name: str) -> None:
    """Its stages' scripts, data and model are there; what was there before stays."""
    (tmp_path / "README.md").write_text("mine")
    shell("init", "--template", name, "--name", "mine")
    found = shell.json("check")
    stages = tomllib.loads((tmp_path / "podctl.toml").read_text())["stages"]

    assert found["problems"] == []
    assert found["stages"] == list(stages)
    assert list(stages) == list(TEMPLATES[name].stages or stages)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert not any((tmp_path / path).exists() for path in TEMPLATES[name].without)


def test_a_template_keeps_what_is_there_and_says_so(shell: Shell, tmp_path: Path) -> None:
    """A script of the user's own in the place of the template's is what would run."""
    (tmp_path / "train.py").write_text("mine")
    (tmp_path / ".gitignore").write_bytes(b"caf\xe9\n")
    shell("init", "--template", "own-script")

    assert "train.py: was here and was kept; the template has another" in shell.err
    assert (tmp_path / "train.py").read_text() == "mine"
    assert (tmp_path / ".gitignore").read_bytes().startswith(b"caf\xe9\n.podctl/")


def test_a_file_in_the_place_of_a_folder_of_the_template_is_an_error(
    shell: Shell, tmp_path: Path
) -> None:
    """Not a traceback."""
    (tmp_path / "src").write_text("a file")
    shell("init", "--template", "transformers", expect=2)

    assert "cannot write the template's files" in shell.err


def test_an_unknown_template_names_the_known_ones(shell: Shell) -> None:
    """`--template list` prints them."""
    shell("init", "--template", "nothing", expect=2)

    assert "trl-sft-chat" in shell.err
    assert "trl-sft-chat" in shell("init", "--template", "list")


def test_names_are_completed(shell: Shell, tmp_path: Path) -> None:
    """Stages of podctl.toml and runs of the project, by the script of `podctl completion`."""
    (tmp_path / "podctl.toml").write_text(BAD)
    (tmp_path / ".podctl" / "runs" / "b-0001").mkdir(parents=True, mode=0o700)
    for words, expected in {"podctl plan ": "a b", "podctl stop b": "b b-0001"}.items():
        script = f"""
            source <(podctl completion bash)
            COMP_WORDS=({words}{"''" if words.endswith(" ") else ""}); COMP_CWORD=2
            _podctl_completion podctl
            echo "${{COMPREPLY[@]}}"
        """
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == expected.split()


def test_every_command_has_an_example() -> None:
    """In its `--help`."""
    assert set(COMMANDS) <= set(EXAMPLES)


def test_the_include_line_is_added_once_before_everything_else(tmp_path: Path) -> None:
    """Below a Host line it would hold for that host only; a link stays one, the mode too."""
    real = tmp_path / "dotfiles"
    real.write_text("Host x\n  User y\n")
    real.chmod(0o640)
    path = tmp_path / ".ssh" / "config"
    path.parent.mkdir()
    path.symlink_to(real)

    assert added(path, "Include /p/.podctl/ssh_config")
    assert not added(path, "Include /p/.podctl/ssh_config")
    assert real.read_text() == "Include /p/.podctl/ssh_config\n\nHost x\n  User y\n"
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("option", [("--budget", "nan"), ("--max-usd-per-hour", "inf")])
def test_an_amount_without_end_is_no_amount(
    shell: Shell, tmp_path: Path, option: tuple[str, str]
) -> None:
    """It compares with every limit as nobody expects."""
    (tmp_path / "podctl.toml").write_text(CPU)
    shell("run", "b", "-y", *option, expect=2)

    assert "is no finite number" in shell.err
