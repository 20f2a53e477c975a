"""The report as one page that needs no other file: style, figures and samples inside."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from controller.reports.sections import Report, Section, Table, headline, sections
from controller.terminal.sanitize import clean
from remote.stages.evaluation.comparison import SYSTEMS, TITLES

VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE")
MAX_ANSWER = 1200  # characters that are shown of one
CAPTIONS = {
    "success": "Success by type; whiskers are Wilson's 95 % intervals.",
    "loss": "Loss of both trainings.",
    "rewards": "DPO's rewards, and how often the chosen answer has the higher one.",
    "cost": "Hours and money by stage against the plan.",
    "usage": "How busy the machine was, by stage.",
}
_STYLE = """
:root { --ink: #1c2530; --soft: #5b6877; --line: #dde3ea; --wash: #f5f7fa; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 2.5rem 1.5rem 4rem; color: var(--ink);
  background: #fff; font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 1rem; display: flex; align-items: center; gap: .8rem; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .6rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 76ch; }
ul { margin: .6rem 0; padding-left: 1.2rem; max-width: 90ch; }
.badge { color: #fff; border-radius: .4rem; padding: .15rem .7rem; font-size: 1.2rem; }
.PASS { background: #1a7f4b; } .FAIL { background: #b3261e; } .INCONCLUSIVE { background: #96690a; }
.lead { font-size: 1.1rem; }
.soft { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; font-size: .87rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .55rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th.w, td.w { text-align: left; }
td.w { white-space: normal; }
th { color: var(--soft); font-weight: 600; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .85rem; }
.sample { margin: 1.2rem 0; } .sample h3 { font-size: .95rem; margin: 0 0 .4rem; }
.answers { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: .6rem; }
.answer { background: var(--wash); border-radius: .4rem; padding: .5rem .7rem; font-size: .86rem;
  border-top: 3px solid #1a7f4b; overflow-wrap: anywhere; }
.answer.wrong { border-top-color: #b3261e; }
.answer b { display: block; font-size: .78rem; color: var(--soft); }
.answer div { white-space: pre-wrap; }
.answer small { color: #b3261e; display: block; margin-top: .3rem; }
@media (max-width: 760px) { .answers { grid-template-columns: 1fr 1fr; } }
"""


def page(report: Report, figures: Mapping[str, str], origin: str) -> str:
    """The document; `figures` are SVG elements by name, `origin` says what it was made of."""
    verdict = str(report["verdict"])
    if verdict not in VERDICTS:
        raise ValueError(f"a verdict that is none: {verdict[:40]!r}")
    first, *rest = headline(report)
    parts = [
        f'<h1>Stage 1 <span class="badge {verdict}">{verdict}</span></h1>',
        f'<p class="lead">{plain(first)}</p>',
        *(f'<p class="soft">{plain(words)}</p>' for words in (*rest, origin)),
        "<ul>" + "".join(f"<li>{plain(reason)}</li>" for reason in report["why"]) + "</ul>",
        *(_section(section, figures) for section in sections(report)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">\n"
        f"<title>Stage 1: {verdict}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _section(section: Section, figures: Mapping[str, str]) -> str:
    parts = [f"<h2>{plain(section.title)}</h2>"]
    parts += [f"<p>{plain(words)}</p>" for words in section.words]
    parts += [_figure(name, figures[name]) for name in section.figures if name in figures]
    parts += [_table(table) for table in section.tables]
    parts += [_sample(sample) for sample in section.samples]
    return "<section>" + "\n".join(parts) + "</section>"


def _figure(name: str, svg: str) -> str:
    words = escape(CAPTIONS[name])
    return f'<figure role="img" aria-label="{words}">{svg}<figcaption>{words}</figcaption></figure>'


def _table(table: Table) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        marked = (' class="w"' if n < table.words else "" for n in range(len(cells)))
        rendered = (
            f"<{tag}{mark}>{plain(cell)}</{tag}>" for mark, cell in zip(marked, cells, strict=True)
        )
        return f"<tr>{''.join(rendered)}</tr>"

    body = "".join(row(entry, "td") for entry in table.rows)
    head = row(table.head, "th")
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _sample(sample: Mapping[str, Any]) -> str:
    cards = "".join(_answer(TITLES[name], sample["answers"][name]) for name in SYSTEMS)
    head = f'{plain(sample["instruction"])} <span class="soft">{plain(sample["type"])}</span>'
    return f'<div class="sample"><h3>{head}</h3><div class="answers">{cards}</div></div>'


def _answer(title: str, answer: Mapping[str, Any]) -> str:
    state = "right" if answer["correct"] else "wrong"
    why = "" if answer["correct"] else f"<small>{plain('; '.join(answer['reasons']))}</small>"
    text = plain(answer["response"]) or '<span class="soft">(nothing)</span>'
    return f'<div class="answer {state}"><b>{plain(title)}, {state}</b><div>{text}</div>{why}</div>'


def plain(value: str) -> str:
    """Text of anybody as HTML shows it: cleaned as for a terminal, breaks stay."""
    text = clean(value[: 4 * MAX_ANSWER])
    text = text if len(text) <= MAX_ANSWER else text[: MAX_ANSWER - 1] + "…"
    shown = (letter if letter.isprintable() or letter == "\n" else "�" for letter in text)
    return escape("".join(shown))
