"""Stage 1B for real: the small base model writes data, is killed, goes on, and is checked."""

from __future__ import annotations

import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from controller.reports.quality_page import render
from jobs.catalog import load_stages
from jobs.criteria import Verdict, evaluate
from remote.stages import generate
from remote.stages.common.failure import StageError
from remote.stages.datagen import quality
from remote.stages.datagen.candidate import Candidate
from remote.stages.datagen.journal import Entry, Journal
from remote.stages.datagen.rounds import TRIES, next_round
from remote.stages.datagen.selection import Policy, Selection
from remote.stages.instructions.instruction_set import InstructionSet
from remote.stages.instructions.pairs import read_pairs
from remote.stages.instructions.sets import load
from remote.stages.text.prompts import SHEETS
from remote.stages.verification.instruction import Instruction
from tests.support import training_stack
from tests.support.small_generation import (
    DATA,
    JOURNAL,
    OUT,
    PARAMETERS,
    generate_here,
    lines_of,
    records_of,
    report_of,
)
from tests.support.stage_process import interrupted

REPOSITORY = Path(generate.__file__).parents[2]

pytestmark = training_stack.ON_ONE_WORKER


def signalled(folder: Path, number: int, **changes: Any) -> tuple[int, float]:
    """The stage as a process that is signalled in the middle; (status, seconds to its end)."""
    folder.mkdir()

    def writing() -> bool:
        return len(lines_of(folder / JOURNAL)) >= 20

    return interrupted("generate", folder, PARAMETERS | changes, number, writing)


def judged(folder: Path) -> dict[str, Verdict]:
    """The criteria of stage1b by title; as many pairs as the test asks for are enough."""
    criteria = [
        one.model_copy(update={"at_least": PARAMETERS["at_least"]}) if one.kind == "lines" else one
        for one in load_stages({})["stage1b"].criteria
    ]
    return {one.criterion: one.status for one in evaluate(criteria, folder)}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PODCTL_METRICS", "PODCTL_RUN_DIR", "PODCTL_PARAMETERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to look at and to compare with."""
    folder = tmp_path_factory.mktemp("generated")
    assert generate_here(folder) == 0
    return folder


def test_criteria_of_stage1b_pass(generated: Path) -> None:
    """What the stage leaves satisfies each of its criteria, and every criterion is judged."""
    found = judged(generated)

    assert len(found) >= 6
    assert set(found.values()) == {Verdict.PASS}


def test_each_record_tells_how_it_was_made(generated: Path) -> None:
    """Prompt, seed, model, type, verdicts and the verifier's opinion stand beside each pair."""
    records = records_of(generated)

    assert len(records) == 150
    for one in records:
        assert one["prompt"].endswith(f"{one['instruction']}\n")
        assert one["prompt"].count("###") == 3
        assert one["type"] in ("completion", "qa", "generation", "response")
        assert one["model"] == "small"
        assert set(one["filters"].values()) == {"pass"}
        assert one["correct"] is not bool(one["reasons"])
        assert one["checks"]
        assert one["finished"] in ("delimiter", "end of text")
    assert len({one["instruction"] for one in records}) > 140
    assert 2 < len({one["prompt"].split("###")[0] for one in records}) <= SHEETS


def test_the_base_model_is_right_below_solved_examples(generated: Path) -> None:
    """Most answers are right, and all that is kept; the report has the rate of each type with its
    interval."""
    success = report_of(generated)["success"]

    assert success["generated"]["overall"]["rate"] > 0.7
    assert success["kept"]["overall"]["rate"] == 1.0
    for cell in success["kept"]["types"].values():
        assert 0 < cell["wilson_low"] <= cell["rate"] <= cell["wilson_high"] <= 1


def test_stage1c_reads_the_pairs(generated: Path) -> None:
    """Training takes the bare instruction as the prompt, not the sheet that was used."""
    pairs = read_pairs(generated / DATA)

    assert len(pairs) == 150
    assert all("###" not in one.prompt + one.completion for one in pairs)


def test_the_report_is_for_people_too(generated: Path) -> None:
    """The page names the counts, each filter and each type."""
    text = render(report_of(generated), "by podctl")

    assert "150 pairs, enough" in text
    assert "| runaway |" in text
    assert "0 exact, 0 near" in text
    assert "| completion |" in text


def test_the_report_counts_time_and_tokens(generated: Path) -> None:
    """Attempts, seconds and tokens are those of the journal."""
    report = report_of(generated)
    entries = [json.loads(line) for line in lines_of(generated / JOURNAL)[1:]]

    assert report["counts"]["attempts"] == report["cost"]["responses"] == len(entries)
    assert report["cost"]["tokens"] == sum(one["tokens"] for one in entries)
    assert report["cost"]["tokens_per_second"] > 0
    assert report["lengths"]["overall"]["n"] == 150


def test_kill_and_resume_give_the_same_data(generated: Path, tmp_path: Path) -> None:
    """After a kill -9 and a torn line, no response is made again and the data is the same."""
    folder = tmp_path / "killed"
    status, _ = signalled(folder, signal.SIGKILL)
    before = lines_of(folder / JOURNAL)
    with (folder / JOURNAL).open("ab") as stream:
        stream.write(b'{"instruction": "Half a li')

    assert status == -signal.SIGKILL
    assert 20 <= len(before) < 151
    assert generate_here(folder) == 0
    assert lines_of(folder / JOURNAL)[: len(before)] == before
    assert (folder / DATA).read_bytes() == (generated / DATA).read_bytes()


def test_a_batch_that_was_half_written_is_made_whole(generated: Path, tmp_path: Path) -> None:
    """Records of a cut batch are kept as they are; only the missing ones are added."""
    (tmp_path / OUT).mkdir(parents=True)
    half = b"".join(lines_of(generated / JOURNAL)[:41])  # the settings, a batch, 15 of the next
    (tmp_path / JOURNAL).write_bytes(half)

    assert generate_here(tmp_path) == 0
    assert (tmp_path / JOURNAL).read_bytes().startswith(half)
    assert (tmp_path / DATA).read_bytes() == (generated / DATA).read_bytes()


def test_sigterm_ends_within_seconds_and_keeps_what_is_there(tmp_path: Path) -> None:
    """Status 143 at once; the journal stays, and opens."""
    folder = tmp_path / "stopped"
    status, seconds = signalled(folder, signal.SIGTERM, batch=10)

    assert status == 143
    assert seconds < 30
    assert all(json.loads(line) for line in lines_of(folder / JOURNAL))
    assert b"the next start resumes" in (folder / "job.log").read_bytes()
    assert (folder / "announced").read_text() == f"{JOURNAL}\n"


def test_a_finished_stage_that_starts_again_loads_no_model(generated: Path, tmp_path: Path) -> None:
    """With every response in the journal, the outputs are written again without the model."""
    (tmp_path / OUT).mkdir(parents=True)
    (tmp_path / JOURNAL).write_bytes((generated / JOURNAL).read_bytes())
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")  # no model at all
    _rename_model(tmp_path / JOURNAL, "./model")

    assert generate_here(tmp_path, model="./model") == 0
    assert len(records_of(tmp_path)) == 150


def _rename_model(journal: Path, name: str) -> None:
    first, *rest = journal.read_bytes().splitlines(keepends=True)
    settings = json.loads(first)
    settings["settings"]["model"] = name
    journal.write_bytes(json.dumps(settings).encode() + b"\n" + b"".join(rest))


def test_other_settings_never_mix(generated: Path, tmp_path: Path) -> None:
    """Responses of another temperature are set aside, not used and not lost."""
    (tmp_path / OUT).mkdir(parents=True)
    (tmp_path / JOURNAL).write_bytes((generated / JOURNAL).read_bytes())

    assert generate_here(tmp_path, temperature=0.0, wanted=20, at_least=10) == 0
    aside = tmp_path / OUT / "generation.earlier.jsonl"
    assert aside.read_bytes() == (generated / JOURNAL).read_bytes()
    assert {one["temperature"] for one in records_of(tmp_path)} == {0.0}


def test_two_seeds_give_different_data(generated: Path, tmp_path: Path) -> None:
    """The seed decides instructions, prompts and what is drawn."""
    assert generate_here(tmp_path, seed=1, wanted=20, at_least=10) == 0
    prompts = {one["prompt"] for one in records_of(generated)}

    assert not prompts & {one["prompt"] for one in records_of(tmp_path)}


def test_smuggled_held_out_items_are_removed_and_reported(tmp_path: Path) -> None:
    """A held-out and a near-held-out item in the training instructions: no response is made."""

    def smuggle(chosen: InstructionSet) -> InstructionSet:
        stolen = chosen.held_out[0]
        nearly = dataclasses.replace(chosen.development[0], text=chosen.development[0].text + " ?")
        return dataclasses.replace(chosen, train=(stolen, nearly, *chosen.train[:30]))

    assert generate_here(tmp_path, smuggle, wanted=20, at_least=10) == 0
    report = report_of(tmp_path)
    held = load("small").held_out[0].text

    assert report["counts"]["set_aside"] == 2
    assert [one["part"] for one in report["set_aside"]] == ["held_out", "development"]
    assert report["set_aside"][0]["measured"] == held
    assert held.encode() not in (tmp_path / JOURNAL).read_bytes()
    assert report["disjointness"]["exact"] == report["disjointness"]["near"] == 0


def test_held_out_items_in_the_data_fail_the_stage(tmp_path: Path) -> None:
    """A held-out item among the solved examples gets into every prompt that shows it: FAIL."""

    def smuggle(chosen: InstructionSet) -> InstructionSet:
        return dataclasses.replace(chosen, pool=(chosen.held_out[0], *chosen.pool[:3]))

    assert generate_here(tmp_path, smuggle, wanted=120) == 0
    found = judged(tmp_path)

    assert found["nothing of the held-out and development sets is in it"] is Verdict.FAIL
    assert found["nothing near to them is in it"] is Verdict.FAIL
    assert report_of(tmp_path)["disjointness"]["held_out"]["exact"] == 1


@pytest.mark.parametrize("part", ["train", "pool"])
def test_template_text_in_any_instruction_ends_the_stage(tmp_path: Path, part: str) -> None:
    """One training instruction or solved example with markup of a chat template, wherever it
    stands: nothing is generated."""

    def smuggle(chosen: InstructionSet) -> InstructionSet:
        *some, last = getattr(chosen, part)
        marked = dataclasses.replace(last, text=f"[INST] {last.text} [/INST]")
        return dataclasses.replace(chosen, **{part: (*some, marked)})

    with pytest.raises(StageError, match=r"text of a chat template, '\[INST\]'"):
        generate_here(tmp_path, smuggle)


def test_overlaps_are_counted_in_the_written_file(generated: Path, tmp_path: Path) -> None:
    """The count comes from the file itself, whoever wrote it, and names the place."""
    chosen = load("small")
    stolen = {"instruction": chosen.held_out[3].text, "response": "x", "prompt": "y"}
    data = tmp_path / "data.jsonl"
    data.write_bytes((generated / DATA).read_bytes() + json.dumps(stolen).encode() + b"\n")
    found = quality.disjointness(data, chosen)

    assert found["exact"] == 1
    assert found["held_out"]["examples"][0]["where"].endswith("data.jsonl, line 151")


def test_too_few_pairs_end_the_stage_with_their_reasons(tmp_path: Path) -> None:
    """Responses cut off at 8 tokens: the error counts them, names the report and the remedy."""
    with pytest.raises(StageError) as caught:
        generate_here(tmp_path, max_new_tokens=8, wanted=20, at_least=20, max_attempts=40)
    report = report_of(tmp_path)

    assert "0 pairs are kept of 40 responses, at_least is 20" in caught.value.what
    assert "cut_off 40" in caught.value.what
    assert "max_new_tokens" in caught.value.remedy
    assert report["ended"] == "max_attempts is reached"
    assert len(report["filters"]["cut_off"]["samples"]) == quality.SAMPLES
    assert judged(tmp_path)["800 pairs or more"] is Verdict.FAIL


def test_time_is_a_budget_too(tmp_path: Path) -> None:
    """When max_minutes are over, what is there is filtered, reported and kept."""
    assert generate_here(tmp_path, max_minutes=1e-6, wanted=100, at_least=1, batch=20) == 0
    report = report_of(tmp_path)

    assert report["ended"] == "max_minutes are over"
    assert report["counts"]["attempts"] == 20
    assert len(records_of(tmp_path)) == report["pairs"]


def test_wrong_responses_are_tried_again(tmp_path: Path) -> None:
    """Every kept pair is right, and instructions are tried again for that."""

    def hard(chosen: InstructionSet) -> InstructionSet:
        some = [one for one in chosen.train if one.kind in ("list", "opposite")]
        return dataclasses.replace(chosen, train=tuple(some[:40]))

    status = generate_here(tmp_path, hard, wanted=38, at_least=30, seed=3)
    records, report = records_of(tmp_path), report_of(tmp_path)

    assert status == 0
    assert all(one["correct"] for one in records)
    assert report["counts"]["attempts"] > 40
    assert report["filters"]["wrong"]["removed"] >= 1
    assert report["success"]["kept"]["overall"]["rate"] == 1.0
    assert any(one["attempt"] > 0 for one in records)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"no JSON at all\n", "line 3: not JSON"),
        (b'["a list"]\n', "line 3: not an object"),
        (b'{"instruction": "x"}\n', "line 3: not the record of a response"),
        (b'{"instruction": "x", "attempt": -1, "seed": 0, "prompt": "p", "response": "", '
         b'"finished": "delimiter", "tokens": 1, "seconds": 0.1}\n', "line 3: instruction, att"),
        (b'{"instruction": 3, "attempt": 0, "seed": 0, "prompt": "p", "response": "", '
         b'"finished": "delimiter", "tokens": 1, "seconds": 0.1}\n', "line 3: instruction, att"),
        (b'{"instruction": "x", "attempt": 0, "seed": 0, "prompt": "p", "response": "", '
         b'"finished": "who knows", "tokens": 1, "seconds": 0.1}\n', "line 3: instruction, att"),
    ],
)  # fmt: skip
def test_a_broken_journal_is_named_with_its_line(tmp_path: Path, line: bytes, told: str) -> None:
    """What is not the last line was not torn: file, line and remedy are named, nothing is lost."""
    settings = {"model": "small"}
    path = tmp_path / "generation.jsonl"
    Journal(path, settings).add([Entry("a", 0, 0, "p", "r", "delimiter", 3, 0.1)])
    path.write_bytes(path.read_bytes() + line)
    before = path.read_bytes()

    with pytest.raises(StageError, match=told) as caught:
        Journal(path, settings)

    assert str(path) in caught.value.what
    assert "line" in caught.value.remedy
    assert path.read_bytes() == before


def test_an_empty_journal_is_a_new_one(tmp_path: Path) -> None:
    """A process that ended before its first record left nothing to go on from."""
    path = tmp_path / "generation.jsonl"
    for left in (b"", b'{"settings": {"mo'):
        path.write_bytes(left)

        assert Journal(path, {"model": "small"}).entries == {}
        assert len(lines_of(path)) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"wanted": 0}, "wanted"),
        ({"at_least": 200}, "at_least is above wanted"),
        ({"max_attempts": 100}, "max_attempts is below wanted"),
        ({"temperature": -0.1}, "temperature"),
        ({"quantize": "int8"}, "quantize"),
        ({"wantd": 5}, "did you mean wanted"),
        ({"shots": 22}, "shots is above the 21 examples"),
        ({"model": "./nowhere"}, "is the path of a folder that is not in the project"),
    ],
)
def test_wrong_parameters_are_named(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    """Before any model is loaded, the error names the parameter."""
    with pytest.raises(StageError) as caught:
        generate_here(tmp_path, **change)

    assert told in caught.value.what


SOME = tuple(Instruction(f"{n}", "qa", "n", "", ()) for n in range(10))


def test_the_first_round_is_what_is_wanted() -> None:
    """In the set's order, each instruction once."""
    assert next_round(SOME, {}, {}, wanted=6, room=100) == list(SOME[:6])
    assert next_round(SOME, {}, {}, wanted=6, room=4) == list(SOME[:4])


def test_later_rounds_go_on_with_what_was_begun() -> None:
    """First what has no kept answer yet, so that the data is not of what is easy; then the untried,
    and only then others a second time; none when enough is kept."""
    attempts = {f"{n}": 1 for n in range(8)}
    kept = {f"{n}": 1 for n in range(2, 8)}
    found = [one.text for one in next_round(SOME, attempts, kept, wanted=9, room=100)]

    assert found == ["0", "1", "8", "9", "2", "3", "4", "5"]
    assert next_round(SOME, attempts, kept, wanted=6, room=100) == []
    assert next_round(SOME, attempts, kept, wanted=9, room=0) == []


def test_an_instruction_has_so_many_samples() -> None:
    """After `samples` responses it is left alone, and once there are enough pairs no second
    response is asked for: most repeat the first, and only cost."""
    attempts = {"0": TRIES, "1": 1}

    assert next_round(SOME[:2], attempts, {"1": 1}, wanted=2, room=100) == [SOME[1]]
    assert next_round(SOME[:1], {"0": 1}, {}, wanted=2, room=100, samples=1) == []
    assert next_round(SOME[:2], attempts, {"1": 1}, wanted=2, room=100, at_least=1) == []
    spent = {"0": TRIES, "1": TRIES}
    assert next_round(SOME[:2], spent, {"1": 1}, wanted=2, room=100, at_least=2) == []


def judge_all(selection: Selection, responses: dict[int, list[str]]) -> None:
    for place, texts in responses.items():
        for attempt, text in enumerate(texts):
            prompt = f"{TRAIN[place].text}\n"
            selection.add([Candidate(TRAIN[place], prompt, text, "delimiter", attempt)])


TRAIN = [one for one in load("small").train if one.kind == "capital"][:5]


def test_wrong_responses_fill_up_only_when_asked_for() -> None:
    """The right answer of an instruction is kept, whenever it came; a wrong one only for an
    instruction without a right one, the first of its samples, and no more than are missing."""
    selection = Selection(Policy((), verified_only=True))
    right, first, other = (TRAIN[place].answer for place in (0, 3, 4))
    judge_all(selection, {0: [first, right], 1: [first, other], 2: [other]})

    assert [one.candidate.response for one in selection.kept] == [right]
    assert selection.fill_up(1) == 0
    assert selection.fill_up(2) == 1
    assert [one.candidate.response for one in selection.kept] == [right, first]
    assert selection.fill_up(9) == 1
    assert {one.candidate.instruction.text for one in selection.kept} == {
        one.text for one in TRAIN[:3]
    }
    assert generate.right_share(selection.kept)["correct"] == 1


def test_the_page_says_first_how_much_is_right(generated: Path) -> None:
    """Above everything else, and how many wrong pairs filled up."""
    report = report_of(generated)
    assert report["right"] == {"correct": 150, "n": 150, "share": 1.0, "unverified": 0}
    report["right"] = {"correct": 90, "n": 150, "share": 0.6, "unverified": 60}
    lines = [line for line in render(report, "by podctl").splitlines() if line]

    assert "60.0% of the pairs are right: 90 of 150. 60 wrong ones were kept" in lines[2]
