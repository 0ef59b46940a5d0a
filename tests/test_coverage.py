# SPDX-License-Identifier: Apache-2.0
"""Everything that the catalogue asks for is there, is written about and is tested."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path

import pytest
from docs import namespaces

import gradsmith
from tests import coverage

PACKAGE = Path(gradsmith.__file__).parent
INTERNAL = re.compile(r"(ops|cli|recipes|data\.files)(\.|$)")
ITEMS = coverage.items()


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.section}: {item.name}")
def test_names_exist_and_say_what_they_do(item: coverage.Item) -> None:
    for name in item.provided_by:
        found = coverage.look_up(name)
        if callable(found) and not isinstance(found, type):
            assert inspect.getdoc(found), f"{name} has no docstring"


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.section}: {item.name}")
def test_names_stand_in_namespaces_with_a_page(item: coverage.Item) -> None:
    for name in item.provided_by:
        parts, _ = coverage.split(name)
        first = next((n for n, part in enumerate(parts) if part[0].isupper()), len(parts) - 1)
        space = ".".join(["gradsmith", *parts[:first]])
        assert space in namespaces.NAMESPACES, f"{name}: docs/namespaces.py has no {space}"


def test_every_package_has_a_page() -> None:
    folders = [path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("*/__init__.py")]
    packages = [".".join(folder.parts) for folder in folders]
    for name in packages:
        public = f"gradsmith.{name}" in namespaces.NAMESPACES
        assert public or INTERNAL.match(name), f"docs/namespaces.py has no gradsmith.{name}"


def test_page_is_that_of_the_list() -> None:
    message = "docs/coverage.md is out of date: run python -m tests.coverage"
    assert coverage.PAGE.read_text() == coverage.page(), message


def test_no_item_is_empty_or_listed_twice() -> None:
    names = [(item.section, item.name) for item in ITEMS]
    assert len(set(names)) == len(names)
    assert all(item.provided_by for item in ITEMS)


@cache
def _words_of_tests() -> frozenset[str]:
    files = Path(__file__).parent.rglob("*.py")
    return frozenset(word for path in files for word in re.findall(r"\w+", path.read_text()))


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.section}: {item.name}")
def test_names_occur_in_tests(item: coverage.Item) -> None:
    for name in item.provided_by:
        parts, argument = coverage.split(name)
        assert parts[-1] in _words_of_tests(), f"no test uses {name}"
        assert argument is None or argument in _words_of_tests(), f"no test uses {name}"
