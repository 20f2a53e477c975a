"""docs/reliability.md is in step with the tests that it is made of."""

from __future__ import annotations

from tests.support import reliability_page as made


def test_every_row_has_a_test_or_a_stated_reason() -> None:
    """No row of the matrix is forgotten, and no reason stands where a test is."""
    tested = {one.row for one in made.row_tests()}
    excused = {int(row) for row in made.notes()["without"]}

    assert tested | excused == set(made.ROWS)
    assert tested & excused == set()


def test_every_row_says_what_is_promised() -> None:
    """The first line of the docstring, as a sentence."""
    mute = [one.node for one in made.row_tests() if not one.promise.endswith((".", ":"))]

    assert mute == []


def test_every_safeguard_names_a_test_that_is_there() -> None:
    """And a place in the sources that is there."""
    known = {
        f"{path.relative_to(made.TESTS).as_posix()}::{name}"
        for path in made.TESTS.rglob("test_*.py")
        for name, _ in made.functions(path)
    }
    found = made.notes()["safeguards"]

    assert [one["test"] for one in found if one["test"].partition("[")[0] not in known] == []
    assert [one["where"] for one in found if not _is_there(one["where"])] == []
    assert len(found) >= 30


def test_the_page_is_what_the_tests_make_of_it() -> None:
    """`make reliability` writes it; only the results of the run are not compared."""
    written = made.PAGE.read_text(encoding="utf-8")

    assert made.without_results(written) == made.without_results(made.page({}))


def _is_there(where: str) -> bool:
    """`file` or `file:name`: the file has that name in it."""
    file, _, name = where.partition(":")
    path = made.ROOT / file
    return path.is_file() and name.rpartition(".")[2] in path.read_text(encoding="utf-8")
