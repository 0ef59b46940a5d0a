# SPDX-License-Identifier: Apache-2.0
"""Functional derivatives, batched gradients, modes, hooks of tensors, once_differentiable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import Function, functional, grad
from gradsmith.autograd.function import once_differentiable

RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 2))
P, V, U = RNG.normal(size=2), RNG.normal(size=2), RNG.normal(size=3)


def leaf(values: Any) -> gs.Tensor:
    return gs.tensor(values, dtype="float64", requires_grad=True)


def curve(x: Any) -> Any:
    return gs.tensor(A) @ (x * x)


def bowl(x: Any) -> Any:
    return ((gs.tensor(A) @ x) ** 4).sum()


JACOBIAN = A * (2 * P)
HESSIAN = (A.T * (12 * (A @ P) ** 2)) @ A


# ---- functional ----------------------------------------------------------------------------------


def test_jacobian_and_products() -> None:
    x = gs.tensor(P)
    np.testing.assert_allclose(functional.jacobian(curve, x).numpy(), JACOBIAN)
    y, product = functional.vjp(curve, x, gs.tensor(U))
    np.testing.assert_allclose(y.numpy(), A @ P**2)
    np.testing.assert_allclose(product.numpy(), U @ JACOBIAN)
    y, product = functional.jvp(curve, x, gs.tensor(V))
    np.testing.assert_allclose(product.numpy(), JACOBIAN @ V)
    assert not product.requires_grad
    assert not y.requires_grad


def test_hessian_and_products() -> None:
    x = gs.tensor(P)
    np.testing.assert_allclose(functional.hessian(bowl, x).numpy(), HESSIAN)
    for product in (functional.hvp, functional.vhp):
        y, hv = product(bowl, x, gs.tensor(V))
        np.testing.assert_allclose(hv.numpy(), HESSIAN @ V)
        assert y.item() == pytest.approx(((A @ P) ** 4).sum())


def test_forms_of_results() -> None:
    a, b = gs.tensor([1.0, 2.0]), gs.tensor([[3.0]])

    def two(x: Any, y: Any) -> Any:
        return x * y[0], y.sum()

    rows = functional.jacobian(two, (a, b))
    assert [[each.shape for each in row] for row in rows] == [[(2, 2), (2, 1, 1)], [(2,), (1, 1)]]
    np.testing.assert_array_equal(rows[1][0].numpy(), [0.0, 0.0])
    blocks = functional.hessian(lambda x, y: (x * x * y[0]).sum(), (a, b))
    np.testing.assert_array_equal(blocks[0][0].numpy(), np.diag([6.0, 6.0]))
    np.testing.assert_array_equal(blocks[0][1].numpy().reshape(2), [2.0, 4.0])
    assert functional.jacobian(lambda x: x[:0], a).shape == (0, 2)
    assert functional.vjp(lambda x: x.sum(), a)[1].shape == (2,)


def test_derivatives_can_be_differentiated() -> None:
    x = leaf(P)
    functional.jacobian(lambda z: z * z * z, x, create_graph=True).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * P)
    x = leaf(P)
    functional.hvp(lambda z: (z**3).sum(), x, gs.tensor(V), create_graph=True)[1].sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * V)
    x = leaf(P)
    functional.jvp(lambda z: z**3, x, gs.tensor(V), create_graph=True)[1].sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * P * V)
    assert not functional.jacobian(curve, x).requires_grad


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: functional.jacobian(curve, 3.0), TypeError, "inputs are or hold a float"),
        (lambda x: functional.jacobian(lambda z: 3, x), TypeError, "outputs are or hold a int"),
        (lambda x: functional.jacobian(curve, x, strategy="up"), ValueError, "strategy is 'up'"),
        (lambda x: functional.vjp(curve, x), ValueError, "v is missing"),
        (lambda x: functional.jvp(curve, x, x[:1]), ValueError, r"v has shapes \[\(1,\)\]"),
        (lambda x: functional.hvp(curve, x, x), ValueError, "expected a tensor of one element"),
        (lambda x: functional.hessian(curve, x), ValueError, "hessian: func returned shapes"),
        (
            lambda x: functional.jacobian(lambda z: gs.zeros(2), x, strict=True),
            RuntimeError,
            "does not depend on an input",
        ),
        (
            lambda x: functional.vjp(lambda a, b: a.sum(), (x, x), strict=True),
            RuntimeError,
            "does not depend on an input",
        ),
    ],
)
def test_functional_refuses(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(gs.tensor(P))


# ---- grad ----------------------------------------------------------------------------------------


def test_batched_gradients() -> None:
    x = leaf(P)
    seeds = RNG.normal(size=(4, 3))
    (rows,) = grad(curve(x), x, gs.tensor(seeds), is_grads_batched=True, create_graph=True)
    np.testing.assert_allclose(rows.detach().numpy(), seeds @ JACOBIAN)
    (second,) = grad(rows.sum(), x)
    np.testing.assert_allclose(second.numpy(), seeds.sum(0) @ (2 * A))
    with pytest.raises(ValueError, match="expected one first size"):
        grad(x * 2, x, gs.tensor(1.0), is_grads_batched=True)
    with pytest.raises(ValueError, match="have no rows"):
        grad(x * 2, x, gs.zeros(0, 2), is_grads_batched=True)


def test_unused_inputs() -> None:
    x, y = leaf(P), leaf(V)
    assert grad(x.sum(), [x, y], allow_unused=True)[1] is None
    np.testing.assert_array_equal(grad(x.sum(), [y], materialize_grads=True)[0].numpy(), [0, 0])
    batch = grad(x * 1, [y], gs.ones(3, 2), is_grads_batched=True, materialize_grads=True)
    assert batch[0].shape == (3, 2)
    with pytest.raises(ValueError, match="excludes allow_unused=False"):
        grad(x.sum(), [y], allow_unused=False, materialize_grads=True)
    with pytest.raises(RuntimeError, match="do not depend on input 0"):
        grad(x.sum(), [y])


# ---- switches and hooks --------------------------------------------------------------------------


def test_inference_mode() -> None:
    x = leaf([1.0])
    with gs.inference_mode():
        assert not (x * 2).requires_grad
        with gs.inference_mode(False):
            assert (x * 2).requires_grad

    @gs.inference_mode()
    def double(depth: int) -> Any:
        return double(depth - 1) if depth else x * 2

    assert not double(2).requires_grad
    assert gs.is_grad_enabled()


def test_detach_in_place() -> None:
    x = leaf([1.0, 2.0])
    y = x * 3
    assert y.detach_() is y
    assert y.is_leaf
    assert not y.requires_grad
    y.requires_grad_()
    (y * y).sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), [6.0, 12.0])
    assert x.grad is None
    with pytest.raises(RuntimeError, match="detach_: the tensor is a view"):
        (x * 3)[0].detach_()


def test_hook_after_accumulation() -> None:
    """An optimiser that runs in backward: step and drop each gradient as it arrives."""
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    seen: list[Any] = []

    def step(parameter: Any) -> None:
        seen.append(parameter.grad.numpy().copy())
        with gs.no_grad():
            parameter.sub_(parameter.grad)
        parameter.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    for _ in range(2):
        (x * y.detach() + y).sum().backward()
    assert len(seen) == 2
    np.testing.assert_array_equal(x.detach().numpy(), [1 - 6.0, 2 - 8.0])
    assert x.grad is None
    np.testing.assert_array_equal(y.grad.numpy(), [2.0, 2.0])
    handle.remove()
    (x * 2).sum().backward()
    assert len(seen) == 2
    for wrong in (x * 2, gs.tensor([1.0])):
        with pytest.raises(RuntimeError, match="expected a leaf"):
            wrong.register_post_accumulate_grad_hook(step)


class Cubed(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Any) -> Any:
        (x,) = ctx.saved_tensors
        assert not gs.is_grad_enabled()
        return dy * x * x * 3


def test_once_differentiable() -> None:
    x = leaf([2.0])
    Cubed.apply(x).sum().backward()
    assert x.grad.item() == 12.0
    (slope,) = grad(Cubed.apply(x).sum(), x, create_graph=True)
    assert slope.item() == 12.0
    with pytest.raises(RuntimeError, match="marked with once_differentiable"):
        slope.backward()


@pytest.mark.torch
def test_functional_equals_pytorch() -> None:
    import torch

    def nested(value: Any) -> Any:
        if isinstance(value, tuple):
            return [nested(each) for each in value]
        return value.detach().numpy()

    def one(x: Any) -> Any:
        return (x * x).sum(0)

    def two(x: Any, y: Any) -> Any:
        return x * y.sum(), (y * y).sum()

    def number(x: Any, y: Any) -> Any:
        return (x.exp() * y.sum() ** 2).sum()

    a, b, c = RNG.normal(size=(3, 2)), RNG.normal(size=2), RNG.normal(size=4)
    results: list[list[Any]] = []
    for library, derive in ((gs, functional), (torch, torch.autograd.functional)):
        x, y, z = (library.tensor(each) for each in (a, b, c))
        results.append(
            [
                derive.jacobian(one, x),
                derive.jacobian(one, (x,)),
                derive.jacobian(two, (y, z)),
                derive.hessian(number, (y, z)),
                derive.hessian(lambda v: (v**3).sum(), y),
                derive.vjp(two, (y, z), (y, library.tensor(2.0, dtype=library.float64))),
                derive.jvp(two, (y, z), (y, z)),
                derive.hvp(number, (y, z), (y, z)),
                derive.vhp(number, (y, z), (y, z)),
                derive.vhp(lambda v: v.sum(), y, y),
            ]
        )
    for mine, theirs in zip(*map(nested, map(tuple, results)), strict=True):
        assert_nested(mine, theirs)


def assert_nested(mine: Any, theirs: Any) -> None:
    if isinstance(mine, list):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            assert_nested(one, other)
    else:
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
