"""Rank, scale, layers and kind of an adapter as parameters: checked without torch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.planner.gpu_memory import Training, architecture, training_gib
from controller.preflight.stage_parameters import problem
from jobs.stage import Criterion, Stage
from remote.stages.common.failure import StageError
from remote.stages.common.lora_parameters import differences
from remote.stages.common.parameters import DpoParameters, SftParameters, parse


def sft(**values: Any) -> SftParameters:
    return parse(SftParameters, json.dumps(values).encode())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("all-linear", "all-linear"),
        (["q_proj", "v_proj"], "q_proj,v_proj"),
        ("q_proj,v_proj", "q_proj,v_proj"),
        (["self_attn.q_proj"], "self_attn.q_proj"),
    ],
)
def test_layers_are_a_list_or_one_text(given: object, kept: str) -> None:
    """A list of names and the same names with commas are one and the same."""
    assert sft(lora_targets=given).lora_targets == kept


@pytest.mark.parametrize("given", [[], [1], ["q proj"], ["q_proj", "q_proj"], "", [["q_proj"]], 3])
def test_what_names_no_layers_is_refused(given: object) -> None:
    """Empty, no names, or a name twice: refused, and the parameter is named."""
    with pytest.raises(StageError, match="lora_targets"):
        sft(lora_targets=given)


def test_check_says_so_before_a_pod_is_rented() -> None:
    """What the stage would refuse is known from podctl.toml alone."""
    stage = Stage(
        name="train",
        title="Train",
        command=("python", "-m", "remote.stages.sft"),
        outputs=("out/**",),
        criteria=(Criterion(kind="exists", path="out/x"),),
        hours=1.0,
        max_hours=2.0,
        parameters={"lora_targets": ["q proj"], "dora": True},
    )
    refused = problem(stage)
    assert refused is not None
    assert "lora_targets" in refused.what


def test_an_adapter_of_another_kind_is_named() -> None:
    """1D's parameters say what is expected of 1C's adapter; 0 and "" expect nothing."""
    config = {"r": 8, "lora_alpha": 16, "target_modules": ["v_proj", "q_proj"]}
    assert differences(vars(DpoParameters()), config) == []
    same = DpoParameters(lora_rank=8, lora_alpha=16, lora_targets="q_proj,v_proj")
    assert differences(vars(same), config) == []
    other = DpoParameters(lora_rank=16, lora_targets="q_proj")
    assert len(differences(vars(other), config)) == 2


def test_memory_follows_rank_and_layers() -> None:
    """Four times the rank on two of seven layers: the estimate counts those weights."""
    shape = architecture("Qwen/Qwen2.5-32B")
    assert shape is not None
    attention, keys = shape.heads * shape.head, shape.kv_heads * shape.head
    two = shape.layers * 64 * (shape.hidden + attention + shape.hidden + keys)
    assert shape.adapter(64, "q_proj,v_proj") == two
    assert shape.adapter(64, "all-linear") == shape.adapter(64) == 4 * shape.adapter(16)
    few, many = (
        training_gib(shape, "nf4", Training(1, 512, rank, targets=targets))
        for rank, targets in ((16, "q_proj"), (256, "all-linear"))
    )
    assert many - few == pytest.approx(
        16 * (shape.adapter(256) - shape.adapter(16, "q_proj")) / 1024**3
    )
