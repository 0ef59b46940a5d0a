# SPDX-License-Identifier: Apache-2.0
"""The report of a run: one HTML file with everything in it, that opens without a network."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

from gradsmith.recipes import charts

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1b1b1b; --note: #555; --line: #ddd;
        --soft: #f5f6f7; --good: #0a7a2f; --bad: #b00020; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181b; --ink: #e4e6e8; --note: #a6abb2; --line: #3a3e44; --soft: #22262b;
          --good: #63cf88; --bad: #ff8490; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       background: var(--page); color: var(--ink); }
h1 { margin-bottom: .5rem; } h2 { margin: 2rem 0 .5rem; font-size: 1.25rem; }
code, pre { font-family: ui-monospace, monospace; background: var(--soft); border-radius: 4px; }
code { padding: .1rem .3rem; font-size: .9em; }
pre { padding: 1rem; overflow-x: auto; font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem 1.2rem .3rem 0; text-align: left; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; }
.reached { color: var(--good); } .missed { color: var(--bad); font-weight: bold; }
figure { margin: 1.2rem 0; } figcaption { color: var(--note); font-size: .9rem; }
img { max-width: 100%; background: #fff; border-radius: 4px; }
img.pixels { width: 30rem; image-rendering: pixelated; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr));
          gap: 0 2rem; }
svg { width: 100%; height: auto; } svg polyline { stroke-width: 2; stroke-linejoin: round; }
svg line { stroke: var(--line); } svg text { fill: var(--note); font-size: 13px; }
figcaption span { display: inline-block; margin-right: 1rem; }
figcaption i { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem;
               border-radius: 2px; }
"""


@dataclass(frozen=True)
class Picture:
    """A picture file and what it shows; ``pixels`` stands for one so small that it is enlarged."""

    title: str
    caption: str
    path: Path
    pixels: bool = False


@dataclass(frozen=True)
class Text:
    """A text as it is, such as samples."""

    title: str
    text: str


@dataclass(frozen=True)
class Table:
    """Rows under a header."""

    title: str
    header: list[str]
    rows: list[list[Any]]


Section: TypeAlias = Picture | Text | Table


_NUMBER = ' class="number"'


def _escape(value: Any) -> str:
    rounded = isinstance(value, Real) and not isinstance(value, Integral)
    return html.escape(f"{value:.4g}" if rounded else str(value))


def _cell(value: Any) -> str:
    kind = _NUMBER if isinstance(value, Real) else ""
    return f"<td{kind}>{_escape(value)}</td>"


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells; a column of numbers has its head on the right too."""
    kinds = [_NUMBER if _NUMBER in cell else "" for cell in (rows[0] if rows else header)]
    head = "".join(f"<th{kind}>{each}</th>" for each, kind in zip(header, kinds, strict=True))
    body = "".join("<tr>" + "".join(row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _figures(figures: Sequence[Any]) -> str:
    rows = []
    for each in figures:
        state = "" if not each.expected else "reached" if each.reached else "missed"
        told = f'<td class="{state}">{state}</td>'
        rows.append([_cell(each.name), _cell(each.value), _cell(each.expected), told])
    return "<h2>Figures</h2>" + _rows(["figure", "value", "expected", ""], rows) if rows else ""


def _section(section: Section) -> str:
    if isinstance(section, Text):
        return f"<h2>{_escape(section.title)}</h2><pre>{_escape(section.text)}</pre>"
    if isinstance(section, Table):
        rows = [[_cell(cell) for cell in row] for row in section.rows]
        header = [_escape(each) for each in section.header]
        return f"<h2>{_escape(section.title)}</h2>{_rows(header, rows)}"
    kind = section.path.suffix.removeprefix(".")
    data = base64.b64encode(section.path.read_bytes()).decode()
    small = ' class="pixels"' if section.pixels else ""
    return (
        f'<figure><img{small} alt="{_escape(section.title)}" src="data:image/{kind};base64,{data}">'
        f"<figcaption>{_escape(section.caption or section.title)}</figcaption></figure>"
    )


def _settings(state: dict[str, Any]) -> str:
    settings = {**state["settings"], **state["settings"]["options"], **state["machine"]}
    settings |= {"seconds": state["seconds"]}
    settings.pop("options")
    if settings["epochs"] is None:
        settings["epochs"] = "the recipe's own"
    rows = [[_cell(k), f"<td>{_escape(v)}</td>"] for k, v in settings.items()]
    return "<h2>Settings</h2>" + _rows(["setting", "value"], rows)


def _explanation(about: str) -> str:
    """Return the paragraphs of a docstring, what stands in backticks as code."""
    paragraphs = (_escape(each) for each in about.strip().split("\n\n"))
    marked = (re.sub(r"(`+)(.+?)\1", r"<code>\2</code>", each, flags=re.S) for each in paragraphs)
    return "".join(f"<p>{each}</p>" for each in marked if each)


def page(
    recipe: str,
    state: dict[str, Any],
    figures: Sequence[Any],
    sections: Sequence[Section],
    about: str = "",
) -> str:
    """Return the report as HTML."""
    note = "" if state["finished"] else "<p>This run was stopped before its end.</p>"
    curves = "".join(charts.chart(*each) for each in charts.by_measure(state["history"]).items())
    body = "".join(
        [
            f"<h1>{_escape(recipe)}</h1>{_explanation(about)}{note}",
            _figures(figures),
            *(_section(each) for each in sections),
            f'<h2>Curves</h2><div class="curves">{curves}</div>' if curves else "",
            _settings(state),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_escape(recipe)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )
