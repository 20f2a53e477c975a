"""Answers with vLLM's offline API; a program for the Python that vLLM is installed in.

One JSON object a line: first {model, quantization, dtype, memory, max_model_len, lora_rank}, which
is answered by {ready}; then batches of {rows, most, stop, stop_ids, barred, adapter, top_k, top_p},
each answered by {tokens}, in order. A failure is answered by {error}. It ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_FAILURES = (ImportError, OSError, RuntimeError, ValueError, TypeError, LookupError)


def main() -> int:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is talk

    def answer(document: dict[str, Any]) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    engine: Any = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if engine is None:
                engine = _load(order)
                answer({"ready": True})
            else:
                answer({"tokens": _generate(engine, order)})
        except _FAILURES as error:  # the caller says what it means; any other ends this process
            answer({"error": f"{type(error).__name__}: {error}"})
            return 1
    return 0


def _load(order: dict[str, Any]) -> Any:
    from vllm import LLM  # type: ignore[import-not-found]  # in an environment of its own

    more: dict[str, Any] = {}
    if order["quantization"]:
        more["quantization"] = order["quantization"]
    if order["lora_rank"]:
        more |= {"enable_lora": True, "max_lora_rank": order["lora_rank"]}
    return LLM(
        model=order["model"],
        skip_tokenizer_init=False,
        dtype=order["dtype"],
        gpu_memory_utilization=order["memory"],
        max_model_len=order["max_model_len"],
        enable_prefix_caching=True,
        seed=0,
        **more,
    )


def _generate(engine: Any, order: dict[str, Any]) -> list[list[int]]:
    from vllm import SamplingParams

    bias = {int(token): -100.0 for token in order["barred"]} or None
    settings = [
        SamplingParams(
            temperature=row["temperature"],
            top_k=order["top_k"] if row["temperature"] else 0,
            top_p=order["top_p"] if row["temperature"] else 1.0,
            seed=row["seed"],
            max_tokens=order["most"] - row["made"],
            stop=order["stop"],
            include_stop_str_in_output=True,
            stop_token_ids=order["stop_ids"],
            logit_bias=bias,
        )
        for row in order["rows"]
    ]
    prompts = [{"prompt_token_ids": row["tokens"]} for row in order["rows"]]
    more: dict[str, Any] = {}
    if order["adapter"]:
        from vllm.lora.request import LoRARequest  # type: ignore[import-not-found]  # as above

        path = order["adapter"]
        more["lora_request"] = LoRARequest(path, 1 + abs(hash(path)) % 2**30, path)
    outputs = engine.generate(prompts, settings, use_tqdm=False, **more)
    return [list(output.outputs[0].token_ids) for output in outputs]


if __name__ == "__main__":
    sys.exit(main())
