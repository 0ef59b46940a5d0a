# SPDX-License-Identifier: Apache-2.0
"""Optimisers that evaluate the loss themselves: L-BFGS, BFGS, conjugate gradients, Newton."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import optim
from gradsmith.optim.flat import FlatOptimizer
from gradsmith.optim.line_search import Point, strong_wolfe
from gradsmith.tensor import Tensor

Loss = Callable[[Tensor], Tensor]


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


HESSIAN = np.diag([1.0, 4.0, 9.0, 16.0]) + 0.5
LINEAR = np.array([1.0, -2.0, 3.0, 0.5])


def quadratic(x: Tensor) -> Tensor:
    return x @ gs.tensor(HESSIAN) @ x / 2 - gs.tensor(LINEAR) @ x


def run(optimizer: Any, loss: Callable[[], Tensor], steps: int = 1) -> int:
    """Take steps; return the number of evaluations."""
    count = 0

    def closure() -> Tensor:
        nonlocal count
        count += 1
        optimizer.zero_grad()
        value = loss()
        if not isinstance(optimizer, optim.Newton):
            value.backward()
        return value

    for _ in range(steps):
        optimizer.step(closure)
    return count


CLOSE: dict[str, Any] = {"tolerance_change": 1e-16, "tolerance_grad": 1e-8}
LBFGS: dict[str, Any] = {"line_search_fn": "strong_wolfe", "max_iter": 100, **CLOSE}
MAKERS: dict[str, Callable[[Any], FlatOptimizer]] = {
    "LBFGS": lambda p: optim.LBFGS(p, **LBFGS),
    "LBFGS short memory": lambda p: optim.LBFGS(p, history_size=2, **LBFGS),
    "BFGS": lambda p: optim.BFGS(p, max_iter=100, **CLOSE),
    "Polak-Ribiere": lambda p: optim.ConjugateGradient(p, max_iter=200, **CLOSE),
    "Fletcher-Reeves": lambda p: optim.ConjugateGradient(
        p, max_iter=400, method="fletcher_reeves", **CLOSE
    ),
    "Newton": lambda p: optim.Newton(p),
    "Levenberg": lambda p: optim.Newton(p, damping=1.0, adaptive=True),
}


@pytest.mark.parametrize("name", MAKERS)
def test_rosenbrock_s_valley(name: str) -> None:
    x = Tensor(np.array([-1.2, 1.0]), requires_grad=True)
    optimizer = MAKERS[name]([x])
    run(optimizer, lambda: rosenbrock(x), 40 if isinstance(optimizer, optim.Newton) else 1)
    np.testing.assert_allclose(x.detach().numpy(), [1, 1], atol=1e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_a_quadratic_over_two_parameters(name: str) -> None:
    a = Tensor(np.zeros(()), requires_grad=True)
    b = Tensor(np.zeros((3, 1)), requires_grad=True)
    optimizer = MAKERS[name]([a, b])
    steps = 12 if name == "Levenberg" else 1
    run(optimizer, lambda: quadratic(gs.cat([a.reshape(1), b.reshape(3)])), steps)
    found = np.concatenate([a.detach().numpy().ravel(), b.detach().numpy().ravel()])
    np.testing.assert_allclose(found, np.linalg.solve(HESSIAN, LINEAR), atol=1e-6)


def test_bfgs_learns_the_inverse_hessian() -> None:
    """After n exact steps on a quadratic it is the inverse (Nocedal and Wright, theorem 6.4)."""
    x = Tensor(np.zeros(4), requires_grad=True)
    optimizer = optim.BFGS([x], max_iter=60, tolerance_change=0, tolerance_grad=1e-12)
    run(optimizer, lambda: quadratic(x))
    inverse = optimizer.state[x]["H"].numpy()
    np.testing.assert_allclose(inverse, np.linalg.inv(HESSIAN), rtol=0.1, atol=0.05)
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-12)


def test_conjugate_directions() -> None:
    """With a nearly exact search, successive directions are conjugate and n of them suffice."""
    x = Tensor(np.zeros(4), requires_grad=True)
    optimizer = optim.ConjugateGradient([x], max_iter=1, max_eval=30)
    before = None
    for _ in range(3):
        run(optimizer, lambda: quadratic(x))
        d = optimizer.state[x]["d"].numpy()
        if before is not None:
            cosine = d @ HESSIAN @ before
            cosine /= np.sqrt((d @ HESSIAN @ d) * (before @ HESSIAN @ before))
            assert abs(cosine) < 0.2
        before = d


def test_newton_s_formula() -> None:
    start = np.array([0.5, -1.0, 2.0, 0.1])
    for damping, lr in ((0.0, 1.0), (2.0, 0.5)):
        x = Tensor(start.copy(), requires_grad=True)
        run(optim.Newton([x], lr=lr, damping=damping), lambda x=x: quadratic(x))
        slope = HESSIAN @ start - LINEAR
        step = np.linalg.solve(HESSIAN + damping * np.eye(4), slope)
        np.testing.assert_allclose(x.detach().numpy(), start - lr * step, rtol=1e-12)
    assert x.grad is None


def test_newton_takes_back_a_step_that_climbs() -> None:
    x = Tensor(np.array([0.1]), requires_grad=True)  # a maximum at 0: Newton's step climbs

    def loss() -> Tensor:
        return (x**4 / 4 - x**2 / 2).sum()

    optimizer = optim.Newton([x], damping=1e-3, adaptive=True)
    values = [loss().item()]
    for _ in range(25):
        run(optimizer, loss)
        values.append(loss().item())
    assert values == sorted(values, reverse=True)
    assert abs(x.item()) == pytest.approx(1, abs=1e-6)
    assert optimizer.state_dict()["state"][0]["step"] == 25


def test_newton_of_a_loss_that_leaves_parameters_out() -> None:
    x, y = (Tensor(np.array([2.0]), requires_grad=True) for _ in range(2))
    run(optim.Newton([x, y], damping=0.5), lambda: (x * 3).sum())
    assert (x.item(), y.item()) == (2 - 3 / 0.5, 2.0)


def test_strong_wolfe_conditions() -> None:
    """On t^4 / 4 - t from any first step the slope is small and the loss low enough."""
    grad = Tensor(np.zeros(1))

    def line(t: float) -> Point:
        return Point(t, t**4 / 4 - t, grad, t**3 - 1)

    for first in (1e-3, 0.1, 0.9, 1.5, 30.0):
        for c2 in (0.9, 0.1):
            found, count = strong_wolfe(line, line(0.0), first, 1.0, c2=c2)
            assert abs(found.slope) <= c2
            assert found.loss <= -1e-4 * found.t
            assert 1 <= count <= 26


def test_a_vanishing_gradient_ends_the_step() -> None:
    x = Tensor(np.zeros(2), requires_grad=True)
    assert run(optim.LBFGS([x]), lambda: (x * x).sum()) == 1
    assert x.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", [name for name in MAKERS if "Newton" not in name])
def test_a_saved_state_goes_on(name: str) -> None:
    a, b = (Tensor(np.array([-1.2, 1.0, 0.5]), requires_grad=True) for _ in range(2))
    first, second = MAKERS[name]([a]), MAKERS[name]([b])
    for each in (first, second):
        each.param_groups[0].update(max_iter=3, max_eval=50)
    run(first, lambda: rosenbrock(a), 2)
    b._array[...] = a._array
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    run(first, lambda: rosenbrock(a), 2)
    run(second, lambda: rosenbrock(b), 2)
    np.testing.assert_array_equal(a._array, b._array)


def leaf(dtype: Any = np.float64) -> Tensor:
    return Tensor(np.zeros(2, dtype), requires_grad=True)


X = leaf()
ERRORS: list[tuple[Any, type[Exception], str]] = [
    (lambda: optim.LBFGS([X]).step(), TypeError, "LBFGS: step needs a closure"),
    (lambda: optim.Newton([X]).step(), TypeError, "Newton: step needs a closure"),
    (
        lambda: optim.LBFGS([{"params": X}, {"params": leaf()}]),
        ValueError,
        "second parameter group",
    ),
    (lambda: optim.BFGS([X, leaf(np.float32)]), ValueError, "one dtype and device"),
    (lambda: optim.LBFGS([X], max_iter=0), ValueError, "max_iter is 0"),
    (lambda: optim.LBFGS([X], max_eval=1.5), TypeError, "max_eval is a float"),
    (lambda: optim.LBFGS([X], history_size=0), ValueError, "history_size is 0"),
    (lambda: optim.LBFGS([X], line_search_fn="armijo"), ValueError, "line_search_fn is 'armijo'"),
    (lambda: optim.BFGS([X], history_size=3), TypeError, "history_size"),
    (lambda: optim.BFGS([X], tolerance_grad=-1), ValueError, "BFGS: tolerance_grad is -1"),
    (lambda: optim.ConjugateGradient([X], method="x"), ValueError, "method is 'x'"),
    (lambda: optim.ConjugateGradient([X], lr=-1), ValueError, "ConjugateGradient: lr is -1"),
    (lambda: optim.Newton([X], damping=-1), ValueError, "Newton: damping is -1"),
    (lambda: optim.Newton([X], adaptive=True), ValueError, "needs a damping"),
    (lambda: optim.Newton([X], adaptive=1), TypeError, "adaptive is a int"),
    (lambda: optim.Newton([X]).step(lambda: 3.0), TypeError, "returned no loss"),
    (
        lambda: optim.LBFGS([X]).load_state_dict(
            {"state": {0: {"d": np.zeros(3)}}, "param_groups": [{"params": [0]}]}
        ),
        ValueError,
        r"state 'd' has shape \(3,\)",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.torch
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.3},
        {"lr": 0.2, "max_iter": 7, "history_size": 3},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "history_size": 2, "max_iter": 40},
        {"line_search_fn": "strong_wolfe", "max_eval": 6, "lr": 0.5},
        {"line_search_fn": "strong_wolfe", "tolerance_grad": 0.01, "tolerance_change": 1e-4},
    ],
)
def test_lbfgs_equals_pytorch_s(options: dict[str, Any]) -> None:
    import torch

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 5)), rng.standard_normal((30, 3))
    start = rng.standard_normal((3, 5)), rng.standard_normal(3)

    def train(library: Any, make: Any, steps: int, state: Any = None) -> Any:
        w, b = (make(each.copy()).requires_grad_() for each in start)
        optimizer = library.optim.LBFGS([w, b], **options)
        if state is not None:
            optimizer.load_state_dict(state)
        losses = []

        def closure() -> Any:
            optimizer.zero_grad()
            error = library.tanh(make(x) @ w.T + b) * 2 - make(y)
            loss = (error**2).mean() + (w**4).sum() * 0.01
            loss.backward()
            losses.append(loss.item())
            return loss

        for _ in range(steps):
            optimizer.step(closure)
        return losses, w.detach().numpy(), optimizer.state_dict()

    mine, theirs = train(gs, gs.tensor, 4), train(torch, torch.tensor, 4)
    assert len(mine[0]) == len(theirs[0])
    np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-9)
    np.testing.assert_allclose(mine[1], theirs[1], rtol=1e-7, atol=1e-9)
    state, wanted = mine[2]["state"][0], theirs[2]["state"][0]
    assert set(state) == set(wanted) - {"al"}  # PyTorch's workspace
    assert (state["n_iter"], state["func_evals"]) == (wanted["n_iter"], wanted["func_evals"])
    resumed = train(gs, gs.tensor, 2, theirs[2])
    np.testing.assert_allclose(resumed[0], train(torch, torch.tensor, 2, theirs[2])[0], rtol=1e-7)
