"""The report as Markdown. Answers of a model are text of anybody: escaped, on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.reports.sections import Report, Section, Table, headline, sections
from controller.terminal.markdown import literal as plain
from remote.stages.evaluation.comparison import SYSTEMS, TITLES


def text(report: Report, origin: str) -> str:
    """The whole document; `origin` says what it was made of."""
    parts = [f"# Stage 1: {plain(report['verdict'])}", plain(origin), *map(plain, headline(report))]
    parts.append("\n".join(f"- {plain(reason)}" for reason in report["why"]))
    for section in sections(report):
        parts += [f"## {plain(section.title)}", *_body(section)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _body(section: Section) -> list[str]:
    parts = [plain(words) for words in section.words]
    parts += [_table(table) for table in section.tables]
    if section.figures:
        parts.append("Curves: see stage1_report.html.")
    return parts + [_sample(sample) for sample in section.samples]


def _table(table: Table) -> str:
    rules = ["---" if n < table.words else "---:" for n in range(len(table.head))]
    rows = (table.head, rules, *(tuple(map(plain, row)) for row in table.rows))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _sample(sample: Mapping[str, Any]) -> str:
    lines = [f"**{plain(sample['instruction'])}** ({plain(sample['type'])})", ""]
    lines += ["| system | | answer |", "| --- | --- | --- |"]
    for name in SYSTEMS:
        answer = sample["answers"][name]
        mark = "right" if answer["correct"] else f"wrong: {plain('; '.join(answer['reasons']))}"
        lines.append(f"| {TITLES[name]} | {mark} | {plain(answer['response'])} |")
    return "\n".join(lines)
