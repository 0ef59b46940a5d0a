# SPDX-License-Identifier: Apache-2.0
"""The tape: accumulation, higher orders, hooks, in-place checks, freed graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import Function, grad
from gradsmith.tensor import Tensor


def leaf(*values: float, dtype: str = "float64") -> gs.Tensor:
    return gs.tensor(list(values), dtype=dtype, requires_grad=True)


# ---- gradients -----------------------------------------------------------------------------------


def test_diamond_adds_both_paths() -> None:
    x = leaf(3.0)
    a = x * 2
    b = x * x
    (a * b).sum().backward()
    assert x.grad.item() == 6 * 3.0**2  # d(2x * x^2) = 6x^2


def test_gradients_accumulate_over_passes() -> None:
    x = leaf(1.0, 2.0)
    for _ in range(3):
        (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [6.0, 12.0])


def test_leaf_gradient_owns_its_memory() -> None:
    """The gradient of a sum reaches both operands as one array; each leaf gets its own."""
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = gs.ones(2, dtype="float64")
    (x + y).backward(seed)
    with gs.no_grad():
        x.grad.mul_(10)
    np.testing.assert_array_equal(y.grad.numpy(), [1.0, 1.0])
    np.testing.assert_array_equal(seed.numpy(), [1.0, 1.0])


def test_leaf_gradient_is_never_memory_that_others_hold() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = gs.tensor([1.0, 1.0], dtype="float64")
    (x + y).backward(seed)  # all three gradients are one and the same tensor
    x.grad.add_(1.0)
    np.testing.assert_array_equal(y.grad.numpy(), [1.0, 1.0])
    np.testing.assert_array_equal(seed.numpy(), [1.0, 1.0])
    z = leaf(*range(6))
    z.reshape(2, 3).sum().backward()
    z.grad.add_(1.0)  # one element, repeated by strides, would refuse this
    seen = []
    w = leaf(1.0, 2.0)
    w.register_hook(seen.append)
    (w * w).sum().backward()
    w.grad.add_(1.0)
    np.testing.assert_array_equal(seen[0].numpy(), [2.0, 4.0])


def test_deep_chain_needs_no_recursion() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 20_001
    del y


def test_backward_of_several_outputs() -> None:
    x = leaf(2.0)
    gs.autograd.backward([x * 3, x * x], [gs.tensor([1.0], dtype="float64"), None])
    assert x.grad.item() == 7.0


def test_backward_into_chosen_inputs() -> None:
    x, y = leaf(2.0), leaf(3.0)
    (x * y).sum().backward(inputs=[x])
    assert x.grad.item() == 3.0
    assert y.grad is None


def test_implied_gradient_needs_one_element() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"shape \(2,\).*has to be given"):
        (x * 2).backward()


def test_wrong_gradient_shape() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\), expected \(2,\)"):
        (x * 2).backward(gs.ones(3, dtype="float64"))


def test_backward_off_the_tape() -> None:
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        gs.ones(1).sum().backward()


def test_mixed_dtypes_give_each_leaf_its_own() -> None:
    x = leaf(1.0, 2.0, dtype="float32")
    y = leaf(3.0, 4.0, dtype="float64")
    (x * y).sum().backward()
    assert x.grad.dtype == gs.float32
    assert y.grad.dtype == gs.float64
    np.testing.assert_array_equal(x.grad.numpy(), [3.0, 4.0])


# ---- grad() and higher orders --------------------------------------------------------------------


def test_grad_leaves_dot_grad_alone() -> None:
    x = leaf(2.0)
    (result,) = grad((x**3).sum(), x)
    assert result.item() == 12.0
    assert x.grad is None


def test_third_derivative() -> None:
    x = leaf(2.0)
    y = (x**4).sum()
    for _ in range(2):
        (y,) = grad(y, x, create_graph=True)
    (third,) = grad(y, x)
    assert third.item() == pytest.approx(24 * 2.0)


def test_grad_of_an_intermediate() -> None:
    x = leaf(2.0)
    middle = x * 3
    (result,) = grad((middle * middle).sum(), middle)
    assert result.item() == 12.0


def test_unused_input() -> None:
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(RuntimeError, match="do not depend on input 0"):
        grad((x * 2).sum(), y)
    assert grad((x * 2).sum(), y, allow_unused=True) == (None,)


def test_grad_computes_only_what_leads_to_the_inputs() -> None:
    calls = []

    class Probe(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, dy):
            calls.append(1)
            return dy

    x, y = leaf(1.0), leaf(2.0)
    grad((x * Probe.apply(y)).sum(), x)
    assert calls == []


def test_gradient_penalty_reaches_the_parameters() -> None:
    """The pattern of WGAN-GP: differentiate the norm of an input gradient."""
    w, x = leaf(2.0, -1.0), leaf(0.5, 0.3)
    (g,) = grad((w * x * x).sum(), x, create_graph=True)
    (g * g).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 8 * w.detach().numpy() * x.detach().numpy() ** 2)


# ---- freed graphs and in-place changes -----------------------------------------------------------


def test_second_backward_is_refused() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_retained_graph_runs_again() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0


def test_change_of_a_saved_input_is_noticed() -> None:
    x = leaf(2.0)
    middle = x * 1
    y = (middle * middle).sum()
    with gs.no_grad():
        middle.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_change_of_a_saved_output_is_noticed() -> None:
    x = leaf(2.0)
    y = gs.exp(x)
    with gs.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_change_through_a_view_is_noticed() -> None:
    x = leaf(1.0, 2.0)
    middle = x * 1
    y = (middle * middle).sum()
    with gs.no_grad():
        middle[0] = 5.0
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_change_through_detach_is_noticed() -> None:
    x = leaf(2.0)
    middle = x * 1
    y = (middle * middle).sum()
    middle.detach().add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_change_of_what_nobody_saved_is_fine() -> None:
    x = leaf(2.0)
    middle = x + 1
    y = (middle + 1).sum()
    with gs.no_grad():
        middle.zero_()
    y.backward()
    assert x.grad.item() == 1.0


def test_recorded_in_place_ops_have_the_right_gradient() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    y *= x
    y += 1
    (y * y).sum().backward()
    values = x.detach().numpy()
    np.testing.assert_allclose(x.grad.numpy(), 2 * (3 * values**2 + 1) * 6 * values)


def test_leaf_that_requires_grad_refuses_in_place() -> None:
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="leaf"):
        x.add_(1)
    with gs.no_grad():
        x.add_(1)
    assert x.item() == 2.0


# ---- hooks ---------------------------------------------------------------------------------------


def test_leaf_hook_replaces_the_gradient() -> None:
    x = leaf(1.0)
    handle = x.register_hook(lambda g: g * 10)
    (x * 2).sum().backward()
    assert x.grad.item() == 20.0
    handle.remove()
    x.grad = None
    (x * 2).sum().backward()
    assert x.grad.item() == 2.0


def test_hook_of_an_intermediate_sees_the_whole_gradient() -> None:
    x = leaf(1.0)
    middle = x * 2
    seen = []
    middle.register_hook(lambda g: seen.append(g.item()))
    (middle + middle * 3).sum().backward()
    assert seen == [4.0]


def test_retain_grad() -> None:
    x = leaf(1.0)
    middle = x * 2
    middle.retain_grad()
    middle.retain_grad()
    middle.register_hook(lambda g: g * 10)  # before what is kept, though registered after it
    (middle * middle).sum().backward()
    assert middle.grad.item() == 40.0
    assert x.grad.item() == 80.0


def test_a_gradient_nobody_else_holds_is_kept_without_a_copy() -> None:
    for size in (3, 100_000):  # below and above the size of blocks from our allocator
        x = Tensor(np.ones(size, np.float32), requires_grad=True)
        held: list[Any] = []

        def note(grad: Tensor, held: list[Any] = held) -> None:
            held.append(grad._array.__array_interface__["data"][0])

        x.register_hook(note)
        (x * 2).backward(Tensor(np.ones(size, np.float32)))
        assert x.grad is not None
        assert x.grad._array.__array_interface__["data"][0] == held[0]


def test_a_gradient_that_others_hold_is_copied() -> None:
    dy = Tensor(np.ones(100_000, np.float32))
    x, y = (Tensor(np.ones(100_000, np.float32), requires_grad=True) for _ in range(2))
    kept: list[Tensor] = []
    foreign = np.ones(100_000, np.float32)
    z = Tensor(np.ones(100_000, np.float32), requires_grad=True)
    z.register_hook(lambda grad: Tensor(foreign[:]))
    w = Tensor(np.ones((100, 1000), np.float32), requires_grad=True)
    w.register_hook(lambda grad: kept.append(grad))
    (x + y + z + w.reshape(100_000) * 1).backward(dy)
    gradients = [each.grad._array for each in (x, y, z, w)]
    for i, gradient in enumerate(gradients):
        others = [*gradients[:i], *gradients[i + 1 :], dy._array, kept[0]._array, foreign]
        assert not any(np.shares_memory(gradient, other) for other in others)
