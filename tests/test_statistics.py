# SPDX-License-Identifier: Apache-2.0
"""Covariances, correlations, slices of bounded norm."""

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
    case(
        "renorm",
        lambda x: gs.renorm(x, 2, 1, 1.0),
        lambda x: bounded(x, 2, 1, 1.0),
        lambda rng: (rng.standard_normal((2, 4, 3)) * np.array([1, 0.1, 2, 0.2])[:, None],),
    ),
]


class TestCases(CaseTests):
    pass


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
        (lambda: gs.renorm(gs.ones(2), 2, 0, 1), ValueError, r"renorm: got shape \(2,\)"),
        (lambda: gs.renorm(gs.ones(2, 2), 0, 0, 1), ValueError, "renorm: p is 0"),
        (lambda: gs.renorm(gs.ones(2, 2), 2, 0, -1), ValueError, "renorm: maxnorm is -1"),
        (lambda: gs.renorm(gs.ones(2, 2), 2, 2, 1), IndexError, "renorm: dim 2"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
