# SPDX-License-Identifier: Apache-2.0
"""The examples of README.md and of the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import gradsmith

README = Path(__file__).resolve().parent.parent / "README.md"


def test_readme_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "digits.safetensors").exists()


def modules() -> list[str]:
    found = pkgutil.walk_packages(gradsmith.__path__, "gradsmith.")
    # Extension modules have no examples, and _cuda cannot be imported without CuPy.
    left_out = ("__main__", "._cpu", "._cudasim", "._cuda")
    return ["gradsmith", *(m.name for m in found if not m.name.endswith(left_out))]


@pytest.mark.parametrize("name", modules())
def test_docstring_examples_run(name: str) -> None:
    failures, _ = doctest.testmod(importlib.import_module(name), verbose=False)
    assert failures == 0
