# SPDX-License-Identifier: Apache-2.0
"""Distances of rows one by one and of all pairs, similarity."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import _cpu
from gradsmith.autograd import grad
from tests.cases import ISAS, NUMPY_DTYPES, Case, CaseTests, backend, threads
from tests.reference import distance as reference
from tests.simulator import TOLERANCES, assert_parity, needs_simulator
from tests.tolerance import assert_close

Make = Callable[[np.random.Generator], tuple[Any, ...]]
ORDERS = (0.0, 1.0, 2.0, 2.5, math.inf)


def normal(*shapes: tuple[int, ...]) -> Make:
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


def case(name: str, call: Any, definition: Any, make_inputs: Make, **options: Any) -> Case:
    return Case(name, call, definition, make_inputs, tolerance="norm", depth=5, **options)


CASES = [
    *(
        case(
            f"cdist-{p}",
            lambda x, y, p=p: gs.cdist(x, y, p),
            partial(reference.cdist, p=p),
            normal((2, 3, 4), (2, 5, 4)),
            backward=partial(reference.cdist_backward, p=p),
        )
        for p in (1.0, 2.0, 3.0, math.inf)
    ),
    case("cdist-spread", gs.cdist, reference.cdist, normal((2, 3, 4), (5, 4))),
    case("cdist-many", gs.cdist, reference.cdist, normal((2, 2), (27, 2))),
    case("cdist-by-product", gs.cdist, reference.cdist, normal((1, 33), (26, 33))),
    case(
        "cdist-by-product-on-request",
        lambda x, y: gs.cdist(x, y, compute_mode="use_mm_for_euclid_dist"),
        reference.cdist,
        normal((2, 3, 4), (5, 4)),
    ),
    *(
        case(
            f"pdist-{p}",
            lambda x, p=p: F.pdist(x, p),
            partial(reference.pdist, p=p),
            normal((4, 3)),
            backward=partial(reference.pdist_backward, p=p),
        )
        for p in (1.0, 2.0, 3.0, math.inf)
    ),
    case(
        "dist",
        lambda x, y: gs.dist(x, y[:3], 3),
        lambda x, y: (np.abs(x - y[:3]) ** 3).sum() ** (1 / 3),
        normal((2, 3, 4), (5, 4)),
    ),
    case(
        "pairwise_distance",
        lambda a, b: F.pairwise_distance(a, b, 3.0, keepdim=True),
        lambda a, b: (np.abs(a - b + 1e-6) ** 3).sum(-1, keepdims=True) ** (1 / 3),
        normal((3, 4), (1, 4)),
    ),
    case(
        "cosine_similarity",
        F.cosine_similarity,
        reference.cosine_similarity,
        normal((3, 4), (3, 4)),
    ),
]


class TestCases(CaseTests):
    pass


# ---- panels, tiles and runs that the Cases are too small for -------------------------------------


def whole(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Halves, whose differences every dtype holds."""
    return (rng.integers(-8, 9, shape) / 2).astype(dtype)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("p", ORDERS)
def test_many_rows(p: float, dtype: str, isa: str) -> None:
    rng = np.random.default_rng(0)
    x1 = whole(rng, (2, 133, 19), NUMPY_DTYPES[dtype])
    x2 = whole(rng, (2, 70, 19), NUMPY_DTYPES[dtype])
    dy = whole(rng, (2, 133, 70), NUMPY_DTYPES[dtype])
    with backend(isa):
        y = _cpu.distance_forward(x1, x2, p)
        slopes = _cpu.distance_backward(x1, x2, p, y, dy, True, True)
    wide = [each.astype(np.float64) for each in (dy, x1, x2)]
    assert_close(y, reference.cdist(*wide[1:], p), dtype, "norm", 19)
    expected = (0 * wide[1], 0 * wide[2]) if p == 0 else reference.cdist_backward(*wide, p)
    for got, want in zip(slopes, expected, strict=True):
        # bfloat16 slopes divide by rounded distances.
        assert_close(got, want, dtype, "norm", 133)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("p", ORDERS)
def test_many_pairs(p: float, isa: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 150, 3))
    dy = rng.standard_normal((1, 150 * 149 // 2))
    with backend(isa):
        y = _cpu.distance_forward(x, None, p)
        dx, none = _cpu.distance_backward(x, None, p, y, dy, True, False)
    assert none is None
    assert_close(y[0], reference.pdist(x[0], p), "float64", "norm", 3)
    expected = 0 * x[0] if p == 0 else reference.pdist_backward(dy[0], x[0], p)[0]
    assert_close(dx[0], expected, "float64", "norm", 150)


@pytest.mark.parametrize("isa", ISAS)
def test_long_rows(isa: str) -> None:
    rng = np.random.default_rng(2)
    x1, x2 = (rng.standard_normal((1, n, 1100)).astype(np.float32) for n in (3, 5))
    with backend(isa):
        y = _cpu.distance_forward(x1, x2, 1.0)
        dx1, _ = _cpu.distance_backward(x1, x2, 1.0, y, np.ones_like(y), True, False)
    wide = x1.astype(np.float64), x2.astype(np.float64)
    assert_close(y, reference.cdist(*wide, 1.0), "float32", "norm")
    assert_close(dx1, reference.cdist_backward(np.ones(y.shape), *wide, 1.0)[0], "float32", "exact")


def test_same_bits_for_any_thread_count() -> None:
    x = np.random.default_rng(3).standard_normal((1, 300, 40)).astype(np.float32)
    results = []
    for count in (1, 2, 7):
        with threads(count):
            y = _cpu.distance_forward(x, None, 1.0)
            full = _cpu.distance_forward(x, x, 3.0)
            dx, _ = _cpu.distance_backward(x, None, 1.0, y, y, True, False)
            both = _cpu.distance_backward(x, x, 3.0, full, full, True, True)
            results.append([each.tobytes() for each in (y, full, dx, *both)])
    assert results[0] == results[1] == results[2]


@needs_simulator
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("p", ORDERS)
def test_simulator(p: float, dtype: Any) -> None:
    rng = np.random.default_rng(4)
    x1, x2 = whole(rng, (2, 17, 19), dtype), whole(rng, (2, 20, 19), dtype)
    dy = whole(rng, (2, 17, 20), dtype)

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        a, b, seed = (place(each) for each in (x1, x2, dy))
        y, pairs = m.distance_forward(a, b, p), m.distance_forward(b, None, p)
        moved, _ = m.distance_backward(b, None, p, pairs, pairs, True, False)
        return (y, pairs, moved, *m.distance_backward(a, b, p, y, seed, True, True))

    assert_parity(call, 2 * TOLERANCES[dtype])


# ---- edges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, math.inf])
def test_gradients_agree_with_those_of_create_graph(p: float) -> None:
    """Also where rows are equal, and where two elements are the largest."""
    x = gs.tensor([[1.0, 2.0], [1.0, 2.0], [3.0, 0.0], [1.0, -1.0]], requires_grad=True)
    other = gs.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    for y, inputs in ((F.pdist(x, p), (x,)), (gs.cdist(x, other, p), (x, other))):
        plain = grad(y, inputs, gs.ones(*y.shape), retain_graph=True)
        recorded = grad(y, inputs, gs.ones(*y.shape), create_graph=True)
        for one, two in zip(plain, recorded, strict=True):
            np.testing.assert_allclose(one.numpy(), two.detach().numpy(), rtol=1e-6)


def test_distance_zero_has_no_slope() -> None:
    for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"):
        x = gs.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        gs.cdist(x, gs.tensor([[1.0, 2.0]]), compute_mode=mode).sum().backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.tolist(), [[0, 0], [0.7071, 0.7071]], rtol=1e-3)


@pytest.mark.parametrize("isa", ISAS)
def test_not_a_number_and_infinity(isa: str) -> None:
    x = np.array([[[math.nan, 1.0], [math.inf, 2.0]]])
    y = np.zeros((1, 1, 2))
    expected = {0.0: [2, 2], 1.0: [math.nan, math.inf], 2.0: [math.nan, math.inf]}
    with backend(isa):
        for p, want in (expected | {math.inf: [math.nan, math.inf]}).items():
            np.testing.assert_equal(_cpu.distance_forward(x, y, p)[0, :, 0], want)
            np.testing.assert_equal(_cpu.distance_forward(x[..., ::-1], y, p)[0, :, 0], want)


def test_distances_of_nothing() -> None:
    assert gs.cdist(gs.zeros(0, 3), gs.zeros(2, 3)).shape == (0, 2)
    for p in ORDERS:
        assert gs.cdist(gs.zeros(2, 0), gs.zeros(3, 0), p).tolist() == [[0] * 3] * 2
    assert gs.dist(gs.ones(3), gs.zeros(1), math.inf).item() == 1
    assert F.pdist(gs.ones(1, 3)).shape == F.pdist(gs.ones(0, 3)).shape == (0,)
    x = gs.zeros(0, 3, requires_grad=True)
    gs.cdist(x, gs.ones(2, 3), 1).sum().backward()
    assert x.grad is not None
    assert x.grad.shape == (0, 3)


def test_count_of_differences() -> None:
    x, y = gs.tensor([[1.0, 2, 3]], requires_grad=True), gs.tensor([[1.0, 0, 0], [1, 2, 3]])
    assert gs.cdist(x, y, 0).tolist() == [[2, 0]]
    assert not gs.cdist(x, y, 0).requires_grad


@pytest.mark.parametrize(("scale", "expected"), [(1e18, 1.0), (1e25, 0.0), (1e-15, 6e-14)])
def test_similarity_at_the_ends_of_the_range(scale: float, expected: float) -> None:
    # The norm of 1e25 is infinite in float32, that of 1e-15 below eps.
    x = gs.tensor([[scale, 2 * scale, -scale]])
    assert F.cosine_similarity(x, x).item() == pytest.approx(expected, rel=1e-5)


def test_similarity_of_zeros_and_of_one_row() -> None:
    x = gs.zeros(1, 3, requires_grad=True)
    F.cosine_similarity(x, gs.ones(1, 3)).sum().backward()
    assert x.grad is not None
    assert np.isfinite(x.grad.numpy()).all()
    assert F.cosine_similarity(gs.ones(2, 1, 3), gs.ones(4, 3), -1).shape == (2, 4)
    assert F.pdist(gs.tensor([[0.0], [3.0]]), float("inf")).tolist() == [3.0]
    assert F.pdist(gs.tensor([[0], [3]])).tolist() == [3.0]


# ---- what is refused -----------------------------------------------------------------------------

ONES = gs.ones(2, 4)
ROWS = np.ones((1, 2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.cdist(gs.ones(2), gs.ones(2, 2)), ValueError, r"cdist: x1 has shape \(2,\)"),
        (lambda: gs.cdist(gs.ones(2, 3), gs.ones(2, 2)), ValueError, "cdist: x1 has shape"),
        (
            lambda: gs.cdist(gs.ones(1, 2), gs.ones(1, 2).double()),
            TypeError,
            "cdist: x1 is float32",
        ),
        (lambda: gs.cdist(gs.ones(1, 2), gs.ones(1, 2), -1), ValueError, "cdist: p is -1"),
        (
            lambda: gs.cdist(gs.ones(1, 2), gs.ones(1, 2), compute_mode="mm"),
            ValueError,
            "cdist: compute_mode is 'mm', expected one of 'use_mm",
        ),
        (lambda: gs.cdist(gs.ones(2, 1, 3), gs.ones(4, 1, 3)), ValueError, "cdist: "),
        (lambda: gs.dist(gs.ones(2), gs.ones(3)), ValueError, "dist: "),
        (lambda: F.cosine_similarity(ONES, gs.ones(3)), ValueError, "cosine_similarity: "),
        (lambda: F.pairwise_distance(ONES, gs.ones(3)), ValueError, "pairwise_distance: "),
        (lambda: F.pdist(gs.ones(3)), ValueError, "pdist: input has shape"),
        (lambda: F.pdist(ONES, -1), ValueError, "pdist: p is -1"),
        (lambda: F.pdist(ONES, math.nan), ValueError, "pdist: p is nan"),
        (lambda: _cpu.distance_forward(ROWS[0], None, 1), ValueError, r"x1 has shape \(2, 3\)"),
        (lambda: _cpu.distance_forward(ROWS, ROWS[..., :2], 1), ValueError, "same batch and width"),
        (lambda: _cpu.distance_forward(ROWS, ROWS.astype(np.float64), 1), TypeError, "x2 is"),
        (
            lambda: _cpu.distance_backward(ROWS, None, 1, ROWS[..., 0], ROWS[..., 0], True, False),
            ValueError,
            r"y has shape \(1, 2\), expected \(1, 1\)",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
