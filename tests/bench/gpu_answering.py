"""How fast rows are answered at a shape with random weights, and whether the engine says the same.

Random weights never end a row, so a share of the vocabulary counts as end of text: then a sampled
row is as long as a real one, on the average and at random.
"""

from __future__ import annotations

import random
import time
from typing import Any

from tests.bench.gpu_clock import CARD, Rate, card_of, median_of

SHARED, OWN, BARE = 90, 17, 17  # tokens of a sheet, of its instruction, of a bare prompt
MEAN = 25  # tokens of an answer: the real ones had 13 to 56
SLOTS = 512


def rates(model: Any, repeats: int, *, plain: bool) -> list[Rate]:
    """Prefill, decoding with every slot in use, and answers with slots refilled."""
    results = [
        median_of("prefill, prompts of 107 tokens, tokens/s", repeats, lambda: _prefill(model)),
        median_of("decoding, 512 rows, tokens/s", repeats, lambda: _full(model, SLOTS)),
        median_of("decoding, 256 rows, tokens/s", repeats, lambda: _full(model, 256)),
        median_of("1B: 1,900 tries, seconds", repeats, lambda: _answers(model, 1900, 256, SHARED)),
        median_of(
            "1D's comparison and 1E: 13,030 bare answers, seconds", 1,
            lambda: _answers(model, 13_030, 128, 0),
        ),
    ]  # fmt: skip
    if plain:
        results.append(median_of("generate, 64 rows, tokens/s", 1, lambda: _plain(model, 64)))
    return results


def _decoding(model: Any, count: int, most: int, shared: int, own: int, mean: int) -> Any:
    import torch

    from remote.stages.model.engine.decoding import Decoding
    from remote.stages.model.engine.loop import Row
    from remote.stages.model.engine.stop_table import DELIMITED, ENDED, StopTable

    vocabulary = model.config.vocab_size
    draw = random.Random(0)
    sheets = [[draw.randrange(vocabulary) for _ in range(shared)] for _ in range(8)]
    rows = []
    for number in range(count):
        length = max(4, round(draw.gauss(own, own / 4)))
        tail = [draw.randrange(vocabulary) for _ in range(length)]
        heat = 0.7 if mean else 0.0
        rows.append(Row((*sheets[number % 8], *tail), heat, number))
    transitions = torch.zeros(ENDED + 1, vocabulary, dtype=torch.uint8)
    if mean:
        transitions[:DELIMITED, torch.randperm(vocabulary)[: vocabulary // mean]] = ENDED
    table = StopTable(transitions, torch.arange(vocabulary - 32, vocabulary))  # as many as Qwen's
    return Decoding(model, rows, table, most, print, rates=[])


def _run(decoding: Any) -> float:
    import torch

    torch.cuda.synchronize()
    began = time.monotonic()
    ended: list[Any] = []
    assert decoding.run(ended.extend, lambda: False)
    assert len(ended) == len(decoding.rows)
    torch.cuda.synchronize()
    return time.monotonic() - began


def _prefill(model: Any) -> tuple[float, str]:
    """The difference of many and few prompts."""
    times, tokens = [], []
    for count in (256, 1280):
        decoding = _decoding(model, count, 1, 0, SHARED + OWN, 0)
        times.append(_run(decoding))
        tokens.append(sum(rate.prompt_tokens for rate in decoding.rates))
    return (tokens[1] - tokens[0]) / (times[1] - times[0]), f"{tokens[1]:,} tokens"


def _full(model: Any, slots: int) -> tuple[float, str]:
    """The difference of a long and a short decoding: what a step takes."""
    times = []
    for most in (16, 80):
        decoding = _decoding(model, slots, most, 0, 107, 0)
        decoding.slots = slots
        times.append(_run(decoding))
    used = decoding.rates[-1]
    step = (times[1] - times[0]) / 64
    note = f"{used.slots} slots, {step * 1e3:.1f} ms a step, dequantised once: {used.dense}"
    return used.slots / step, note


def capped(model: Any, repeats: int) -> Rate:
    """Decoding with the memory of a smaller card, where weights are dequantised at every step."""

    def measure() -> tuple[float, str]:
        with card_of(CARD):
            return _full(model, 128)

    return median_of("decoding in 48 GB, 128 rows, tokens/s", repeats, measure)


def _answers(model: Any, count: int, most: int, shared: int) -> tuple[float, str]:
    decoding = _decoding(model, count, most, shared, OWN, MEAN)
    seconds = _run(decoding)
    tokens = sum(rate.tokens for rate in decoding.rates)
    steps = sum(rate.steps for rate in decoding.rates)
    slots = decoding.rates[0].slots
    return seconds, (
        f"{tokens:,} tokens ({tokens / count:.1f} each), {tokens / seconds:,.0f} tokens/s, "
        f"{slots} slots, {steps} steps, {tokens / steps / slots:.0%} of the slots useful"
    )


def _plain(model: Any, rows: int) -> tuple[float, str]:
    import torch

    ids = torch.randint(3, model.config.vocab_size, (rows, 107), device=model.device)
    mask = torch.ones_like(ids)
    times = []
    for most in (2, 2, 12):
        torch.cuda.synchronize()
        began = time.monotonic()
        with torch.inference_mode():
            model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=most, min_new_tokens=most,
                do_sample=False, use_cache=True, pad_token_id=0,
            )  # fmt: skip
        torch.cuda.synchronize()
        times.append(time.monotonic() - began)
    step = (times[2] - times[1]) / 10
    return rows / step, f"{step * 1e3:.0f} ms a step"


def equality(quantize: str, name: str) -> str:
    """How many answers of the model called `name` are the same, engine and `generate`."""
    from remote.stages.instructions.sets import load
    from remote.stages.model.loading import load_model, load_tokenizer, resolve
    from remote.stages.model.sampling import Generation, Request
    from remote.stages.text.prompts import CompletionStylePrompts, bare

    chosen, source = load("small" if name == "small" else "english"), resolve(name)
    model, tokenizer = load_model(source, quantize), load_tokenizer(source)
    sheets = CompletionStylePrompts(chosen.pool)
    asked = chosen.train[:400]
    prompts = [sheets.render(item.text) for item in asked] + [bare(item.text) for item in asked]
    ways = {
        "engine": Generation(model, tokenizer, 48, 0, "continuous"),
        "engine, 37 slots": Generation(model, tokenizer, 48, 0, "continuous", slots=37),
        "batches of 100": Generation(model, tokenizer, 48, 100, "plain"),
        "batches of 7": Generation(model, tokenizer, 48, 7, "plain"),
    }
    lines = []
    for heat in (0.0, 0.7):
        requests = [Request(prompt, heat, n) for n, prompt in enumerate(prompts)]
        said = {name: way.all_of(requests) for name, way in ways.items()}
        for name, other in (("engine", "batches of 100"), ("engine", "engine, 37 slots"),
                            ("batches of 100", "batches of 7")):  # fmt: skip
            pairs = zip(said[name], said[other], strict=True)
            same = sum(one.text == two.text for one, two in pairs)
            lines.append(f"  temperature {heat}: {name} = {other}: {same} of {len(prompts)}")
    return f"{name}, {quantize}:\n" + "\n".join(lines)
