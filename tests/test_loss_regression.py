# SPDX-License-Identifier: Apache-2.0
"""Losses of predicted numbers and of the parameters of distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradsmith.ops import loss_regression as loss
from gradsmith.ops.loss import huber_loss, l1_loss, mse_loss
from gradsmith.tensor import Tensor
from tests.cases import CaseTests
from tests.loss_cases import composed
from tests.reference import loss_composed as ref


def _pair(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return 2 * rng.standard_normal((3, 5)), rng.standard_normal((3, 5))


def _counts(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return rng.uniform(0.5, 2, (3, 5)), rng.choice([0.1, 0.4, 2.0, 3.0], (3, 5))


def _normal(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return (*_pair(rng), rng.uniform(0.5, 2, (3, 5)))


CASES = [
    composed("pseudo_huber", loss.pseudo_huber_loss, ref.pseudo_huber, _pair, delta=0.7),
    composed("pseudo_huber", loss.pseudo_huber_loss, ref.pseudo_huber, _pair, reduction="none"),
    composed("log_cosh", loss.log_cosh_loss, ref.log_cosh, _pair, reduction="none"),
    composed("log_cosh", loss.log_cosh_loss, ref.log_cosh, _pair, reduction="sum"),
    composed("poisson", loss.poisson_nll_loss, ref.poisson_nll, _counts, full=True),
    composed(
        "poisson",
        loss.poisson_nll_loss,
        ref.poisson_nll,
        _counts,
        log_input=False,
        eps=0.1,
        reduction="none",
    ),
    composed("gaussian", loss.gaussian_nll_loss, ref.gaussian_nll, _normal, reduction="none"),
    composed("gaussian", loss.gaussian_nll_loss, ref.gaussian_nll, _normal, full=True),
]


class TestCases(CaseTests):
    pass


def test_sums_of_squares() -> None:
    x, target = (
        Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True),
        Tensor([[1.0, 0.0], [0.0, 3.0]]),
    )
    assert loss.sum_squared_error(x, target).item() == 14
    half = loss.half_sum_squared_error(x, target)
    assert half.item() == 7
    half.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 2.0], [3.0, 1.0]]


def test_log_cosh_near_and_far() -> None:
    """Neither cancels for small differences nor overflows for large ones."""
    d = Tensor(np.float32([1e-6, -1e-3, 0.0, 1000.0, -3e38]))
    y = loss.log_cosh_loss(d, Tensor(np.zeros(5, np.float32)), "none").tolist()
    expected = [5e-13, 5e-7, 0.0, 1000 - math.log(2), 3e38]
    assert y == pytest.approx(expected, rel=1e-6)


def test_pseudo_huber_of_small_differences() -> None:
    y = loss.pseudo_huber_loss(Tensor(np.float32([1e-4])), Tensor(np.float32([0.0])))
    assert y.item() == pytest.approx(5e-9, rel=1e-6)


def test_small_variances_count_as_eps_and_keep_their_gradient() -> None:
    x, var = Tensor([1.0]), Tensor([0.0], requires_grad=True)
    y = loss.gaussian_nll_loss(x, Tensor([0.0]), var, eps=0.5)
    assert y.item() == pytest.approx((math.log(0.5) + 2) / 2)
    y.backward()
    assert var.grad is not None
    assert var.grad.item() == pytest.approx((2 - 4) / 2)
    infinite = loss.gaussian_nll_loss(x, x, Tensor([math.inf]))
    assert infinite.item() == math.inf


PAIRS = [loss.sum_squared_error, loss.half_sum_squared_error, loss.pseudo_huber_loss]
PAIRS += [loss.log_cosh_loss, loss.poisson_nll_loss]


@pytest.mark.parametrize("op", PAIRS)
def test_refused_pairs(op: Any) -> None:
    name = op.__name__
    column, row = Tensor(np.ones((3, 1), np.float32)), Tensor(np.ones(3, np.float32))
    with pytest.raises(ValueError, match=rf"{name}: input has shape \(3, 1\) and target \(3,\)"):
        op(column, row)
    with pytest.raises(TypeError, match=f"{name}: target is float64, expected float32"):
        op(row, Tensor(np.ones(3)))
    with pytest.raises(TypeError, match=f"{name}: input is int64, expected a floating"):
        op(Tensor([1]), Tensor([1]))
    with pytest.raises(TypeError, match=f"{name}: target is a float, expected a tensor"):
        op(row, 0.5)


def test_refused_options() -> None:
    x = Tensor(np.ones((2, 3), np.float32))
    for op in PAIRS[2:]:
        with pytest.raises(ValueError, match=f"{op.__name__}: reduction is 'avg'"):
            op(x, x, reduction="avg")
    with pytest.raises(ValueError, match="pseudo_huber_loss: delta is 0"):
        loss.pseudo_huber_loss(x, x, delta=0)
    with pytest.raises(TypeError, match="log_input is a str, expected a bool"):
        loss.poisson_nll_loss(x, x, log_input="no")
    with pytest.raises(ValueError, match="gaussian_nll_loss: var has negative elements"):
        loss.gaussian_nll_loss(x, x, -x)
    with pytest.raises(ValueError, match="gaussian_nll_loss: var is -1, expected at least 0"):
        loss.gaussian_nll_loss(x, x, -1)
    with pytest.raises(ValueError, match=r"shape \(2, 3\) and var \(3,\)"):
        loss.gaussian_nll_loss(x, x, Tensor(np.ones(3, np.float32)))
    with pytest.raises(TypeError, match="var is float64, expected float32"):
        loss.gaussian_nll_loss(x, x, Tensor(np.ones((2, 3))))


def test_weights_have_the_shape_of_the_input() -> None:
    x, target, weight = Tensor([1.0, 3.0]), Tensor([0.0, 0.0]), Tensor([3.0, 1.0])
    assert mse_loss(x, target, weight=weight).item() == (3 + 9) / 4
    assert l1_loss(x, target, "sum", weight).item() == 6
    assert huber_loss(x, target, weight=weight).item() == (1.5 + 2.5) / 2
    for op in (mse_loss, l1_loss, huber_loss):
        name = op.__name__
        with pytest.raises(ValueError, match=rf"{name}: input has shape \(2,\) and weight \(1,\)"):
            op(x, target, weight=weight[:1])
        with pytest.raises(ValueError, match=f"{name}: reduction is 'avg'"):
            op(x, target, "avg", weight=weight)
