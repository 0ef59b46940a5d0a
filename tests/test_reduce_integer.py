# SPDX-License-Identifier: Apache-2.0
"""Reductions of integers and bools over rows and columns, at lengths beyond vectors and pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, isa_cap, threads

SHAPES = [(3, 1), (5, 33), (2, 40001), (300, 7), (1, 70001)]


def integers(shape: Any, dtype: Any) -> np.ndarray:
    info = np.iinfo(dtype)
    return np.random.default_rng(0).integers(info.min, info.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("shape", SHAPES)
def test_integers(shape: Any, dtype: Any, axis: Any, isa: str) -> None:
    x = integers(shape, dtype)
    given = gs.from_numpy(x)
    for name in ("sum", "amax", "amin"):
        for count in (1, 7):
            with threads(count), isa_cap(isa):
                f = getattr(gs, name)
                got = (f(given) if axis is None else f(given, axis)).numpy()
            wide = {"dtype": np.int64} if name == "sum" else {}
            np.testing.assert_array_equal(got, getattr(np, name)(x, axis, **wide).astype(got.dtype))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64])
@pytest.mark.parametrize("shape", SHAPES)
def test_truth(shape: Any, dtype: Any, axis: Any, isa: str) -> None:
    rng = np.random.default_rng(0)
    one = np.zeros(shape, dtype)
    one[-1, -1] = 1
    for x in (one, ~one.astype(bool), np.ones(shape, dtype), rng.random(shape) < 0.5):
        given = gs.from_numpy(np.ascontiguousarray(x).astype(dtype))
        with isa_cap(isa):
            for name in ("any", "all"):
                f = getattr(gs, name)
                got = (f(given) if axis is None else f(given, axis)).numpy()
                np.testing.assert_array_equal(got, getattr(np, name)(x, axis))
