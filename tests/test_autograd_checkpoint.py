# SPDX-License-Identifier: Apache-2.0
"""Checkpointing: gradients are those of the plain call, whatever the function uses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.autograd import checkpoint, checkpoint_sequential, grad, gradcheck, gradgradcheck

X = np.random.default_rng(0).normal(size=(5, 4))


def network() -> nn.Module:
    gs.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)
    ).double()


def gradients(model: nn.Module, run: Any) -> list[Any]:
    x = gs.tensor(X, requires_grad=True)
    model.zero_grad()
    gs.manual_seed(7)
    y = run(x * 2.0)
    (y * y).sum().backward()
    after = gs.rand(3).numpy()
    return [y.detach().numpy(), after, *(p.grad.numpy() for p in (x, *model.parameters()))]


def assert_same(one: list[Any], other: list[Any]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_equal_to_the_plain_call_with_dropout() -> None:
    model = network()
    expected = gradients(model, model)
    assert_same(gradients(model, lambda x: checkpoint(model, x)), expected)
    assert_same(gradients(model, lambda x: checkpoint(lambda: model(x))), expected)
    nested = lambda x: checkpoint(lambda z: checkpoint(model[3:], checkpoint(model[:3], z)), x)  # noqa: E731
    assert_same(gradients(model, nested), expected)
    for segments in (1, 2, 4, 6):
        parts = lambda x, n=segments: checkpoint_sequential(model, n, x)  # noqa: E731
        assert_same(gradients(model, parts), expected)


def test_tensors_from_outside_get_gradients_once() -> None:
    """The function uses a tensor, and one made of it: the second path runs outside."""
    x = gs.tensor([2.0, 3.0], requires_grad=True)
    w = gs.tensor([5.0, 7.0], requires_grad=True)
    calls: list[Any] = []
    a = x * 2.0
    a.register_hook(calls.append)
    w.register_hook(calls.append)
    b = a * a
    y = checkpoint(lambda: a * b * w)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [24 * 4 * 5, 24 * 9 * 7])
    np.testing.assert_array_equal(w.grad.numpy(), [8 * 8, 8 * 27])
    assert len(calls) == 2


def test_higher_derivatives() -> None:
    x = gs.tensor([0.5, -0.3], dtype="float64", requires_grad=True)
    w = gs.tensor([1.5, 0.7], dtype="float64", requires_grad=True)

    def function(a: Any, b: Any) -> Any:
        return checkpoint(lambda z: (z * b).tanh() * z, a * a)

    assert gradcheck(function, (x, w))
    assert gradgradcheck(function, (x, w))
    (slope,) = grad(function(x, w).sum(), w, create_graph=True)
    (plain,) = grad((((x * x) * w).tanh() * (x * x)).sum(), w, create_graph=True)
    np.testing.assert_allclose(slope.detach().numpy(), plain.detach().numpy())


def test_arguments_and_results_of_any_form() -> None:
    x = gs.tensor([1.0, 2.0], requires_grad=True)

    def function(a: Any, *, scale: float, both: list[Any]) -> Any:
        return {"y": a * scale, "rest": (both[0] * a, 5, gs.zeros(1))}

    out = checkpoint(function, x, scale=3.0, both=[x])
    assert out["rest"][1] == 5
    assert not out["rest"][2].requires_grad
    (out["y"] + out["rest"][0]).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [5.0, 7.0])
    (unused, used) = checkpoint(lambda a: (a * 2, a * 3), x)
    assert unused.requires_grad
    assert grad(used.sum(), x)[0].tolist() == [3.0, 3.0]
    assert checkpoint(lambda a: a, x) is not None
    with gs.no_grad():
        assert not checkpoint(lambda a: a * 2, x).requires_grad
    assert checkpoint(lambda: 3) == 3


def test_nothing_is_kept_between_the_passes() -> None:
    x = gs.tensor([1.0], requires_grad=True)
    calls = []

    def function(a: Any) -> Any:
        calls.append(a)
        for _ in range(10):
            a = a.exp().log()
        return a

    y = checkpoint(function, x)
    depth, node = 0, y.grad_fn
    while node is not None and type(node) is not gs.Tensor:
        depth, node = depth + 1, node.edges[0]
    assert depth == 1
    y.backward(retain_graph=True)
    y.backward()
    assert len(calls) == 3
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        y.backward()


def test_less_memory_lives_between_the_passes() -> None:
    layers = nn.Sequential(*(m for _ in range(24) for m in (nn.Linear(64, 64), nn.Tanh())))
    x = gs.randn(512, 64)

    def held(run: Any) -> int:
        before = gs.memory.stats()["in_use"]
        y = run(x)
        live = gs.memory.stats()["in_use"] - before
        y.sum().backward()
        return live

    layers(x).sum().backward()  # the gradients of parameters have their place
    plain, saved = held(layers), held(lambda z: checkpoint_sequential(layers, 8, z))
    assert plain >= 24 * x.nbytes
    assert saved <= 10 * x.nbytes  # the ends of seven segments, and the last one


def test_random_state() -> None:
    x = gs.ones(1000, requires_grad=True)
    gs.manual_seed(0)
    y = checkpoint(nn.Dropout(0.5), x)
    gs.rand(3)
    place = gs.get_rng_state().tolist()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    assert gs.get_rng_state().tolist() == place
    other = checkpoint(nn.Dropout(0.5), x, preserve_rng_state=False)
    assert not np.array_equal(grad(other.sum(), x)[0].numpy(), other.detach().numpy())


@pytest.mark.parametrize("cache", [False, True])
def test_mixed_precision(cache: bool) -> None:
    """Also where the region has converted the weights before, or uses them afterwards."""
    gs.manual_seed(0)
    layer = nn.Linear(4, 4)
    x = gs.randn(3, 4)
    grads = []
    for call in (layer, lambda z: checkpoint(layer, z)):
        layer.zero_grad()
        with gs.amp.autocast(cache_enabled=cache):
            y = layer(call(layer(x)))
        assert y.dtype == gs.bfloat16
        y.sum().backward()
        grads.append(layer.weight.grad.numpy().copy())
    np.testing.assert_allclose(grads[1], grads[0], rtol=0.02, atol=0.02)


def test_refusals() -> None:
    x = gs.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="changed an argument in place"):
        checkpoint(lambda a: a.mul_(2.0), x * 1.0)
    h = x * 1.0
    y = checkpoint(lambda a: a * a, h)
    h.mul_(2.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()
    weight, data = gs.ones(2, requires_grad=True), gs.ones(2)
    for changed in (weight, data):
        y = checkpoint(lambda a: a * weight, data)
        with gs.no_grad():
            changed.add_(1.0)
        with pytest.raises(RuntimeError, match="changed in place"):
            y.sum().backward()
    sizes = iter([2, 1])
    z = checkpoint(lambda a: a[: next(sizes)], x)
    with pytest.raises(RuntimeError, match=r"shapes \[\(1,\)\] .* and \[\(2,\)\] before"):
        z.sum().backward()
    with pytest.raises(ValueError, match="segments is 3, expected 1 to 2"):
        checkpoint_sequential([nn.ReLU(), nn.ReLU()], 3, x)
    with pytest.raises(ValueError, match="segments is 0"):
        checkpoint_sequential([nn.ReLU()], 0, x)
