"""Stage 1C for real: the small model is trained, killed, resumed and stopped; its adapter opens."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from controller.locks.answer_key import answer_key
from jobs.catalog import load_stages
from jobs.criteria import evaluate
from remote.stages import sft
from remote.stages.common.failure import StageError
from remote.stages.common.parameters import SftParameters, parse
from remote.stages.instructions.small import dataset
from tests.support import own_instructions, training_stack
from tests.support.stage_process import interrupted, told

REPOSITORY = Path(sft.__file__).parents[2]
OUT = Path("checkpoints/stage1_sft")
DATA = "data/stage1/sft_training_data.jsonl"
PARAMETERS = {
    "model": "small",
    "instructions": "small",
    "max_steps": 60,
    "accumulation": 1,
    "save_steps": 20,
    "log_steps": 2,
    "learning_rate": 5e-4,
}

pytestmark = training_stack.ON_ONE_WORKER


def work_folder(folder: Path) -> Path:
    (folder / DATA).parent.mkdir(parents=True)
    (folder / DATA).write_text(dataset.text(200))
    return folder


def train_here(folder: Path, **changes: Any) -> int:
    """The stage in this process, in `folder`; its exit status."""
    before, handler = Path.cwd(), signal.getsignal(signal.SIGTERM)
    os.chdir(folder)
    try:
        return sft.run(parse(SftParameters, json.dumps(PARAMETERS | changes).encode()))
    finally:
        os.chdir(before)
        signal.signal(signal.SIGTERM, handler)


def losses(folder: Path) -> list[tuple[int, float | None, float | None]]:
    lines = (folder / OUT / "training_log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [(one["step"], one["loss"], one["eval_loss"]) for one in records]


def steps_saved(folder: Path) -> set[int]:
    return {int(path.name.split("-")[1]) for path in (folder / OUT).glob("checkpoint-*")}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PODCTL_METRICS", "PODCTL_RUN_DIR", "PODCTL_PARAMETERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to compare with."""
    folder = work_folder(tmp_path_factory.mktemp("trained"))
    assert train_here(folder) == 0
    return folder


def test_criteria_of_stage1c_pass(trained: Path) -> None:
    """The loss falls, the adapter is there, everything opens: stage1c's own criteria say so."""
    stage = load_stages({"stage1c": {"parameters": {"instructions": "small"}}})["stage1c"]
    findings = evaluate(stage.criteria, trained, answer_key(stage, trained))

    assert [(one.criterion, one.detail) for one in findings if one.status != "PASS"] == []


def test_record_tells_what_was_trained_on_what(trained: Path) -> None:
    """Hyper-parameters, data and versions stand beside the adapter; no path of the machine does."""
    document = json.loads((trained / OUT / "hyperparameters.json").read_text())
    config = json.loads((trained / OUT / "adapter_config.json").read_text())

    assert document["parameters"]["learning_rate"] == 5e-4
    assert document["data"]["trained_on"] == 190
    assert document["environment"]["trl"]
    assert config["base_model_name_or_path"] == "small"
    assert config["r"] == 16
    assert len(config["target_modules"]) == 14  # seven linear layers in each of two blocks
    for name in ("hyperparameters.json", "adapter_config.json", "README.md"):
        assert str(REPOSITORY) not in (trained / OUT / name).read_text()


def test_adapter_opens_and_answers(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """peft loads the adapter onto the base, and the pair answers in words."""
    from remote.stages.open_adapter import ask

    monkeypatch.chdir(trained)
    answer = ask(OUT, "What is the capital of Peru?")

    assert "81,920 adapter weights on small" in answer
    assert "->" in answer


def test_adapter_that_does_not_fit_is_refused(trained: Path, tmp_path: Path) -> None:
    """An adapter of another shape is an error that names its base, not a traceback."""
    from remote.stages.open_adapter import ask

    folder = tmp_path / "adapter"
    shutil.copytree(trained / OUT, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"r": 4}))

    with pytest.raises(StageError, match="does not fit its base 'small'"):
        ask(folder, "What is the capital of Peru?")


def test_kill_and_resume_give_the_same_losses(trained: Path, tmp_path: Path) -> None:
    """kill -9 after the first checkpoint; the second attempt ends bit for bit where one would."""
    folder = work_folder(tmp_path / "killed")
    announced = folder / "announced"
    status, _ = interrupted("sft", folder, PARAMETERS, signal.SIGKILL, announced.exists)
    assert status == -signal.SIGKILL, told(folder)
    assert not (folder / OUT / "hyperparameters.json").exists()

    assert train_here(folder) == 0
    document = json.loads((folder / OUT / "hyperparameters.json").read_text())
    name = "adapter_model.safetensors"
    assert document["result"]["resumed_from"] is not None
    assert losses(folder) == losses(trained)
    assert (folder / OUT / name).read_bytes() == (trained / OUT / name).read_bytes()


def test_nothing_is_gone_on_from_that_was_trained_on_other_data(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last checkpoint and the log of a good training lie there, the data has become another:
    they are set aside, and the adapter is one that has seen the new data alone."""
    folder = tmp_path / "mended"
    shutil.copytree(trained, folder)
    records = [json.loads(line) for line in (folder / DATA).read_text().splitlines()]
    others = [one["response"] for one in records[1:] + records[:1]]
    text = [json.dumps(one | {"response": b}) for one, b in zip(records, others, strict=True)]
    (folder / DATA).write_text("\n".join(text))

    assert train_here(folder, max_steps=20) == 0
    document = json.loads((folder / OUT / "hyperparameters.json").read_text())
    assert document["result"]["resumed_from"] is None
    assert max(step for step, _, _ in losses(folder)) == 20
    assert steps_saved(folder) == {20}
    aside = folder / f"{OUT}.earlier-1"
    assert f"they are now in {aside.relative_to(folder)}" in capsys.readouterr().out
    assert (aside / "checkpoint-60").is_dir()
    assert (aside / "training_log.jsonl").read_bytes() == (
        trained / OUT / "training_log.jsonl"
    ).read_bytes()


def test_a_training_that_was_over_makes_no_step_more(tmp_path: Path) -> None:
    """Ended after the last step of a broken number of epochs, but before the adapter was saved: the
    next attempt leaves the adapter and the log that one would have left."""
    folder = work_folder(tmp_path / "over")
    changes = {"max_steps": 0, "epochs": 0.33, "eval_share": 0.0}
    assert train_here(folder, **changes) == 0
    adapter = folder / OUT / "adapter_model.safetensors"
    before, logged = adapter.read_bytes(), losses(folder)
    adapter.unlink()

    assert train_here(folder, **changes) == 0
    assert adapter.read_bytes() == before
    assert losses(folder) == logged


def test_sigterm_saves_a_checkpoint_and_ends(trained: Path, tmp_path: Path) -> None:
    """An eviction costs no step that was done: a checkpoint is written before the process ends."""
    folder = work_folder(tmp_path / "stopped")
    metrics = folder / "metrics.jsonl"

    def stepping() -> bool:
        return metrics.exists() and '"step": 4,' in metrics.read_text()

    changes = {"save_steps": 1000, "max_steps": 4000}
    status, seconds = interrupted("sft", folder, PARAMETERS | changes, signal.SIGTERM, stepping)

    assert status == sft.ENDED_BY_SIGTERM, told(folder)
    assert seconds < 60
    (step,) = steps_saved(folder)
    assert step >= 4
    assert (folder / "announced").read_text() == f"{OUT}/checkpoint-{step}\n"


def test_only_completion_and_end_are_learned(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels cover the response and end of text, and nothing of the prompt; no token is special."""
    from remote.stages.instructions.pairs import IGNORED, read_pairs, to_row
    from remote.stages.model.loading import load_tokenizer, resolve

    tokenizer = load_tokenizer(resolve("small"))
    pair = read_pairs(trained / DATA)[0]
    row = to_row(pair, tokenizer, 256)
    learned = [label for label in row.labels if label != IGNORED]

    assert tokenizer.decode(learned) == pair.completion + tokenizer.eos_token
    assert tokenizer.decode(row.tokens) == pair.prompt + pair.completion + tokenizer.eos_token
    assert row.labels[-len(learned) :] == row.tokens[-len(learned) :]
    assert not set(row.tokens[:-1]) & set(tokenizer.all_special_ids)
    assert tokenizer.chat_template is None


@pytest.mark.parametrize(
    "text",
    [
        "Hi<|endoftext|>",
        "<|im_start|>user\nHi<|im_end|>",
        "[INST] Hi [/INST]",
        "<<SYS>> Be kind. <</SYS>>",
        "<start_of_turn>user",
        "<s>Hi",
        "Hi\nassistant:\nHo",
        "### Instruction:\nHi",
    ],
)
def test_template_text_is_refused_on_either_side(text: str) -> None:
    """Markup of any chat template, known to the tokenizer or not, ends the stage with its place."""
    from remote.stages.instructions.pairs import Pair, to_row
    from remote.stages.model.loading import load_tokenizer, resolve

    tokenizer = load_tokenizer(resolve("small"))
    for pair in (Pair(f"{text}\n", " Hi.", "a.jsonl, line 7"), Pair("Hi\n", f" {text}", "a.jsonl")):
        with pytest.raises(StageError, match=f"{pair.where}: the text holds '"):
            to_row(pair, tokenizer, 256)


def test_template_text_in_a_development_instruction_ends_the_stage(tmp_path: Path) -> None:
    """What the model will be asked is as plain as what it learns: nothing is trained."""
    folder = work_folder(tmp_path)
    parts = {part: own_instructions.records(part) for part in own_instructions.TOPICS}
    parts["development"][0]["instruction"] = "[INST] Kenya: its capital? [/INST]"
    own_instructions.write(folder / "own", parts)
    with pytest.raises(StageError, match=r"text of a chat template, '\[INST\]'"):
        train_here(folder, instructions="own")

    assert not (folder / OUT / "training_log.jsonl").exists()


def test_long_row_is_refused() -> None:
    """A row over max_length ends the stage with its file, its line and its tokens."""
    from remote.stages.instructions.pairs import Pair, to_row
    from remote.stages.model.loading import load_tokenizer, resolve

    with pytest.raises(StageError, match=r"a.jsonl, line 8: \d+ tokens, max_length is 8"):
        to_row(
            Pair("A rather long prompt\n", " Hi.", "a.jsonl, line 8"),
            load_tokenizer(resolve("small")),
            8,
        )


def test_divergence_ends_the_stage(tmp_path: Path) -> None:
    """A loss that is no number stops the training with its step and what to lower."""
    folder = work_folder(tmp_path / "diverged")
    with pytest.raises(StageError, match=r"at step \d+") as caught:
        train_here(folder, learning_rate=1e30, max_steps=10, save_steps=5)

    assert "learning_rate" in caught.value.remedy
    assert not (folder / OUT / "adapter_model.safetensors").exists()


def test_unknown_model_is_a_clear_error(tmp_path: Path) -> None:
    """A hub id that cannot be had offline says so at once, instead of waiting for a network."""
    folder = work_folder(tmp_path / "unknown")
    with pytest.raises(StageError, match="cannot be loaded"):
        train_here(folder, model="nobody/no-such-model")
