# SPDX-License-Identifier: Apache-2.0
"""Calls that once ended in an error of Python's own, or did not end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.nn import functional as F

X = gs.ones(2, 3)
NET = nn.Sequential(nn.Linear(3, 2))
SGD = gs.optim.SGD(NET.parameters(), 0.1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.ZeroPad2d(1)(3), TypeError, "ZeroPad2d: input is a int"),
        (lambda: nn.ReflectionPad1d(1)((2, 1)), TypeError, "ReflectionPad1d: input is a tuple"),
        (lambda: nn.Softmax2d()(True), TypeError, "Softmax2d: input is a bool"),
        (lambda: nn.LazyLinear(3)(1), TypeError, "LazyLinear: input is a int"),
        (lambda: nn.LazyConv2d(3, 1)(1), TypeError, "LazyConv2d: input is a int"),
        (lambda: nn.Reshape((2, 3))(0.5), TypeError, "Reshape: input is a float"),
        (
            lambda: nn.ConvTranspose1d(1, 1, 1)(2.0, output_size=(3,)),
            TypeError,
            "ConvTranspose1d: input is a float",
        ),
        (
            lambda: nn.ConvTranspose1d(1, 1, 1)(b"x", output_size=(3, 2, 1, 1)),
            TypeError,
            "ConvTranspose1d: input is a bytes",
        ),
        (lambda: gs.norm(-1, "nuc"), TypeError, "norm: input is a int"),
        (
            lambda: F.gradient_penalty(lambda _: 0.5, X, X),
            TypeError,
            "gradient_penalty: result of critic is a float",
        ),
        (
            lambda: F.triplet_margin_with_distance_loss(X, X, X, distance_function=lambda *_: 0.5),
            TypeError,
            "result of distance_function is a float",
        ),
        (
            lambda: gs.autograd.gradcheck(lambda _: 0.5, X.double().requires_grad_()),
            TypeError,
            "gradcheck: result is a float",
        ),
        (
            lambda: gs.train.contrastive_divergence(lambda _: 0.5, lambda _: X, lambda _: X, X),
            TypeError,
            "result of free_energy is a float",
        ),
        (
            lambda: gs.train.cross_validate(lambda: X, X, X, gs.data.KFold(2)),
            TypeError,
            "cross_validate: result of build is a Tensor",
        ),
        (lambda: NET.get_parameter(3), TypeError, "get_parameter: target is a int"),
        (lambda: NET.get_submodule(b"0"), TypeError, "get_submodule: target is a bytes"),
        (lambda: gs.viz.draw_graph(NET, 2.0), TypeError, "draw_graph: an input is a float"),
        (
            lambda: gs.viz.plot_feature_maps(NET, (2,), "0"),
            TypeError,
            "plot_feature_maps: inputs is a tuple",
        ),
        (lambda: gs.viz.plot_history(X), TypeError, "plot_history: history is a Tensor"),
        (
            lambda: gs.images.collapse_pyramid([2, 2]),  # type: ignore[list-item]
            TypeError,
            "collapse_pyramid: image is a int, expected a NumPy array",
        ),
        (
            lambda: gs.optim.lr_scheduler.OneCycleLR(SGD, 0.5, 5, div_factor=0),
            ValueError,
            "OneCycleLR: div_factor is 0",
        ),
        (lambda: gs.gradient(X, spacing=0), ValueError, "gradient: spacing is 0"),
        (
            lambda: gs.doctor(NET, 0.5, (X, X)),  # type: ignore[arg-type]
            TypeError,
            "doctor: optimizer is a float",
        ),
        (lambda: X.stride(2), IndexError, "stride: dim 2 is out of range"),
        (lambda: X.retain_grad(), RuntimeError, "retain_grad: the tensor does not require"),
        (
            lambda: F.fft_conv2d(gs.ones(1, 3, 4, 4), gs.ones(2, 3, 0, 2)),
            ValueError,
            r"fft_conv2d: weight has shape \(2, 3, 0, 2\)",
        ),
    ],
)
def test_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_power_beyond_floats_is_no_error() -> None:
    w = gs.ones(2, requires_grad=True)
    optimizer = gs.optim.ASGD([w], lr=0.1, lambd=0.5, alpha=1e30)
    for _ in range(3):
        w.sum().backward()
        optimizer.step()
    assert w.isfinite().all()


def test_a_gradient_that_is_no_tensor() -> None:
    w = gs.ones(2, requires_grad=True)
    w.grad = 3  # type: ignore[assignment]
    with pytest.raises(TypeError, match="SGD: a gradient is a int, expected a tensor"):
        gs.optim.SGD([w], 0.1).step()


def test_copies_of_nothing_in_another_order() -> None:
    columns = gs.ones(3, 3).T
    assert gs.zeros(3, 3)[:0].copy_(columns[:0]).shape == (0, 3)
    assert gs.zeros(3, 3, 3)[:, :0].copy_(gs.ones(3, 3, 3).permute(2, 1, 0)[:, :0]).numel() == 0
    assert (columns.roll(3, 0) == 1).all()
