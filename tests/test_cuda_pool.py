# SPDX-License-Identifier: Apache-2.0
"""Pooling on the simulator: both layouts, packs of channels, warps, indices without windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.simulator import (
    DTYPES,
    TOLERANCES,
    assert_parity,
    assert_same_refusal,
    needs_simulator,
)

pytestmark = needs_simulator

# Shape, spatial dimensions, and what options follow them.
PROBLEMS: list[tuple[tuple[int, ...], int, tuple[Any, ...]]] = [
    ((2, 3, 17), 1, (3, 2, 1, 2, False)),
    ((2, 8, 9, 10), 2, (3, 2, 1, 1, True)),
    ((2, 16, 6, 6), 2, (2, 2, 0, 1, False)),
    ((1, 8, 5, 6, 7), 3, (2, 1, 1, 1, False)),
    ((2, 5, 7, 9), 2, ((3, 2), (2, 3), (1, 0), (2, 1), True)),
    ((2, 3, 20, 21), 2, (8, 3, 2, 1, True)),
    ((3, 4, 4), 1, (9, 1, 4, 1, False)),
    ((2, 3, 5, 5), 2, (2, 2**30, 0, 1, False)),  # takes 64-bit sizes
    ((2, 8, 9, 10), 2, ((4, 7),)),
    ((2, 8, 9, 10), 2, ((1, 1),)),
    ((1, 3, 40, 41), 2, ((3, 2),)),
    ((2, 3, 4, 4), 2, ((0, 2),)),
]


def _laid_out(place: Any, array: np.ndarray, channels_last: bool) -> Any:
    if not channels_last:
        return place(array)
    last = array.ndim - 1
    return place(np.moveaxis(array, 1, -1)).transpose(0, last, *range(1, last))


def _named(kind: str, ndim: int, options: tuple[Any, ...]) -> tuple[Any, ...]:
    adaptive = "adaptive_" if len(options) == 1 else ""
    return f"{adaptive}{kind}_pool{ndim}d", ndim, *options


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "ndim", "options"), PROBLEMS)
def test_maximum(
    shape: tuple[int, ...], ndim: int, options: tuple[Any, ...], dtype: Any, channels_last: bool
) -> None:
    if channels_last and len(shape) != ndim + 2:
        return
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(dtype)
    x.flat[::31] = np.nan
    given = _named("max", ndim, options)

    def forward(m: Any, place: Any) -> tuple[Any, ...]:
        y, indices, last = m.max_pool_forward(
            _laid_out(place, x, channels_last), True, False, given
        )
        return (
            y,
            indices,
            m.max_pool_gather(_laid_out(place, x, channels_last), indices, last, ndim),
        )

    def backward(m: Any, place: Any) -> tuple[Any, ...]:
        y, indices, last = m.max_pool_forward(
            _laid_out(place, x, channels_last), True, False, given
        )
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
        dy = _laid_out(place, dy, channels_last)
        return tuple(
            m.max_pool_backward(dy, indices, shape, last, known) for known in (given, (ndim,))
        )

    assert_parity(forward)
    assert_parity(backward, TOLERANCES[dtype])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "ndim", "options"), PROBLEMS)
def test_average(
    shape: tuple[int, ...], ndim: int, options: tuple[Any, ...], dtype: Any, channels_last: bool
) -> None:
    if channels_last and len(shape) != ndim + 2:
        return
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    given = _named("avg", ndim, options)

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        outputs = []
        for include_pad, divisor in ((True, None), (False, None), (True, 5)):
            y, last = m.avg_pool_forward(
                _laid_out(place, x, channels_last), include_pad, divisor, given
            )
            dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
            dx = m.avg_pool_backward(
                _laid_out(place, dy, channels_last), shape, last, include_pad, divisor, given
            )
            outputs += [y, dx]
        return tuple(outputs)

    assert_parity(call, TOLERANCES[dtype])


@pytest.mark.parametrize("index", [7, -2])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_wrong_indices(index: int, dtype: Any) -> None:
    indices = np.array([[[0, index]]], dtype)
    assert_same_refusal(
        lambda m, place: m.max_pool_backward(
            place(np.ones((1, 1, 2))), place(indices), (1, 1, 4), False, (1,)
        )
    )
    assert_same_refusal(
        lambda m, place: m.max_pool_gather(place(np.ones((1, 1, 4))), place(indices), False, 1)
    )
