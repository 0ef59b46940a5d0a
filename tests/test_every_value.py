# SPDX-License-Identifier: Apache-2.0
"""Every public function of tensors has its values compared with a definition or an identity.

A Case does so, or the function that a change in place is the form of, or a row of `value_samples`,
or one of the tests that `value_tests` names, which has to mention the function.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests import public_functions as public
from tests.inplace_forms import IN_PLACE
from tests.value_samples import VALUES
from tests.value_tests import VALUE_TESTS


@cache
def parts_of(path: str) -> dict[str, str]:
    """Return the text of each function and each assignment of a test module, by its names."""
    text = (public.FOLDER / path).read_text()
    found = {}
    for node in ast.parse(text).body:
        lines = ast.get_source_segment(text, node) or ""
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            decorators = [ast.get_source_segment(text, each) or "" for each in node.decorator_list]
            found[node.name] = "\n".join([*decorators, lines])
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {each.id: lines for each in targets if isinstance(each, ast.Name)}
    return found


def words_of(test: str) -> set[str]:
    """Return the words of a test, and of what it uses of its module."""
    path, _, name = test.partition("::")
    parts = parts_of(path)
    assert name in parts, f"there is no {test}"
    words, open_names = set(), [name]
    while open_names:
        fresh = set(re.findall(r"\w+", parts[open_names.pop()])) - words
        words |= fresh
        open_names += [each for each in fresh if each in parts and each != name]
    return words


def same(got: Any, expected: Any) -> bool:
    """Whether values agree, nested as they are; tensors are compared with arrays."""
    if isinstance(expected, (list, tuple)):
        found = list(got)
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, (np.ndarray, np.generic)):
        array = got.detach().numpy() if isinstance(got, gs.Tensor) else np.asarray(got)
        assert array.shape == expected.shape
        assert array.dtype.kind == expected.dtype.kind, f"{array.dtype}, not {expected.dtype}"
        return np.allclose(array, expected, 1e-6, 1e-9, equal_nan=True)
    return bool(got == expected)


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    call, expected = VALUES[name]
    with public.Watch() as watch:
        got = call()
    assert same(got, expected)
    if not name.startswith("Tensor."):
        assert any(name in each.public.names for each in watch.calls), f"{name} is not called"


@pytest.mark.parametrize("test", VALUE_TESTS)
def test_named_tests_mention_their_functions(test: str) -> None:
    words = words_of(test)
    for name in VALUE_TESTS[test].split():
        assert name.rpartition(".")[2] in words, f"{test} has no {name}"


def test_every_function_is_compared_in_one_place() -> None:
    names = public.by_name()
    judged = {call.public.name: "Cases" for _, call in public.calls_of_cases()}
    judged |= {names[name].name: "in place" for name in IN_PLACE}
    tables = [(name, "value_samples.py") for name in VALUES]
    tables += [(name, test) for test, listed in VALUE_TESTS.items() for name in listed.split()]
    twice = []
    for name, place in tables:
        assert name in names, f"{name} is no public function: take it out of {place}"
        if names[name].name in judged:
            twice.append((name, judged[names[name].name]))
        judged[names[name].name] = place
    holes = {each.name for each in public.public_functions().values()} - set(judged)
    assert not holes, f"no test compares the values of {sorted(holes)}"
    assert not twice, f"{twice} are compared in two places"
