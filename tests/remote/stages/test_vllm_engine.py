"""vLLM answers in a process of its own, with the same prompts, ends and barred tokens."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from remote.stages.common.failure import StageError
from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER

# vLLM needs a GPU. This has the parts of its offline API that are used, row by row.
PACKAGE = """
import json, os
from dataclasses import dataclass, field
from types import SimpleNamespace

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

print("a library's chatter")


@dataclass
class SamplingParams:
    temperature: float
    top_k: int
    top_p: float
    seed: int
    max_tokens: int
    stop: list
    include_stop_str_in_output: bool
    stop_token_ids: list
    logit_bias: dict | None = None


class LLM:
    def __init__(self, model, dtype, **more):
        if os.environ.get("FAKE_VLLM_FAILS"):
            raise RuntimeError("no kernel image is available")
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.adapted = {}

    @torch.inference_mode()
    def generate(self, prompts, settings, use_tqdm, lora_request=None):
        with open(os.environ["FAKE_VLLM_LOG"], "a") as log:
            log.write(json.dumps({
                "rows": len(prompts), "most": settings[0].max_tokens,
                "seeds": [one.seed for one in settings], "adapter": lora_request is not None,
            }) + "\\n")
        model = self.model
        if lora_request is not None:
            from peft import PeftModel

            base = AutoModelForCausalLM.from_pretrained(model.name_or_path, dtype=model.dtype)
            model = PeftModel.from_pretrained(base, lora_request.path)
        return [self.row(model, *both) for both in zip(prompts, settings)]

    def row(self, model, prompt, setting):
        made = []
        draw = torch.Generator().manual_seed(setting.seed)
        while len(made) < setting.max_tokens:
            logits = model(torch.tensor([prompt["prompt_token_ids"] + made])).logits[0, -1].float()
            for token, bias in (setting.logit_bias or {}).items():
                logits[token] += bias
            if setting.temperature:
                shares = torch.softmax(logits / setting.temperature, -1)
                made.append(int(torch.multinomial(shares, 1, generator=draw)))
            else:
                made.append(int(logits.argmax()))
            text = self.tokenizer.decode(made)
            if made[-1] in setting.stop_token_ids or any(stop in text for stop in setting.stop):
                break
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=made)])
"""
LORA = "from dataclasses import dataclass\n@dataclass\nclass LoRARequest:\n    name: str\n" + (
    "    number: int\n    path: str\n"
)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installs the package where the engine's process finds it; returns the log of its calls."""
    from remote.stages.model import vllm_engine

    site = tmp_path / "site"
    (site / "vllm" / "lora").mkdir(parents=True)
    (site / "vllm" / "__init__.py").write_text(PACKAGE)
    (site / "vllm" / "lora" / "__init__.py").write_text("")
    (site / "vllm" / "lora" / "request.py").write_text(LORA)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("PODCTL_VLLM_PYTHON", sys.executable)
    monkeypatch.setenv("FAKE_VLLM_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(vllm_engine, "_servers", {})
    return tmp_path / "log"


def small() -> tuple[Any, Any]:
    from remote.stages.model.loading import load_model, load_tokenizer, resolve

    source = resolve("small")
    return load_model(source, "none"), load_tokenizer(source)


def test_vllm_answers_as_the_other_ways_do(log: Path) -> None:
    """Greedy texts, ends and lengths are those of `generate`, with an adapter too; drawn answers
    are decided by each row's own seed; one process serves all calls."""
    import torch
    from peft import LoraConfig, get_peft_model

    from remote.stages.instructions.sets import load
    from remote.stages.model import vllm_engine
    from remote.stages.model.sampling import Generation, Request, seed_of
    from remote.stages.text.prompts import CompletionStylePrompts

    model, tokenizer = small()
    chosen = load("small")
    sheets = CompletionStylePrompts(chosen.pool)
    prompts = [sheets.render(one.text) for one in chosen.train[:4]]

    def said(engine: str, temperature: float = 0.0, count: int = 4) -> Any:
        requests = [Request(text, temperature, seed_of(text)) for text in prompts[:count]]
        return Generation(model, tokenizer, 40, 4, engine, say=lambda _: None).all_of(requests)

    assert said("vllm") == said("plain")
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(call["rows"], call["most"]) for call in calls] == [(4, 1), (4, 39)]
    drawn = said("vllm", 1.5)
    assert said("vllm", 1.5, 2) == drawn[:2]
    assert drawn != said("plain")
    seeds = json.loads(log.read_text().splitlines()[2])["seeds"]
    assert seeds == [seed_of(text) for text in prompts]

    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    adapted = said("vllm")
    assert adapted == said("plain")
    with model.disable_adapter():
        assert said("vllm") == said("plain") != adapted
    flags = [json.loads(line)["adapter"] for line in log.read_text().splitlines()]
    assert True in flags
    assert flags[-1] is False
    assert len(vllm_engine._servers) == 1


def test_missing_vllm_is_a_clear_error(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be installed, or fails on this GPU, ends the stage with the reason and what
    to set instead; half an environment is not left behind."""
    from remote.stages.model import vllm_environment
    from remote.stages.model.sampling import Generation, Request

    model, tokenizer = small()

    def ask() -> None:
        Generation(model, tokenizer, 8, 4, "vllm", say=lambda _: None).all_of([Request("a\n")])

    monkeypatch.setenv("FAKE_VLLM_FAILS", "1")
    with pytest.raises(StageError, match="no kernel image is available") as failed:
        ask()
    assert 'engine = "auto"' in str(failed.value)
    monkeypatch.delenv("PODCTL_VLLM_PYTHON")
    monkeypatch.setenv("XDG_CACHE_HOME", str(log.parent / "cache"))
    monkeypatch.setattr(vllm_environment, "REQUIREMENTS", ("./no-such-folder",))
    with pytest.raises(StageError, match="vLLM cannot be installed") as failed:
        ask()
    assert "PODCTL_VLLM_PYTHON" in str(failed.value)
    assert not list((log.parent / "cache" / "podctl-vllm").iterdir())


def test_vllm_reserves_for_the_largest_rank() -> None:
    """An adapter of rank 100 gets 128, the next that vLLM knows; DoRA and ranks above 512 are
    refused, in the parameters before a pod is rented and for an adapter that is there."""
    from types import SimpleNamespace

    from peft import LoraConfig

    from remote.stages.common.parameters import SftParameters
    from remote.stages.model.vllm_engine import lora_rank

    def adapted(**settings: Any) -> SimpleNamespace:
        return SimpleNamespace(peft_config={"sft": LoraConfig(**settings)})

    assert lora_rank(SimpleNamespace()) == 64
    assert lora_rank(adapted(r=16)) == 64
    assert lora_rank(adapted(r=8, rank_pattern={"q_proj": 100})) == 128
    for settings in ({"r": 513}, {"r": 8, "use_dora": True}):
        with pytest.raises(StageError, match="vLLM"):
            lora_rank(adapted(**settings))
    for wrong in ({"lora_rank": 513}, {"dora": True}):
        with pytest.raises(StageError, match="parameter engine"):
            SftParameters(model="m", engine="vllm", **wrong)
    assert SftParameters(model="m", engine="vllm", lora_rank=512).lora_rank == 512
