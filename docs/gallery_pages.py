# SPDX-License-Identifier: Apache-2.0
"""The pages of the gallery: the recipes' own words beside the results of their full runs."""

from __future__ import annotations

import importlib
import re
from itertools import groupby
from typing import Any

from gradsmith.recipes.catalogue import RECIPES, Entry
from gradsmith.recipes.run import Figure

_NOTE = "<!-- Written by `make gallery` from the recipes and results.json; not to be edited. -->"


def pages(results: dict[str, Any]) -> dict[str, str]:
    """Return the text of each page by its file name, one per group and the table of all results."""
    groups = groupby(RECIPES, key=lambda entry: entry.group)
    written = {_file(group): _group_page(group, list(each), results) for group, each in groups}
    return {**written, "results.md": _results_page(results)}


def missed(results: dict[str, Any]) -> list[str]:
    """Return the figures that were not reached, in words."""
    return [
        f"{name}: {figure.name} is {figure.value:.4g}, expected {figure.expected}"
        for name, result in results.items()
        for figure in _figures(result)
        if not figure.reached
    ]


def _file(group: str) -> str:
    number, _, title = group.partition(" ")
    return f"{int(number):02}-{title.lower().replace(' ', '-')}.md"


def _figures(result: dict[str, Any]) -> list[Figure]:
    return [
        Figure(**{k: f[k] for k in ("name", "value", "low", "high")}) for f in result["figures"]
    ]


def _plain(text: str) -> str:
    """Return text whose signs are no markup, apart from what stands in backticks."""
    pieces = re.split(r"(`+[^`]*`+)", text)
    pieces[::2] = [re.sub(r"([*<>\[\]|_#$])", r"\\\1", piece) for piece in pieces[::2]]
    return "".join(pieces)


def _paragraphs(text: str) -> list[str]:
    return [_plain(" ".join(each.split())) for each in text.strip().split("\n\n")]


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mark(figure: Figure) -> str:
    return "" if not figure.expected else "reached" if figure.reached else "**missed**"


def _cells(figure: Figure) -> list[str]:
    return [_plain(figure.name), f"{figure.value:.4g}", figure.expected, _mark(figure)]


def _group_page(group: str, entries: list[Entry], results: dict[str, Any]) -> str:
    sections = [_section(entry, results.get(entry.name)) for entry in entries]
    return "\n\n".join([f"# {group}", _NOTE, *sections]) + "\n"


def _section(entry: Entry, result: dict[str, Any] | None) -> str:
    module = importlib.import_module(f"gradsmith.recipes.{entry.module}")
    first, *others = _paragraphs(module.__doc__ or "")
    parts = [f"## {entry.name}", f"**{first}**", *others]
    parts.append(f"```sh\ngradsmith run {entry.name}\n```")
    parts += ["It has not been run yet."] if result is None else _outcome(result)
    return "\n\n".join(parts)


def _outcome(result: dict[str, Any]) -> list[str]:
    rows = [_cells(figure) for figure in _figures(result)]
    told = f"It took {result['seconds']:g} s with {_threads(result['machine'])}."
    pictures = [
        f"![{_plain(each['caption'])}](pictures/{each['file']})\n\n*{_plain(each['caption'])}*"
        for each in result["pictures"]
    ]
    return [_table(["figure", "value", "expected", ""], rows), told, *pictures]


def _threads(machine: dict[str, str]) -> str:
    count = machine["threads"]
    return f"{count} thread{'' if count == '1' else 's'}"


def _results_page(results: dict[str, Any]) -> str:
    machines = sorted({_machine(result["machine"]) for result in results.values()})
    groups = {entry.name: entry.group for entry in RECIPES}
    rows = [row for name in results for row in _rows(name, groups[name], results[name])]
    misses = [f"- {_plain(each)}" for each in missed(results)]
    parts = [
        "# Results",
        _NOTE,
        f"Full runs of {len(results)} recipes, as `make gallery` made them: default options and "
        f"seed 0. {'; '.join(machines)}. Seconds are by the clock, on a machine with other work.",
        "Every expected figure was reached." if not misses else "Not reached:",
        *(["\n".join(misses)] if misses else []),
        _table(["recipe", "figure", "value", "expected", "", "seconds"], rows),
    ]
    return "\n\n".join(parts) + "\n"


def _rows(name: str, group: str, result: dict[str, Any]) -> list[list[str]]:
    """Return a row per expected figure, the first with the recipe's name and its time."""
    expected = [_cells(figure) for figure in _figures(result) if figure.expected]
    heads = [f"[{name}]({_file(group)}#{name})", *[""] * (len(expected) - 1)]
    times = [f"{result['seconds']:g}", *[""] * (len(expected) - 1)]
    return [[head, *each, time] for head, each, time in zip(heads, expected, times, strict=True)]


def _machine(machine: dict[str, str]) -> str:
    instructions = machine["isa"].split()[0]
    return (
        f"gradsmith {machine['gradsmith']}, {machine['cpu']} ({instructions}), {_threads(machine)}"
    )
