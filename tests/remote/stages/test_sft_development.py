"""What stage 1C is judged by: success on the development set, and data free of what is measured."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.locks.answer_key import answer_key
from jobs.catalog import load_stages
from jobs.criteria import Finding, evaluate
from remote.stages.common.parameters import SftParameters
from remote.stages.instructions.leakage import check_training_data
from remote.stages.instructions.pairs import read_pairs
from remote.stages.instructions.sets import load
from tests.support import training_stack
from tests.support.small_training import DATA, SFT, SFT_PARAMETERS, read, sft_here, work_folder

SMALL = load("small")
SUCCESS = "95 % verified success on the development set"
DISJOINT = "nothing that is measured on is in the training data"

pytestmark = training_stack.ON_ONE_WORKER


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PODCTL_METRICS", "PODCTL_RUN_DIR", "PODCTL_PARAMETERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned."""
    folder = work_folder(tmp_path_factory.mktemp("trained"))
    os.environ["HF_HUB_OFFLINE"] = "1"
    assert sft_here(folder, max_steps=200, save_steps=100) == 0
    return folder


def findings(folder: Path) -> dict[str, Finding]:
    stage = load_stages({"stage1c": {"parameters": {"instructions": "small"}}})["stage1c"]
    found = evaluate(stage.criteria, folder, answer_key(stage, folder))
    return {one.criterion: one for one in found}


def held_out_item(part: str, place: int = 0) -> str:
    one = getattr(SMALL, part)[place]
    return json.dumps({"instruction": one.text, "response": one.answer, "type": one.type}) + "\n"


def test_trained_model_passes_every_criterion(trained: Path) -> None:
    """Two hundred steps on the small world are enough for each criterion of stage1c."""
    assert {
        name: one.detail for name, one in findings(trained).items() if one.status != "PASS"
    } == {}


def test_success_is_verified_and_reported_by_type(trained: Path) -> None:
    """Every development instruction is judged by its verifier; every type has its interval."""
    document = read(trained / SFT / "development.json")
    by_text = {one.text: one for one in SMALL.development}

    assert document["overall"]["n"] == len(SMALL.development)
    for name, cell in document["types"].items():
        assert cell["wilson_low"] <= cell["rate"] <= cell["wilson_high"], name
    for one in document["responses"]:
        assert one["correct"] == (not by_text[one["instruction"]].reasons(one["response"]))
    rate = sum(one["correct"] for one in document["responses"]) / len(SMALL.development)
    assert document["overall"]["rate"] == rate
    assert read(trained / SFT / "hyperparameters.json")["result"]["development_success"] == rate


def test_learning_rate_zero_ends_in_fail(tmp_path: Path) -> None:
    """A training that changed nothing leaves an adapter that opens, and is told from one that
    learned by what it can do."""
    folder = work_folder(tmp_path)
    assert sft_here(folder, learning_rate=0.0, max_steps=30, save_steps=15) == 0
    found = findings(folder)

    assert found[SUCCESS].status == "FAIL"
    assert found["the adapter is there"].status == "PASS"
    assert found["training loss decreases"].status == "FAIL"
    measured = found[SUCCESS].measured
    assert isinstance(measured, float)
    assert measured < 0.5


@pytest.mark.parametrize("part", ["held_out", "development"])
def test_data_with_what_is_measured_on_ends_in_fail(
    tmp_path: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is trained on it, and the verdict names the lines."""
    folder = work_folder(tmp_path)
    text = (folder / DATA).read_text()
    work_folder(folder, text + held_out_item(part, 3) + held_out_item(part, 5))

    assert sft_here(folder) == 0
    found = findings(folder)
    assert found[DISJOINT].status == "FAIL"
    assert "lines 401, 402" in found[DISJOINT].detail
    assert "lines 401, 402" in capsys.readouterr().err
    assert not (folder / SFT / "training_log.jsonl").exists()


def test_near_duplicates_and_few_shot_examples_count(tmp_path: Path) -> None:
    """Another case, punctuation or one letter more hide nothing; nor does a prompt's middle."""
    path = tmp_path / "data.jsonl"
    first, second, third = (one.text for one in SMALL.held_out[:3])
    clean = SMALL.train[0].text
    records: list[dict[str, Any]] = [
        {"instruction": clean, "response": "x"},
        {"instruction": first.upper().rstrip("."), "response": "x"},
        {"instruction": f"{second}s", "response": "x"},
        {"prompt": f"{clean}\n x\n###\n{third}\n x\n###\nNew one\n", "response": "x"},
        {"instruction": clean, "prompt": f"{third}\n x\n###\n{clean}\n", "response": "x"},
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in records))

    assert not check_training_data(path, SMALL, tmp_path)
    found = read(tmp_path / "disjointness.json")
    assert found["overlap"] == "lines 2, 3, 4, 5"
    assert [one["exact"] for one in found["lines"]] == [True, False, True, True]
    assert {one["part"] for one in found["lines"]} == {"held_out"}


@pytest.mark.parametrize("part", ["held_out", "development"])
@pytest.mark.parametrize(
    "hide",
    [
        lambda text, answer: {"instruction": "Write a quiz.", "response": f"{text}\n {answer}"},
        lambda text, answer: {"prompt": "Write a quiz.\n", "completion": f"1. {text} {answer}"},
        lambda text, answer: {"prompt": "A quiz.\n", "chosen": f"{text} {answer}", "rejected": "x"},
        lambda text, answer: {"prompt": "A quiz.\n", "chosen": "x", "rejected": f"x\n{text}"},
        lambda text, answer: {"instruction": f"Please answer this now: {text}", "response": answer},
        lambda text, answer: {"instruction": f"{text} Think about it.", "response": answer},
        lambda text, answer: {"instruction": text.replace(" ", "\n"), "response": answer},
    ],
)
def test_no_item_is_hidden_in_an_answer_or_among_other_words(
    tmp_path: Path, part: str, hide: Callable[[str, str], dict[str, str]]
) -> None:
    """Every single held-out and development item is found in an answer, a preference, or an
    instruction that says more; no record of the set's own training part is taken for one."""
    items = getattr(SMALL, part)
    path = tmp_path / "data.jsonl"
    records = [hide(one.text, one.answer) for one in items]
    records += [{"instruction": one.text, "response": one.answer} for one in SMALL.train]
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    check_training_data(path, SMALL, tmp_path)
    found = read(tmp_path / "disjointness.json")["lines"]

    assert {one["line"] for one in found} == set(range(1, len(items) + 1))


def test_packed_rows_learn_what_single_rows_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packing changes neither what is learned nor the loss: pairs in a row see only themselves."""
    import torch

    from remote.stages.instructions.pairs import IGNORED, to_row
    from remote.stages.model.loading import load_model, load_tokenizer, resolve
    from remote.stages.training.sft_trainer import check_first_batch, make_trainer
    from remote.stages.training.training import silence_libraries

    folder = work_folder(tmp_path)
    monkeypatch.chdir(folder)
    silence_libraries()
    source = resolve("small")
    tokenizer = load_tokenizer(source)
    rows = [to_row(pair, tokenizer, 256) for pair in read_pairs(DATA)[:8]]
    learned, losses = {}, {}
    for packing in ("never", "always"):
        parameters = SftParameters(
            **(SFT_PARAMETERS | {"packing": packing, "batch": 8, "max_length": 256})
        )
        model = load_model(source, "none")
        trainer: Any = make_trainer(model, tokenizer, rows, [], parameters, [])
        assert check_first_batch(trainer, tokenizer).endswith(tokenizer.eos_token)
        batch = next(iter(trainer.get_train_dataloader()))
        kept = batch["labels"][batch["labels"] != IGNORED]
        learned[packing] = sorted(kept.tolist())
        with torch.no_grad():
            losses[packing] = float(trainer.model.eval()(**batch).loss)

    assert batch["input_ids"].shape[0] == 1  # packed: all eight pairs in one row
    assert learned["always"] == learned["never"]
    assert learned["always"].count(tokenizer.eos_token_id) == 8
    assert losses["always"] == pytest.approx(losses["never"], abs=1e-4)


def test_training_on_packed_rows_runs(tmp_path: Path) -> None:
    """The whole stage goes through with packing, and answers afterwards."""
    folder = work_folder(tmp_path)
    changes: dict[str, Any] = {"packing": "always", "max_length": 256, "batch": 1}

    assert sft_here(folder, max_steps=6, save_steps=3, **changes) == 0
    assert read(folder / SFT / "development.json")["overall"]["n"] == len(SMALL.development)
