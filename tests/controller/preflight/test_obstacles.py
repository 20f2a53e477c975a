"""What stands in a run's way is seen before anything is rented, by `plan` and `run` alike."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from controller.preflight import model_hub as hub
from controller.runtime.upload_run import startable
from controller.transfer.snapshot import take
from tests.support.hub_server import Hub, serving
from tests.support.shell import Shell

DATA = "data/stage1/sft_training_data.jsonl"
PAIRS = [{"prompt": f"What is {n}?", "completion": f"It is {n}."} for n in range(40)]
SMALL = """
[stages.stage1c]
hours = 0.1
max_hours = 0.3
hardware = { disk_gb = 10, volume_gb = 10 }

[stages.stage1c.parameters]
instructions = "small"
"""


@pytest.fixture
def both(shell: Shell) -> Iterator[Shell]:
    """Afterwards no run was ever begun."""
    yield shell
    assert not list(shell.project.runs.glob("*"))


def change(shell: Shell, *pairs: tuple[str, str], more: str = "") -> None:
    file = shell.project.file
    text = file.read_text()
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    file.write_text(text + more)


def refused(shell: Shell, stage: str, code: int, *texts: str) -> None:
    """`plan` and `run` end with the same code, and both say it."""
    planned = shell("plan", stage, expect=code) + shell.err
    shell("run", stage, "-y", expect=code)
    for text in texts:
        assert text in planned, planned
        assert text in shell.err, shell.err


def test_a_script_with_windows_line_ends(both: Shell) -> None:
    """Case 10-cmd-crlf-script: refused with the command that mends it."""
    (both.project.root / "job.sh").write_bytes(b"#!/bin/bash\r\necho hi\r\n")
    change(both, ('["bash", "job.sh"]', '["./job.sh"]'))
    refused(both, "hello", 2, "Windows line ends", "sed -i")


def test_a_program_that_is_not_sent(both: Shell) -> None:
    """Case 10-cmd-no-such: the nearest file is named."""
    change(both, ('["bash", "job.sh"]', '["bash", "jbo.sh"]'))
    refused(both, "hello", 2, "jbo.sh is not in the upload", "did you mean job.sh?")


def test_a_secret_that_is_not_set(both: Shell) -> None:
    """`plan` says it too, with the exit code that `run` has."""
    change(both, ("hours = 0.01\n", 'hours = 0.01\nsecrets = ["MY_KEY"]\n'))
    refused(both, "hello", 2, "MY_KEY, which is not set here", "export MY_KEY")


def test_an_upload_that_is_refused(both: Shell) -> None:
    """What `run` would not send, `plan` does not promise."""
    (both.project.root / "in.txt").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    refused(both, "hello", 2, "looks like a private key")


def test_a_command_in_one_text_is_run_by_a_shell(both: Shell) -> None:
    """And shown as such; a list is shown as one would type it."""
    assert "runs: bash job.sh" in both("plan", "hello")
    change(both, ('["bash", "job.sh"]', '"bash job.sh && echo $HOME"'))
    assert "runs: sh -c 'bash job.sh && echo $HOME'" in both("plan", "hello")
    change(both, ('"bash job.sh && echo $HOME"', '""'))
    both("plan", "hello", expect=2)
    assert "stages.hello.command: is empty" in both.err
    change(both, ('command = ""', "command = true"))
    both("plan", "hello", expect=2)
    assert "must be a list of words, or one text" in both.err


def test_a_remark_is_in_nobodys_way(both: Shell) -> None:
    """A program that only the image can have is told, and planned."""
    change(both, ('["bash", "job.sh"]', '["accelerate-launcher", "launch", "job.sh"]'))
    (one,) = both.json("plan", "hello")["pods"]

    assert one["ready"]
    assert one["obstacles"] == []
    assert "did you mean accelerate?" in one["remarks"][0]


def test_a_script_without_its_run_bit_gets_it(both: Shell) -> None:
    """Many ways of copying lose it: the pod's copy has it, and `plan` says so."""
    (both.project.root / "job.sh").write_text("#!/bin/bash\n")
    (both.project.root / "job.sh").chmod(0o644)
    change(both, ('["bash", "job.sh"]', '["./job.sh"]'))

    assert "job.sh gets its run bit on the pod" in both("plan", "hello")
    taken = take(both.project.root, ["job.sh", "in.txt"])
    sent = startable(taken, both.project.stage("hello"))
    assert {one.path: one.mode for one in sent.files} == {"job.sh": 0o755, "in.txt": 0o644}
    assert sent.tree != taken.tree
    assert startable(sent, both.project.stage("hello")) == sent


def training(shell: Shell, text: str, model: str = "small", encoding: str = "utf-8") -> None:
    """The project with stage1c, whose data is `text`."""
    path = shell.project.root / DATA
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    change(shell, ('name = "try"', f'name = "try"\nmodel = "{model}"'), more=SMALL)


def lines(records: list[dict[str, str]]) -> str:
    return "".join(json.dumps(one) + "\n" for one in records)


def test_training_data_is_read_before_a_pod_is(both: Shell) -> None:
    """Case 22: an empty completion in the middle is told with its line, for nothing."""
    training(both, lines([*PAIRS[:20], {"prompt": "a", "completion": ""}, *PAIRS[20:]]))
    refused(both, "stage1c", 2, f"{DATA}, line 21: completion must be text with something in it")


def test_training_data_of_another_encoding(both: Shell) -> None:
    """Case 22: UTF-16 is named, with the command that mends it."""
    training(both, lines(PAIRS), encoding="utf-16")
    refused(both, "stage1c", 2, "UTF-16", "iconv")


def test_training_data_with_a_chat_template_in_it(both: Shell) -> None:
    """What the pod would find with its tokenizer is found by its markup."""
    training(both, lines([*PAIRS, {"prompt": "<|im_start|>user", "completion": "x"}]))
    refused(both, "stage1c", 2, "line 41: the text holds '<|im_start|>'")


def test_what_is_converted_is_told(both: Shell) -> None:
    """Case 22: chat messages are taken, and the plan says how many."""
    chats = [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    ] * 40
    training(both, "".join(json.dumps(one) + "\n" for one in chats))
    assert f"{DATA}: 40 pairs, 40 records converted from chat messages" in both("plan", "stage1c")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("learning_rat = 1.0", "learning_rat is unknown; did you mean learning_rate"),
        ("batch = 0", "batch is 0"),
        ('epochs = "3"', "epochs must be of type float"),
    ],
)
def test_a_wrong_parameter_costs_no_pod(both: Shell, line: str, text: str) -> None:
    """The stage's own program would say it on the pod."""
    training(both, lines(PAIRS))
    change(both, more=f"{line}\n")
    refused(both, "stage1c", 2, text, "[stages.stage1c.parameters]")


def test_instructions_that_are_no_set(both: Shell) -> None:
    """Neither a set that comes along nor a folder of the project."""
    training(both, lines(PAIRS))
    change(both, ('instructions = "small"', 'instructions = "smal"'))
    refused(both, "stage1c", 2, "'smal': no set and no folder of this name")


@pytest.mark.parametrize("model", ["no/such/id", "Qwen/Qwen2.5-32B ", "../x", "/models/mine"])
def test_a_model_of_an_impossible_name(both: Shell, model: str) -> None:
    """Case 30: it is told before the hub or a pod is asked."""
    training(both, lines(PAIRS), model=model)
    refused(both, "stage1c", 2, f"the model {model!r}")


def test_a_model_that_is_here_and_not_sent(both: Shell) -> None:
    """On the pod its name would be taken for the hub's."""
    training(both, lines(PAIRS), model="models/mine")
    (both.project.root / "models/mine").mkdir(parents=True)
    (both.project.root / "models/mine/config.json").write_text("{}")
    refused(both, "stage1c", 2, "the model in models/mine would not be sent")
    change(both, more='\n[upload]\ninclude = ["models/mine"]\n')
    both("plan", "stage1c")


def test_a_model_that_the_hub_does_not_give(both: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 30: asked with the token that the job would have; refused for nothing."""
    training(both, lines(PAIRS), model="some/model")
    hub._asked.cache_clear()
    with serving(Hub({"config.json": b"{}"})) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        both("plan", "stage1c")
        hub._asked.cache_clear()
        served.refusals["some/model"] = (403, "GatedRepo", "you are not in the authorized list")
        refused(both, "stage1c", 10, "does not let the job read", "not in the authorized list")
        monkeypatch.setenv("HF_TOKEN", "hf_kanarienvogelkanarienvogel")
        refused(both, "stage1c", 10, 'secrets = ["HF_TOKEN"]')
        assert set(served.tokens) == {""}  # what the stage may not have is not used
        change(both, ("max_hours = 0.3\n", 'secrets = ["HF_TOKEN"]\nmax_hours = 0.3\n'))
        refused(both, "stage1c", 10, "with the token")
        assert served.tokens[-1] == "Bearer hf_kanarienvogelkanarienvogel"
    hub._asked.cache_clear()


def test_all_obstacles_are_shown_at_once(both: Shell) -> None:
    """Nobody mends one thing after the other; `run` names the others too."""
    change(
        both,
        ('["bash", "job.sh"]', '["bash", "jbo.sh"]'),
        ("hours = 0.01\n", 'hours = 0.01\nsecrets = ["MY_KEY"]\n'),
    )
    refused(both, "hello", 2, "MY_KEY", "jbo.sh")
    (one,) = both.json("plan", "hello", expect=2)["pods"]
    assert [row["kind"] for row in one["obstacles"]] == ["secret", "program"]
    assert not one["ready"]


def test_a_link_that_leads_nowhere_is_refused_alike(both: Shell) -> None:
    """A project that cannot be read is no traceback in `plan`."""
    (both.project.root / "job.sh").unlink()
    (both.project.root / "job.sh").symlink_to("nowhere")
    refused(both, "hello", 3, "job.sh")
    (both.project.root / "in.txt").unlink()
    refused(both, "hello", 3, "in.txt")
