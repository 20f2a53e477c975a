"""Stage 1E for real: adapters of the small model answer, are compared, and a report comes of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from controller.locks.answer_key import answer_key
from controller.reports.figures import figures
from controller.reports.html_page import page as page_of
from controller.reports.markdown_page import text as text_of
from jobs.catalog import load_stages
from jobs.criteria import Finding
from jobs.criteria import evaluate as judge
from remote.stages import baseline, evaluate, sft
from remote.stages.baseline import BaselineParameters
from remote.stages.common.append_jsonl import ResumableRecords
from remote.stages.common.decoding_pass import DecodingPass
from remote.stages.common.failure import StageError
from remote.stages.common.metrics import MetricsLog
from remote.stages.common.parameters import SftParameters, parse
from remote.stages.common.signals import StopRequest
from remote.stages.evaluate import EvaluateParameters
from remote.stages.instructions.sets import load
from remote.stages.model import adapters
from remote.stages.model.answering import GenerationLimits, answer
from remote.stages.model.loading import load_tokenizer, resolve
from remote.stages.text.prompts import bare
from tests.support import training_stack
from tests.support.short_memory import Short

RESPONSES = "artifacts/baseline_responses.jsonl"
ASSESSMENT = "artifacts/baseline_assessment.json"
DATA = "data/stage1/sft_training_data.jsonl"
PREFERENCES = "artifacts/preference_pairs.jsonl"
SFT, DPO = "checkpoints/stage1_sft", "checkpoints/stage1_dpo"
WEIGHTS = "adapter_model.safetensors"
PARAMETERS = {"model": "small", "instructions": "small", "batch": 50, "samples": 1}
SECONDS = 400.0

pytestmark = training_stack.ON_ONE_WORKER


@pytest.fixture(scope="module", autouse=True)
def _alone() -> Iterator[None]:
    names = ("PODCTL_METRICS", "PODCTL_RUN_DIR", "PODCTL_PARAMETERS", "HF_HUB_OFFLINE")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ["HF_HUB_OFFLINE"] = "1"
    folder = Path.cwd()
    handler = signal.getsignal(signal.SIGTERM)
    yield
    os.chdir(folder)
    signal.signal(signal.SIGTERM, handler)
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, _alone: None) -> Path:
    """A work folder as stages 1A to 1D leave it, of a short training; never written to again."""
    folder = tmp_path_factory.mktemp("stage1")
    os.chdir(folder)
    train = load("small").train
    rows = [
        {"instruction": one.text, "response": one.answer, "prompt": bare(one.text)}
        | {"type": one.type, "kind": one.kind}
        for one in train
    ]
    Path(DATA).parent.mkdir(parents=True)
    Path(DATA).write_text("".join(json.dumps(row) + "\n" for row in rows))
    small = {"model": "small", "instructions": "small", "seed": 0}
    assert baseline.run(made(BaselineParameters, small | {"max_new_tokens": 40, "batch": 50})) == 0
    quick = {"max_steps": 70, "accumulation": 1, "log_steps": 5, "learning_rate": 1e-3}
    assert sft.run(made(SftParameters, small | quick | {"save_steps": 70})) == 0
    for path in Path(SFT).glob("checkpoint-*"):
        shutil.rmtree(path)
    shutil.copytree(SFT, DPO)
    scale(Path(DPO), 0.97)
    rewards = {"rewards/margins": 0.5, "rewards/accuracies": 0.8}
    edit(Path(DPO, "training_log.jsonl"), 1, lambda record: record.update(rewards))
    edit(Path(DPO, "training_log.jsonl"), 2, lambda record: record.update(rewards))
    pairs = [
        {"instruction": row["instruction"], "prompt": row["prompt"], "chosen": row["response"]}
        | {"rejected": "I do not know."}
        for row in rows[:50]
    ]
    Path(PREFERENCES).write_text("".join(json.dumps(row) + "\n" for row in pairs))
    return folder


@pytest.fixture
def work(inputs: Path, tmp_path: Path) -> Path:
    """A copy of its own, with the process in it."""
    folder = tmp_path / "work"
    shutil.copytree(inputs, folder)
    os.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def finished(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stage's outputs beside its inputs."""
    folder = tmp_path_factory.mktemp("finished") / "work"
    shutil.copytree(inputs, folder)
    os.chdir(folder)
    (folder / ".podctl").mkdir()
    (folder / ".podctl" / "plan_so_far.json").write_text(json.dumps(PLAN))
    assert run() == 0
    return folder


USAGE = {
    "samples": 2,
    "cpu_percent": {"mean": 40.0, "max": 90.0},
    "gpu_percent": {"mean": 88.0, "max": 99.0},
    "series": [{"seconds": n, "cpu_percent": 40.0, "gpu_percent": 88.0} for n in (0, 5)],
}
PLAN = {
    "schema": 1,
    "at": 1.0,
    "stage": "stage1e",
    "run": "stage1e-0001",
    "usd_per_hour": 0.86,
    "plan": {"hours": 4.5, "usd": 7.83, "usd_per_hour": 1.74},
    "stages": [
        {"name": "stage1c", "plan_hours": 3.0, "plan_usd": 5.22, "hours": 1.25, "usd": 1.0}
        | {"usage": USAGE},
        {"name": "stage1e", "plan_hours": 1.5, "plan_usd": 2.61, "hours": 0.0, "usd": 0.0},
    ],
}


def made(kind: type[Any], values: dict[str, Any]) -> Any:
    return parse(kind, json.dumps(values).encode())


def run(**changes: Any) -> int:
    return evaluate.run(made(EvaluateParameters, PARAMETERS | changes))


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "artifacts/stage1_report.json").read_text())
    return found


def scale(folder: Path, factor: float) -> None:
    """The adapter in `folder` with another strength; 0 makes it the base."""
    from safetensors.torch import load_file, save_file

    found = load_file(str(folder / WEIGHTS))
    scaled = {name: one * (factor if "lora_B" in name else 1.0) for name, one in found.items()}
    save_file(scaled, str(folder / WEIGHTS), metadata={"format": "pt"})


def edit(path: Path, line: int, change: Callable[[dict[str, Any]], Any]) -> None:
    """Line `line` of a JSONL file, from 1, changed in place."""
    lines = path.read_text().splitlines()
    record = json.loads(lines[line - 1])
    change(record)
    lines[line - 1] = json.dumps(record)
    path.write_text("\n".join(lines) + "\n")


def judged(folder: Path, **parameters: Any) -> list[Finding]:
    """The criteria of stage1e as the laptop judges them."""
    stage = load_stages({"stage1e": {"parameters": PARAMETERS | parameters}})["stage1e"]
    return list(judge(stage.criteria, folder, answer_key(stage, folder)))


def test_trained_adapters_pass(finished: Path) -> None:
    """Base 20 %, both adapters far above: every criterion of stage1e holds on the files."""
    findings = judged(finished)
    found = report(finished)

    assert [(one.criterion, one.detail) for one in findings if one.status != "PASS"] == []
    assert found["comparisons"]["sft_vs_base"]["lift"] > 0.4
    assert found["n"] == 100
    assert found["sampling"]["dpo_vs_sft"]["n"] == 100
    assert found["training"]["sft"]["loss"][0][1] > found["training"]["sft"]["loss"][-1][1]


def test_the_control_is_the_baseline_word_for_word(finished: Path) -> None:
    """The base's answers in the comparison are 1A's own; none was generated again."""
    control = [json.loads(line) for line in (finished / RESPONSES).read_text().splitlines()]
    lines = (finished / "artifacts/stage1_responses.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in lines]

    for system, way in (("base", "raw"), ("few_shot", "few_shot")):
        compared = {one["instruction"]: one["response"] for one in said if one["system"] == system}
        assert compared == {one["instruction"]: one[way]["response"] for one in control}
    assert {one["prompt"] for one in said if one["system"] == "dpo"} == {
        one["raw"]["prompt"] for one in control
    }
    assert len(said) == 100 * (2 + 2 + 2)  # controls, greedy, one sample each


class Opened(HTMLParser):
    """What a page refers to, and whether its elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href")
        ]
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()


def test_the_page_needs_nothing_else_and_is_well_formed(finished: Path) -> None:
    """No script and no reference outside the page; five figures with their letters as text."""
    text = page_of(report(finished), figures(report(finished)), "by podctl")
    page = Opened()
    page.feed(text)

    assert page.open == []
    assert "script" not in page.tags
    assert all(link.startswith("#") for link in page.links)
    assert page.tags.count("svg") == 5
    assert "Success on held-out instructions" in text
    assert ">margins<" in text


def test_the_report_tells_the_plan_and_this_run(finished: Path) -> None:
    """Hours and dollars by stage beside the estimates; the run itself is counted on."""
    stages = {one["name"]: one for one in report(finished)["spending"]["stages"]}
    text = text_of(report(finished), "by podctl")

    assert stages["stage1c"]["usd"] == 1.0
    assert stages["stage1e"]["hours"] > 0
    assert stages["stage1e"]["usd"] == pytest.approx(stages["stage1e"]["hours"] * 0.86, abs=1e-3)
    assert "| stage1c | 3 | 1.25 | \\$5.22 | \\$1.0000 | n/a | n/a | n/a | 40 % | 88 % |" in text
    assert "stage1e (this run)" in text


def test_useless_training_does_not_pass(work: Path) -> None:
    """Adapters that change nothing, as a learning rate of 0 leaves them, end in FAIL."""
    for folder in (SFT, DPO):
        scale(Path(folder), 0.0)

    assert run(samples=0) == 0
    found = report(work)
    assert found["verdict"] == "FAIL"
    assert found["comparisons"]["sft_vs_base"]["lift"] == 0
    findings = judged(work, samples=0)
    assert next(one.status for one in findings) == "FAIL"


def test_held_out_items_in_the_training_data_fail(work: Path) -> None:
    """One held-out instruction in other letters among the training data: FAIL, with its line."""
    edit(Path(DATA), 7, lambda record: record.update(instruction=held_out_text().upper() + "!"))

    assert run(samples=0) == 0
    found = report(work)
    assert (found["verdict"], found["disjoint"]) == ("FAIL", False)
    assert found["disjointness"]["against"][0]["exact"] == 1
    assert found["disjointness"]["against"][0]["examples"][0]["where"] == f"{DATA}, line 7"
    findings = {one.criterion: one.status for one in judged(work, samples=0)}
    assert findings["no held-out item was learned from"] == "FAIL"


def held_out_text() -> str:
    return load("small").held_out[3].text


def test_an_interrupted_run_goes_on_where_it_was(work: Path, finished: Path) -> None:
    """SIGTERM ends with 143 and what was answered is kept; the next start gives the same report."""
    progress = Path("artifacts/.evaluation_progress.jsonl")
    over = threading.Event()

    def interrupt() -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and not over.wait(0.005):
            if progress.is_file() and b"step" in progress.read_bytes():
                os.kill(os.getpid(), signal.SIGTERM)
                return

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    status = run()
    over.set()
    watcher.join()
    answered = len(Path("artifacts/.stage1_responses.jsonl.part").read_bytes().splitlines())

    assert status == 143
    assert 0 < answered < 400
    assert not Path("artifacts/stage1_report.json").exists()
    with Path("artifacts/.stage1_responses.jsonl.part").open("ab") as part:
        part.write(b'{"system": "sft", "instr')  # and a line that was cut off
    assert run() == 0
    same = ("verdict", "systems", "comparisons", "sampling", "by_type", "samples")
    assert {key: report(work)[key] for key in same} == {key: report(finished)[key] for key in same}
    steps = [one for one in progress.read_text().splitlines() if "step" in one]
    assert len(steps) == len(set(steps)) == 8  # each pass of 50 was made once


def test_answers_of_another_adapter_are_not_taken_over(work: Path, finished: Path) -> None:
    """What is kept is named by the adapters that said it."""
    shutil.copy(finished / "artifacts/stage1_responses.jsonl", work / "artifacts")
    for folder in (SFT, DPO):
        scale(Path(folder), 0.0)

    assert run(samples=0) == 0
    assert report(work)["systems"]["sft"] != report(finished)["systems"]["sft"]


def test_short_memory_is_tried_again_with_half_the_batch(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As often as it takes, and the greedy answers are the same; where not one prompt fits, the
    error says what to lower."""
    model = adapters.load(resolve("small"), "none", {"sft": Path(SFT)})
    tokenizer, asked = load_tokenizer(resolve("small")), load("small").held_out[:20]

    def ask(rows: int, batch: int) -> Any:
        kept, log = ResumableRecords(Path("kept.jsonl"), str(batch)), MetricsLog(Path("log.jsonl"))
        bounds, stop = GenerationLimits(40, batch, 0), StopRequest()
        return answer(
            Short(model, rows), tokenizer, asked, [DecodingPass("sft")], bounds, kept, log, stop
        )

    halved = ask(4, 19)[DecodingPass("sft")]
    whole = ask(20, 20)[DecodingPass("sft")]
    assert [record.response for record in halved] == [record.response for record in whole]
    assert "with 19 prompts at once: trying 10" in capsys.readouterr().out
    with pytest.raises(StageError, match="does not hold a single prompt") as caught:
        ask(0, 18)  # settings of its own: nothing is kept
    assert "max_new_tokens" in caught.value.remedy


def test_an_adapter_of_another_shape_is_told(work: Path) -> None:
    """Weights of another rank have no place in the base."""
    config = json.loads(Path(DPO, "adapter_config.json").read_text())
    Path(DPO, "adapter_config.json").write_text(json.dumps(config | {"r": 4}))
    with pytest.raises(StageError, match="stage1_dpo does not fit its base"):
        adapters.load(resolve("small"), "none", {"sft": Path(SFT), "dpo": Path(DPO)})


def test_weights_without_a_place_are_told(work: Path) -> None:
    """An adapter for fewer layers loads with a warning only, and is refused here."""
    from safetensors.torch import load_file, save_file

    found = load_file(str(Path(SFT, WEIGHTS)))
    kept = {name: one for name, one in found.items() if "layers.0" in name}
    save_file(kept, str(Path(SFT, WEIGHTS)), metadata={"format": "pt"})
    with pytest.raises(
        StageError, match=r"stage1_sft does not fit its base: 14 weights|28 weights"
    ):
        adapters.load(resolve("small"), "none", {"sft": Path(SFT)})


def _drop_last(path: str) -> None:
    lines = Path(path).read_text().splitlines(keepends=True)
    Path(path).write_text("".join(lines[:-1]))


def _twice(path: str) -> None:
    lines = Path(path).read_text().splitlines(keepends=True)
    Path(path).write_text("".join([*lines[:1], *lines]))


def _not_json(path: str) -> None:
    lines = Path(path).read_text().splitlines(keepends=True)
    Path(path).write_text("".join([*lines[:2], "{'a': 1}\n", *lines[2:]]))


def _cut_off(path: str) -> None:
    Path(path).write_bytes(Path(path).read_bytes()[:-100])


def _json(path: str, **changes: Any) -> None:
    found = json.loads(Path(path).read_text())
    Path(path).write_text(json.dumps(found | changes))


def _settings(**changes: Any) -> None:
    found = json.loads(Path(ASSESSMENT).read_text())
    _json(ASSESSMENT, settings=found["settings"] | changes)


def _flip(record: dict[str, Any]) -> None:
    record["raw"]["correct"] = not record["raw"]["correct"]


SPOILED: dict[str, tuple[Callable[[], Any], str]] = {
    "no control": (lambda: Path(RESPONSES).unlink(), r"baseline_responses.jsonl: no such file"),
    "an empty control": (lambda: Path(RESPONSES).write_text("\n"), r"no record in it"),
    "a line that is no JSON": (lambda: _not_json(RESPONSES), r"responses.jsonl, line 3: not JSON"),
    "half a control": (lambda: _drop_last(RESPONSES), r"1 instructions lack"),
    "an instruction twice": (lambda: _twice(RESPONSES), r"line 2: the same instruction as"),
    "an answer that lacks": (
        lambda: edit(Path(RESPONSES), 5, lambda one: one.pop("few_shot")),
        r"line 5: few_shot is missing",
    ),
    "a verdict that was edited": (
        lambda: edit(Path(RESPONSES), 9, _flip),
        r"line 9: raw was recorded as correct",
    ),
    "another prompt": (
        lambda: edit(Path(RESPONSES), 2, lambda one: one["raw"].update(prompt="User: hello")),
        r"line 2: the raw prompt is not the bare instruction",
    ),
    "a control of another model": (lambda: _settings(model="other"), r"with model 'other'"),
    "a control of another set": (lambda: _settings(instructions="x"), r"with instructions 'x'"),
    "a control in other bits": (
        lambda: _json(ASSESSMENT, environment={"precision": "nf4"}),
        r"stage1a ran on the base in nf4, stage1e would run in fp32",
    ),
    "an adapter trained in other bits": (
        lambda: _json(f"{SFT}/hyperparameters.json", environment={"precision": "bf16"}),
        r"stage1c ran on the base in bf16, stage1e would run in fp32",
    ),
    "a control without bounds": (lambda: _settings(max_new_tokens="40"), r"max_new_tokens is '40'"),
    "an assessment that is none": (
        lambda: Path(ASSESSMENT).write_text("[" * 10_000),
        r"no settings of the control can be read",
    ),
    "no training data": (lambda: Path(DATA).unlink(), r"sft_training_data.jsonl: no such file"),
    "an empty line of data": (
        lambda: edit(Path(DATA), 4, lambda one: one.update(instruction=" ")),
        r"sft_training_data.jsonl, line 4: instruction must be text",
    ),
    "data without instruction": (
        lambda: edit(Path(DATA), 4, lambda one: (one.pop("instruction"), one.pop("prompt"))),
        r"line 4: neither instruction nor prompt",
    ),
    "pairs that are no objects": (
        lambda: Path(PREFERENCES).write_text("[1]\n"),
        r"preference_pairs.jsonl, line 1: not an object",
    ),
    "an adapter of another base": (
        lambda: _json(f"{DPO}/adapter_config.json", base_model_name_or_path="Qwen/Qwen2.5-32B"),
        r"stage1_dpo was trained on 'Qwen/Qwen2.5-32B', this stage is given 'small'",
    ),
    "an adapter that was cut off": (lambda: _cut_off(f"{SFT}/{WEIGHTS}"), r"cannot be opened"),
    "no adapter": (
        lambda: Path(SFT, "adapter_config.json").unlink(),
        r"stage1_sft/adapter_config.json: no adapter's configuration",
    ),
    "an adapter of no numbers": (lambda: scale(Path(SFT), float("nan")), r"that are not finite"),
    "a training that diverged": (
        lambda: edit(Path(DPO, "training_log.jsonl"), 2, lambda one: one.update(loss=float("nan"))),
        r"training_log.jsonl, line 2: loss is nan, no finite number",
    ),
    "no training log": (
        lambda: Path(SFT, "training_log.jsonl").unlink(),
        r"training_log.jsonl: no such file",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_inputs_are_named_before_anything_is_generated(work: Path, name: str) -> None:
    """File, line and remedy, and no output."""
    spoil, words = SPOILED[name]
    spoil()
    with pytest.raises(StageError, match=words) as caught:
        run()

    assert caught.value.remedy
    assert not Path("artifacts/stage1_report.json").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"samples": -1}, "samples must be 0 or more"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"margin": 1.5}, "margin must be from 0"),
        ({"quantize": "int8"}, "quantize must be"),
        ({"modle": "small"}, "did you mean model"),
    ],
)
def test_wrong_parameters_are_named(changes: dict[str, Any], words: str) -> None:
    """The parameter, what is wrong with it, and where to change it."""
    with pytest.raises(StageError, match=words):
        run(**changes)


def test_a_summary_of_costs_that_is_none_is_told(work: Path) -> None:
    """Garbage where podctl's summary belongs is named; without it the report says: not known."""
    from remote.stages.evaluation.spending import read_spending

    assert read_spending(time.time()) is None
    Path(".podctl").mkdir()
    for garbage in ("{", "[]", '{"stages": [1], "stage": "x", "usd_per_hour": 1}'):
        Path(".podctl/plan_so_far.json").write_text(garbage)
        with pytest.raises(StageError, match=r"plan_so_far\.json"):
            read_spending(time.time())
