# SPDX-License-Identifier: Apache-2.0
"""Custom functions, gradcheck itself, and the memory of graphs."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import Function, gradcheck, gradgradcheck


def leaf(*values: float, dtype: str = "float64") -> gs.Tensor:
    return gs.tensor(list(values), dtype=dtype, requires_grad=True)


# ---- custom functions ----------------------------------------------------------------------------


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * 3 * x * x


class ExpAndCount(Function):
    """Saves an output, has an output without gradient, and an argument that is no tensor."""

    @staticmethod
    def forward(ctx, x, scale):
        y = gs.exp(x) * scale
        count = gs.ones(1, dtype="float64")
        ctx.save_for_backward(y)
        ctx.mark_non_differentiable(count)
        return y, count

    @staticmethod
    def backward(ctx, dy, dcount):
        (y,) = ctx.saved_tensors
        return dy * y, None


def test_custom_function_gradients() -> None:
    assert gradcheck(Cube.apply, leaf(1.0, -2.0))
    assert gradgradcheck(Cube.apply, leaf(1.0, -2.0))


def test_custom_function_with_saved_output() -> None:
    x = leaf(0.5, 1.0)
    y, count = ExpAndCount.apply(x, 2.0)
    assert not count.requires_grad
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([0.5, 1.0]))


def test_custom_function_errors() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, dy):
            return dy

    with pytest.raises(RuntimeError, match="returned 1 gradients, expected 2"):
        Wrong.apply(leaf(1.0), leaf(1.0)).sum().backward()

    class NoTensor(Function):
        @staticmethod
        def forward(ctx, x):
            return 3

    with pytest.raises(TypeError, match="returned a int, expected tensors"):
        NoTensor.apply(leaf(1.0))


# ---- gradcheck itself ----------------------------------------------------------------------------


def test_gradcheck_catches_a_wrong_rule() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        def backward(ctx, dy):
            return dy * 3

    with pytest.raises(RuntimeError, match="gradient of output 0"):
        gradcheck(Wrong.apply, leaf(1.0, 2.0))
    assert not gradcheck(Wrong.apply, leaf(1.0, 2.0), raise_exception=False)


def test_gradgradcheck_catches_a_rule_off_the_tape() -> None:
    class Detached(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return dy * (3 * x * x).detach()

    with pytest.raises(RuntimeError, match="wrong"):
        gradgradcheck(Detached.apply, leaf(1.0, 2.0))


def test_gradcheck_wants_float64() -> None:
    with pytest.raises(TypeError, match="expected float64"):
        gradcheck(Cube.apply, leaf(1.0, dtype="float32"))


# ---- memory --------------------------------------------------------------------------------------


def test_graphs_are_freed_without_the_collector() -> None:
    """Every kind of saved value, hooks and custom functions: nothing waits for a collection."""
    gc.collect()
    gc.disable()
    try:
        x = leaf(0.5, 1.0)
        y = gs.exp(x * 2)
        z, _ = ExpAndCount.apply(y, 1.0)
        z.retain_grad()
        loss = (z.sqrt() + y.tanh()).sum()
        loss.backward(create_graph=False)
        nodes = [weakref.ref(t) for t in (y, z, loss)]
        del y, z, loss, _
        assert [ref() for ref in nodes] == [None, None, None]
    finally:
        gc.enable()


def test_training_loop_memory_is_flat_without_the_collector() -> None:
    model = gs.nn.Sequential(gs.nn.Linear(8, 16), gs.nn.Tanh(), gs.nn.Linear(16, 1))
    optimizer = gs.optim.SGD(model.parameters(), lr=0.01)
    x, target = gs.ones(4, 8), gs.zeros(4, 1)

    def step() -> None:
        optimizer.zero_grad()
        gs.nn.functional.mse_loss(model(x), target).backward()
        optimizer.step()

    for _ in range(5):
        step()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(100):
            step()
        assert len(gc.get_objects()) - before < 50
    finally:
        gc.enable()
