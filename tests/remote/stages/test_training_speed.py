"""What makes a training fast changes nothing that is learned, and fits into the memory there is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remote.stages.common.parameters import SftParameters
from remote.stages.training.memory_plan import choose, layer_bytes, needed
from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER
GIB = 2**30
QWEN_32B = SimpleNamespace(
    num_hidden_layers=64,
    hidden_size=5120,
    intermediate_size=27648,
    num_attention_heads=40,
    num_key_value_heads=8,
)


def losses(out: Path, packing: str, acceleration: Any) -> tuple[list[float], list[float]]:
    """The losses and gradient norms of four steps of the small model."""
    from transformers import set_seed

    from remote.stages.instructions.pairs import Pair, to_row
    from remote.stages.instructions.sets import load
    from remote.stages.model.loading import load_model, load_tokenizer, resolve
    from remote.stages.text.prompts import bare, completion
    from remote.stages.training.sft_trainer import make_trainer

    source = resolve("small")
    tokenizer, model = load_tokenizer(source), load_model(source, "none")
    pairs = [Pair(bare(one.text), completion(one.answer), "x") for one in load("small").train[:40]]
    rows = [to_row(pair, tokenizer, 128) for pair in pairs]
    parameters = SftParameters(
        model="small",
        batch=2,
        accumulation=2,
        max_length=128,
        max_steps=4,
        log_steps=1,
        packing=packing,
        eval_share=0.0,
        learning_rate=1e-3,
        save_steps=1000,
        out=str(out),
    )
    set_seed(0)
    trainer = make_trainer(model, tokenizer, rows, [], parameters, [], acceleration)
    trainer.train()
    logged = [record for record in trainer.state.log_history if "loss" in record]
    return [one["loss"] for one in logged], [one["grad_norm"] for one in logged]


@pytest.mark.parametrize("packing", ["never", "always"])
def test_fused_layers_learn_the_same(packing: str, tmp_path: Path) -> None:
    """Loss and gradient norm of every step are those of peft's own layers, within 1e-5; undone,
    the model has its own layers again."""
    from remote.stages.training.acceleration import Acceleration

    fused = Acceleration(fused_lora=True)
    plain = losses(tmp_path / "plain", packing, None)
    other = losses(tmp_path / "fused", packing, fused)

    assert fused.fused_lora
    for mine, theirs in zip(other, plain, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5)
    fused.undo()
    assert not fused._undo


def plan(gib: float, rows: int = 8) -> Any:
    layer = layer_bytes(QWEN_32B, fused=True, lean=True)
    parameters = SftParameters(batch=rows // 2, accumulation=2, max_length=512)
    return choose(parameters, 512, QWEN_32B, layer, int(gib * GIB))


def test_memory_decides_batch_and_recomputation() -> None:
    """With plenty nothing is recomputed; with less, more is; the rows of a step stay the same, and
    what is planned fits. Where nothing fits, the smallest plan is taken."""
    plans = [plan(gib) for gib in (110, 40, 26, 12)]

    assert [one.batch * one.accumulation for one in plans] == [8] * 4
    assert (plans[0].batch, plans[0].recomputed) == (8, 0.0)
    shares = [one.recomputed for one in plans]
    assert shares == sorted(shares)
    assert all(one.needs_gib < one.free_gib for one in plans)
    assert (plan(1).batch, plan(1).recomputed) == (1, 1.0)
    applied = plans[0].applied(SftParameters(batch=4, accumulation=2))
    assert (applied.batch, applied.accumulation) == (8, 1)


def test_estimate_is_that_of_the_measured_peaks() -> None:
    """At the 32B shape 4,096 tokens without recomputation took 67.1 GiB, 18.8 of them weights; the
    estimate is within a tenth and not below the activations."""
    layer = layer_bytes(QWEN_32B, fused=True, lean=True)
    estimate = needed(4096, 0.0, 64, layer, QWEN_32B.hidden_size) / GIB

    assert estimate == pytest.approx(67.1 - 18.8, rel=0.1)


def test_plain_engine_and_no_device_use_the_libraries_own_code() -> None:
    """`engine = "plain"` says so in the record; without a CUDA device nothing is changed either."""
    from remote.stages.training.acceleration import accelerate

    asked = accelerate(None, SftParameters(engine="plain"), 512, packed=True)
    assert asked.plan is None
    assert asked.to_json()["why"] == 'engine = "plain"'


def test_torch_without_the_private_attention_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch's FlashAttention is missing, has other arguments, or computes something else,
    both trials say so, and SDPA is taken; where it computes what SDPA does, it is used."""
    import torch

    from remote.stages.model.engine import attention
    from remote.stages.training import packed_attention

    def trials() -> list[bool]:
        device = torch.device("cpu")
        return [
            attention.computes_as_dense(device, torch.bfloat16, 4, 2, 16),
            packed_attention.computes_as_dense("cpu"),
        ]

    def packed(query: Any, key: Any, value: Any, ends: Any, starts: Any, *more: Any) -> Any:
        """What the operator computes, row by row."""
        _, _, causal, used = (*more, None)[:4]
        group = query.shape[1] // key.shape[1]
        results = []
        for number in range(len(ends) - 1):
            first = int(starts[number])
            last = int(starts[number + 1]) if used is None else first + int(used[number])
            mine = query[ends[number] : ends[number + 1]].transpose(0, 1)
            keys, values = (
                part[first:last].transpose(0, 1).repeat_interleave(group, 0)
                for part in (key, value)
            )
            dense: Any = torch.nn.functional.scaled_dot_product_attention
            results.append(dense(mine, keys, values, is_causal=causal).transpose(0, 1))
        return torch.cat(results)

    assert trials() == [False, False]  # a CPU has no such kernel
    for error in (AttributeError, TypeError, NotImplementedError):

        def missing(*_: Any, kind: type[Exception] = error, **__: Any) -> Any:
            raise kind("no such operator")

        for module in (attention, packed_attention):
            monkeypatch.setattr(module, "flash", missing)
        assert trials() == [False, False]
    for module in (attention, packed_attention):
        monkeypatch.setattr(module, "flash", packed)
    assert trials() == [True, True]
    for module in (attention, packed_attention):
        monkeypatch.setattr(module, "flash", lambda *parts: packed(*parts) * 1.5)
    assert trials() == [False, False]


def test_unusable_liger_is_named_and_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the package, without a GPU, or where Triton cannot compile, the record says why and
    torch computes the same activation."""
    import torch

    from remote.stages.training import fused_lora, liger_kernels

    def why() -> str | None:
        liger_kernels.why_not.cache_clear()
        return liger_kernels.why_not()

    gate = torch.randn(2, 4)
    with monkeypatch.context() as patch:
        patch.setattr(liger_kernels, "find_spec", lambda _: None)
        assert why() == "liger-kernel is not installed"
        patch.setattr(liger_kernels, "find_spec", lambda _: object())
        assert why() == "Liger's kernels need a CUDA device"
        patch.setattr(torch.cuda, "is_available", lambda: True)
        (tmp_path / "liger_kernel").mkdir()
        (tmp_path / "liger_kernel" / "__init__.py").write_text("raise RuntimeError('no compiler')")
        patch.syspath_prepend(str(tmp_path))
        assert why() == "Liger's kernels do not run here: RuntimeError: no compiler"
        assert torch.equal(fused_lora._active(gate, gate), torch.nn.functional.silu(gate) * gate)
    liger_kernels.why_not.cache_clear()
