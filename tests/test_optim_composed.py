# SPDX-License-Identifier: Apache-2.0
"""Optimisers that step by tensor functions: definitions, states, errors."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn, optim
from gradsmith.tensor import Tensor
from tests.cases import REDUCED
from tests.reference import optim_composed as ref
from tests.test_optim import leaf, parameters
from tests.tolerance import assert_close

DEFINITIONS = {
    "LARS": ref.lars,
    "LAMB": ref.lamb,
    "Adafactor": ref.adafactor,
}
BETAS = (0.5, 0.9)
PROBLEMS: list[tuple[str, dict[str, Any]]] = [
    ("LARS", {}),
    ("LARS", {"momentum": 0.5, "weight_decay": 0.1, "trust_coefficient": 0.1, "maximize": True}),
    ("LAMB", {}),
    ("LAMB", {"betas": BETAS, "weight_decay": 0.1, "maximize": True}),
    ("Adafactor", {"eps": (1e-6, 1e-3)}),
    ("Adafactor", {"lr": 0.3, "beta2_decay": -0.5, "eps": (1e-4, 0.1), "d": 1.5}),
    ("Adafactor", {"weight_decay": 0.1, "eps": (1e-6, 0.1), "maximize": True}),
]
IDS = [f"{name}-{number}" for number, (name, _) in enumerate(PROBLEMS)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize(("name", "options"), PROBLEMS, ids=IDS)
def test_steps_follow_the_definition(name: str, options: dict[str, Any], dtype: str) -> None:
    rng = np.random.default_rng(0)
    storage = ml_dtypes.bfloat16 if dtype in REDUCED else np.dtype(dtype)
    params = parameters(rng, storage)
    params[2]._array[:] = 0  # a norm of 0
    expected = [param._array.astype(np.float64) for param in params]
    states: list[dict[str, Any]] = [{} for _ in params]
    optimizer = getattr(optim, name)(params, **options)
    for step in range(12):
        for i, param in enumerate(params):
            param.grad = None
            if i == 3 and step % 3 == 0:
                continue
            grad = np.asarray(rng.standard_normal(param.shape)).astype(storage)
            param.grad = Tensor(grad.copy())
            start = param._array.astype(np.float64) if dtype in REDUCED else expected[i]
            wide = grad.astype(np.float64)
            expected[i], states[i] = DEFINITIONS[name](start, wide, states[i], **options)
        kept = [None if p.grad is None else p.grad._array.copy() for p in params]
        optimizer.step()
        for param, before in zip(params, kept, strict=True):
            assert before is None or (param.grad._array == before).all()  # type: ignore[union-attr]
    for i, (param, want) in enumerate(zip(params, expected, strict=True)):
        assert_close(param._array, want, dtype, "pointwise", 200, f"parameter {i}")
        held = optimizer.state[param]
        assert set(held) == {"step", *states[i]}
        for key, value in states[i].items():
            assert held[key].shape == np.shape(value), key
            assert held[key].dtype == (np.float32 if dtype in REDUCED else held[key].dtype)


@pytest.mark.parametrize("name", [*DEFINITIONS, "SAG", "SAGA"])
def test_a_saved_state_goes_on_to_the_bit(name: str) -> None:
    table = name.startswith("SAG")
    options = {"num_samples": 3} if table else {}
    rng = np.random.default_rng(1)
    first, second = parameters(rng, np.float64), parameters(rng, np.float64)
    optimizers = [getattr(optim, name)(each, **options) for each in (first, second)]

    def step(optimizer: Any, params: list[Tensor], number: int) -> None:
        drawn = np.random.default_rng(number)
        for param in params:
            param.grad = Tensor(np.asarray(drawn.standard_normal(param.shape)))
        optimizer.step(**({"index": number % 3} if table else {}))

    for number in range(4):
        step(optimizers[0], first, number)
    for a, b in zip(first, second, strict=True):
        b._array[...] = a._array
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    assert optimizers[0].state_dict()["state"][0]["step"].item() == 4
    for number in range(4, 8):
        step(optimizers[0], first, number)
        step(optimizers[1], second, number)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a._array, b._array)


def test_gd_is_the_plain_rule() -> None:
    w = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    w.grad = Tensor(np.array([0.5, -1.0]))
    optimizer = optim.GD([w], lr=0.1)
    optimizer.step()
    np.testing.assert_allclose(w._array, [0.95, 2.1])
    assert not optimizer.state_dict()["state"]
    with pytest.raises(ValueError, match="GD: lr is -1"):
        optim.GD([w], lr=-1)


# ---- tables of gradients ------------------------------------------------------------------------

TARGETS = np.array([1.0, 2.0, 6.0])


@pytest.mark.parametrize("name", ["SAG", "SAGA"])
def test_tables_follow_their_papers(name: str) -> None:
    """The loss is the mean of (w - t)^2 / 2 plus w^2 / 4, least at 2."""
    w = Tensor(np.array([5.0]), requires_grad=True)
    optimizer = getattr(optim, name)([w], num_samples=3, lr=0.2, weight_decay=0.5)
    value, table, visited = 5.0, np.zeros(3), np.zeros(3, bool)
    for step in range(200):
        index = step * 7 % 5 % 3
        grad = value - TARGETS[index]
        if name == "SAG":
            table[index], visited[index] = grad, True
            direction = table.sum() / visited.sum()
        else:
            direction = grad - table[index] + table.mean()
            table[index] = grad
        value -= 0.2 * (direction + 0.5 * value)
        w.grad = Tensor(np.array([w.item() - TARGETS[index]]))
        optimizer.step(index=index)
        assert w.item() == pytest.approx(value, rel=1e-12)
    assert w.item() == pytest.approx(2.0, abs=1e-6)


# ---- perceptron ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bipolar", [False, True])
def test_perceptron_rule(bipolar: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 3))
    low = -1.0 if bipolar else 0.0
    t = np.where(x @ [1.0, -2.0, 0.5] > 0.3, 1.0, low)[:, None]
    layer = nn.Linear(3, 1).double()
    w, b = layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()
    rule = optim.PerceptronRule(layer.parameters(), lr=0.5, bipolar=bipolar)
    for _ in range(200):
        wrong = 0
        for each, target in zip(x, t, strict=True):
            y = np.where(w @ each + b >= 0, 1.0, low)
            w += 0.5 * (target - y)[:, None] * each
            b += 0.5 * (target - y)
            given = gs.tensor(each), gs.tensor(target)
            wrong += rule.step(lambda given=given: (layer(given[0]), given[1]))
            np.testing.assert_allclose(layer.weight.detach().numpy(), w, rtol=1e-12, atol=1e-12)
        if not wrong:
            break
    assert not wrong
    np.testing.assert_allclose(layer.bias.detach().numpy(), b, rtol=1e-12, atol=1e-12)
    batch = rule.step(lambda: (layer(gs.tensor(x)), gs.tensor(t)))
    assert batch == 0


# ---- hooks, errors ------------------------------------------------------------------------------


def test_step_hooks() -> None:
    w = leaf(2)
    w.grad = Tensor(np.ones(2))
    seen: list[Any] = []
    for optimizer in (optim.SGD([w], lr=1.0), optim.Lion([w], lr=1.0)):
        handles = [
            optimizer.register_step_pre_hook(lambda o, a, k: seen.append((w.tolist(), a, k))),
            optimizer.register_step_post_hook(lambda o, a, k: seen.append((w.tolist(), o))),
        ]
        before = w.tolist()
        optimizer.step()
        assert seen == [(before, (None,), {}), (w.tolist(), optimizer)]
        assert w.tolist() == [each - 1 for each in before]
        for handle in handles:
            handle.remove()
        optimizer.step()
        assert len(seen) == 2
        seen.clear()
    replaced = optim.SGD([w], lr=1.0)
    replaced.register_step_pre_hook(lambda o, a, k: ((lambda: 7,), k))
    assert replaced.step() == 7


X = leaf(2)
ERRORS: list[tuple[Any, type[Exception], str]] = [
    (lambda: optim.LARS([X], trust_coefficient=-1), ValueError, "trust_coefficient is -1"),
    (lambda: optim.LAMB([X], eps=-1), ValueError, "LAMB: eps is -1"),
    (lambda: optim.Adafactor([X], beta2_decay=1), ValueError, "Adafactor: beta2_decay is 1"),
    (lambda: optim.Adafactor([X], d=0.5), ValueError, "Adafactor: d is 0.5"),
    (lambda: optim.Adafactor([X], eps=1e-3), ValueError, "Adafactor: eps is 0.001"),
    (lambda: optim.Adafactor([X], eps=(None, -1)), ValueError, r"Adafactor: eps\[1\] is -1"),
    (lambda: optim.SAG([X], 0), ValueError, "SAG: num_samples is 0"),
    (lambda: optim.SAGA([X], 2.5), TypeError, "SAGA: num_samples is a float"),
    (lambda: optim.SAG([X], 3).step(), TypeError, "SAG: index is missing"),
    (lambda: optim.SAG([X], 3).step(index=1.0), TypeError, "SAG: index is a float"),
    (lambda: optim.SAGA([X], 3).step(index=3), IndexError, "SAGA: index is 3"),
    (lambda: optim.PerceptronRule([X], lr=-1), ValueError, "PerceptronRule: lr is -1"),
    (lambda: optim.PerceptronRule([X], bipolar=1), TypeError, "bipolar is a int"),
    (lambda: optim.PerceptronRule([X]).step(), TypeError, "needs a closure"),
    (lambda: optim.PerceptronRule([X]).step(lambda: (X, 1)), TypeError, "a int"),
    (lambda: optim.PerceptronRule([X]).step(lambda: (X, leaf(3))), ValueError, "target \\(3,\\)"),
    (lambda: optim.PerceptronRule([X]).step(lambda: (X, leaf(2) - 1)), ValueError, "besides 0"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_refused_step_changes_nothing() -> None:
    good, bad = leaf(2), leaf(3)
    good.grad = bad.grad = Tensor(np.ones(2))
    optimizer = optim.LAMB([good, bad])
    with pytest.raises(ValueError, match="LAMB: a gradient has shape"):
        optimizer.step()
    assert good.tolist() == [0.0, 0.0]
    assert not optimizer.state
