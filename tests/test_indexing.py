# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith import _cpu
from gradsmith.autograd import grad
from gradsmith.ops import indexing
from gradsmith.ops import indexing_mask as masks
from gradsmith.ops.indexing_items import getitem, setitem
from gradsmith.ops.shape_copy import clone
from gradsmith.tensor import Tensor
from tests.cases import ISAS, Case, CaseTests, isa_cap, threads
from tests.reference import indexing as ref


def written(x: Tensor, index: Any, value: Any) -> Tensor:
    y = clone(x)
    setitem(y, index, value)
    return y


def item_case(name: str, index: Any, shape: tuple[int, ...] = (3, 4, 5)) -> Case:
    """Reading at an index; NumPy is the definition."""

    def backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        dx = np.zeros_like(x)
        np.add.at(dx, index, dy)
        return dx

    return Case(
        f"getitem_{name}",
        lambda x: getitem(x, index),
        lambda x: x[index],
        lambda rng: (rng.standard_normal(shape),),
        backward,
        dtypes=("float32", "float64", "bfloat16", "float16"),
    )


def write_case(name: str, index: Any, value_shape: tuple[int, ...]) -> Case:
    """Writing at an index that holds no place twice."""

    def write(x: np.ndarray, value: np.ndarray) -> np.ndarray:
        y = x.copy()
        y[index] = value
        return y

    def backward(dy: np.ndarray, x: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dx = write(dy, np.zeros(()))
        part = dy[index]
        extra = part.ndim - value.ndim
        axes = [d for d in range(part.ndim) if d < extra or value.shape[d - extra] == 1]
        return dx, part.sum(tuple(axes), keepdims=True).reshape(value.shape)

    return Case(
        f"setitem_{name}",
        lambda x, value: written(x, index, value),
        write,
        lambda rng: (rng.standard_normal((3, 4, 5)), rng.standard_normal(value_shape)),
        backward,
        tolerance="reduce",
        depth=16,
    )


def floats(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


MASK = np.array([[True, False, True, False], [False] * 4, [True, True, False, True]])

CASES = [
    Case(
        "gather",
        lambda x, index: indexing.gather(x, 1, index),
        lambda x, index: ref.gather(x, 1, index),
        lambda rng: (floats(rng, 3, 4, 5), rng.integers(0, 4, (2, 6, 3))),
        lambda dy, x, index: ref.gather_backward(dy, x, 1, index),
        tolerance="reduce",
    ),
    Case(
        "gather_last",
        lambda x, index: indexing.gather(x, -1, index),
        lambda x, index: ref.gather(x, -1, index),
        lambda rng: (floats(rng, 3, 4), rng.integers(0, 4, (3, 7))),
        lambda dy, x, index: ref.gather_backward(dy, x, -1, index),
        tolerance="reduce",
    ),
    Case(
        "scatter",
        lambda x, index, src: indexing.scatter(x, 1, index, src),
        lambda x, index, src: ref.scatter(x, 1, index, src),
        lambda rng: (
            floats(rng, 3, 5),
            np.array([[4, 0], [2, 1]]),
            floats(rng, 2, 2),
        ),
        lambda dy, x, index, src: ref.scatter_backward(dy, x, 1, index),
    ),
    Case(
        "scatter_larger_source",
        lambda x, index, src: indexing.scatter(x, 0, index, src),
        lambda x, index, src: ref.scatter(x, 0, index, src),
        lambda rng: (floats(rng, 4, 3), np.array([[3, 1, 0]]), floats(rng, 2, 4)),
    ),
    Case(
        "scatter_value",
        lambda x, index: indexing.scatter(x, 1, index, 2.5),
        lambda x, index: ref.scatter(x, 1, index, 2.5),
        lambda rng: (floats(rng, 3, 5), rng.integers(0, 5, (3, 2))),
        lambda dy, x, index: ref.scatter_backward(dy, x, 1, index)[0],
    ),
    Case(
        "scatter_add",
        lambda x, index, src: indexing.scatter_add(x, 0, index, src),
        lambda x, index, src: ref.scatter_add(x, 0, index, src),
        lambda rng: (floats(rng, 3, 5), rng.integers(0, 3, (6, 4)), floats(rng, 6, 4)),
        lambda dy, x, index, src: ref.scatter_add_backward(dy, x, 0, index),
        tolerance="reduce",
        depth=6,
    ),
    Case(
        "take_along_dim",
        lambda x, index: indexing.take_along_dim(x, index, 1),
        lambda x, index: ref.take_along(x, index, 1),
        lambda rng: (floats(rng, 3, 4, 1), rng.integers(0, 4, (1, 2, 5))),
        lambda dy, x, index: ref.take_along_backward(dy, x, index, 1),
        tolerance="reduce",
        depth=15,
    ),
    Case(
        "index_select",
        lambda x, index: indexing.index_select(x, 1, index),
        lambda x, index: ref.index_select(x, 1, index),
        lambda rng: (floats(rng, 2, 4, 3), np.array([3, 0, 0, 2, 3, 3])),
        lambda dy, x, index: ref.index_select_backward(dy, x, 1, index),
        tolerance="reduce",
        depth=4,
    ),
    Case(
        "index_add",
        lambda x, index, src: indexing.index_add(x, -1, index, src, alpha=-1.5),
        lambda x, index, src: ref.index_add(x, -1, index, src, -1.5),
        lambda rng: (floats(rng, 3, 4), np.array([1, 3, 1, 1, 0]), floats(rng, 3, 5)),
        lambda dy, x, index, src: ref.index_add_backward(dy, x, -1, index, -1.5),
        tolerance="reduce",
        depth=4,
    ),
    Case(
        "masked_fill",
        lambda x, mask: masks.masked_fill(x, mask, -2.0),
        lambda x, mask: ref.masked_fill(x, mask, -2.0),
        lambda rng: (floats(rng, 3, 4, 1), rng.random((4, 2)) < 0.5),
        lambda dy, x, mask: ref.masked_fill_backward(dy, x, mask)[0],
        tolerance="reduce",
    ),
    Case(
        "masked_fill_tensor",
        lambda x, mask, value: masks.masked_fill(x, mask, value),
        lambda x, mask, value: ref.masked_fill(x, mask, value),
        lambda rng: (floats(rng, 3, 4), MASK, floats(rng)),
        lambda dy, x, mask, value: ref.masked_fill_backward(dy, x, mask),
        tolerance="reduce",
        depth=12,
    ),
    Case(
        "masked_select",
        lambda x, mask: masks.masked_select(x, mask),
        lambda x, mask: np.broadcast_to(x, (2, 3, 4))[np.broadcast_to(mask, (2, 3, 4))],
        lambda rng: (floats(rng, 2, 1, 4), MASK),
        tolerance="reduce",
    ),
    Case(
        "take",
        lambda x, index: indexing.take(x, index),
        lambda x, index: np.take(x, index),
        lambda rng: (floats(rng, 3, 4), np.array([[0, 11, -1], [5, 5, -12]])),
        tolerance="reduce",
    ),
    item_case("int", 1),
    item_case("slices", (slice(None, None, -1), slice(1, 4, 2), None, 2)),
    item_case("ellipsis", (..., 0)),
    item_case("list", [2, 0, 2]),
    item_case("list_after_slice", (slice(None), [3, 0, 3])),
    item_case("apart", ([0, 2], slice(None), [1, 1])),
    item_case("integer_counts_as_array", (0, slice(None), [1, 4])),
    item_case("broadcast", (slice(None), np.array([[0], [2]]), np.array([1, -1, 3]))),
    item_case("mask", MASK),
    item_case("mask_then_slice", (MASK, slice(1, None, 2))),
    item_case("array_with_step", (slice(None, None, -2), [1, 1, 0], None)),
    write_case("slice", (slice(1, None), slice(None, None, 2)), (2, 2, 5)),
    write_case("int_broadcast", 1, (5,)),
    write_case("list", (slice(None), [2, 0]), (3, 1, 5)),
    write_case("mask", MASK, (5,)),
    write_case("apart", ([0, 2], slice(None), [4, 1]), (2, 4)),
]


class TestCases(CaseTests):
    pass


def test_indices_may_change_after_the_forward_pass() -> None:
    x = Tensor(np.arange(4.0), requires_grad=True)
    ids = np.array([1, 1, 3])
    y = getitem(x, ids)
    ids[:] = 0
    (dx,) = grad(y, x, Tensor(np.ones(3)))
    np.testing.assert_array_equal(dx.numpy(), [0, 2, 0, 1])


def test_other_dtypes_are_read_and_written() -> None:
    for dtype in ("bool", "uint8", "int32", "int64"):
        x = Tensor(np.arange(6).reshape(2, 3).astype(dtype))
        np.testing.assert_array_equal(
            getitem(x, (slice(None), [2, 0])).numpy(), x.numpy()[:, [2, 0]]
        )
        setitem(x, (0, [0, 1]), 1)
        assert x.numpy()[0, 0] == 1
        assert indexing.gather(x, 1, Tensor(np.array([[2], [1]]))).dtype == x.dtype
    total = indexing.index_add(
        Tensor(np.array([1, 2])), 0, Tensor(np.array([1, 1])), Tensor(np.array([5, 6]))
    )
    np.testing.assert_array_equal(total.numpy(), [1, 13])


def test_bfloat16_adds_up_in_float32() -> None:
    count = 1000
    x = Tensor(np.zeros(1)).detach()
    from gradsmith.ops.elementwise import to

    ones = to(Tensor(np.ones(count)), "bfloat16")
    ids = Tensor(np.zeros(count, dtype=np.int64))
    assert indexing.index_add(to(x, "bfloat16"), 0, ids, ones).item() == 1000
    assert indexing.scatter_add(to(x, "bfloat16"), 0, ids, ones).item() == 1000


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("shape", [(40, 3, 1), (9, 50, 37), (3, 40, 130)])
def test_every_dimension_of_larger_arrays(shape: tuple[int, ...], dim: int, isa: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    index = rng.integers(0, shape[dim], 45)
    rows = rng.standard_normal((*shape[:dim], 45, *shape[dim + 1 :])).astype(np.float32)
    places = rng.integers(0, shape[dim], rows.shape)
    with isa_cap(isa):
        selected = indexing.index_select(Tensor(x), dim, Tensor(index)).numpy()
        added = indexing.index_add(Tensor(x), dim, Tensor(index), Tensor(rows), alpha=2.0).numpy()
        put = written(Tensor(x), (*[slice(None)] * dim, index), Tensor(rows)).numpy()
        gathered = indexing.gather(Tensor(x), dim, Tensor(places)).numpy()
        scattered = indexing.scatter_add(Tensor(x), dim, Tensor(places), Tensor(rows)).numpy()
    np.testing.assert_array_equal(selected, np.take(x, index, dim))
    expected = np.moveaxis(x.astype(np.float64), dim, 0).copy()
    np.add.at(expected, index, 2 * np.moveaxis(rows, dim, 0).astype(np.float64))
    np.testing.assert_allclose(added, np.moveaxis(expected, 0, dim), rtol=1e-4, atol=1e-4)
    expected = np.moveaxis(x, dim, 0).copy()
    expected[index] = np.moveaxis(rows, dim, 0)
    np.testing.assert_array_equal(put, np.moveaxis(expected, 0, dim))
    np.testing.assert_array_equal(gathered, np.take_along_axis(x, places, dim))
    at = list(np.indices(places.shape))
    at[dim] = places
    expected = x.astype(np.float64)
    np.add.at(expected, tuple(at), rows.astype(np.float64))
    np.testing.assert_allclose(scattered, expected, rtol=1e-4, atol=1e-4)


def test_large_problems_give_the_same_bits_for_any_thread_count() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 50, 3000)
    rows = Tensor(rng.standard_normal((3000, 700)).astype(np.float32))
    index = Tensor(ids)
    wide = Tensor(rng.integers(0, 50, (3000, 700)))
    base = Tensor(np.zeros((50, 700), np.float32))
    results = []
    for count in (1, 2, 5):
        with threads(count):
            added = indexing.index_add(base, 0, index, rows)
            scattered = indexing.scatter_add(base, 0, wide, rows)
            picked = indexing.index_select(added, 0, index)
            gathered = indexing.gather(added, 0, wide)
            put = written(rows, (slice(None), np.arange(699, -1, -1)), rows)
        parts = (added, scattered, picked, gathered, put)
        results.append([part.numpy().tobytes() for part in parts])
    assert results[0] == results[1] == results[2]
    expected = ref.index_add(np.zeros((50, 700)), 0, ids, rows.numpy().astype(np.float64))
    np.testing.assert_allclose(added.numpy(), expected, atol=1e-3)
    np.testing.assert_array_equal(put.numpy(), rows.numpy()[:, ::-1])


# ---- errors --------------------------------------------------------------------------------------

X = Tensor(np.zeros((3, 4)))
IDS = Tensor(np.zeros((3, 4), dtype=np.int64))
OUT = Tensor(np.array([0, 7]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: indexing.gather(X, 2, IDS), IndexError, "gather: dim 2"),
        (lambda: indexing.gather(X, 0, OUT), ValueError, "gather: index has shape"),
        (
            lambda: indexing.gather(X, 0, Tensor(np.full((3, 4), 3))),
            IndexError,
            "index 3 .* size 3",
        ),
        (
            lambda: indexing.gather(X, 0, Tensor(np.full((3, 4), -1))),
            IndexError,
            "gather: index -1",
        ),
        (lambda: indexing.gather(X, 0, Tensor(np.zeros((3, 5), int))), ValueError, "at most 4"),
        (lambda: indexing.gather(X, 0, X), TypeError, "index is float64"),
        (lambda: indexing.gather(X, 0, [0]), TypeError, "index is a list"),
        (lambda: indexing.scatter(X, 0, IDS), TypeError, "either src or value"),
        (lambda: indexing.scatter(X, 0, IDS, OUT), TypeError, "src is int64"),
        (
            lambda: indexing.scatter(X, 0, IDS, Tensor(np.zeros((2, 4)))),
            ValueError,
            "src has shape",
        ),
        (lambda: indexing.scatter(IDS, 0, IDS, 1.5), ValueError, "value is 1.5"),
        (lambda: indexing.index_select(X, 0, OUT), IndexError, "index_select: index 7 .* size 3"),
        (lambda: indexing.index_select(X, 0, IDS), ValueError, "expected one dimension"),
        (lambda: indexing.index_add(X, 0, OUT, X), ValueError, "source has shape"),
        (lambda: indexing.index_add(X, 0, OUT, IDS), TypeError, "source is int64"),
        (lambda: indexing.take(X, Tensor(np.array([12]))), IndexError, "take: index 12 .* size 12"),
        (lambda: indexing.take_along_dim(X, OUT, 0), ValueError, "expected 2 dimensions"),
        (lambda: masks.masked_fill(X, IDS, 1.0), TypeError, "mask is int64"),
        (
            lambda: masks.masked_fill(X, Tensor(np.ones(3, bool)), 1.0),
            ValueError,
            "broadcast",
        ),
        (lambda: masks.masked_fill(X, Tensor(np.ones(4, bool)), "a"), TypeError, "a str"),
        (lambda: masks.masked_select(X, Tensor(np.ones(3, bool))), ValueError, "broadcast"),
        (lambda: getitem(X, 3), IndexError, "getitem: index 3 is out of bounds .* size 3"),
        (lambda: getitem(X, (0, 0, 0)), IndexError, "3 dimensions"),
        (lambda: getitem(X, (..., ...)), IndexError, "2 Ellipsis"),
        (lambda: getitem(X, 1.0), IndexError, "float"),
        (lambda: getitem(X, Tensor(np.array([1.0]))), IndexError, "float64 Tensor"),
        (lambda: getitem(X, "a"), IndexError, "str"),
        (lambda: getitem(X, [[0], [0, 1]]), IndexError, "ragged"),
        (lambda: getitem(X, [0, 3]), IndexError, "getitem: index 3 .* size 3"),
        (lambda: getitem(X, [0, -4]), IndexError, "getitem: index -4 .* size 3"),
        (
            lambda: getitem(X, np.ones(4, bool)),
            IndexError,
            r"mask has shape \(4,\), expected \(3,\)",
        ),
        (lambda: getitem(X, ([0, 1], [0, 1, 2])), IndexError, "do not broadcast"),
        (lambda: setitem(X, 0, np.zeros(3)), ValueError, r"shape \(3,\) does not fit"),
        (lambda: setitem(X, [0, 1], np.zeros((3, 4))), ValueError, "does not fit"),
        (lambda: setitem(IDS, 0, 0.5), ValueError, "value is 0.5"),
        (lambda: setitem(X, 0, "a"), TypeError, "str"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_wrong_index_writes_nothing() -> None:
    x = Tensor(np.zeros((3, 4)))
    with pytest.raises(IndexError, match="setitem: index 9"):
        setitem(x, [0, 1, 9], 1.0)
    array = np.zeros(3)
    for kernel in (_cpu.scatter, _cpu.scatter_add):
        with pytest.raises(IndexError, match="index 3"):
            kernel(array, 0, np.array([0, 3]), np.ones(2))
    assert not x.numpy().any()
    assert not array.any()
