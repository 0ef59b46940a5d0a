# SPDX-License-Identifier: Apache-2.0
"""The catalogue of docs/catalogue.txt: what each item is provided by, and the page that says so.

``python -m tests.coverage`` writes docs/coverage.md.
"""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradsmith

DOCS = Path(__file__).resolve().parent.parent / "docs"
LIST = DOCS / "catalogue.txt"
PAGE = DOCS / "coverage.md"

_HEAD = """# Coverage

What the catalogue asks for and the names that provide it. Written by `python -m tests.coverage`
from [catalogue.txt](catalogue.txt); `tests/test_coverage.py` looks every name up and fails where
this page and the list differ. `gs` is `gradsmith`, `F` is `gs.nn.functional`; a name in parentheses
is an argument.
"""


@dataclass(frozen=True)
class Item:
    """One line of the list.

    Attributes:
        section: the heading it stands under.
        name: what is asked for.
        provided_by: the names, as ``gs.nn.Conv2d`` or ``gs.nn.Conv2d(stride)``.
    """

    section: str
    name: str
    provided_by: tuple[str, ...]


def items(path: Path = LIST) -> list[Item]:
    """Return the lines of a list."""
    found, section = [], ""
    for line in path.read_text().splitlines():
        if line.startswith("== "):
            section = line[3:]
        elif line and not line.startswith("#"):
            name, names = line.split(": ")
            found.append(Item(section, name, tuple(names.split())))
    return found


def split(name: str) -> tuple[list[str], str | None]:
    """Return the parts of a dotted name below the package, and the argument in parentheses."""
    match = re.fullmatch(r"gs\.([\w.]+?)(?:\((\w+)\))?", name)
    assert match is not None, f"{name} is no name of the list"
    return match[1].split("."), match[2]


def look_up(name: str) -> Any:
    """Return what a name of the list stands for (AttributeError where there is nothing)."""
    parts, argument = split(name)
    found: Any = gradsmith
    for depth, part in enumerate(parts, start=1):
        if inspect.ismodule(found) and not hasattr(found, part):
            try:
                found = importlib.import_module(".".join(["gradsmith", *parts[:depth]]))
            except ModuleNotFoundError as error:
                raise AttributeError(f"{name}: there is no {part}") from error
        else:
            found = getattr(found, part)
    if argument is not None and argument not in inspect.signature(found).parameters:
        raise AttributeError(f"{name}: there is no argument {argument}")
    return found


def page() -> str:
    """Return the text of docs/coverage.md."""
    text, section = _HEAD, ""
    for item in items():
        if item.section != section:
            section = item.section
            text += f"\n## {section}\n| item | provided by |\n|---|---|\n"
        names = " ".join(f"`{_short(name)}`" for name in item.provided_by)
        text += f"| {item.name} | {names} |\n"
    return text


def _short(name: str) -> str:
    return name.replace("gs.nn.functional.", "F.").removeprefix("gs.")


if __name__ == "__main__":
    PAGE.write_text(page())
