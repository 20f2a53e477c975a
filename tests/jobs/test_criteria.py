"""Criteria are judged on files alone; hostile files fail with a reason and never raise."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.criteria import Verdict, evaluate, passed
from jobs.stage import Criterion
from jobs.trend import decreases, increases, mann_kendall


def criterion(**fields: Any) -> Criterion:
    return Criterion.model_validate(fields)


def judge(root: Path, **fields: Any) -> tuple[Verdict, Any, str]:
    (finding,) = evaluate([criterion(**fields)], root)
    return finding.status, finding.measured, finding.detail


def losses(root: Path, values: list[Any], key: str = "loss") -> None:
    lines = [json.dumps({"step": n, key: value}) + "\n" for n, value in enumerate(values)]
    (root / "log.jsonl").write_text("".join(lines))


def noisy(n: int, slope: float, seed: int = 1) -> list[float]:
    draw = random.Random(seed)
    return [2 - slope * place / n + draw.gauss(0, 0.2) for place in range(n)]


def test_exists_needs_content(tmp_path: Path) -> None:
    """A file that is absent, empty, a folder or a link is not there."""
    (tmp_path / "full").write_bytes(b"x")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "full")

    assert judge(tmp_path, kind="exists", path="full")[0] is Verdict.PASS
    for name in ("none", "empty", "folder", "link"):
        assert judge(tmp_path, kind="exists", path=name)[0] is Verdict.FAIL, name


def test_link_to_outside_is_never_followed(tmp_path: Path) -> None:
    """A folder that is a link does not lead a criterion out of the run's files."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.json").write_text('{"a": 1}')
    root = tmp_path / "root"
    root.mkdir()
    (root / "in").symlink_to(outside)

    assert judge(root, kind="value", path="in/a.json", key="a", equals=1)[0] is Verdict.FAIL
    assert judge(root, kind="opens", path="in/*.json")[0] is Verdict.FAIL
    assert judge(root, kind="opens", path="**/*.json")[0] is Verdict.FAIL


def test_opens_looks_at_every_match(tmp_path: Path) -> None:
    """One broken file of many is a FAIL that names it; no match is a FAIL."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one.json").write_text("{}")
    assert judge(tmp_path, kind="opens", path="a/**/*.json") == (Verdict.PASS, 1, "1 file open")

    (tmp_path / "a" / "b" / "two.json").write_text("{")
    status, _, detail = judge(tmp_path, kind="opens", path="a/**/*.json")
    assert status is Verdict.FAIL
    assert "a/b/two.json" in detail
    assert judge(tmp_path, kind="opens", path="a/*.jsonl")[0] is Verdict.FAIL


def test_lines_counts_records(tmp_path: Path) -> None:
    """Blank lines are no records; a broken line makes the file a FAIL."""
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n')

    assert judge(tmp_path, kind="lines", path="a.jsonl", at_least=2)[:2] == (Verdict.PASS, 2)
    assert judge(tmp_path, kind="lines", path="a.jsonl", at_least=3)[:2] == (Verdict.FAIL, 2)
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a"\n')
    assert judge(tmp_path, kind="lines", path="a.jsonl")[0] is Verdict.FAIL


@pytest.mark.parametrize(
    ("value", "bounds", "status"),
    [
        ("0.97", {"at_least": 0.95}, Verdict.PASS),
        ("0.90", {"at_least": 0.95}, Verdict.FAIL),
        ("5", {"at_least": 1, "at_most": 4}, Verdict.FAIL),
        ("NaN", {"at_least": 0}, Verdict.FAIL),
        ("Infinity", {"at_least": 0}, Verdict.FAIL),
        ("1e999", {"at_least": 0}, Verdict.FAIL),
        ("1" + "0" * 400, {"at_least": 0}, Verdict.FAIL),
        ("1" + "0" * 5000, {"at_least": 0}, Verdict.FAIL),
        ('"0.97"', {"at_least": 0.95}, Verdict.FAIL),
        ("true", {"at_least": 0.5}, Verdict.FAIL),
        ("null", {"at_least": 0.5}, Verdict.FAIL),
        ("[]", {"at_least": 0.5}, Verdict.FAIL),
        ('"PASS"', {"equals": "PASS"}, Verdict.PASS),
        ("1", {"equals": True}, Verdict.FAIL),
        ("1.0", {"equals": 1}, Verdict.PASS),
        ('"\\ud800"', {"equals": "x"}, Verdict.FAIL),
        ("0", {}, Verdict.PASS),
    ],
)
def test_value_compares(
    tmp_path: Path, value: str, bounds: dict[str, Any], status: Verdict
) -> None:
    """A value is compared as a number only when it is a finite one, and the finding is storable."""
    (tmp_path / "a.json").write_text(f'{{"x": {{"y": {value}}}}}')
    (finding,) = evaluate([criterion(kind="value", path="a.json", key="x.y", **bounds)], tmp_path)

    assert finding.status is status
    json.dumps(finding.as_dict(), allow_nan=False, ensure_ascii=False).encode()


def test_missing_key_is_named(tmp_path: Path) -> None:
    """A key that is not there is a FAIL that says how far the path went."""
    (tmp_path / "a.json").write_text('{"x": {"y": 1}}')

    assert "no x.z" in judge(tmp_path, kind="value", path="a.json", key="x.z.u")[2]


def test_decreasing_loss_passes_and_others_do_not(tmp_path: Path) -> None:
    """A noisy fall passes; a flat, rising or rebounding series fails."""
    cases = {
        "fall": (noisy(200, 1.0), Verdict.PASS),
        "short fall": ([2.0 - place / 10 for place in range(12)], Verdict.PASS),
        "flat": (noisy(200, 0.0), Verdict.FAIL),
        "rise": (noisy(200, -1.0), Verdict.FAIL),
        "rebound": (noisy(100, 1.0) + noisy(100, -1.0)[::1] * 2, Verdict.FAIL),
        "constant": ([1.0] * 50, Verdict.FAIL),
        "too few": ([3.0, 2.0, 1.0], Verdict.INCONCLUSIVE),
        "none": ([None] * 20, Verdict.INCONCLUSIVE),
        "not a number": ([1.0] * 20 + ["x"], Verdict.FAIL),
        "huge": ([10**400] * 20, Verdict.FAIL),
    }
    for name, (values, expected) in cases.items():
        losses(tmp_path, values)

        assert judge(tmp_path, kind="decreases", path="log.jsonl", key="loss")[0] is expected, name


def test_rising_rewards_pass_and_others_do_not(tmp_path: Path) -> None:
    """The test for a rise is the one for a fall, upside down, and tells of the series itself."""
    for fall, expected in ((1.0, Verdict.FAIL), (0.0, Verdict.FAIL), (-1.0, Verdict.PASS)):
        losses(tmp_path, noisy(200, fall))

        status, tau, detail = judge(tmp_path, kind="increases", path="log.jsonl", key="loss")
        assert status is expected, detail
        assert expected is Verdict.FAIL or (isinstance(tau, float) and tau > 0.5)
    losses(tmp_path, [1.0, 2.0])

    found = judge(tmp_path, kind="increases", path="log.jsonl", key="loss")
    assert found[0] is Verdict.INCONCLUSIVE


def test_a_tiny_sure_change_is_no_trend() -> None:
    """A loss that falls by 0.000006 and a margin that rises by 0.00001 have not moved, however
    sure that is, and the finding says from where on it counts; a fall by a hundredth does."""
    still = decreases([0.693 - place * 1e-7 for place in range(60)])
    margin = increases([5e-6 + place * 2e-7 for place in range(60)])

    assert (still.holds, margin.holds) == (False, False)
    assert (still.tau, margin.tau) == (-1, 1)
    assert "a change below 0.00069 is none" in still.detail
    assert "a change below 0.0001 is none" in margin.detail
    assert decreases([0.693 - place * 2e-4 for place in range(60)]).holds
    assert increases([place * 1e-2 for place in range(60)]).holds


def test_pure_noise_rarely_decreases() -> None:
    """Of 400 series without any trend about one in a hundred passes, as the level says."""
    hits = sum(bool(decreases(noisy(100, 0.0, seed)).holds) for seed in range(400))

    assert hits <= 12


def test_mann_kendall_agrees_with_known_values() -> None:
    """Four falling values have tau -1 and the textbook's normal approximation."""
    tau, p = mann_kendall([4.0, 3.0, 2.0, 1.0])

    assert tau == -1
    assert p == pytest.approx(0.0448, abs=5e-4)  # z = (-6 + 1) / sqrt(8.667)
    assert mann_kendall([1.0, 1.0, 1.0]) == (0.0, 1.0)


def test_passed_needs_findings(tmp_path: Path) -> None:
    """No findings are no pass."""
    assert not passed(())
    assert not passed(evaluate([criterion(kind="exists", path="none")], tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file_is_a_fail(tmp_path: Path) -> None:
    """A file that may not be read fails, it does not raise."""
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.json").chmod(0)

    assert judge(tmp_path, kind="value", path="a.json", key="a")[0] is Verdict.FAIL


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(st.sampled_from("abx"), below, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=80)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.lists(st.dictionaries(st.sampled_from(["loss", "a"]), JSON), max_size=30).map(
        lambda rows: "\n".join(json.dumps(row) for row in rows).encode()
    ),
    bound=st.floats(),
)
def test_hostile_content_never_raises(tmp_path: Path, content: bytes, bound: float) -> None:
    """Whatever a pod writes, each criterion ends in a verdict that a lock can hold."""
    for name in ("f.json", "f.jsonl", "f.safetensors", "f.csv"):
        (tmp_path / name).write_bytes(content)
    every = [
        criterion(kind="exists", path="f.json"),
        criterion(kind="opens", path="**/*"),
        criterion(kind="lines", path="f.jsonl", at_least=bound),
        criterion(kind="value", path="f.json", key="a.b", at_least=bound),
        criterion(kind="value", path="f.json", key="", equals="x"),
        criterion(kind="decreases", path="f.jsonl", key="loss"),
        criterion(kind="increases", path="f.json", key="*.loss"),
        criterion(kind="best", path="f.csv", key="a", at_least=bound),
        criterion(kind="last", path="f.json", key="a.*.b", at_most=bound),
        criterion(kind="value", path="*.jsonl", key="-1.loss", match="all"),
        criterion(kind="lines", path="f.json"),
        criterion(kind="weights", path="*"),
    ]
    for finding in evaluate(every, tmp_path):
        assert isinstance(finding.status, Verdict)
        json.dumps(finding.as_dict(), allow_nan=False, ensure_ascii=False).encode()


def write(root: Path, name: str, content: Any) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


STATE = {"log_history": [{"step": 1, "loss": 3.0}, {"step": 2, "eval_loss": 2.5}, {"loss": 1.5}]}


@pytest.mark.parametrize(
    ("key", "measured"),
    [
        ("log_history.0.loss", 3.0),
        ("log_history.-1.loss", 1.5),
        ('results.task."acc,none"', 0.5),
        ("results.task.acc,none", 0.5),
        ("results.'a.b'", 1),
        ('results."a.b"', 1),
        ("flat.name", 7),
    ],
)
def test_keys_reach_what_tools_write(tmp_path: Path, key: str, measured: float) -> None:
    """Indices of lists from both ends, quoted parts, and names that hold dots themselves."""
    more = {"results": {"task": {"acc,none": 0.5}, "a.b": 1}, "flat.name": 7}
    write(tmp_path, "a.json", STATE | more)

    found = judge(tmp_path, kind="value", path="a.json", key=key, at_least=0)

    assert found[:2] == (Verdict.PASS, measured)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("log_history.3.loss", "the list has 3 members"),
        ("log_history.loss", "a list of 3 members, named by 0 or -1"),
        ("log_hist", "there is log_history"),
        ("log_history.0.los", "there is loss, step"),
    ],
)
def test_a_mistyped_key_is_told_what_there_is(tmp_path: Path, key: str, words: str) -> None:
    """The names or the number of members stand beside the one that lacks."""
    write(tmp_path, "a.json", STATE)

    assert words in judge(tmp_path, kind="value", path="a.json", key=key)[2]


def test_a_series_comes_from_lists_and_tables(tmp_path: Path) -> None:
    """A list inside JSON, a list of JSON objects, JSON Lines in .json, CSV with any divider, and
    compressed ones: all give the same trend."""
    falling = [2.0 - place / 10 for place in range(12)]
    rows = [{"step": n, "loss": one} for n, one in enumerate(falling)]
    lines = "".join(json.dumps(one) + "\n" for one in rows)
    write(tmp_path, "state.json", {"log_history": [*rows, {"eval_loss": 1.0}]})
    write(tmp_path, "list.json", rows)
    write(tmp_path, "lines.json", lines)
    table = ["step;loss", *(f"{n};{one}" for n, one in enumerate(falling)), "12;"]
    write(tmp_path, "log.csv", "\ufeff" + "\r\n".join(table))
    write(tmp_path, "log.tsv", "\n".join(table).replace(";", "\t"))
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress("\n".join(table).encode()))
    for path, key in (
        ("state.json", "log_history.*.loss"),
        ("state.json", "log_history.loss"),
        ("list.json", "*.loss"),
        ("list.json", "loss"),
        ("lines.json", "loss"),
        ("log.csv", "loss"),
        ("log.tsv", "loss"),
        ("log.jsonl.gz", "loss"),
        ("log.csv.gz", "loss"),
    ):
        assert judge(tmp_path, kind="decreases", path=path, key=key)[0] is Verdict.PASS, (path, key)
    assert judge(tmp_path, kind="lines", path="log.csv", at_least=13)[:2] == (Verdict.PASS, 13)
    assert judge(tmp_path, kind="lines", path="lines.json", at_least=12)[:2] == (Verdict.PASS, 12)
    assert judge(tmp_path, kind="value", path="log.csv", key="-2.loss", at_most=1)[1] < 0.91


def test_best_and_last_of_a_series(tmp_path: Path) -> None:
    """`best` is the lowest where it may be at most so much, else the highest; `last` the last."""
    losses(tmp_path, [3.0, 1.0, None, 2.0])

    assert judge(tmp_path, kind="best", path="log.jsonl", key="loss", at_most=1.5)[:2] == (
        Verdict.PASS,
        1.0,
    )
    assert judge(tmp_path, kind="best", path="log.jsonl", key="loss", at_least=2)[1] == 3.0
    assert judge(tmp_path, kind="last", path="log.jsonl", key="loss", at_most=1.5)[:2] == (
        Verdict.FAIL,
        2.0,
    )
    assert judge(tmp_path, kind="last", path="log.jsonl", key="lost", at_most=1)[0] is Verdict.FAIL
    losses(tmp_path, [1.0, float("nan")])
    status, _, detail = judge(tmp_path, kind="last", path="log.jsonl", key="loss", at_most=2)
    assert status is Verdict.FAIL
    assert "line 2: loss is not a finite number: nan" in detail


def test_a_glob_means_the_newest_match_or_all(tmp_path: Path) -> None:
    """Numbers in names count as numbers: the newest of checkpoint-200 and checkpoint-1000 is the
    latter; with match = "all" each must pass, and the one that does not is named."""
    for step, loss in ((200, 3.0), (1000, 1.0)):
        write(tmp_path, f"out/checkpoint-{step}/state.json", {"loss": loss})
    value = {"kind": "value", "path": "out/*/state.json", "key": "loss", "at_most": 2}

    status, measured, detail = judge(tmp_path, **value)
    assert (status, measured) == (Verdict.PASS, 1.0)
    assert "out/checkpoint-1000/state.json" in detail
    status, measured, detail = judge(tmp_path, match="all", **value)
    assert (status, measured) == (Verdict.FAIL, 3.0)
    assert "out/checkpoint-200/state.json" in detail
    assert "no file matches" in judge(tmp_path, **value | {"path": "out/*/stat.json"})[2]


def test_exists_takes_folders_and_globs_and_opens_files(tmp_path: Path) -> None:
    """A folder counts when a file in it has content; a file that does not open is not there."""
    write(tmp_path, "out/model/config.json", {})
    write(tmp_path, "out/broken.json", "{")
    (tmp_path / "out" / "empty").mkdir()

    assert judge(tmp_path, kind="exists", path="out/model")[:2] == (Verdict.PASS, 1)
    assert judge(tmp_path, kind="exists", path="out/*/config.json")[0] is Verdict.PASS
    assert judge(tmp_path, kind="exists", path="out/empty")[0] is Verdict.FAIL
    assert "does not open" in judge(tmp_path, kind="exists", path="out/broken.json")[2]
    assert (
        "there is out/model/config.json"
        in (judge(tmp_path, kind="exists", path="out/modle/config.json")[2])
    )


def test_a_person_may_accept_too_little(tmp_path: Path) -> None:
    """INCONCLUSIVE with `accept` is met, and stays what it is; a FAIL is not accepted."""
    losses(tmp_path, [3.0, 2.0])
    asked = criterion(kind="decreases", path="log.jsonl", accept="two epochs, looked at")
    found = evaluate([asked], tmp_path)
    assert passed(found)
    assert (found[0].status, found[0].accepted) == (Verdict.INCONCLUSIVE, "two epochs, looked at")

    losses(tmp_path, [1.0] * 50)
    assert not passed(evaluate([asked], tmp_path))
