# SPDX-License-Identifier: Apache-2.0
"""Hooks of modules, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn


class Two(nn.Module):
    def forward(self, a: Any, b: Any, scale: float = 1.0) -> Any:
        return a * b * scale, a + b


def inputs() -> tuple[Any, Any]:
    return gs.tensor([1.0, 2.0], requires_grad=True), gs.tensor([3.0, 4.0], requires_grad=True)


def test_backward_hook_sees_all_gradients() -> None:
    module, (a, b) = Two(), inputs()
    seen: list[Any] = []
    module.register_full_backward_hook(lambda m, gi, go: seen.append((m, gi, go)))
    product, _ = module(a * 1.0, b * 1.0, scale=2.0)
    product.sum().backward()
    ((owner, grad_input, grad_output),) = seen
    assert owner is module
    np.testing.assert_array_equal(grad_input[0].numpy(), [6.0, 8.0])
    np.testing.assert_array_equal(grad_input[1].numpy(), [2.0, 4.0])
    np.testing.assert_array_equal(grad_output[0].numpy(), [1.0, 1.0])
    assert grad_output[1] is None
    np.testing.assert_array_equal(a.grad.numpy(), [6.0, 8.0])


def test_hooks_change_gradients_in_order() -> None:
    module, (a, b) = Two(), inputs()
    order: list[str] = []

    def pre(name: str, factor: float) -> Any:
        def hook(m: Any, go: Any) -> Any:
            order.append(name)
            return tuple(None if g is None else g * factor for g in go)

        return hook

    def post(m: Any, gi: Any, go: Any) -> Any:
        order.append("post")
        np.testing.assert_array_equal(go[0].numpy(), [6.0, 6.0])
        return gi[0] + 1.0, gi[1]

    module.register_full_backward_pre_hook(pre("second", 2.0))
    handle = module.register_full_backward_pre_hook(pre("first", 3.0), prepend=True)
    module.register_full_backward_hook(post)
    module(a, b)[0].sum().backward()
    assert order == ["first", "second", "post"]
    np.testing.assert_array_equal(a.grad.numpy(), [19.0, 25.0])
    np.testing.assert_array_equal(b.grad.numpy(), [6.0, 12.0])
    handle.remove()
    order.clear()
    with pytest.raises(AssertionError):
        module(a, b)[0].sum().backward()
    assert order == ["second", "post"]


def test_inputs_without_gradient() -> None:
    layer = nn.Linear(2, 3)
    seen: list[Any] = []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].shape)))
    layer(gs.ones(4, 2)).sum().backward()
    assert seen == [((None,), (4, 3))]
    with gs.no_grad():
        layer(gs.ones(4, 2))
    assert len(seen) == 1


def test_hooks_within_a_sequential_model() -> None:
    """Fused pairs take their modules one by one as soon as one has a hook."""
    gs.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    x = gs.randn(5, 3)
    model(x).sum().backward()
    expected = [p.grad.numpy().copy() for p in model.parameters()]
    model.zero_grad()
    seen: list[str] = []
    for module in model:
        module.register_full_backward_hook(lambda m, gi, go: seen.append(m._label()))
    model(x).sum().backward()
    assert [name.split()[0] for name in seen] == ["Linear", "ReLU", "Linear"]
    for mine, p in zip(expected, model.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), mine, rtol=1e-6)


def test_backward_hooks_refuse() -> None:
    module, (a, b) = Two(), inputs()
    handle = module.register_full_backward_hook(lambda m, gi, go: (gi[0],))
    with pytest.raises(ValueError, match="a backward hook of Two returned 1 gradients, expected 2"):
        module(a, b)[0].sum().backward()
    handle.remove()
    module.register_full_backward_hook(lambda m, gi, go: (gi[0][:1], gi[1]))
    with pytest.raises(ValueError, match=r"shape \(1,\), expected \(2,\)"):
        module(a, b)[0].sum().backward()
    with pytest.raises(TypeError, match="the hook is a int"):
        module.register_full_backward_hook(3)
    changed = Two()
    changed.register_full_backward_hook(lambda m, gi, go: None)
    with pytest.raises(RuntimeError, match="view"):
        changed(a * 1.0, b)[0].mul_(2.0)


def test_second_derivative_through_hooks() -> None:
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2.0,))
    x = gs.tensor([0.3], requires_grad=True)
    (slope,) = gs.autograd.grad(layer(x).sum(), x, create_graph=True)
    slope.backward()
    t = np.tanh(0.3)
    assert slope.item() == pytest.approx(2 * (1 - t * t), rel=1e-6)
    # The second pass leaves through the same input, so the hook doubles once more.
    assert x.grad.item() == pytest.approx(-8 * t * (1 - t * t), rel=1e-5)


def test_always_called_hooks() -> None:
    layer = nn.Linear(2, 3)
    seen: list[Any] = []
    layer.register_forward_hook(lambda m, a, out: seen.append(("plain", out)))
    layer.register_forward_hook(lambda m, a, out: seen.append(("always", out)), always_call=True)
    layer.register_forward_hook(
        lambda m, a, k, out: seen.append((k, out)), always_call=True, with_kwargs=True
    )
    with pytest.raises(ValueError, match="features"):
        layer(gs.ones(1, 5))
    assert seen == [("always", None), ({}, None)]
    seen.clear()
    out = layer(gs.ones(1, 2))
    assert [name for name, _ in seen] == ["plain", "always", {}]
    assert all(each is out for _, each in seen)


@pytest.mark.torch
def test_calls_equal_pytorch() -> None:
    import torch

    def calls(library: Any, module: Any) -> list[Any]:
        seen: list[Any] = []

        def shape(values: Any) -> list[Any]:
            return [None if v is None else v.tolist() for v in values]

        module.register_full_backward_pre_hook(lambda m, go: seen.append(shape(go)))
        module.register_full_backward_hook(lambda m, gi, go: seen.append([shape(gi), shape(go)]))
        a = library.tensor([1.0, 2.0], requires_grad=True)
        outs = module(a, library.tensor([3.0, 4.0], requires_grad=True))
        outs[1].sum().backward(retain_graph=True)
        (outs[0] * outs[1]).sum().backward()
        return seen

    class TorchTwo(torch.nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a * b, a + b

    assert calls(gs, Two()) == calls(torch, TorchTwo())
