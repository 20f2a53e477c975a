"""The verdict of 1D and 1E is computed here from the responses; a pod's figures are only claims."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.locks.answer_key import InstructionKey, answer_key
from controller.locks.statistics import certified
from controller.reports import publication
from jobs.catalog import load_stages
from jobs.criteria import Finding, Verdict, evaluate
from jobs.stage import Criterion, Stage
from remote.stages.common import layout
from remote.stages.common.decoding_pass import DecodingPass
from remote.stages.common.records import BaselineRecord, ResponseRecord, SystemResponse
from remote.stages.evaluation import comparison, dpo_comparison, final_report
from remote.stages.instructions.sets import load
from remote.stages.text.prompts import bare
from remote.stages.verification.instruction import Instruction
from remote.stages.verification.scoring import judge

SMALL = load("small")
RIGHT = {"base": 0.1, "few_shot": 0.5, "sft": 0.8, "dpo": 0.95}  # share of right answers
SAMPLES, TEMPERATURE = 4, 0.7
REPORTS = {"stage1d": "artifacts/dpo_comparison.json", "stage1e": "artifacts/stage1_report.json"}
Passes = Mapping[DecodingPass, Sequence[SystemResponse]]


def stage(name: str) -> Stage:
    return load_stages({name: {"parameters": {"instructions": "small"}}})[name]


def answered(way: DecodingPass, asked: Sequence[Instruction]) -> list[SystemResponse]:
    """As many right answers as `RIGHT` says, some fewer when sampled."""
    share = RIGHT[way.system] - (0.3 if way.temperature and way.system == "sft" else 0.0)
    records = []
    for place, instruction in enumerate(asked):
        is_right = (place * 37 + way.sample * 11) % 100 < 100 * share
        record = judge(instruction, instruction.answer if is_right else "no")
        records.append(SystemResponse.of(record, bare(instruction.text), **vars(way)))
    return records


def passes(systems: Sequence[str], sampled: Sequence[str]) -> list[DecodingPass]:
    ways = [DecodingPass(system) for system in systems]
    return ways + [
        DecodingPass(system, TEMPERATURE, sample) for sample in range(SAMPLES) for system in sampled
    ]


def write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def write_lines(path: Path, records: Sequence[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def project(root: Path) -> None:
    """What the stages before left: training data, pairs and the control."""
    pairs = [
        {"instruction": one.text, "prompt": bare(one.text), "kind": one.kind}
        | {"chosen": one.answer, "rejected": "no", "response": one.answer}
        | {"chosen_source": "canonical" if place % 3 else "sampled"}
        for place, one in enumerate(SMALL.train[:60])
    ]
    write_lines(root / layout.TRAINING_DATA, pairs)
    write_lines(root / layout.PREFERENCE_PAIRS, pairs)
    both = [answered(DecodingPass(name), SMALL.held_out) for name in ("base", "few_shot")]
    control = [BaselineRecord(raw, few_shot).to_json() for raw, few_shot in zip(*both, strict=True)]
    write_lines(root / layout.BASELINE_RESPONSES, control)


def run_of(name: str, root: Path) -> dict[str, Any]:
    """The files of a run as an honest pod leaves them; returns its report."""
    project(root)
    systems = dpo_comparison.SYSTEMS if name == "stage1d" else comparison.SYSTEMS
    asked = [*SMALL.development, *SMALL.held_out] if name == "stage1d" else SMALL.held_out
    responses = {way: answered(way, asked) for way in passes(systems, ("sft", "dpo"))}
    if name == "stage1d":
        path = layout.DPO_RESPONSES
        pairs = root / layout.PREFERENCE_PAIRS
        report = dpo_comparison.assess(responses, SMALL, 0.05, pairs)
    else:
        path = layout.STAGE1_RESPONSES
        report = final(responses, root)
    write_lines(root / path, [one.to_json() for of in responses.values() for one in of])
    write(root / REPORTS[name], report)
    return report


def final(responses: Passes, root: Path) -> dict[str, Any]:
    greedy: dict[str, Sequence[ResponseRecord]] = {
        way.system: of for way, of in responses.items() if not way.temperature
    }
    overlap = final_report.find_overlap(SMALL, root)
    return final_report.compute(greedy, responses, SMALL, overlap, comparison.Rule(), root)


def judged(name: str, root: Path) -> tuple[list[Finding], InstructionKey]:
    one = stage(name)
    criteria = [
        criterion.model_copy(update={"at_least": 20})
        for criterion in one.criteria
        if criterion.kind == "recomputed"
    ]
    key = answer_key(one, root)
    return list(evaluate(criteria, root, key)), key


@pytest.fixture(scope="module", params=["stage1d", "stage1e"])
def honest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(stage, folder, report) of a pod that says what its responses have."""
    root = tmp_path_factory.mktemp(request.param)
    return request.param, root, run_of(request.param, root)


def copy(honest: tuple[str, Path, dict[str, Any]], root: Path) -> tuple[str, dict[str, Any]]:
    import shutil

    name, source, report = honest
    shutil.copytree(source, root, dirs_exist_ok=True)
    return name, json.loads(json.dumps(report))


def test_an_honest_pod_passes_by_the_figures_of_this_machine(honest: Any) -> None:
    """The verdict, its intervals and p stand in the finding, and the whole is kept for the lock."""
    name, root, report = honest
    findings, key = judged(name, root)

    assert len(findings) == (3 if name == "stage1d" else 2)
    assert {finding.status for finding in findings} == {Verdict.PASS}
    assert "computed here from" in findings[0].detail
    assert "lift" in findings[0].detail
    computed = key.computed[REPORTS[name]]
    assert computed["verdict"] == report["verdict"] == "PASS"
    assert set(computed["gain_by_source"]) >= ({"own"} if name == "stage1d" else {"dpo_vs_sft"})
    assert len(json.dumps(certified(computed))) < 40_000


def reach(document: Any, place: str) -> tuple[Any, Any]:
    *parents, last = [int(one) if one.isdigit() else one for one in place.split("/")]
    for part in parents:
        document = document[part]
    return document, last


LIES = {
    "stage1d": [
        ("both/greedy/verdict", "FAIL"),
        ("both/greedy/p", 1e-9),
        ("both/greedy/low", 0.3),
        ("both/sampled/after", 0.99),
        ("both/greedy/dpo/kinds", 3),
        ("held_out/greedy/dpo/types/qa/rate", 0.125),
        ("gain_by_source/own/won", 40),
    ],
    "stage1e": [
        ("verdict", "FAIL"),
        ("gates/1/verdict", "FAIL"),
        ("comparisons/dpo_vs_base/won", 4),
        ("comparisons/dpo_vs_few_shot/low", 0.7),
        ("systems/few_shot/types/qa/correct", 0),
        ("sampling/dpo_vs_sft/p", 0.5),
        ("trivial/constants/overall/rate", True),
        ("chosen_answers/own", 60),
        ("by_type/3/won", 99),
    ],
}


def test_a_lie_in_the_statistics_is_found(honest: Any, tmp_path: Path) -> None:
    """The responses are intact; whichever figure of the report is changed, the stage fails and the
    figure is named with what the responses have."""
    name, _ = copy(honest, tmp_path)
    for place, value in LIES[name]:
        report = json.loads(json.dumps(honest[2]))
        document, last = reach(report, place)
        document[last] = value
        write(tmp_path / REPORTS[name], report)
        findings, key = judged(name, tmp_path)

        assert findings[0].status is Verdict.FAIL, place
        assert place.replace("/", ".") in findings[0].detail
        assert "other figures than its responses have" in findings[0].detail
        assert key.computed[REPORTS[name]]["verdict"] == "PASS"


def test_a_failed_comparison_that_is_called_passed_fails(tmp_path: Path) -> None:
    """DPO is no better than the base, and a report of a better run is put beside the answers."""
    report = run_of("stage1e", tmp_path)
    lines = [
        json.loads(one)
        for one in (tmp_path / layout.STAGE1_RESPONSES).read_text().split("\n")
        if one
    ]
    base = {one["instruction"]: one for one in lines if one["system"] == "base"}
    for one in lines:
        if one["system"] == "dpo":
            one.update({name: base[one["instruction"]][name] for name in ("response", "correct")})
    write_lines(tmp_path / layout.STAGE1_RESPONSES, lines)
    findings, _ = judged("stage1e", tmp_path)

    assert report["verdict"] == "PASS"
    assert findings[0].status is Verdict.FAIL
    assert "verdict is 'PASS', not 'FAIL'" in findings[0].detail
    write(tmp_path / REPORTS["stage1e"], {})  # nothing claimed: the computed verdict counts
    findings, _ = judged("stage1e", tmp_path)
    assert findings[0].status is Verdict.FAIL
    assert findings[0].measured == "FAIL"
    assert findings[0].detail.startswith("'FAIL', need 'PASS'")


def leave_out_a_sample(lines: list[dict[str, Any]]) -> None:
    lines[:] = [one for one in lines if (one["system"], one["sample"]) != ("dpo", 3)]


def add_a_greedy_pass(lines: list[dict[str, Any]]) -> None:
    greedy = [one for one in lines if one["system"] == "dpo" and not one["temperature"]]
    lines += [one | {"sample": 1} for one in greedy]


def sample_colder(lines: list[dict[str, Any]]) -> None:
    for one in lines:
        one["temperature"] = 0.1 if one["temperature"] else 0.0


def number_a_sample_endless(lines: list[dict[str, Any]]) -> None:
    lines[-1]["sample"] = float("inf")


def weaken_the_control(lines: list[dict[str, Any]]) -> None:
    lucky = next(one for one in lines if one["system"] == "few_shot" and one["correct"])
    lucky.update(response="no", correct=False)


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (leave_out_a_sample, "no answer at temperature 0.7 of dpo"),
        (add_a_greedy_pass, "answers that the stage was not to give"),
        (sample_colder, "no answer at temperature 0.7 of sft"),
        (number_a_sample_endless, "are not numbers"),
        (weaken_the_control, "is not the one that stage1a measured"),
    ],
)
def test_other_responses_than_the_stage_was_to_give_fail(
    tmp_path: Path, forge: Callable[[list[dict[str, Any]]], None], words: str
) -> None:
    """A pass left out or added, another temperature, or a control weaker than the locked one."""
    run_of("stage1e", tmp_path)
    path = tmp_path / layout.STAGE1_RESPONSES
    lines = [json.loads(one) for one in path.read_text().splitlines()]
    forge(lines)
    write_lines(path, lines)
    (finding, *_), _ = judged("stage1e", tmp_path)

    assert finding.status is Verdict.FAIL
    assert words in finding.detail


def test_a_leak_that_the_report_denies_is_found(tmp_path: Path) -> None:
    """The held-out set is looked for in the data that is here, not taken from the report."""
    report = run_of("stage1e", tmp_path)
    learned = SMALL.held_out[0]
    with (tmp_path / layout.TRAINING_DATA).open("a") as stream:
        stream.write(json.dumps({"instruction": learned.text, "response": learned.answer}) + "\n")
    findings, _ = judged("stage1e", tmp_path)

    assert report["disjoint"] is True
    assert findings[1].status is Verdict.FAIL
    assert "disjoint is True, not False" in findings[1].detail


@pytest.mark.parametrize("garbage", ["[" * 100_000, "[]", "null", '{"both": [1], "gates": {}}', ""])
def test_a_report_of_garbage_fails(honest: Any, tmp_path: Path, garbage: str) -> None:
    """No document of a pod raises."""
    name, _ = copy(honest, tmp_path)
    (tmp_path / REPORTS[name]).write_text(garbage)
    findings, _ = judged(name, tmp_path)

    assert findings[0].status is Verdict.FAIL


def test_another_program_has_no_statistics_here(tmp_path: Path) -> None:
    """A stage of one's own may not be judged by what podctl's stages compute."""
    run_of("stage1e", tmp_path)
    one = stage("stage1e").model_copy(update={"command": ("python", "train.py")})
    criterion = Criterion(
        kind="recomputed", path=layout.STAGE1_RESPONSES.as_posix(), parts=("held_out",),
        report=REPORTS["stage1e"], key="verdict", equals="PASS",
    )  # fmt: skip
    (finding,) = evaluate([criterion], tmp_path, answer_key(one, tmp_path))

    assert finding.status is Verdict.FAIL
    assert "recomputed is for remote.stages.dpo, remote.stages.evaluate" in finding.detail


def test_the_page_shows_what_was_computed_here() -> None:
    """Over the pod's report; the page says whose the figures are."""
    path = "data_quality.json"
    command = ("python", "-m", "remote.stages.generate")
    (own,) = publication.unlocked("stage1b-0001", command, [path])
    (source,) = publication.unlocked("stage1b-0001", command, [path], {path: {"pairs": 7}})

    assert "every figure is the pod's own word" in own.origin
    assert "computed on this machine" in source.origin
    assert source.computed == {"pairs": 7}
