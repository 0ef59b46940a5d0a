# SPDX-License-Identifier: Apache-2.0
"""Activation functions of the textbooks, one-hot choices, neurons that compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from tests.cases import Case, CaseTests

Make = Callable[[np.random.Generator], tuple[Any, ...]]


def normal(*shapes: tuple[int, ...]) -> Make:
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


def between_kinks(rng: np.random.Generator) -> tuple[Any, ...]:
    """From -2 to 2, away from all multiples of 1/2."""
    return (rng.integers(-4, 4, (3, 5)) / 2 + rng.uniform(0.1, 0.4, (3, 5)),)


def one_hot(places: np.ndarray, count: int) -> np.ndarray:
    return np.eye(count)[places]


def distances(x: np.ndarray, centers: np.ndarray) -> np.ndarray:
    return ((x[:, None] - centers[None]) ** 2).sum(-1)


KNOTS = ((-1.0, 0.0, 1.5), (0.5, -1.0, 2.0))
CASES = [
    Case("step", F.step, lambda x: (x > 0) * 1.0, between_kinks, tolerance="exact"),
    Case("piecewise_linear", F.piecewise_linear, lambda x: (x + 0.5).clip(0, 1), between_kinks),
    Case(
        "piecewise_linear-knots",
        lambda x: F.piecewise_linear(x, *KNOTS),
        lambda x: np.interp(x, *KNOTS),
        between_kinks,
    ),
    Case("clipped_relu", lambda x: F.clipped_relu(x, 1), lambda x: x.clip(0, 1), between_kinks),
    Case(
        "scaled_sigmoid",
        lambda x: F.scaled_sigmoid(x, 2.5),
        lambda x: 1 / (1 + np.exp(-2.5 * x)),
        normal((3, 5)),
        tolerance="transcendental",
    ),
    Case(
        "bipolar_sigmoid",
        lambda x: F.bipolar_sigmoid(x, 1.5),
        lambda x: 2 / (1 + np.exp(-1.5 * x)) - 1,
        normal((3, 5)),
        tolerance="transcendental",
    ),
    Case(
        "scaled_tanh",
        F.scaled_tanh,
        lambda x: 1.7159 * np.tanh(2 / 3 * x),
        normal((3, 5)),
        tolerance="transcendental",
    ),
    Case(
        "maxout",
        lambda x: F.maxout(x, 3),
        lambda x: np.stack([x[:, :3].max(1), x[:, 3:].max(1)], 1),
        lambda rng: (rng.permutation(36).reshape(2, 6, 3) / 8.0,),
        tolerance="exact",
    ),
    Case(
        "hardmax",
        lambda x: F.hardmax(x, 1),
        lambda x: one_hot(x.argmax(1), 4),
        normal((3, 4)),
        tolerance="exact",
        differentiable=False,
    ),
    Case("rbf", F.rbf, distances, normal((3, 4), (2, 4)), tolerance="reduce", depth=4),
    Case(
        "rbf-gaussian",
        F.rbf,
        lambda x, centers, width: np.exp(-distances(x, centers) / (2 * width**2)),
        lambda rng: (rng.uniform(0, 1, (3, 4)), rng.uniform(0, 1, (2, 4)), rng.uniform(1, 2, 2)),
        tolerance="transcendental",
        depth=4,
    ),
    Case(
        "winner_take_all",
        F.winner_take_all,
        lambda x, weight: one_hot(distances(x, weight).argmin(1), 3),
        normal((4, 2), (3, 2)),
        tolerance="exact",
        differentiable=False,
    ),
]


class TestCases(CaseTests):
    pass


@pytest.mark.parametrize("at_zero", [0, 0.5, 1])
def test_step_at_zero_and_its_gradient(at_zero: float) -> None:
    x = gs.tensor([-2.0, 0.0, -0.0, 3.0, float("nan")], requires_grad=True)
    y = F.step(x, at_zero)
    assert y[:4].tolist() == [0.0, at_zero, at_zero, 1.0]
    assert y[4].isnan()
    y[:4].sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0] * 5
    assert F.step(gs.tensor([3, -1])).tolist() == [1.0, 0.0]


def test_lines_are_constant_outside_and_slope_to_the_right_at_knots() -> None:
    x = gs.tensor([-1e30, -1.0, 0.0, 1.5, float("inf")], requires_grad=True)
    y = F.piecewise_linear(x, *KNOTS)
    y.sum().backward()
    assert y.tolist() == [0.5, 0.5, -1.0, 2.0, 2.0]
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, -1.5, 2.0, 0.0, 0.0]
    assert F.piecewise_linear(gs.tensor([float("nan")])).isnan().all()
    assert F.piecewise_linear(gs.tensor([-5.0, 5.0]), (1,), (7,)).tolist() == [7.0, 7.0]


def test_gumbel_softmax_draws_as_the_softmax_says() -> None:
    gs.manual_seed(0)
    logits = gs.tensor([0.0, 1.0, 2.0]).expand(20000, 3)
    hard = F.gumbel_softmax(logits, tau=0.7, hard=True).numpy()
    assert set(np.unique(hard).tolist()) == {0.0, 1.0}
    assert (hard.sum(1) == 1).all()
    np.testing.assert_allclose(hard.mean(0), np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum(), atol=0.02)
    soft = F.gumbel_softmax(logits, tau=0.1)
    np.testing.assert_allclose(soft.sum(1).numpy(), 1, rtol=1e-5)
    assert (soft.amax(1) > 0.9).float().mean() > 0.8
    assert F.gumbel_softmax(logits[:2].bfloat16()).dtype == gs.bfloat16


def test_gradient_of_a_hard_choice_is_that_of_the_soft_one() -> None:
    gradients = []
    for hard in (True, False):
        gs.manual_seed(1)
        x = gs.tensor([[0.5, -1.0, 2.0]], requires_grad=True)
        (F.gumbel_softmax(x, 2.0, hard) * gs.tensor([1.0, 2.0, 3.0])).sum().backward()
        assert x.grad is not None
        gradients.append(x.grad.tolist())
    assert gradients[0] == gradients[1]
    assert any(gradients[0][0])


def test_kohonen_moves_the_winners_to_the_mean_of_their_inputs() -> None:
    weight = gs.tensor([[0.0, 0.0], [10.0, 10.0], [50.0, 0.0]])
    x = gs.tensor([[1.0, 2.0], [3.0, 0.0], [12.0, 10.0]])
    moved = F.kohonen_step(x, weight, 0.5)
    assert moved.tolist() == [[1.0, 0.5], [11.0, 10.0], [50.0, 0.0]]
    assert F.kohonen_step(x[0], weight, 1).tolist() == [[1.0, 2.0], [10.0, 10.0], [50.0, 0.0]]
    assert F.winner_take_all(gs.tensor([-1.0, 1.0]), weight, "dot").tolist() == [1.0, 0.0, 0.0]


ONES = gs.ones(2, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.step(ONES, 0.3), ValueError, "step: at_zero is 0.3"),
        (lambda: F.step(3.0), TypeError, "step: input is a float"),
        (lambda: F.piecewise_linear(ONES, (0, 1), (1,)), ValueError, "x has 2 and y 1"),
        (lambda: F.piecewise_linear(ONES, (), ()), ValueError, "x has 0"),
        (lambda: F.piecewise_linear(ONES, (1, 1), (1, 2)), ValueError, "expected ascending"),
        (lambda: F.piecewise_linear(ONES, 1, (1,)), TypeError, "x is a int, expected numbers"),
        (lambda: F.clipped_relu(ONES, -1), ValueError, "max_value is -1"),
        (lambda: F.bipolar_sigmoid(ONES, "a"), TypeError, "bipolar_sigmoid: slope is a str"),
        (lambda: F.scaled_tanh(ONES, True), TypeError, "scaled_tanh: amplitude is a bool"),
        (lambda: F.maxout(ONES, 3), ValueError, "maxout: pieces is 3, expected a divisor"),
        (lambda: F.maxout(ONES, 0), ValueError, "maxout: pieces is 0"),
        (lambda: F.maxout(ONES, 2, 2), IndexError, "maxout: dim 2"),
        (lambda: F.hardmax(ONES, 2), IndexError, "hardmax: "),
        (lambda: F.gumbel_softmax(ONES, 0), ValueError, "gumbel_softmax: tau is 0"),
        (lambda: F.gumbel_softmax(ONES.long()), TypeError, "gumbel_softmax: "),
        (lambda: F.rbf(ONES, gs.ones(3, 3)), ValueError, "rbf: input has shape"),
        (lambda: F.rbf(ONES, gs.ones(3, 4), gs.ones(2)), ValueError, "rbf: width has shape"),
        (lambda: F.winner_take_all(ONES, gs.ones(3)), ValueError, "winner_take_all: input has"),
        (lambda: F.winner_take_all(ONES, ONES, "cosine"), ValueError, "metric is 'cosine'"),
        (lambda: F.kohonen_step(ONES, ONES, "a"), TypeError, "kohonen_step: lr is a str"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
