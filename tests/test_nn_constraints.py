# SPDX-License-Identifier: Apache-2.0
"""Constraints after steps, penalties in the loss, norms, clipping and noise of gradients."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn, optim
from gradsmith.nn import constraints, regularizers
from gradsmith.tensor import Tensor

WEIGHT = np.array([[3.0, -4.0], [0.3, 0.4], [0.0, 0.0]])  # rows of norms 5, 0.5 and 0


def rows(scales: list[float]) -> np.ndarray:
    return WEIGHT * np.array(scales)[:, None]


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (constraints.MaxNorm(2.0), rows([2 / 5, 1, 1])),
        (
            constraints.MaxNorm(2.0, dim=0),
            WEIGHT * [2 / math.hypot(3, 0.3), 2 / math.hypot(4, 0.4)],
        ),
        (constraints.MaxNorm(2.0, dim=(0, 1)), WEIGHT * (2 / math.hypot(5, 0.5))),
        (constraints.UnitNorm(), rows([1 / 5, 2, 1])),
        (constraints.MinMaxNorm(1.0, 2.0), rows([2 / 5, 2, 1])),
        (constraints.MinMaxNorm(1.0, 2.0, rate=0.5), rows([3.5 / 5, 1.5, 1])),
        (constraints.NonNegative(), np.maximum(WEIGHT, 0)),
        (constraints.WeightClip(0.35), np.clip(WEIGHT, -0.35, 0.35)),
    ],
)
def test_constraints(constraint: Any, expected: np.ndarray) -> None:
    parameter = nn.Parameter(gs.tensor(WEIGHT))
    assert constraint(parameter) is parameter
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-6)
    assert parameter.is_leaf


def test_norms_are_those_of_units() -> None:
    kernel = gs.tensor(np.arange(1.0, 17).reshape(2, 2, 2, 2))
    constraints.UnitNorm()(kernel)
    np.testing.assert_allclose((kernel.numpy() ** 2).sum((1, 2, 3)), [1, 1], rtol=1e-6)
    vector, number = gs.tensor([3.0, 4.0]), gs.tensor(-5.0)
    np.testing.assert_allclose(constraints.UnitNorm()(vector).numpy(), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(constraints.MaxNorm(2.0)(number).numpy(), -2.0, rtol=1e-6)


def test_constraints_follow_the_steps() -> None:
    layer = nn.Linear(2, 2)
    optimizer = optim.SGD(layer.parameters(), lr=1.0)
    handle = constraints.after_step(optimizer, constraints.WeightClip(0.1), [layer.weight])
    assert layer.weight.abs().max().item() <= 0.1 + 1e-7
    for parameter in layer.parameters():
        parameter.grad = gs.full(parameter.shape, -3.0)
    optimizer.step()
    assert layer.weight.tolist() == [[pytest.approx(0.1)] * 2] * 2
    assert layer.bias.min().item() > 2
    constraints.apply(layer.parameters(), constraints.NonNegative())
    handle.remove()
    optimizer.step()
    assert layer.weight.min().item() > 3
    everything = constraints.after_step(optimizer, constraints.UnitNorm())
    assert np.linalg.norm(layer.bias.detach().numpy()) == pytest.approx(1, rel=1e-5)
    everything.remove()


# ---- penalties ----------------------------------------------------------------------------------


def test_penalties_of_tensors() -> None:
    w = gs.tensor(WEIGHT, requires_grad=True)
    assert regularizers.L1(0.1)(w).item() == pytest.approx(0.77)
    assert regularizers.L2(0.1)(w).item() == pytest.approx(2.525)
    assert regularizers.ElasticNet(0.1, 0.2)(w).item() == pytest.approx(0.77 + 5.05)
    assert regularizers.ActivityL1(0.3)(w).item() == pytest.approx(0.3 * 7.7 / 3)
    regularizers.ElasticNet(0.1, 0.2)(w).backward()
    np.testing.assert_allclose(w.grad.numpy(), 0.1 * np.sign(WEIGHT) + 0.4 * WEIGHT)


def test_a_model_s_penalty() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert regularizers.penalty(model).item() == 0.0
    weights = [model[0].weight, model[2].weight]
    handles = [
        regularizers.L2(0.1).attach(model),
        regularizers.L1(0.5).attach(model[2], "bias"),
        regularizers.ActivityL1(2.0).attach(model[1]),
    ]
    x = gs.tensor([[1.0, -2.0], [0.5, 3.0]])
    model(x)
    model(x)
    with gs.no_grad():
        model(x)
    model.eval()
    model(x)
    model.train()
    activity = 2.0 * np.maximum(model[0](x).detach().numpy(), 0).sum() / 2 * 2
    fixed = 0.1 * sum((w.detach().numpy() ** 2).sum() for w in weights)
    fixed += 0.5 * abs(model[2].bias.item())
    total = regularizers.penalty(model)
    assert total.item() == pytest.approx(fixed + activity, rel=1e-5)
    total.backward()
    assert np.abs(model[0].weight.grad.numpy()).min() > 0
    assert regularizers.penalty(model).item() == pytest.approx(fixed, rel=1e-5)
    copied = copy.deepcopy(model)
    copied(x)
    assert regularizers.penalty(model).item() == pytest.approx(fixed, rel=1e-5)
    assert regularizers.penalty(copied).item() == pytest.approx(fixed + activity / 2, rel=1e-5)
    for handle in handles:
        handle.remove()
    model(x)
    assert regularizers.penalty(model).item() == 0.0
    assert set(model.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_l2_is_weight_decay() -> None:
    rng = np.random.default_rng(0)
    start, x = rng.standard_normal((1, 3)), gs.tensor(rng.standard_normal((5, 3)))
    results = []
    for decay in (0.0, 0.2):
        model = nn.Linear(3, 1, bias=False).double()
        model.weight.data = gs.tensor(start)
        if not decay:
            regularizers.L2(0.1).attach(model)
        optimizer = optim.SGD(model.parameters(), lr=0.1, weight_decay=decay)
        for _ in range(3):
            optimizer.zero_grad()
            (model(x).square().mean() + regularizers.penalty(model)).backward()
            optimizer.step()
        results.append(model.weight.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-12)


# ---- gradients ----------------------------------------------------------------------------------


def with_gradients(*grads: Any) -> list[Tensor]:
    params = []
    for grad in grads:
        params.append(gs.zeros_like(gs.tensor(grad)).requires_grad_())
        params[-1].grad = gs.tensor(grad)
    return params


def test_total_norm() -> None:
    tensors = [gs.tensor([3.0, 0.0]), gs.tensor([[4.0]]), gs.tensor(12.0)]
    assert nn.utils.get_total_norm(tensors).item() == 13.0
    assert nn.utils.get_total_norm(tensors, math.inf).item() == 12.0
    assert nn.utils.get_total_norm(tensors[0], 1).item() == 3.0
    assert nn.utils.get_total_norm([]).item() == 0.0
    params = with_gradients([3.0, 4.0])
    norm = nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])
    nn.utils.clip_grads_with_norm_(params, 10.0, norm)
    assert params[0].grad.tolist() == [3.0, 4.0]  # type: ignore[union-attr]
    nn.utils.clip_grads_with_norm_(params, 1.0, norm)
    np.testing.assert_allclose(params[0].grad.numpy(), [0.6, 0.8], rtol=1e-6)  # type: ignore[union-attr]


def test_clipping_by_tensor() -> None:
    params = with_gradients([3.0, 4.0], [[0.1]], -7.0)
    norms = nn.utils.clip_grad_norm_per_tensor_([*params, gs.ones(2, requires_grad=True)], 1.0)
    np.testing.assert_allclose(norms.numpy(), [5, 0.1, 7], rtol=1e-6)
    clipped = [p.grad.numpy() for p in params]  # type: ignore[union-attr]
    np.testing.assert_allclose(clipped[0], [0.6, 0.8], rtol=1e-5)
    np.testing.assert_allclose(clipped[1], [[0.1]], rtol=1e-6)
    np.testing.assert_allclose(clipped[2], -1, rtol=1e-5)
    assert nn.utils.clip_grad_norm_per_tensor_([], 1.0).shape == (0,)


def test_noise_falls_as_its_formula() -> None:
    for step, eta in ((0, 0.3), (9, 0.3), (99, 1.0)):
        params = with_gradients(np.full((200, 100), 2.0, np.float32))
        nn.utils.add_grad_noise_(params, step, eta, generator=gs.Generator().manual_seed(1))
        noise = params[0].grad.numpy() - 2  # type: ignore[union-attr]
        expected = math.sqrt(eta / (1 + step) ** 0.55)
        assert noise.std() == pytest.approx(expected, rel=0.03)
        assert abs(noise.mean()) < 4 * expected / math.sqrt(noise.size)
    params = with_gradients(np.full(3, 2.0, np.float32))
    nn.utils.add_grad_noise_(params, 2**40, gamma=2**40)  # an exact power would take for ever
    np.testing.assert_array_equal(params[0].grad.numpy(), 2)  # type: ignore[union-attr]


ERRORS: list[tuple[Any, type[Exception], str]] = [
    (lambda: constraints.MaxNorm(-1), ValueError, "MaxNorm: max_value is -1"),
    (lambda: constraints.MinMaxNorm(2, 1), ValueError, "min_value <= max_value"),
    (lambda: constraints.MinMaxNorm(rate=2), ValueError, "rate is 2"),
    (lambda: constraints.WeightClip("a"), TypeError, "clip_value is a str"),
    (lambda: constraints.UnitNorm()(3), TypeError, "UnitNorm: parameter"),
    (lambda: constraints.apply([gs.ones(2)], 3), TypeError, "constraint is a int"),
    (lambda: constraints.apply([3], constraints.UnitNorm()), TypeError, "apply: parameters"),
    (lambda: regularizers.L1(-1), ValueError, "L1: l1 is -1"),
    (lambda: regularizers.ElasticNet(0, "a"), TypeError, "ElasticNet: l2 is a str"),
    (lambda: regularizers.L2()(3), TypeError, "L2: input"),
    (lambda: regularizers.L2().attach(3), TypeError, "module is a int"),
    (lambda: regularizers.L2().attach(nn.ReLU()), ValueError, "no parameter called 'weight'"),
    (lambda: regularizers.ActivityL1().attach(3), TypeError, "module is a int"),
    (lambda: regularizers.penalty(3), TypeError, "penalty: model is a int"),
    (lambda: nn.utils.get_total_norm(3), TypeError, "tensors is a int"),
    (lambda: nn.utils.get_total_norm([gs.ones(2)], 0), ValueError, "norm_type is 0"),
    (lambda: nn.utils.get_total_norm(gs.tensor([math.nan]), 2, True), ValueError, "norm is nan"),
    (lambda: nn.utils.clip_grads_with_norm_([], -1, gs.ones(())), ValueError, "max_norm is -1"),
    (lambda: nn.utils.clip_grad_norm_per_tensor_([], -1), ValueError, "max_norm is -1"),
    (lambda: nn.utils.clip_grad_norm_per_tensor_([3], 1), TypeError, "holds a int"),
    (lambda: nn.utils.add_grad_noise_([], -1), ValueError, "step is -1"),
    (lambda: nn.utils.add_grad_noise_([], 1.5), TypeError, "step is a float"),
    (lambda: nn.utils.add_grad_noise_([], 1, eta=-1), ValueError, "eta is -1"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
