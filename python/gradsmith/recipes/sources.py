# SPDX-License-Identifier: Apache-2.0
"""The fingerprint of a recipe's program, which tells whether a result is still its result."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

_FOLDER = Path(__file__).parent
_PACKAGE = "gradsmith.recipes"
# What every recipe stands on and none is made of.
_COMMON = {"run", "report"}


def fingerprint(module: str) -> str:
    """Return a hash of a recipe's module and of the modules of recipes that it imports.

    The text at the head of a module is left out: it explains the program and is no part of it.
    """
    digest = hashlib.sha256()
    for name in sorted(_reached(module)):
        digest.update(f"{name}\n{_program(name)}".encode())
    return digest.hexdigest()[:16]


def _path(module: str) -> Path:
    return _FOLDER.joinpath(*module.split(".")).with_suffix(".py")


def _program(module: str) -> str:
    """Return the source of a module without its docstring."""
    source = _path(module).read_text()
    first = ast.parse(source).body[0]
    lines = source.splitlines(keepends=True)
    del lines[: first.end_lineno]
    return "".join(lines)


def _reached(module: str) -> set[str]:
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _imported(name)
    return reached


def _imported(module: str) -> list[str]:
    """Return the modules of recipes that a module imports, whole or names of them."""
    found = []
    for node in ast.walk(ast.parse(_path(module).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_PACKAGE):
            stem = str(node.module).removeprefix(_PACKAGE)
            found += [stem, *(f"{stem}.{alias.name}" for alias in node.names)]
    names = (name.removeprefix(".") for name in found)
    return [name for name in names if name not in _COMMON and _path(name).is_file()]
