# SPDX-License-Identifier: Apache-2.0
"""Pooling by p-norm and minimum, trainable subsampling, unpooling, fractional pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from tests.cases import Case, CaseTests
from tests.reference import pool_windows as definition

SAMPLES = np.array([[[0.25, 0.75], [0.5, 0.125]]])
OF_VOLUMES = np.random.default_rng(5).uniform(size=(1, 2, 3))
PLACES = np.array([[[[0, 5], [13, 18]], [[7, 3], [8, 11]]]])


def positive(*shape: int) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    return lambda rng: (rng.uniform(0.5, 2.0, shape),)


def apart(*shape: int) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Numbers of which no two are close."""
    return lambda rng: (rng.permutation(np.arange(np.prod(shape)) / 8).reshape(shape),)


def lp_case(pool: Any, p: float, shape: tuple[int, ...], kernel: Any, stride: Any) -> Case:
    return Case(
        f"{pool.__name__}-{p}",
        lambda x: pool(x, p, kernel, stride),
        lambda x: definition.lp_pool(x, p, kernel, stride),
        positive(*shape),
        tolerance="transcendental",
        depth=4,
    )


def min_case(pool: Any, shape: tuple[int, ...], kernel: Any, stride: Any) -> Case:
    return Case(
        pool.__name__,
        lambda x: pool(x, kernel, stride, return_indices=True),
        lambda x: definition.min_pool(x, kernel, stride),
        apart(*shape),
        tolerance="exact",
    )


CASES = [
    lp_case(F.lp_pool1d, 2, (2, 2, 7), (3,), (2,)),
    lp_case(F.lp_pool2d, 3.0, (2, 2, 4, 5), (2, 3), (2, 1)),
    lp_case(F.lp_pool3d, 1.5, (1, 2, 2, 4, 2), (1, 2, 2), (1, 2, 2)),
    min_case(F.min_pool1d, (2, 2, 7), (3,), (2,)),
    min_case(F.min_pool2d, (2, 2, 4, 5), (2, 3), (2, 1)),
    min_case(F.min_pool3d, (1, 2, 2, 4, 4), (1, 2, 2), (1, 2, 2)),
    Case(
        "subsampling2d",
        lambda x, w, b: F.subsampling2d(x, w, b, (2, 1)),
        lambda x, w, b: definition.subsampling(x, w, b, (2, 1)),
        lambda rng: (rng.standard_normal((2, 3, 4, 2)), rng.uniform(1, 2, 3), rng.uniform(1, 2, 3)),
        tolerance="reduce",
        depth=2,
    ),
    Case(
        "max_unpool2d",
        lambda x, places: F.max_unpool2d(x, places, 2, output_size=(4, 5)),
        lambda x, places: definition.max_unpool(x, places, (4, 5)),
        lambda rng: (rng.standard_normal((1, 2, 2, 2)), PLACES),
        backward=lambda dy, x, places: np.take_along_axis(
            dy.reshape(1, 2, 20), places.reshape(1, 2, 4), 2
        ).reshape(x.shape),
        tolerance="exact",
    ),
    Case(
        "fractional_max_pool2d",
        lambda x: F.fractional_max_pool2d(
            x, (2, 1), (3, 2), return_indices=True, _random_samples=gs.tensor(SAMPLES)
        ),
        lambda x: definition.fractional_max_pool(x, (2, 1), (3, 2), SAMPLES),
        apart(1, 2, 6, 5),
        tolerance="exact",
    ),
    Case(
        "fractional_max_pool3d",
        lambda x: F.fractional_max_pool3d(
            x, (2, 1, 2), (2, 2, 3), return_indices=True, _random_samples=gs.tensor(OF_VOLUMES)
        ),
        lambda x: definition.fractional_max_pool(x, (2, 1, 2), (2, 2, 3), OF_VOLUMES),
        apart(1, 2, 4, 3, 5),
        tolerance="exact",
    ),
]


class TestCases(CaseTests):
    pass


def test_norm_of_nothing_has_no_slope() -> None:
    x = gs.zeros(1, 1, 4, requires_grad=True)
    y = F.lp_pool1d(x, 2, 2)
    y.sum().backward()
    assert y.tolist() == [[[0.0, 0.0]]]
    assert x.grad is not None
    assert x.grad.tolist() == [[[0.0] * 4]]
    assert F.lp_pool1d(gs.tensor([[1.0, 2.0, 3.0]]), 1, 2, ceil_mode=True).tolist() == [[3.0, 6.0]]


@pytest.mark.parametrize(
    ("pool", "unpool", "sizes"),
    [
        (F.max_pool1d, F.max_unpool1d, (5,)),
        (F.max_pool2d, F.max_unpool2d, (5, 4)),
        (F.max_pool3d, F.max_unpool3d, (5, 4, 6)),
    ],
)
def test_unpooling_undoes_pooling_but_for_the_others(
    pool: Any, unpool: Any, sizes: tuple[int, ...]
) -> None:
    x = gs.tensor(np.random.default_rng(0).standard_normal((2, 3, *sizes)))
    y, places = pool(x, 2, return_indices=True)
    back = unpool(y, places, 2, output_size=x.shape)
    again, same = pool(gs.where(back == 0, -9.0, back), 2, return_indices=True)
    assert back.shape == x.shape
    assert gs.equal(again, y)
    assert gs.equal(same, places)
    assert int((back != 0).sum()) == y.numel()
    assert gs.equal(gs.where(back == 0, x, back), x)


def test_unpooling_writes_the_last_of_equal_indices() -> None:
    places = gs.tensor([[1, 1]])
    assert F.max_unpool1d(gs.tensor([[3.0, 4.0]]), places, 2).tolist() == [[0.0, 4.0, 0.0, 0.0]]


def test_fractional_pooling_draws_from_the_generator() -> None:
    x = gs.rand(2, 3, 17, 19)
    gs.manual_seed(3)
    y, places = F.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.7), return_indices=True)
    assert y.shape == (2, 3, 8, 13)
    assert gs.equal(x.reshape(2, 3, -1).gather(2, places.reshape(2, 3, -1)).reshape(y.shape), y)
    gs.manual_seed(3)
    assert gs.equal(F.fractional_max_pool2d(x, 2, (8, 13)), y)
    assert not gs.equal(F.fractional_max_pool2d(x, 2, (8, 13)), y)
    assert F.fractional_max_pool2d(x[0], 3, 1).shape == (3, 1, 1)
    rows = (places // 19)[:, :, :, 0].numpy()
    assert ((np.diff(rows, axis=2) >= 0) & (np.diff(rows, axis=2) <= 4)).all()


X, IDS = gs.ones(1, 2, 4, 4), gs.zeros(1, 2, 4, 4, dtype=gs.int64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.lp_pool2d(X, 0, 2), ValueError, "lp_pool2d: norm_type is 0"),
        (lambda: F.lp_pool2d(X, float("inf"), 2), ValueError, "norm_type is inf"),
        (lambda: F.lp_pool1d(X, 2, 2), ValueError, "lp_pool1d: "),
        (lambda: F.lp_pool2d(X, 2, 5), ValueError, "lp_pool2d: "),
        (lambda: F.lp_pool2d(X, 2, "a"), TypeError, "kernel_size is a str"),
        (lambda: F.min_pool2d(X, 5), ValueError, "min_pool2d: "),
        (lambda: F.min_pool1d(3.0, 2), TypeError, "min_pool1d: "),
        (lambda: F.subsampling2d(X, gs.ones(1), gs.ones(2)), ValueError, r"weight has shape \(1,"),
        (lambda: F.subsampling2d(X, gs.ones(2), gs.ones(3)), ValueError, r"bias has shape \(3,"),
        (lambda: F.max_unpool2d(X, IDS[0], 2), ValueError, "max_unpool2d: input has shape"),
        (lambda: F.max_unpool2d(X, X, 2), TypeError, "indices is float32"),
        (lambda: F.max_unpool2d(X, IDS, 2, output_size=(10, 8)), ValueError, "output_size is"),
        (lambda: F.max_unpool2d(X, IDS, 2, output_size=(8,)), ValueError, "expected 2 sizes"),
        (lambda: F.max_unpool2d(X, IDS + 64, 2), IndexError, "max_unpool2d: "),
        (lambda: F.max_unpool2d(X, IDS - 1, 2), IndexError, "max_unpool2d: "),
        (lambda: F.max_unpool2d(X, IDS, 1, padding=3), ValueError, "would have the sizes"),
        (lambda: F.fractional_max_pool2d(X, 2), ValueError, "either output_size or output_ratio"),
        (lambda: F.fractional_max_pool2d(X, 2, 2, 0.5), ValueError, "either output_size"),
        (lambda: F.fractional_max_pool2d(X, 2, output_ratio=1.5), ValueError, "ratio is 1.5"),
        (lambda: F.fractional_max_pool3d(X, 2, 2, 0.5), ValueError, "fractional_max_pool3d: "),
        (lambda: F.fractional_max_pool3d(gs.ones(4, 4), 2, 2), ValueError, "expected 4 or 5"),
        (
            lambda: F.fractional_max_pool3d(gs.ones(1, 4, 4, 4), 2, output_ratio=(0.5, 0.5)),
            ValueError,
            "output_ratio is",
        ),
        (lambda: F.fractional_max_pool2d(X, 2, 4), ValueError, "does not fit into a plane"),
        (lambda: F.fractional_max_pool2d(gs.ones(4, 4), 2, 2), ValueError, "expected 3 or 4"),
        (
            lambda: F.fractional_max_pool2d(X, 2, 2, _random_samples=gs.ones(2, 2)),
            ValueError,
            "_random_samples has shape",
        ),
        (
            lambda: F.fractional_max_pool2d(X, 2, 3, _random_samples=gs.ones(1, 2, 2) * np.nan),
            ValueError,
            "_random_samples holds",
        ),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
