"""The documents for engineers name files, functions, targets and documents that exist."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
ADR = ROOT / "docs" / "adr"
DOCUMENTS = (
    CONTRIBUTING,
    ROOT / "SECURITY.md",
    ARCHITECTURE,
    ROOT / "docs" / "glossary.md",
    *sorted(ADR.glob("*.md")),
)
IDS = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
PAGES = ("design", "emulator", "gpu", "security")
REWRITTEN = (*DOCUMENTS, *(ROOT / "docs" / f"{name}.md" for name in PAGES))
REWRITTEN_IDS = [path.relative_to(ROOT).as_posix() for path in REWRITTEN]
TOP = ("controller/", "remote/", "jobs/", "state/", "tests/", "docs/", ".ci/")
TO_WRITE = re.compile(r"NAME|NN|…|\*")  # a path that the reader fills in
WIDEST = 80  # columns of a diagram

# Wording that the style guide replaces, each with a sentence in which it is found.
FORBIDDEN = {
    r"\bwhat (runs|is) goes? on\b": "what runs goes on running",
    r"\bgoes? on(?! running a)\b": "the job goes on",
    r"\bcarr(y|ies|ied) on\b": "the next command carries on",
    r"\bwho(ever|so)? (drives|comes|goes)\b": "whoever drives a project",
    r"\b(is|are|was) (told|said|asked)\b": "it is told before renting",
    r"\bnobody (comes|came)\b": "when nobody comes",
    r"\bmend(s|ed|ing)?\b": "a mend comes with a test",
    r"\bfor ever\b": "it bills for ever",
    r"\bbegins? (anew|again)\b": "the run begins again",
    r"\banew\b": "the connection is made anew",
    r"\b(stands?|hangs?|stood|hung) on\b": "a lock that stands on another",
    r"\bcomes? home\b": "everything comes home",
    r"\bbring(s|ing)? .{0,20}\bhome\b": "bring the artifacts home",
    r"\ba word\b|\bword of\b|\bwithout a word\b": "it ended without a word",
    r"\bembedded cloud\b": "on the embedded cloud",
    r"\b(a|the) person\b": "until a person decides",
    r"\b(rooms?|house|desk|office|workshop|eyes|hands|books)\b": "the desk, then the office",
    r"\bof (its|podctl's|our) own accord\b": "it ends of its own accord",
}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def code_marks(page: str) -> list[str]:
    """What stands between single backquotes, outside of fenced blocks."""
    prose = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", prose)


def fenced(page: str) -> str:
    """The fenced blocks of a page, joined."""
    return "\n".join(re.findall(r"^```\w*\n(.*?)^```", page, re.DOTALL | re.MULTILINE))


@functools.cache
def names_in(path: Path) -> set[str]:
    """Every function, class and method that a module defines."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(text(path))) if isinstance(node, kinds)}


def missing(mark: str) -> str:
    """What of `path` or `path:name` does not exist; empty when all of it does, or it is no path."""
    path, _, name = mark.partition(":")
    if not path.startswith(TOP) or " " in path or TO_WRITE.search(path):
        return ""
    if not (ROOT / path).exists() and not (ROOT / "tests" / path).exists():  # security.md's column
        return path
    return mark if name and name not in names_in(ROOT / path) else ""


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as forges form them."""
    heads = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", REWRITTEN, ids=REWRITTEN_IDS)
def test_named_files_and_functions_exist(path: Path) -> None:
    """Every `path` and `path:function` of a document is there."""
    found = [bad for mark in code_marks(text(path)) if (bad := missing(mark))]

    assert found == []


def test_a_name_that_does_not_exist_is_found() -> None:
    """The check above fires for a missing file and for a missing function."""
    assert missing("controller/planner/decide.py:decide") == ""
    assert missing("controller/planner/decided.py") == "controller/planner/decided.py"
    assert missing("jobs/criteria.py:judge_all") == "jobs/criteria.py:judge_all"


@pytest.mark.parametrize("path", REWRITTEN, ids=REWRITTEN_IDS)
def test_links_resolve(path: Path) -> None:
    """Every relative link leads to a file, and its anchor to a heading of that file."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text(path)):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(text(there)), target


@pytest.mark.parametrize("path", REWRITTEN, ids=REWRITTEN_IDS)
def test_no_forbidden_wording(path: Path) -> None:
    """The documents for engineers are in plain technical English."""
    prose = re.sub(r"`[^`\n]*`", "", text(path))
    found = [match[0] for rule in FORBIDDEN for match in re.finditer(rule, prose, re.IGNORECASE)]

    assert found == []


@pytest.mark.parametrize(("rule", "example"), FORBIDDEN.items(), ids=FORBIDDEN.values())
def test_forbidden_wording_is_found(rule: str, example: str) -> None:
    """Each rule about wording finds the sentence that it is for."""
    assert re.search(rule, example, re.IGNORECASE)


def test_make_targets_of_the_documents_exist() -> None:
    """Each `make TARGET` of CONTRIBUTING.md is in the Makefile, with a line of help."""
    helped = set(re.findall(r"^([a-z-]+):.*## \S", text(ROOT / "Makefile"), re.MULTILINE))
    page = text(CONTRIBUTING)
    named = [*code_marks(page), *fenced(page).splitlines()]
    targets = {match[1] for mark in named if (match := re.match(r"make ([a-z-]+)", mark))}

    assert targets >= {"setup", "test", "check", "help"}
    assert targets <= helped


def test_every_phony_target_has_help() -> None:
    """`make help` lists each target that an engineer may call."""
    makefile = text(ROOT / "Makefile")
    found = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert found is not None
    phony = set(found[1].replace("\\", " ").split())
    helped = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))

    assert phony - helped == {"system"}  # only what the set-up calls


def test_every_record_is_in_the_index() -> None:
    """docs/adr/README.md lists each record with the title and number that it has."""
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+?) \|", text(ADR / "README.md"), re.M)
    records = {path.name: text(path) for path in ADR.glob("0*.md")}

    assert {name for _, name, _ in rows} == set(records)
    for number, name, title in rows:
        assert records[name].startswith(f"# {number}: {title}\n"), name
        for part in ("Status: ", "## Context", "## Decision", "## Consequences", "## Alternatives"):
            assert part in records[name], (name, part)


def test_every_package_is_on_the_architecture_page() -> None:
    """Each package of `controller/` has a row; each layer of its contract is in the picture."""
    page = text(ARCHITECTURE)
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    packages = {path.parent.name for path in (ROOT / "controller").glob("*/__init__.py")}
    contracts = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one.get("containers") == ["controller"])
    picture = fenced(page)

    assert packages <= rows
    places = []
    for layer in layers:
        first = re.split(r"\W+", layer)[0]
        at = re.search(rf"\b{first}\b(?! {{0,1}}/)", picture[picture.index("commands") :])
        assert at is not None, layer
        places.append(at.start())
    assert places == sorted(places)


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_diagrams_fit_a_terminal(path: Path) -> None:
    """No line of a fenced block is wider than 80 columns."""
    assert [line for line in fenced(text(path)).splitlines() if len(line) > WIDEST] == []


def test_the_ten_files_are_ten() -> None:
    """CONTRIBUTING.md lists ten files, each of which exists."""
    part = text(CONTRIBUTING).partition("## Ten files to read first")[2].partition("\n## ")[0]
    files = re.findall(r"^\d+\. `([^`]+)`", part, re.MULTILINE)

    assert len(files) == 10
    assert all((ROOT / file).is_file() for file in files)


def test_hooks_run_the_tools_of_the_checks() -> None:
    """Each pre-commit hook runs a tool of `make check` or `make secrets`, from .venv."""
    entries = re.findall(r"entry: \.venv/bin/(\S+)", text(ROOT / ".pre-commit-config.yaml"))
    makefile = text(ROOT / "Makefile")

    assert set(entries) == {"ruff", "mypy", "lint-imports", "detect-secrets-hook"}
    assert all(f"$(BIN)/{tool}" in makefile for tool in entries)
