"""Stage 1D: preference pairs from the SFT model's own failures, and DPO on them.

    python -m remote.stages.dpo          # in the run's work folder

Samples the SFT model on training instructions and pairs what the verifier calls wrong with a
verified answer; trains the SFT adapter on with itself as the reference; compares both on
instructions that neither was trained on. Reads the adapter of 1C, the data of 1B and the
parameters at $PODCTL_PARAMETERS; leaves

    artifacts/preference_pairs.jsonl    prompt, chosen, rejected, and where both are from
    artifacts/dpo_comparison.json       SFT and DPO, greedy and sampled, with a verdict
    artifacts/dpo_responses.jsonl       the answers that were compared
    checkpoints/stage1_dpo/             the adapter, training_log.jsonl, hyperparameters.json,
                                        disjointness.json, training_of.json (what it is made of),
                                        and every sample in samples.jsonl

Each phase goes on where it was cut off, from nothing but what was made of the same.
SIGTERM saves what is there and ends with 143.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .common import layout
from .common.append_jsonl import Answers, write
from .common.failure import StageError
from .common.metrics import MetricsLog
from .common.oom_retry import free
from .common.parameters import DpoParameters, read
from .common.records import PreferencePair, SystemResponse
from .common.signals import ENDED_BY_SIGTERM, StopRequest
from .evaluation import dpo_comparison
from .instructions import leakage as disjointness
from .instructions.instruction_set import InstructionSet
from .instructions.pairs import fingerprint
from .instructions.sets import load
from .model import base_model_check as sentinels
from .model.adapters import Base, sha256_of
from .model.answering import Bounds, Way, answer, ways
from .model.loading import load_tokenizer, resolve
from .text.prompts import bare
from .training import preference_pairs as preferences
from .training import provenance
from .training.preference_pairs import Candidate
from .training.training import prepare, quieten, record, train, watching_memory, with_less_memory


def main() -> int:
    prepare()
    try:
        return run(read(DpoParameters))
    except StageError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def run(parameters: DpoParameters) -> int:
    """The stage from its inputs to its outputs; the process's exit status."""
    out, began = Path(parameters.out), time.time()
    log = MetricsLog(out / layout.TRAINING_LOG)

    chosen = load(parameters.instructions, parameters.seed)
    data = Path(parameters.data)
    if not disjointness.gate(data, chosen, out):
        return 0  # the verdict is certain: the criterion fails, and names the lines
    asked = preferences.candidates(data, chosen)
    base = Base(resolve(parameters.model), parameters.quantize)
    adapter = sha256_of(Path(parameters.adapter), parameters.model)
    print(f"{len(asked)} training instructions with a verified answer", flush=True)

    log.say("importing torch, transformers and TRL")
    quieten()
    stop = StopRequest()
    stop.listen()
    pairs = make_pairs(parameters, base, adapter, asked, chosen, stop)
    if pairs is None:
        return ENDED_BY_SIGTERM
    described = {"adapter": adapter, "pairs_sha256": fingerprint(layout.PREFERENCE_PAIRS)}
    provenance.claim(
        out, provenance.made_of(parameters, adapter=adapter, pairs=described["pairs_sha256"]), log
    )
    log.say(f"{len(pairs)} preference pairs; training")
    parameters, result = with_less_memory(
        lambda attempt: fit(attempt, base, pairs, log, stop), parameters, log
    )
    compared = result["completed"] and compare(parameters, base, adapter, chosen, stop)
    result |= {"completed": bool(compared), "seconds": round(time.time() - began, 1)}
    record(parameters, described | preferences.summary(pairs), result)
    print(json.dumps(result), flush=True)
    return 0 if result["completed"] else ENDED_BY_SIGTERM


def make_pairs(
    parameters: DpoParameters,
    base: Base,
    adapter: str,
    asked: Sequence[Candidate],
    chosen: InstructionSet,
    stop: StopRequest,
) -> list[PreferencePair] | None:
    """Sample until there are enough failures; the pairs, also in their file. None when stopped."""
    progress = MetricsLog(layout.DPO_PROGRESS)
    bounds = Bounds(parameters.max_new_tokens, parameters.ask_batch, parameters.seed)
    kept = Answers(
        Path(parameters.out, layout.SAMPLES),
        settings(parameters.model, parameters.quantize, adapter, vars(bounds)),
    )
    progress.say("loading the SFT model to sample its failures")
    tokenizer = load_tokenizer(base.source)
    instructions = [one.instruction for one in asked]
    every = (*instructions, *chosen.development, *chosen.held_out)
    sentinels.check_tokens(tokenizer, [bare(one.text) for one in every])
    model = base.carrying({"sft": Path(parameters.adapter)})
    records: list[SystemResponse] = []
    usable: list[SystemResponse] = []
    pairs: list[PreferencePair] = []
    for sample in range(parameters.rounds):
        way = Way("sft", parameters.temperature, sample)
        found = answer(model, tokenizer, instructions, [way], bounds, kept, progress, stop)
        if found is None:
            return None
        records += found[way]
        usable += preferences.apart(found[way], chosen)
        pairs = preferences.failures(asked, usable, parameters)
        wrong = sum(1 for one in found[way] if not one.correct)
        progress.say(f"sample {sample + 1}: {wrong} of {len(asked)} wrong; {len(pairs)} pairs")
        if len(pairs) >= parameters.pairs:
            break
    kept.finish([record.to_json() for record in records])
    pairs = preferences.completed(pairs, asked, parameters)
    write(layout.PREFERENCE_PAIRS, "".join(f"{json.dumps(pair.to_json())}\n" for pair in pairs))
    return pairs


def fit(
    parameters: DpoParameters,
    base: Base,
    pairs: Sequence[PreferencePair],
    log: MetricsLog,
    stop: StopRequest,
) -> dict[str, Any]:
    """Train, save; what came of it. Raises: MemoryShortage, StageError."""
    from transformers import set_seed

    from .training.callbacks import Interruption, Reporting, Saving
    from .training.dpo_trainer import (
        TRAINED,
        check_first_batch,
        check_reference,
        make_trainer,
        save,
        to_preference,
    )

    set_seed(parameters.seed)
    log.say("preparing the SFT adapter to be trained on")
    tokenizer = load_tokenizer(base.source)
    tokens = [
        to_preference(
            pair, f"{layout.PREFERENCE_PAIRS}, line {line}", tokenizer, parameters.max_length
        )
        for line, pair in enumerate(pairs, 1)
    ]
    with watching_memory(parameters):
        model = base.carrying({TRAINED: Path(parameters.adapter)}, trainable=True)
        callbacks = [Reporting(log), Saving(), Interruption(stop)]
        trainer = make_trainer(model, tokenizer, tokens, parameters, callbacks)
        print(f"the reference has {check_reference(trainer.model):,} weights", flush=True)
        better, worse = check_first_batch(trainer, tokenizer)
        print(f"the first pair: {better!r} over {worse!r}", flush=True)
        result = train(trainer, parameters, log)
    if result["completed"]:
        save(trainer, tokenizer, Path(parameters.out))
    return result


def compare(
    parameters: DpoParameters, base: Base, adapter: str, chosen: InstructionSet, stop: StopRequest
) -> bool:
    """Ask SFT and DPO the same instructions, and judge; false when asked to stop on the way."""
    progress = MetricsLog(layout.DPO_PROGRESS)
    free()
    folders = dict(
        zip(dpo_comparison.SYSTEMS, map(Path, (parameters.adapter, parameters.out)), strict=True)
    )
    adapters = {"sft": adapter, "dpo": sha256_of(folders["dpo"], parameters.model)}
    instructions = [*chosen.development, *chosen.held_out]
    progress.say(f"comparing SFT and DPO on {len(instructions)} instructions")
    wanted = ways(
        dpo_comparison.SYSTEMS, parameters.compare_samples, parameters.compare_temperature
    )
    bounds = Bounds(parameters.max_new_tokens, parameters.ask_batch, parameters.seed)
    named = settings(parameters.model, parameters.quantize, adapters, vars(bounds))
    kept = Answers(layout.DPO_RESPONSES, named)
    model, tokenizer = base.carrying(folders), load_tokenizer(base.source)
    found = answer(model, tokenizer, instructions, wanted, bounds, kept, progress, stop)
    if found is None:
        return False
    document = dpo_comparison.assess(found, chosen, parameters.margin, parameters.seed) | {
        "schema": 1,
        "instructions": chosen.name,
        "adapters": adapters,
        "samples": parameters.compare_samples,
        "temperature": parameters.compare_temperature,
        "max_new_tokens": parameters.max_new_tokens,
    }
    write(layout.DPO_COMPARISON, json.dumps(document, indent=1) + "\n")
    kept.finish([record.to_json() for records in found.values() for record in records])
    return True


def settings(*named: Any) -> str:
    """Identifies answers: everything that decides one but instruction, adapter and temperature."""
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
