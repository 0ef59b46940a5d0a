# SPDX-License-Identifier: Apache-2.0
"""The examples of README.md, of the guides and of the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import gradsmith
from tests import coverage

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
COMING_FROM = sorted((ROOT / "docs").glob("coming_from_*.md"))


def run_examples(path: Path) -> int:
    """Run the Python blocks of a page, one after another in one namespace; return how many."""
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    names: dict[str, object] = {"__name__": path.stem}
    for block in blocks:
        exec(block, names)
    return len(blocks)


def test_readme_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_examples(README) == 2
    assert (tmp_path / "digits.safetensors").exists()


@pytest.mark.parametrize("path", COMING_FROM, ids=lambda path: path.stem)
def test_guides_run_and_name_what_exists(path: Path) -> None:
    assert run_examples(path) == 1
    names = set(re.findall(r"`(gs\.[\w.]+)`", path.read_text()))
    assert len(names) > 30
    for name in sorted(names):
        assert coverage.look_up(name) is not None


def modules() -> list[str]:
    found = pkgutil.walk_packages(gradsmith.__path__, "gradsmith.")
    # Extension modules have no examples, and _cuda cannot be imported without CuPy.
    left_out = ("__main__", "._cpu", "._cudasim", "._cuda")
    return ["gradsmith", *(m.name for m in found if not m.name.endswith(left_out))]


@pytest.mark.parametrize("name", modules())
def test_docstring_examples_run(name: str) -> None:
    failures, _ = doctest.testmod(importlib.import_module(name), verbose=False)
    assert failures == 0
