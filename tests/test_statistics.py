# SPDX-License-Identifier: Apache-2.0
"""Covariances, correlations, distances of rows, slices of bounded norm."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import Case, CaseTests

TIMES = np.array([2, 1, 3, 1, 2])
IMPORTANCE = np.array([0.5, 1.0, 2.0, 0.25, 1.0])


def variables(rng: np.random.Generator) -> tuple[Any, ...]:
    return (rng.standard_normal((3, 5)),)


def two_sets(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((2, 3, 4)), rng.standard_normal((5, 4))


def many_rows(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((2, 2)), rng.standard_normal((27, 2))


def distances(x: np.ndarray, y: np.ndarray, p: float) -> np.ndarray:
    apart = np.abs(x[..., :, None, :] - y[..., None, :, :])
    return apart.max(-1) if p == math.inf else (apart**p).sum(-1) ** (1 / p)


def bounded(x: np.ndarray, p: float, axis: int, limit: float) -> np.ndarray:
    others = tuple(d for d in range(x.ndim) if d != axis)
    norms = (np.abs(x) ** p).sum(others, keepdims=True) ** (1 / p)
    return x * np.where(norms > limit, limit / (norms + 1e-7), 1)


def weights(x: Any) -> dict[str, Any]:
    return {
        "fweights": gs.tensor(TIMES, device=x.device),
        "aweights": gs.tensor(IMPORTANCE, dtype=x.dtype, device=x.device),
    }


def case(name: str, call: Any, definition: Any, make_inputs: Any, **options: Any) -> Case:
    return Case(name, call, definition, make_inputs, tolerance="norm", depth=5, **options)


CASES = [
    case("cov", gs.cov, np.cov, variables),
    case(
        "cov-one-variable",
        lambda x: gs.cov(x[0], correction=0),
        lambda x: np.cov(x[0], ddof=0),
        variables,
    ),
    case(
        "cov-weighted",
        lambda x: x.cov(**weights(x)),
        lambda x: np.cov(x, fweights=TIMES, aweights=IMPORTANCE),
        variables,
    ),
    case(
        "cov-repeated",
        lambda x: gs.cov(x, fweights=weights(x)["fweights"], correction=2),
        lambda x: np.cov(x, fweights=TIMES, ddof=2),
        variables,
    ),
    case("corrcoef", gs.corrcoef, np.corrcoef, variables, dtypes=("float32", "float64")),
    *(
        case(
            f"cdist-{p}",
            lambda x, y, p=p: gs.cdist(x, y, p),
            lambda x, y, p=p: distances(x, y, p),
            two_sets,
        )
        for p in (1.0, 2.0, 3.0, math.inf)
    ),
    case("cdist-by-product", gs.cdist, lambda x, y: distances(x, y, 2), many_rows),
    case(
        "cdist-by-product-on-request",
        lambda x, y: gs.cdist(x, y, compute_mode="use_mm_for_euclid_dist"),
        lambda x, y: distances(x, y, 2),
        two_sets,
    ),
    case(
        "renorm",
        lambda x: gs.renorm(x, 2, 1, 1.0),
        lambda x: bounded(x, 2, 1, 1.0),
        lambda rng: (rng.standard_normal((2, 4, 3)) * np.array([1, 0.1, 2, 0.2])[:, None],),
    ),
    case(
        "dist",
        lambda x, y: gs.dist(x, y[:3], 3),
        lambda x, y: (np.abs(x - y[:3]) ** 3).sum() ** (1 / 3),
        two_sets,
    ),
]


class TestCases(CaseTests):
    pass


def test_distance_zero_has_no_slope() -> None:
    for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"):
        x = gs.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        gs.cdist(x, gs.tensor([[1.0, 2.0]]), compute_mode=mode).sum().backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.tolist(), [[0, 0], [0.7071, 0.7071]], rtol=1e-3)


def test_distances_of_nothing() -> None:
    assert gs.cdist(gs.zeros(0, 3), gs.zeros(2, 3)).shape == (0, 2)
    assert gs.cdist(gs.zeros(2, 0), gs.zeros(3, 0)).tolist() == [[0] * 3] * 2
    assert gs.dist(gs.ones(3), gs.zeros(1), math.inf).item() == 1


def test_count_of_differences() -> None:
    x, y = gs.tensor([[1.0, 2, 3]]), gs.tensor([[1.0, 0, 0], [1, 2, 3]])
    assert gs.cdist(x, y, 0).tolist() == [[2, 0]]


def test_too_few_observations() -> None:
    assert math.isnan(gs.cov(gs.tensor([[1.0]])).item())
    assert gs.cov(gs.tensor([[1, 2], [2, 4]])).tolist() == [[0.5, 1], [1, 2]]
    assert gs.corrcoef(gs.tensor([1.0, 2.0])).item() == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.cov(gs.ones(2, 2, 2)), ValueError, r"cov: got shape \(2, 2, 2\)"),
        (lambda: gs.cov(gs.ones(2, 3), fweights=gs.ones(3)), TypeError, "cov: fweights is float32"),
        (
            lambda: gs.cov(gs.ones(2, 3), fweights=gs.tensor([1])),
            ValueError,
            r"cov: fweights has shape \(1,\), expected \(3,\)",
        ),
        (
            lambda: gs.cov(gs.ones(3), aweights=gs.tensor([1.0, -1, 1])),
            ValueError,
            "cov: aweights holds negative numbers",
        ),
        (lambda: gs.cov(gs.ones(3), aweights=gs.ones(3).long()), TypeError, "cov: aweights is int"),
        (lambda: gs.cov(gs.ones(3), correction="a"), TypeError, "cov: correction is a str"),
        (lambda: gs.corrcoef(gs.ones(2, 2, 2)), ValueError, "corrcoef: cov: got shape"),
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
        (lambda: gs.renorm(gs.ones(2), 2, 0, 1), ValueError, r"renorm: got shape \(2,\)"),
        (lambda: gs.renorm(gs.ones(2, 2), 0, 0, 1), ValueError, "renorm: p is 0"),
        (lambda: gs.renorm(gs.ones(2, 2), 2, 0, -1), ValueError, "renorm: maxnorm is -1"),
        (lambda: gs.renorm(gs.ones(2, 2), 2, 2, 1), IndexError, "renorm: dim 2"),
        (lambda: gs.dist(gs.ones(2), gs.ones(3)), ValueError, "dist: "),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
