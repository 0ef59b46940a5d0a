# SPDX-License-Identifier: Apache-2.0
"""The report of a run: one HTML file with everything in it, that opens without a network."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1b1b; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .9rem .3rem 0; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.reached { color: #0a7a2f; } .missed { color: #b00020; font-weight: bold; }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; font-size: .85rem; }
figure { margin: 1.5rem 0; } figcaption { color: #555; } img { max-width: 100%; }
svg { width: 100%; height: auto; background: #fbfbfb; }
"""


@dataclass(frozen=True)
class Picture:
    """A picture file and what it shows."""

    title: str
    caption: str
    path: Path


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


def _escape(value: Any) -> str:
    return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{each}</th>" for each in header)
    body = "".join("<tr>" + "".join(row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _figures(figures: Sequence[Any]) -> str:
    rows = []
    for each in figures:
        state = "" if not each.expected else "reached" if each.reached else "missed"
        rows.append(
            [
                f"<td>{_escape(each.name)}</td>",
                f'<td class="number">{_escape(each.value)}</td>',
                f"<td>{_escape(each.expected)}</td>",
                f'<td class="{state}">{state}</td>',
            ]
        )
    return "<h2>Figures</h2>" + _rows(["figure", "value", "expected", ""], rows) if rows else ""


def _curve(name: str, values: Sequence[float]) -> str:
    """Return a curve as SVG, with its first and last value in words."""
    finite = [value for value in values if abs(value) < float("inf")]
    if len(finite) < 2:
        return ""
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    points = " ".join(
        f"{20 + 560 * step / (len(finite) - 1):.1f},{150 - 130 * (value - low) / span:.1f}"
        for step, value in enumerate(finite)
    )
    label = f"{_escape(name)}: {finite[0]:.4g} to {finite[-1]:.4g} in {len(finite)} steps"
    return (
        f'<figure><svg viewBox="0 0 600 170" role="img" aria-label="{label}">'
        f'<polyline points="{points}" fill="none" stroke="#1f77b4" stroke-width="2"/></svg>'
        f"<figcaption>{label} (from {low:.4g} to {high:.4g})</figcaption></figure>"
    )


def _section(section: Section) -> str:
    if isinstance(section, Text):
        return f"<h2>{_escape(section.title)}</h2><pre>{_escape(section.text)}</pre>"
    if isinstance(section, Table):
        rows = [[f"<td>{_escape(cell)}</td>" for cell in row] for row in section.rows]
        header = [_escape(each) for each in section.header]
        return f"<h2>{_escape(section.title)}</h2>{_rows(header, rows)}"
    kind = section.path.suffix.removeprefix(".")
    data = base64.b64encode(section.path.read_bytes()).decode()
    return (
        f'<figure><img alt="{_escape(section.title)}" src="data:image/{kind};base64,{data}">'
        f"<figcaption>{_escape(section.caption or section.title)}</figcaption></figure>"
    )


def _settings(state: dict[str, Any]) -> str:
    settings = {**state["settings"], **state["settings"]["options"], "seconds": state["seconds"]}
    settings.pop("options")
    rows = [[f"<td>{_escape(k)}</td>", f"<td>{_escape(v)}</td>"] for k, v in settings.items()]
    return "<h2>Settings</h2>" + _rows(["setting", "value"], rows)


def page(
    recipe: str, state: dict[str, Any], figures: Sequence[Any], sections: Sequence[Section]
) -> str:
    """Return the report as HTML."""
    note = "" if state["finished"] else "<p>This run was stopped before its end.</p>"
    curves = "".join(_curve(name, values) for name, values in state["history"].items())
    body = "".join(
        [
            f"<h1>{_escape(recipe)}</h1>{note}",
            _figures(figures),
            *(_section(each) for each in sections),
            f"<h2>Curves</h2>{curves}" if curves else "",
            _settings(state),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,">'
        f"<title>{_escape(recipe)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )
