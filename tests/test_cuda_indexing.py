# SPDX-License-Identifier: Apache-2.0
"""Indexing and embedding on the simulator: sorted and unsorted writers, equal indices, packs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.simulator import (
    TOLERANCES,
    assert_parity,
    assert_same_refusal,
    needs_simulator,
    on_simulator,
    simulator,
)

pytestmark = needs_simulator

DTYPES = [np.uint8, np.int64, *TOLERANCES]
# Few indices are taken in order, more are sorted: in one block, or by several digits. Inner sizes
# make packs or do not.
SLICES = [
    ((40, 3, 1), 0, 45),
    ((9, 50, 37), 1, 45),
    ((9, 50, 37), 2, 8),
    ((12, 64), 0, 700),
    ((300, 2), 0, 1500),
    ((2, 3000), 0, 20),
    ((3, 0, 4), 0, 20),
    ((7, 4, 40), 1, 0),
]


def _values(rng: np.random.Generator, shape: Any, dtype: Any) -> np.ndarray:
    values = rng.standard_normal(shape) * 3
    # The CPU rounds a bfloat16 sum at each term, the GPU once: small integers stay exact.
    exact = dtype not in (np.float32, np.float64)
    return (np.rint(values / 3) if exact else values).astype(dtype)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "dim", "count"), SLICES)
def test_slices(shape: tuple[int, ...], dim: int, count: int, dtype: Any, order: str) -> None:
    rng = np.random.default_rng(0)
    x = _values(rng, shape, dtype)
    index = rng.integers(-shape[dim], shape[dim], count)
    rows = _values(rng, (*shape[:dim], count, *shape[dim + 1 :]), dtype)
    alpha = 2.0 if dtype in TOLERANCES else 1

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        def fresh() -> Any:
            return place(x) if order == "C" else place(x.T).T

        ids = [place(index)]
        put, added = fresh(), fresh()
        m.index_put(put, dim, ids, place(rows), True, "setitem")
        m.index_add(added, dim, ids, place(rows), alpha, True, "index_add")
        return m.index_get(fresh(), dim, ids, True, "getitem"), put, added

    tolerance = TOLERANCES.get(dtype, 0)
    assert_parity(lambda m, place: call(m, place)[:2])
    assert_parity(lambda m, place: call(m, place)[2:], 20 * tolerance)


def test_two_index_arrays() -> None:
    rng = np.random.default_rng(0)
    x, rows = _values(rng, (6, 5, 4, 8), np.float32), _values(rng, (6, 60, 8), np.float32)
    first, second = rng.integers(0, 5, 60), rng.integers(-4, 4, 60)

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        ids = [place(first), place(second)]
        put, added = place(x), place(x)
        m.index_put(put, 1, ids, place(rows), True, "setitem")
        m.index_add(added, 1, ids, place(rows), 1.0, True, "index_add")
        return m.index_get(place(x), 1, ids, True, "getitem"), put, added

    assert_parity(call, 1e-5)


# Many lanes, few lanes with few elements, and few with many.
ELEMENTS = [
    ((40, 3, 2), (35, 3, 1), 0),
    ((9, 50, 17), (9, 45, 10), 1),
    ((6, 7, 20), (6, 7, 33), 2),
    ((50,), (3000,), 0),
    ((20000, 4), (20000, 3), 1),
    ((5, 4), (5, 4), 1),
]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
@pytest.mark.parametrize(("shape", "index_shape", "axis"), ELEMENTS)
def test_elements(
    shape: tuple[int, ...], index_shape: tuple[int, ...], axis: int, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    x = _values(rng, shape, dtype)
    index = rng.integers(0, shape[axis], index_shape)
    source = _values(rng, [size + 1 for size in index_shape], dtype)

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        ids = place(index)
        put, filled, added = place(x), place(x.T).T, place(x)
        m.scatter(put, axis, ids, place(source))
        m.scatter(filled, axis, ids, place(np.asarray(1, dtype)))
        m.scatter_add(added, axis, ids, place(source))
        return m.gather(place(x), axis, ids), put, filled, added

    assert_parity(call, 1e-4 if dtype == np.float32 else 0)


@pytest.mark.parametrize("count", [2, 21])
def test_a_wrong_index_writes_nothing(count: int) -> None:
    for wrong in (3, -4):
        index = np.zeros(count, np.int64)
        index[-1] = wrong

        def put(m: Any, place: Any, index: np.ndarray = index) -> Any:
            x = place(np.zeros(3))
            m.index_put(x, 0, [place(index)], place(np.ones(count)), True, "setitem")

        assert_same_refusal(put)
        x = on_simulator(np.zeros(3))
        ids, ones = on_simulator(index), on_simulator(np.ones(count))
        for write in (
            lambda x=x, i=ids, v=ones: simulator().index_add(x, 0, [i], v, 1.0, True, "index_add"),
            lambda x=x, i=ids, v=ones: simulator().scatter(x, 0, i, v),
            lambda x=x, i=ids, v=ones: simulator().scatter_add(x, 0, i, v),
        ):
            with pytest.raises(IndexError, match=f"index {wrong} is out of range"):
                write()
        assert not np.asarray(x).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("rows", "width", "count"),
    [(5, 1, 9), (50, 37, 400), (9, 152, 30), (300, 64, 1700), (4, 0, 7), (4, 8, 0)],
)
def test_embedding(rows: int, width: int, count: int, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, rows, count)
    ids[: count // 2] = 3  # more than fit into one chunk of a sum
    weight, dy = _values(rng, (rows, width), dtype), _values(rng, (count, width), dtype)

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        gradients = [
            m.embedding_backward(place(dy), place(ids), rows, padding, scaled)
            for padding, scaled in ((-1, False), (1, True), (3, False))
        ]
        return m.embedding_forward(place(weight), place(ids)), *gradients

    assert_parity(call, 1e-3 if dtype == np.float32 else 1e-10)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
def test_renormalised_rows(norm_type: float) -> None:
    rng = np.random.default_rng(0)
    weight, ids = _values(rng, (9, 150), np.float32), rng.integers(0, 7, 30)

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        tables = place(weight), place(weight.T).T
        for table in tables:
            m.embedding_renorm(table, place(ids), 1.0, norm_type)
        return tables

    assert_parity(call, 1e-6)


# Of several tiles, and with more tiles than one pass sums up.
MASKS = [(1,), (0,), (3, 0, 2), (4096,), (5, 7, 11), (3, 2731), (17, 1000, 3), (300, 4096)]


@pytest.mark.parametrize("density", [0.0, 0.03, 0.6, 1.0])
@pytest.mark.parametrize("shape", MASKS, ids=str)
def test_where_a_mask_is_true(shape: tuple[int, ...], density: float) -> None:
    mask = np.random.default_rng(1).random(shape) < density
    assert_parity(lambda m, place: (m.true_places(place(mask)),))


def test_where_a_mask_that_starts_anywhere_is_true() -> None:
    """Memory of another type, seen as bool, may hold more than 0 and 1."""
    numbers = np.random.default_rng(2).integers(0, 5, 9000).astype(np.uint8)
    for first in (1, 8, 15):
        assert_parity(lambda m, place, i=first: (m.true_places(place(numbers).view(bool)[i:]),))
