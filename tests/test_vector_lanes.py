# SPDX-License-Identifier: Apache-2.0
"""Lanes of vectors: the last few of a row touch nothing behind it, and none depends on others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, isa_cap

DTYPES = [gs.float32, gs.float64, gs.bfloat16, gs.float16]
LENGTHS = range(35)
GUARD = 7.0


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_results_end_where_they_should(dtype: Any, isa: str) -> None:
    for n in LENGTHS:
        buffer = gs.full((n + 40,), GUARD, dtype=dtype)
        x = gs.arange(n, dtype=dtype)
        with isa_cap(isa):
            buffer[:n].copy_(x)
            buffer[:n].mul_(2.0)
        np.testing.assert_array_equal(buffer[:n].float().numpy(), 2.0 * np.arange(n))
        assert (buffer[n:].float().numpy() == GUARD).all(), f"{n} elements wrote behind their end"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_masks_end_where_they_should(dtype: Any, isa: str) -> None:
    for n in LENGTHS:
        x = gs.arange(n, dtype=dtype)
        masks = gs.zeros(n + 40, dtype=gs.bool)
        with isa_cap(isa):
            masks[:n].copy_(x > 3.0)
            chosen = gs.where(masks[:n], x, x - 1.0)
        numbers = np.arange(n, dtype=np.float64)
        np.testing.assert_array_equal(masks[:n].numpy(), numbers > 3.0)
        assert not masks[n:].numpy().any()
        want = np.where(numbers > 3.0, numbers, numbers - 1.0)
        np.testing.assert_array_equal(chosen.float().numpy(), want)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [gs.bfloat16, gs.float16], ids=str)
def test_casts_of_every_length(dtype: Any, isa: str) -> None:
    for n in LENGTHS:
        with isa_cap(isa):
            there = gs.arange(n, dtype=gs.float32).to(dtype)
            back = there.to(gs.float64)
        np.testing.assert_array_equal(back.numpy(), np.arange(n))


FUNCTIONS = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sigmoid",
    "tanh",
    "sinh",
    "cosh",
    "asinh",
    "acosh",
    "atanh",
    "erf",
    "erfc",
    "frac",
    "softshrink",
    "hardshrink",
    "erfinv",
    "lgamma",
    "softplus",
    "silu",
    "gelu",
    "square_root_of_cube",
    "cube_root",
]
EXTREMES = [
    np.inf,
    -np.inf,
    np.nan,
    0.0,
    -0.0,
    1e-40,
    -1e-40,
    3e38,
    -3e38,
    88.6,
    89.5,
    -87.2,
    -100.0,
]


def _function(name: str) -> Any:
    if name in ("softplus", "silu", "gelu", "softshrink", "hardshrink"):
        return getattr(gs.nn.functional, name)
    powers = {"square_root_of_cube": 1.5, "cube_root": 1 / 3}
    if name in powers:
        return lambda x: x ** powers[name]
    return getattr(gs, name)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_lane_depends_on_its_neighbours(name: str, dtype: Any, isa: str) -> None:
    rng = np.random.default_rng(0)
    ordinary = rng.uniform(0.01, 0.99, 64).astype(dtype)
    function = _function(name)
    with isa_cap(isa):
        alone = function(gs.tensor(ordinary)).numpy()
        for place, extreme in enumerate(EXTREMES):
            mixed = ordinary.copy()
            mixed[place::16] = extreme
            got = function(gs.tensor(mixed)).numpy()
            same = np.arange(64) % 16 != place
            assert got[same].tobytes() == alone[same].tobytes(), f"beside {extreme}"
            filled = function(
                gs.full((16,), float(extreme), dtype=gs.tensor(ordinary).dtype)
            ).numpy()
            np.testing.assert_array_equal(got[place::16], np.full(4, filled[0]))
