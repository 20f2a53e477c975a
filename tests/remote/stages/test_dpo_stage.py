"""Stage 1D for real: pairs from a trained model's failures, DPO against that model, comparison."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from jobs.catalog import load_stages
from jobs.criteria import Verdict, evaluate
from remote.stages.common.failure import StageError
from remote.stages.common.parameters import DpoParameters
from remote.stages.common.records import PreferencePair
from tests.support import own_instructions, training_stack
from tests.support.small_training import (
    COMPARISON,
    DATA,
    DPO,
    DPO_PARAMETERS,
    PAIRS,
    SFT,
    dpo_here,
    lines,
    read,
    sft_here,
    work_folder,
)
from tests.support.stage_process import interrupted, told

pytestmark = training_stack.ON_ONE_WORKER


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PODCTL_METRICS", "PODCTL_RUN_DIR", "PODCTL_PARAMETERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder in which stage 1C has run."""
    folder = work_folder(tmp_path_factory.mktemp("tuned"))
    os.environ["HF_HUB_OFFLINE"] = "1"
    assert sft_here(folder, max_steps=60, save_steps=1000, eval_share=0.0) == 0
    return folder


LOADED: list[str] = []  # what was loaded as a base while `trained` was made


@pytest.fixture(scope="module")
def trained(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder in which stage 1D has run, uninterrupted."""
    from transformers import AutoModelForCausalLM

    folder = copy(tuned, tmp_path_factory.mktemp("trained"))
    load = AutoModelForCausalLM.from_pretrained

    def counted(source: str, **options: Any) -> Any:
        LOADED.append(source)
        return load(source, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AutoModelForCausalLM, "from_pretrained", counted)
        assert dpo_here(folder) == 0
    return folder


def copy(tuned: Path, folder: Path) -> Path:
    """A fresh work folder of stage 1D: the data, and of 1C nothing but its adapter."""
    work_folder(folder, (tuned / DATA).read_text())
    (folder / SFT).mkdir(parents=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(tuned / SFT / name, folder / SFT / name)
    return folder


def sampled(trained: Path, tuned: Path, folder: Path) -> Path:
    """A work folder in which the SFT model has been sampled; that is not done again."""
    copy(tuned, folder)
    (folder / DPO).mkdir(parents=True)
    shutil.copy(trained / DPO / "samples.jsonl", folder / DPO)
    return folder


def figures(folder: Path, *names: str) -> list[list[Any]]:
    return [[one[name] for name in names] for one in lines(folder / DPO / "training_log.jsonl")]


def test_stage_leaves_what_it_promises(trained: Path) -> None:
    """Pairs, adapter, record and comparison are there, and say what they are from."""
    pairs = lines(trained / PAIRS)
    document = read(trained / DPO / "hyperparameters.json")
    config = read(trained / DPO / "adapter_config.json")

    assert 30 <= len(pairs) <= 60
    assert {"prompt", "chosen", "rejected", "instruction", "type", "source", "seed"} <= set(
        pairs[0]
    )
    assert document["result"]["completed"] is True
    assert document["data"]["pairs"] == len(pairs)
    assert config["base_model_name_or_path"] == "small"
    assert read(trained / DPO / "disjointness.json")["overlap"] == "none"
    assert not (trained / DPO / "ref").exists()  # the reference is no output
    samples = lines(trained / DPO / "samples.jsonl")
    assert {pair["rejected"] for pair in pairs if pair["source"] == "sampled"} <= {
        one["response"] for one in samples
    }


def test_the_base_is_loaded_once(trained: Path) -> None:
    """Sampling, training and comparing take turns on it: a large base takes minutes to load."""
    assert len(LOADED) == 1


def test_one_base_carries_adapters_in_turn(trained: Path, tuned: Path) -> None:
    """After others were on it, an adapter says bit for bit what it says on a base of its own; what
    was trained on a base in between leaves nothing there."""
    import torch

    from remote.stages.model.adapters import BaseModel, active_adapter, load
    from remote.stages.model.loading import resolve

    source, tokens = resolve("small"), torch.arange(2, 60)[None]
    sft, dpo = {"sft": tuned / SFT}, {"dpo": trained / DPO}
    base = BaseModel(source, "none")
    with torch.inference_mode():
        alone = load(source, "none", sft)(tokens).logits
        bare = base.with_adapters(dpo)
        with active_adapter(bare, None):
            before = bare(tokens).logits
    changed = base.with_adapters(dpo, trainable=True)
    for name, weight in changed.named_parameters():
        assert weight.requires_grad == ("lora_" in name)
        if weight.requires_grad:
            weight.data += 1.0
    both = base.with_adapters(sft | dpo)
    with torch.inference_mode():
        with active_adapter(both, "sft"):
            assert torch.equal(both(tokens).logits, alone)
        with active_adapter(both, "dpo"):
            assert not torch.equal(both(tokens).logits, alone)
        with active_adapter(both, None):
            assert torch.equal(both(tokens).logits, before)


def test_reference_is_the_sft_adapter(trained: Path) -> None:
    """Before the first step both are equally likely under model and reference: every reward is 0,
    which it would not be against the bare base."""
    first, *_, last = figures(
        trained, "step", "rewards/margins", "rewards/chosen", "rewards/rejected"
    )

    assert first[0] == 1
    assert first[1:] == pytest.approx([0.0, 0.0, 0.0], abs=1e-4)
    assert last[1] > 0.01


def test_reference_has_the_log_probabilities_of_the_sft_adapter(
    tuned: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What TRL takes as reference is what the adapter of 1C says, alone on its base."""
    import torch

    from remote.stages.model import adapters
    from remote.stages.model.loading import load_tokenizer, resolve
    from remote.stages.training.dpo_trainer import (
        TRAINED,
        check_reference,
        make_trainer,
        to_preference,
    )
    from remote.stages.training.training import silence_libraries

    monkeypatch.chdir(tmp_path)
    silence_libraries()
    source = resolve("small")
    tokenizer = load_tokenizer(source)
    pairs = [PreferencePair(**pair) for pair in lines(trained / PAIRS)[:4]]
    tokens = [to_preference(pair, "line 1", tokenizer, 256) for pair in pairs]
    base = adapters.BaseModel(source, "none")
    model = base.with_adapters({TRAINED: tuned / SFT}, trainable=True)
    parameters = DpoParameters(**(DPO_PARAMETERS | {"accumulation": 1}))
    trainer: Any = make_trainer(model, tokenizer, tokens, parameters, [])
    assert check_reference(trainer.model) == 81_920

    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.eval()
    with torch.no_grad():
        for name, weight in trainer.model.named_parameters():
            if f".{TRAINED}." in name and "lora_B" in name:
                weight.add_(0.05)  # the trained adapter moves away, its reference must not
        chosen, rejected = trainer.compute_ref_log_probs(trainer.model, batch)
        alone = adapters.load(source, "none", {"sft": tuned / SFT})
        logits = alone(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        moves = logits[:, :-1].log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None])
        wanted = (moves[..., 0] * batch["completion_mask"][:, 1:]).sum(1)

    assert torch.cat([chosen, rejected]).tolist() == pytest.approx(wanted.tolist(), abs=1e-3)


def test_completions_are_compared_to_their_end(trained: Path) -> None:
    """Both sides are the response and end of text; the prompt is in neither."""
    from remote.stages.model.loading import load_tokenizer, resolve
    from remote.stages.training.dpo_trainer import to_preference

    tokenizer = load_tokenizer(resolve("small"))
    pair = lines(trained / PAIRS)[0]
    tokens = to_preference(PreferencePair(**pair), "line 1", tokenizer, 256)

    assert tokenizer.decode(tokens.prompt) == pair["prompt"]
    assert tokenizer.decode(tokens.chosen) == f" {pair['chosen']}{tokenizer.eos_token}"
    assert tokenizer.decode(tokens.rejected) == f" {pair['rejected']}{tokenizer.eos_token}"


def test_comparison_is_paired_and_states_its_rule(trained: Path) -> None:
    """Each part has greedy and sampled figures of the same instructions, with verdict and rule."""
    found = read(trained / COMPARISON)

    assert found["both"]["greedy"]["n"] == 166
    assert found["held_out"]["greedy"]["n"] == 100
    assert found["development"]["sampled"]["n"] == 66
    assert found["both"]["greedy"]["margin"] == 0.05
    assert found["verdict"] in ("PASS", "FAIL", "INCONCLUSIVE")
    assert "interval of the lift" in found["both"]["sampled"]["rule"]
    assert found["both"]["greedy"]["sft"]["types"]["qa"]["n"] > 0
    assert found["adapters"]["sft"] != found["adapters"]["dpo"]


def test_kill_and_resume_give_the_same_adapter(trained: Path, tuned: Path, tmp_path: Path) -> None:
    """kill -9 after the first checkpoint; the second attempt ends bit for bit where one would."""
    folder = copy(tuned, tmp_path / "killed")
    status, _ = interrupted(
        "dpo", folder, DPO_PARAMETERS, signal.SIGKILL, (folder / "announced").exists
    )
    assert status == -signal.SIGKILL, told(folder)
    assert not (folder / COMPARISON).exists()

    assert dpo_here(folder) == 0
    name = "adapter_model.safetensors"
    assert read(folder / DPO / "hyperparameters.json")["result"]["resumed_from"] is not None
    assert (folder / PAIRS).read_bytes() == (trained / PAIRS).read_bytes()
    assert figures(folder, "step", "loss") == figures(trained, "step", "loss")
    assert (folder / DPO / name).read_bytes() == (trained / DPO / name).read_bytes()
    assert read(folder / COMPARISON)["both"] == read(trained / COMPARISON)["both"]


def test_nothing_of_another_sft_adapter_is_gone_on_from(trained: Path, tmp_path: Path) -> None:
    """1C was run again: the checkpoints and the log that stand on its earlier adapter are set
    aside, and the new one is sampled and trained from its first step."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "again"
    shutil.copytree(trained, folder)
    weights = folder / SFT / "adapter_model.safetensors"
    save_file({name: one * 1.01 for name, one in load_file(weights).items()}, weights)

    assert dpo_here(folder, pairs=30, max_steps=12) == 0
    assert read(folder / DPO / "hyperparameters.json")["result"]["resumed_from"] is None
    assert max(step for (step,) in figures(folder, "step")) == 12
    assert not {one["settings"] for one in lines(folder / DPO / "samples.jsonl")} & {
        one["settings"] for one in lines(trained / DPO / "samples.jsonl")
    }
    assert (folder / f"{DPO}.earlier-1" / "checkpoint-24").is_dir()


def test_a_training_that_was_over_is_compared_as_it_was(trained: Path, tmp_path: Path) -> None:
    """Ended after the last step, before the adapter was saved: the same adapter is compared."""
    folder = tmp_path / "over"
    shutil.copytree(trained, folder)
    name = "adapter_model.safetensors"
    (folder / DPO / name).unlink()

    assert dpo_here(folder) == 0
    assert (folder / DPO / name).read_bytes() == (trained / DPO / name).read_bytes()
    assert figures(folder, "step", "loss") == figures(trained, "step", "loss")


@pytest.mark.long
def test_sigterm_saves_a_checkpoint(tuned: Path, tmp_path: Path) -> None:
    """An eviction costs no step that was done."""
    folder = copy(tuned, tmp_path / "stopped")
    log = folder / DPO / "training_log.jsonl"

    def stepping() -> bool:
        return log.exists() and '"step": 4,' in log.read_text()

    changes = {"max_steps": 4000, "save_steps": 4000}
    status, _ = interrupted("dpo", folder, DPO_PARAMETERS | changes, signal.SIGTERM, stepping)
    assert status == 143, told(folder)
    assert len(list((folder / DPO).glob("checkpoint-*/adapter_model.safetensors"))) == 1
    assert read(folder / DPO / "hyperparameters.json")["result"]["completed"] is False


def test_adapter_of_another_base_is_refused(tuned: Path, tmp_path: Path) -> None:
    """An adapter that names another base, or has other shapes, is an error that names both."""
    folder = copy(tuned, tmp_path / "other")
    path = folder / SFT / "adapter_config.json"
    config = read(path)
    path.write_text(json.dumps(config | {"base_model_name_or_path": "Qwen/Qwen2.5-32B"}))
    with pytest.raises(StageError, match=r"stage1_sft was trained on 'Qwen/Qwen2.5-32B'.*'small'"):
        dpo_here(folder)

    path.write_text(json.dumps(config | {"r": 4}))
    with pytest.raises(StageError, match="stage1_sft does not fit its base"):
        dpo_here(folder)


def test_adapter_that_is_missing_is_named(tuned: Path, tmp_path: Path) -> None:
    """Without 1C's adapter the stage says which stage to run."""
    folder = copy(tuned, tmp_path / "missing")
    (folder / SFT / "adapter_model.safetensors").unlink()
    with pytest.raises(StageError, match=r"adapter_model.safetensors") as caught:
        dpo_here(folder)

    assert "stage1_sft" in caught.value.remedy


@pytest.mark.parametrize("part", ["train", "development", "held_out"])
def test_template_text_in_an_instruction_ends_the_stage(
    tuned: Path, tmp_path: Path, part: str
) -> None:
    """Markup of a chat template in anything that will be asked: nothing is sampled."""
    folder = copy(tuned, tmp_path / "marked")
    parts = {name: own_instructions.records(name) for name in own_instructions.TOPICS}
    parts[part][0]["instruction"] = f"[INST] {parts[part][0]['instruction']} [/INST]"
    own_instructions.write(folder / "own", parts)
    with pytest.raises(StageError, match=r"text of a chat template, '\[INST\]'"):
        dpo_here(folder, instructions="own")

    assert not (folder / DPO / "samples.jsonl").exists()


def test_too_few_failures_end_the_stage(trained: Path, tuned: Path, tmp_path: Path) -> None:
    """Fewer failures than pairs needed, and none may be made up: nothing is trained, and the
    criterion says how often the model failed."""
    folder = sampled(trained, tuned, tmp_path / "few")
    assert dpo_here(folder, pairs=5000, least_pairs=5000, corruption=False) == 0
    criteria = [one for one in load_stages({})["stage1d"].criteria if one.key == "outcome"]
    (found,) = evaluate(criteria, folder)

    assert found.status is Verdict.FAIL
    assert "too few" in found.detail
    assert "failures of the SFT model" in found.detail
    assert not (folder / DPO / "adapter_model.safetensors").exists()
    assert len(lines(folder / PAIRS)) > 10


def test_divergence_ends_the_stage(trained: Path, tuned: Path, tmp_path: Path) -> None:
    """A loss that is no number stops the training with its step and what to lower."""
    folder = sampled(trained, tuned, tmp_path / "diverged")
    with pytest.raises(StageError, match=r"at step \d+") as caught:
        dpo_here(folder, learning_rate=1e30)

    assert "learning_rate" in caught.value.remedy
    assert not (folder / DPO / "adapter_model.safetensors").exists()
    assert not (folder / COMPARISON).exists()


def test_data_with_held_out_items_is_not_trained_on(tuned: Path, tmp_path: Path) -> None:
    """A held-out instruction in the data ends the stage before the model is loaded, with a file
    that the criterion of disjointness fails on."""
    from remote.stages.instructions.sets import load

    one = load("small").held_out[0]
    extra = json.dumps({"instruction": one.text, "response": one.answer, "type": one.type})
    folder = copy(tuned, tmp_path / "leaky")
    work_folder(folder, (tuned / DATA).read_text() + extra + "\n")

    assert dpo_here(folder) == 0
    assert read(folder / DPO / "disjointness.json")["overlap"] == "lines 401"
    assert not (folder / PAIRS).exists()
