"""What stage1c reads: pairs, parameters, checkpoints. Every mistake names file, line and remedy."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from remote.stages.common.failure import StageError
from remote.stages.common.metrics import MetricsLog, announce
from remote.stages.common.parameters import SftParameters, parse
from remote.stages.instructions.pairs import Pair, read_pairs, split
from remote.stages.model.loading import resolve
from remote.stages.training.training import (
    MemoryShortage,
    halved,
    retry_with_half_batch,
    translate_out_of_memory,
)


def data(folder: Path, *lines: str | bytes) -> Path:
    path = folder / "pairs.jsonl"
    path.write_bytes(b"".join(one.encode() if isinstance(one, str) else one for one in lines))
    return path


def test_instruction_and_response_become_prompt_and_completion(tmp_path: Path) -> None:
    """The bare instruction is given, the response is learned, and blank lines do not count."""
    record = {"instruction": " Say hi. ", "response": "Hi. ", "prompt": "shots…", "type": "qa"}
    path = data(tmp_path, "\n", json.dumps(record) + "\n")

    assert read_pairs(path) == (Pair("Say hi.\n", " Hi.", f"{path}, line 2"),)


def test_prompt_alone_is_taken_as_it_is(tmp_path: Path) -> None:
    """A plain prompt/completion file trains too."""
    path = data(tmp_path, '{"prompt": "2+2=", "completion": "4"}')

    assert read_pairs(path) == (Pair("2+2=", " 4", f"{path}, line 1"),)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('{"instruction": "a", "resp', "not JSON"),
        ("[1]", "not an object"),
        ('{"instruction": "a"}', "response is missing"),
        ('{"response": "a"}', "prompt is missing"),
        ('{"instruction": 3, "response": "a"}', "instruction must be text"),
        ('{"instruction": "a", "response": "  "}', "response must be text"),
        ('{"instruction": "a", "response": "\\ud800"}', "half a character"),
        (b"\xff\xfe", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_bad_line_is_named(tmp_path: Path, line: str | bytes, text: str) -> None:
    """A line that is no record stops the stage with its file, its number and what to do."""
    path = data(tmp_path, '{"instruction": "a", "response": "b"}\n', line)
    with pytest.raises(StageError) as caught:
        read_pairs(path)

    assert f"{path}, line 2" in str(caught.value)
    assert text in str(caught.value)
    assert "remedy: " in str(caught.value)


def test_empty_and_missing_files_are_errors(tmp_path: Path) -> None:
    """No data is never a training on nothing."""
    for path in (data(tmp_path, "\n\n"), tmp_path / "none.jsonl"):
        with pytest.raises(StageError, match=path.name):
            read_pairs(path)


def test_split_keeps_equal_prompts_together() -> None:
    """No prompt is both trained and evaluated on; the seed decides; one pair is always trained."""
    pairs = [Pair(f"p{n % 20}\n", f" {n}", f"line {n}") for n in range(60)]
    train, held = split(pairs, 0.2, seed=1)

    assert not {one.prompt for one in train} & {one.prompt for one in held}
    assert len({one.prompt for one in held}) == 4
    assert split(pairs, 0.2, seed=1) == (train, held)
    assert split(pairs, 0.2, seed=2) != (train, held)
    assert split(pairs, 0.0, seed=1) == (pairs, [])
    assert split(pairs[:1], 0.5, seed=1) == (pairs[:1], [])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"learning_rat": 1}, "did you mean learning_rate"),
        ({"batch": 0}, "batch"),
        ({"batch": 2.5}, "of type int"),
        ({"batch": True}, "of type int"),
        ({"epochs": "3"}, "of type float"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"eval_share": 1.0}, "eval_share"),
        ({"quantize": "int8"}, "nf4"),
        ({"epochs": 0.0}, "epochs"),
        ([], "not a JSON object"),
    ],
)
def test_wrong_parameter_is_named(values: Any, text: str) -> None:
    """An unknown, mistyped or impossible parameter ends the stage before torch is imported."""
    with pytest.raises(StageError, match=text):
        parse(SftParameters, json.dumps(values).encode())


def test_the_remedy_names_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a parameter is to be changed is said as podctl.toml has it."""
    monkeypatch.setenv("PODCTL_STAGE", "stage1c")
    with pytest.raises(StageError) as caught:
        parse(SftParameters, b'{"batch": 0}')

    assert "[stages.stage1c.parameters]" in caught.value.remedy


def test_non_finite_parameter_is_refused() -> None:
    """JSON that Python reads as NaN is no learning rate."""
    with pytest.raises(StageError, match="finite"):
        parse(SftParameters, b'{"learning_rate": NaN}')


def test_whole_number_is_a_float_where_one_is_meant() -> None:
    """`epochs = 3` in podctl.toml is as good as 3.0."""
    assert parse(SftParameters, b'{"epochs": 3}').epochs == 3.0


def test_shortage_of_memory_halves_the_batch() -> None:
    """The optimiser still sees as many rows a step; a batch of one cannot be halved."""
    smaller = halved(SftParameters(batch=4, accumulation=2))

    assert (smaller.batch, smaller.accumulation) == (2, 4)
    with pytest.raises(StageError, match="single row"):
        halved(SftParameters(batch=1))


@pytest.mark.xdist_group("training")  # where torch is imported anyway
def test_short_memory_is_tried_once_more(tmp_path: Path) -> None:
    """Out of GPU memory: once more in smaller bites; a second time is an error that says what to
    lower."""
    torch = pytest.importorskip("torch", reason="the training stack is not installed")
    tried: list[int] = []

    def fit(parameters: SftParameters) -> str:
        tried.append(parameters.batch)
        with translate_out_of_memory(parameters):
            if parameters.batch > enough:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return "done"

    log = MetricsLog(tmp_path / "log.jsonl")
    enough = 2
    used, result = retry_with_half_batch(fit, SftParameters(batch=4, accumulation=2), log)
    assert (used.batch, used.accumulation, result, tried) == (2, 4, "done", [4, 2])

    enough = 1
    with pytest.raises(MemoryShortage, match="batch 2 and max_length 2048") as caught:
        retry_with_half_batch(fit, SftParameters(batch=4), log)
    assert "max_length" in caught.value.remedy


def test_model_that_is_no_folder_is_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that is not there is no hub id, and a folder without a model is none."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name in ("./none", "/none/such", "a/b/c", str(tmp_path)):
        with pytest.raises(StageError, match="model"):
            resolve(name)

    assert resolve("Qwen/Qwen2.5-32B") == "Qwen/Qwen2.5-32B"
    assert Path(resolve("small"), "config.json").is_file()


def test_metrics_go_to_both_files_and_are_cut_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a resume the stage's own log holds each step once; half lines are dropped."""
    monkeypatch.setenv("PODCTL_METRICS", str(tmp_path / "shared.jsonl"))
    log = MetricsLog(tmp_path / "out" / "own.jsonl")
    log.message("loading")
    for step in (1, 2, 3):
        log.add({"step": step, "loss": 1.0})
    with log.own.open("a") as stream:
        stream.write('{"step": 4, "lo')

    log.truncate_after(2)
    assert [json.loads(line)["step"] for line in log.own.read_text().splitlines()] == [1, 2]
    assert len((tmp_path / "shared.jsonl").read_text().splitlines()) == 4


def test_announcing_needs_no_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is announced where an agent listens, and nowhere else."""
    monkeypatch.delenv("PODCTL_RUN_DIR", raising=False)
    announce(Path("checkpoints/x"))
    monkeypatch.setenv("PODCTL_RUN_DIR", str(tmp_path))
    announce(Path("checkpoints/x/checkpoint-100"))

    assert (tmp_path / "announced").read_text() == "checkpoints/x/checkpoint-100\n"


def checkpoint(folder: Path, step: int) -> Path:
    """A checkpoint as the trainer leaves it, with one small tensor."""
    import numpy
    from safetensors.numpy import save_file

    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    save_file({"a": numpy.zeros(4, numpy.float32)}, path / "adapter_model.safetensors")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        with zipfile.ZipFile(path / name, "w") as archive:
            archive.writestr("data.pkl", b"x" * 100)
    return path


@pytest.mark.parametrize(
    ("changes", "data", "marked", "kept"),
    [
        ({}, "1", True, True),
        ({}, "2", True, False),
        ({"learning_rate": 1e-3}, "1", True, False),
        ({}, "1", False, False),
    ],
)
def test_only_what_was_made_of_the_same_is_gone_on_from(
    tmp_path: Path, changes: dict[str, Any], data: str, marked: bool, kept: bool
) -> None:
    """Other data, other parameters, or a checkpoint that does not say what it is of: set aside."""
    pytest.importorskip("safetensors", reason="the training stack is not installed")
    from remote.stages.training import provenance

    out = tmp_path / "stage1_sft"
    log = MetricsLog(out / "training_log.jsonl")
    provenance.claim_folder(out, provenance.describe_training(SftParameters(), data="1"), log)
    log.add({"step": 1})
    one = checkpoint(out, 100)
    if marked:
        provenance.mark_checkpoint(one)
    provenance.claim_folder(
        out, provenance.describe_training(SftParameters(**changes), data=data), log
    )

    assert one.exists() is kept
    assert (tmp_path / "stage1_sft.earlier-1" / "checkpoint-100").exists() is not kept
    assert log.own.exists() is (kept or not marked)  # the log says of itself what it is of


def test_row_59_newest_whole_checkpoint_is_chosen(tmp_path: Path) -> None:
    """A checkpoint that lost anything is skipped and removed; the one before it is used."""
    pytest.importorskip("safetensors", reason="the training stack is not installed")
    from remote.stages.training.checkpoint import newest_complete

    assert newest_complete(tmp_path) is None
    whole = checkpoint(tmp_path, 100)
    for place, name in enumerate(
        ("adapter_model.safetensors", "optimizer.pt", "rng_state.pth", "trainer_state.json")
    ):
        broken = checkpoint(tmp_path, 200 + place)
        content = (broken / name).read_bytes()
        (broken / name).write_bytes(content[: len(content) // 2])

    assert newest_complete(tmp_path) == whole
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint-100"]
