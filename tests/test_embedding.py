# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops.elementwise import to
from gradsmith.ops.embedding import embedding, one_hot
from gradsmith.tensor import Tensor
from tests.cases import ISAS, Case, CaseTests, isa_cap, threads
from tests.reference import embedding as ref

IDS = np.array([[3, 0, 3], [6, 2, 3]])


def by_frequency(dy: np.ndarray, ids: np.ndarray, weight: np.ndarray) -> np.ndarray:
    counts = np.bincount(ids.ravel(), minlength=weight.shape[0])
    return ref.embedding_backward(dy, ids, weight) / np.maximum(counts, 1)[:, None]


CASES = [
    Case(
        "embedding",
        lambda ids, weight: embedding(ids, weight),
        lambda ids, weight: ref.embedding(ids, weight),
        lambda rng: (IDS, rng.standard_normal((7, 4))),
        lambda dy, ids, weight: ref.embedding_backward(dy, ids, weight),
        tolerance="reduce",
        depth=3,
    ),
    Case(
        "embedding_scalar_id",
        lambda ids, weight: embedding(ids, weight),
        lambda ids, weight: ref.embedding(ids, weight),
        lambda rng: (np.asarray(2), rng.standard_normal((7, 4))),
        lambda dy, ids, weight: ref.embedding_backward(dy, ids, weight),
    ),
]


class TestCases(CaseTests):
    pass


def test_padding_row_gets_no_gradient() -> None:
    weight = Tensor(np.random.default_rng(0).standard_normal((7, 4)), requires_grad=True)
    dy = np.random.default_rng(1).standard_normal((2, 3, 4))
    (dweight,) = grad(embedding(Tensor(IDS), weight, padding_idx=-4), weight, Tensor(dy))
    np.testing.assert_allclose(dweight.numpy(), ref.embedding_backward(dy, IDS, weight._array, 3))
    assert not dweight.numpy()[3].any()


@pytest.mark.parametrize("padding_idx", [None, 3])
def test_scaled_by_frequency_and_differentiated_twice(padding_idx: int | None) -> None:
    rng = np.random.default_rng(0)
    weight = Tensor(rng.standard_normal((7, 4)), requires_grad=True)
    dy = Tensor(rng.standard_normal((2, 3, 4)), requires_grad=True)
    y = embedding(Tensor(IDS), weight, padding_idx, scale_grad_by_freq=True)
    (dweight,) = grad(y, weight, dy, create_graph=True)
    expected = by_frequency(dy._array, IDS, weight._array)
    if padding_idx is not None:
        expected[padding_idx] = 0
    np.testing.assert_allclose(dweight.detach().numpy(), expected)
    direction = rng.standard_normal((7, 4))
    (ddy,) = grad(dweight, dy, Tensor(direction))
    # dweight is linear in dy, so <direction, dweight(v)> = <ddy, v> for any v.
    v = rng.standard_normal((2, 3, 4))
    image = by_frequency(v, IDS, weight._array)
    if padding_idx is not None:
        image[padding_idx] = 0
    np.testing.assert_allclose((ddy.numpy() * v).sum(), (direction * image).sum())


def test_max_norm_scales_the_rows_looked_up() -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((4, 8)) * np.array([[5.0], [5.0], [0.1], [5.0]])
    weight = Tensor(table.copy(), requires_grad=True)
    y = embedding(Tensor(np.array([0, 2, 0])), weight, max_norm=1.0)
    norms = np.linalg.norm(weight._array, axis=1)
    np.testing.assert_allclose(norms[0], 1.0, rtol=1e-6)
    np.testing.assert_array_equal(weight._array[[1, 2, 3]], table[[1, 2, 3]])
    np.testing.assert_array_equal(y._array[0], weight._array[0])
    sideways = Tensor(np.asfortranarray(table))
    embedding(Tensor(np.array([3])), sideways, max_norm=2.0, norm_type=1.0)
    np.testing.assert_allclose(np.abs(sideways._array[3]).sum(), 2.0, rtol=1e-6)
    top = Tensor(table.copy())
    embedding(Tensor(np.array([3])), top, max_norm=0.5, norm_type=float("inf"))
    np.testing.assert_allclose(np.abs(top._array[3]).max(), 0.5, rtol=1e-6)


def test_bfloat16_gradient_adds_up_in_float32() -> None:
    weight = to(Tensor(np.zeros((2, 3))), "bfloat16").requires_grad_()
    ids = Tensor(np.zeros(1000, dtype=np.int64))
    (dweight,) = grad(embedding(ids, weight).sum(), weight)
    assert dweight.dtype == weight.dtype
    np.testing.assert_array_equal(dweight._array[0].astype(np.float32), 1000)


def test_gradient_has_the_same_bits_for_any_thread_count() -> None:
    rng = np.random.default_rng(0)
    ids = Tensor(rng.integers(0, 40, 5000))
    weight = Tensor(rng.standard_normal((40, 300)).astype(np.float32), requires_grad=True)
    dy = Tensor(rng.standard_normal((5000, 300)).astype(np.float32))
    bits = set()
    for count in (1, 2, 5):
        with threads(count):
            (dweight,) = grad(embedding(ids, weight), weight, dy)
        bits.add(dweight.numpy().tobytes())
    assert len(bits) == 1


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(
    ("rows", "width", "count"), [(5, 1, 9), (50, 37, 400), (9, 150, 30), (20011, 256, 700)]
)
def test_gradient_of_wide_and_narrow_tables(
    rows: int, width: int, count: int, scaled: bool, isa: str
) -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, rows, count)
    ids[: count // 2] = 3
    weight = Tensor(rng.standard_normal((rows, width)).astype(np.float32), requires_grad=True)
    dy = rng.standard_normal((count, width)).astype(np.float32)
    with isa_cap(isa):
        y = embedding(Tensor(ids), weight, padding_idx=1, scale_grad_by_freq=scaled)
        (dweight,) = grad(y, weight, Tensor(dy))
    np.testing.assert_array_equal(y._array, weight._array[ids])
    expected = by_frequency(dy, ids, weight._array) if scaled else np.zeros((rows, width))
    if not scaled:
        np.add.at(expected, ids, dy)
    expected[1] = 0
    np.testing.assert_allclose(dweight.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_integers_of_any_width_and_empty_input() -> None:
    weight = Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    for dtype in (np.uint8, np.int32):
        np.testing.assert_array_equal(
            embedding(Tensor(np.array([2, 0], dtype)), weight)._array, [[4, 5], [0, 1]]
        )
    empty = embedding(Tensor(np.zeros((0, 5), np.int64)), weight)
    assert empty.shape == (0, 5, 2)
    (dweight,) = grad(empty, weight, Tensor(np.zeros((0, 5, 2))))
    assert not dweight.numpy().any()


def test_one_hot() -> None:
    ids = Tensor(np.array([[1, 0], [2, 1]]))
    np.testing.assert_array_equal(one_hot(ids).numpy(), np.eye(3, dtype=np.int64)[ids.numpy()])
    assert one_hot(ids, 5).shape == (2, 2, 5)
    assert one_hot(Tensor(np.asarray(1)), 2).tolist() == [0, 1]
    assert one_hot(Tensor(np.zeros((0,), np.int64)), 4).shape == (0, 4)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("count", "width"), [(4500, 768), (16001, 203), (9000, 384)])
def test_rows_larger_than_the_caches(count: int, width: int, isa: str) -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((1000, width)).astype(np.float32)
    ids = rng.integers(0, 1000, count)
    for number in (1, 2, 7):
        with threads(number), isa_cap(isa):
            rows = embedding(Tensor(ids), Tensor(weight)).numpy()
        np.testing.assert_array_equal(rows, weight[ids])


WEIGHT = Tensor(np.zeros((3, 2)))
ONE = Tensor(np.array([1]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: embedding(Tensor(np.array([3])), WEIGHT), IndexError, "index 3 .* size 3"),
        (lambda: embedding(Tensor(np.array([-1])), WEIGHT), IndexError, "embedding: index -1"),
        (lambda: embedding(WEIGHT, WEIGHT), TypeError, "input is float64"),
        (lambda: embedding(ONE, ONE), ValueError, "weight has shape"),
        (lambda: embedding(ONE, Tensor(np.zeros((3, 2), int))), TypeError, "weight is int64"),
        (lambda: embedding(ONE, WEIGHT, padding_idx=3), ValueError, "padding_idx is 3"),
        (lambda: embedding(ONE, WEIGHT, sparse=True), ValueError, "sparse"),
        (lambda: embedding(ONE, WEIGHT, max_norm=-1.0), ValueError, "max_norm is -1"),
        (lambda: embedding(ONE, WEIGHT, max_norm=1.0, norm_type=0.0), ValueError, "norm_type"),
        (lambda: one_hot(Tensor(np.array([-1]))), ValueError, "class -1"),
        (lambda: one_hot(Tensor(np.array([3])), 3), ValueError, "class 3 .* 3 classes"),
        (lambda: one_hot(Tensor(np.zeros(0, int))), ValueError, "num_classes"),
        (lambda: one_hot(ONE, 0), ValueError, "num_classes is 0"),
        (lambda: one_hot(WEIGHT), TypeError, "float64"),
        (lambda: one_hot(ONE, 2**62), MemoryError, "memory"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
