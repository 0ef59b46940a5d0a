# SPDX-License-Identifier: Apache-2.0
"""Sphinx: the pages of this folder, and one page of the API per public namespace.

The API's pages are made from what a namespace holds, so that no name can be forgotten.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import gradsmith

sys.path.insert(0, str(Path(__file__).parent))
from namespaces import NAMESPACES, members

project = "gradsmith"
author = "the gradsmith developers"
version = release = gradsmith.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "gradsmith"
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True


def api_page(namespace: str, title: str, described: set[type]) -> str:
    """Return the text of a namespace's page; classes are described once, where they come first."""
    lines = [
        f"# {title}: `{namespace}`",
        "",
        "```{eval-rst}",
        f".. currentmodule:: {namespace}",
        "",
    ]
    for name, value in members(namespace).items():
        if not inspect.isclass(value):
            lines += [f".. autofunction:: {name}", ""]
        elif value not in described:
            described.add(value)
            lines += [f".. autoclass:: {name}", "   :members:", ""]
    return "\n".join([*lines, "```", ""])


def write_api(_app: Any) -> None:
    """Write the pages of the API below docs/api, which is not kept in the repository."""
    folder = Path(__file__).parent / "api"
    folder.mkdir(exist_ok=True)
    described: set[type] = set()
    for namespace, title in NAMESPACES.items():
        page, text = folder / f"{namespace}.md", api_page(namespace, title, described)
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def escape_signs(
    _app: Any, _what: str, _name: str, _value: Any, _options: Any, lines: list[str]
) -> None:
    """Keep ``(N, C, *)`` and ``|x|`` as they are: docstrings mean the signs, not markup."""
    in_example = False
    for number, line in enumerate(lines):
        in_example = line.lstrip().startswith(">>>") or (in_example and bool(line.strip()))
        if not in_example:
            pieces = re.split(r"(`+[^`]*`+)", line)
            pieces[::2] = [re.sub(r"([*|])", r"\\\1", piece) for piece in pieces[::2]]
            lines[number] = "".join(pieces)


def setup(app: Any) -> None:
    """Register what this file adds to the build."""
    app.connect("builder-inited", write_api)
    # Before napoleon, whose own markup has asterisks.
    app.connect("autodoc-process-docstring", escape_signs, priority=400)
