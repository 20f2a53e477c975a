"""The file list can be read: standard nouns as names, files and functions of a readable size."""

from __future__ import annotations

import ast
import statistics
import subprocess

from tests.support.source_rules import FILES, ROOT, name_of, tree_of

LONGEST = 300  # lines of a product file
MEDIAN = 8  # lines of a function

# Names that modules had before and that tell a reader nothing.
METAPHORS = [
    "office",
    "desk",
    "workshop",
    "scene",
    "site",
    "fieldwork",
    "observed",
    "perform",
    "books",
    "rental",
    "renting",
    "serving",
    "reckoning",
    "strays",
    "banner",
    "billed",
    "hindsight",
    "sightings",
    "inquiry",
    "prospect",
    "leftovers",
    "remains",
    "surroundings",
    "safekeeping",
    "lineage",
    "attestation",
    "veil",
    "cleaning",
    "scrub",
    "identity",
    "pieces",
    "smallfiles",
    "declared",
    "edits",
    "proof",
    "limits",
    "written_again",
    "log_mark",
    "view",
    "reaction",
    "ending",
    "bill",
    "entry",
    "wire",
    "exchange",
    "yard",
    "holdings",
    "draft",
    "life",
    "gate",
    "call",
    "problem",
    "shapes",
    "traffic",
    "garble",
    "web",
    "stagecraft",
    "story",
    "play",
    "earlier",
    "sizes",
    "shim",
    "place",
    "entrusted",
    "halt",
    "pace",
    "watch",
    "worktree",
    "reserve",
    "sentinels",
    "disjointness",
    "near",
    "wording",
    "variety",
    "labels",
    "answers",
    "alike",
    "division",
    "forms",
    "opening",
    "rescoring",
    "owner",
    "rescue",
    "durable",
    "nursery",
    "homework",
    "witness",
    "struck",
    "diary",
    "ground",
    "fate",
    "hub",
    "laptop_side",
    "telling",
    "faraway",
    "tail",
    "past",
    "canary",
    "deaf_sshd",
    "carrying_on",
    "guard_word",
    "one_pod_rule",
    "pod_clock",
    "utils",
    "helpers",
    "managers",
]
# Longer than the rest, each for a reason.
LONG_FILES = {
    "remote/guard.py": "one file: its source travels in the request that creates a pod",
    "remote/stages/instructions/english/writing.py": "data: the tasks of the English set",
}


def tracked_modules() -> list[str]:
    """Paths of all Python files of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    return listed or [path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/**/*.py")]


def test_no_file_has_a_metaphor_for_a_name() -> None:
    """A name is what an engineer of the field would search for."""
    names = tracked_modules()
    odd = [path for path in names if path.rpartition("/")[2].removesuffix(".py") in METAPHORS]

    assert odd == []


def test_product_files_are_short() -> None:
    """At most 300 lines, but for the files that are named with their reason."""
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in FILES}
    long = [name for name, lines in lengths.items() if lines > LONGEST and name not in LONG_FILES]

    assert long == []


def test_functions_are_short() -> None:
    """The median of all functions of the product, from `def` to the last line."""
    lengths = [
        node.end_lineno - node.lineno + 1
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    ]

    assert statistics.median(lengths) <= MEDIAN
