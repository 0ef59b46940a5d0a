# SPDX-License-Identifier: Apache-2.0
"""Muon: its definition by singular values, PyTorch, errors; Adafactor beside PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn, optim
from gradsmith.tensor import Tensor
from tests.reference import optim_composed as reference
from tests.test_optim import grid, leaf

SHAPES = ((4, 3), (3, 6), (5, 5))
PROBLEMS = [
    *grid(nesterov=[True, False], adjust_lr_fn=[None, "original", "match_rms_adamw"]),
    {"lr": 0.5, "weight_decay": 0.01, "momentum": 0.5},
    {"ns_coefficients": (2.0, -1.5, 0.5), "ns_steps": 9},
]


def matrices(dtype: Any = np.float64) -> tuple[np.random.Generator, list[Tensor]]:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    return rng, [Tensor(array, requires_grad=True) for array in arrays]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", PROBLEMS)
def test_steps_follow_the_definition(options: dict[str, Any], dtype: Any) -> None:
    rng, params = matrices(dtype)
    expected = [param._array.astype(np.float64) for param in params]
    states: list[dict[str, Any]] = [{} for _ in params]
    optimizer = optim.Muon(params, **options)
    for _ in range(4):
        for i, param in enumerate(params):
            grad = rng.standard_normal(param.shape).astype(dtype)
            param.grad = Tensor(grad)
            wide = grad.astype(np.float64)
            expected[i], states[i] = reference.muon(expected[i], wide, states[i], **options)
        optimizer.step()
    rtol = 1e-4 if dtype is np.float32 else 1e-9
    for param, want, state in zip(params, expected, states, strict=True):
        np.testing.assert_allclose(param._array, want, rtol=rtol, atol=rtol)
        held = optimizer.state[param]["momentum_buffer"].numpy()
        np.testing.assert_allclose(held, state["momentum_buffer"], rtol=rtol, atol=rtol)


@pytest.mark.torch
@pytest.mark.parametrize("options", PROBLEMS)
def test_steps_are_those_of_pytorch(options: dict[str, Any]) -> None:
    """But for the digits of bfloat16, in which PyTorch multiplies: some percent of a step."""
    import torch

    rng, params = matrices()
    peers = [torch.tensor(param._array.copy()).requires_grad_() for param in params]
    mine, theirs = optim.Muon(params, **options), torch.optim.Muon(peers, **options)
    before = [param._array.copy() for param in params]
    for param, peer in zip(params, peers, strict=True):
        grad = rng.standard_normal(param.shape)
        param.grad, peer.grad = Tensor(grad), torch.tensor(grad)
    mine.step()
    theirs.step()
    for param, peer, start in zip(params, peers, before, strict=True):
        step = np.abs(param._array - start).max()
        np.testing.assert_allclose(param._array, peer.detach().numpy(), rtol=0, atol=0.1 * step)


@pytest.mark.torch
@pytest.mark.parametrize("options", [{}, {"lr": 0.3, "eps": (1e-6, 0.1), "d": 2.0}])
def test_adafactor_is_that_of_pytorch(options: dict[str, Any]) -> None:
    import torch

    rng = np.random.default_rng(0)
    starts = [np.asarray(rng.standard_normal(shape)) for shape in ((4, 3), (5,), (), (2, 3, 4))]
    params = [Tensor(start.copy(), requires_grad=True) for start in starts]
    peers = [torch.tensor(start).requires_grad_() for start in starts]
    mine, theirs = optim.Adafactor(params, **options), torch.optim.Adafactor(peers, **options)
    for _ in range(6):
        for param, peer in zip(params, peers, strict=True):
            grad = np.asarray(rng.standard_normal(param.shape))
            param.grad, peer.grad = Tensor(grad), torch.tensor(grad)
        mine.step()
        theirs.step()
    for param, peer in zip(params, peers, strict=True):
        np.testing.assert_allclose(param._array, peer.detach().numpy(), rtol=1e-11)
        assert set(mine.state[param]) == set(theirs.state[peer])
        for name, value in mine.state[param].items():
            np.testing.assert_allclose(value.numpy(), theirs.state[peer][name], rtol=1e-11)


def test_a_saved_state_goes_on_to_the_bit() -> None:
    rng, params = matrices()
    _, others = matrices()
    first, second = optim.Muon(params, lr=0.1), optim.Muon(others, lr=0.3)
    grads = [[rng.standard_normal(shape) for shape in SHAPES] for _ in range(4)]

    def step(optimizer: optim.Muon, chosen: list[Tensor], number: int) -> None:
        for param, grad in zip(chosen, grads[number], strict=True):
            param.grad = Tensor(grad)
        optimizer.step()

    for number in range(2):
        step(first, params, number)
    for param, other in zip(params, others, strict=True):
        other._array[...] = param._array
    second.load_state_dict(first.state_dict())
    for number in (2, 3):
        step(first, params, number)
        step(second, others, number)
    for param, other in zip(params, others, strict=True):
        np.testing.assert_array_equal(param._array, other._array)


def test_it_trains_the_matrices_of_a_network() -> None:
    gs.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    x = gs.randn(64, 2)
    target = (x[:, :1] * x[:, 1:] > 0).float()
    muon = optim.Muon([p for p in model.parameters() if p.ndim == 2], lr=0.05, weight_decay=0.0)
    adam = optim.Adam([p for p in model.parameters() if p.ndim != 2], lr=0.03)
    for _ in range(150):
        loss = nn.functional.binary_cross_entropy_with_logits(model(x), target)
        muon.zero_grad()
        adam.zero_grad()
        loss.backward()
        muon.step()
        adam.step()
    assert loss.item() < 0.3


W = Tensor(np.ones((2, 2)), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.Muon([leaf(2)]), ValueError, r"Muon: a parameter has shape \(2,\)"),
        (lambda: optim.Muon([W], momentum=1.0), ValueError, "Muon: momentum is 1.0"),
        (lambda: optim.Muon([W], ns_steps=100), ValueError, "Muon: ns_steps is 100"),
        (lambda: optim.Muon([W], ns_steps=1.5), TypeError, "Muon: ns_steps is a float"),
        (lambda: optim.Muon([W], ns_coefficients=(1, 2)), ValueError, "expected three numbers"),
        (lambda: optim.Muon([W], adjust_lr_fn="adam"), ValueError, "adjust_lr_fn is 'adam'"),
        (lambda: optim.Muon([W], lr=-1), ValueError, "Muon: lr is -1"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
