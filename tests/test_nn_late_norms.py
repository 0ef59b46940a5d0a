# SPDX-License-Identifier: Apache-2.0
"""Norms that learn their channels from the first input, and norms that vanish into layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.nn import utils
from tests.nn_models import IMAGE, SIGNAL, VOLUME, X

KINDS = [
    (nn.LazyBatchNorm1d, nn.BatchNorm1d, X),
    (nn.LazyBatchNorm1d, nn.BatchNorm1d, SIGNAL),
    (nn.LazyBatchNorm2d, nn.BatchNorm2d, IMAGE),
    (nn.LazyBatchNorm3d, nn.BatchNorm3d, VOLUME),
    (nn.LazyInstanceNorm1d, nn.InstanceNorm1d, SIGNAL),
    (nn.LazyInstanceNorm1d, nn.InstanceNorm1d, SIGNAL[0]),
    (nn.LazyInstanceNorm2d, nn.InstanceNorm2d, IMAGE),
    (nn.LazyInstanceNorm3d, nn.InstanceNorm3d, VOLUME),
]


@pytest.mark.parametrize(("lazy", "kind", "x"), KINDS)
@pytest.mark.parametrize("full", [True, False])
def test_a_lazy_norm_takes_the_channels_of_its_input(
    lazy: Any, kind: Any, x: gs.Tensor, full: bool
) -> None:
    options = {"affine": full, "track_running_stats": full, "momentum": 0.3}
    channels = 6 if x is X else 4
    source, late = kind(channels, **options), lazy(**options)
    assert isinstance(late, kind)
    assert late.num_features == 0
    late.reset_parameters()
    parameters = list(late.parameters())
    assert all(isinstance(each, nn.UninitializedParameter) for each in parameters)
    assert gs.equal(late(x), source(x))
    assert type(late) is kind
    assert repr(late) == repr(source)
    assert [id(each) for each in late.parameters()] == [id(each) for each in parameters]
    for name, value in source.state_dict().items():
        assert gs.equal(late.state_dict()[name], value)
        assert type(late.state_dict()[name]) is gs.Tensor
    assert gs.equal(late.eval()(x), source.eval()(x))


def test_a_lazy_norm_loads_the_state_of_another() -> None:
    source = nn.BatchNorm2d(4)
    source(IMAGE)
    late = nn.LazyBatchNorm2d()
    assert "UninitializedBuffer" in repr(late.running_mean)
    late.load_state_dict(source.state_dict())
    assert gs.equal(late.eval()(IMAGE), source.eval()(IMAGE))
    assert type(late) is nn.BatchNorm2d
    assert nn.LazyInstanceNorm2d(affine=True, dtype="float64")(IMAGE.double()).dtype == gs.float64
    with pytest.raises(ValueError, match="input has shape"):
        nn.LazyBatchNorm2d()(SIGNAL)


# ---- norms as part of the layer before -----------------------------------------------------------


def used(norm: nn.Module, x: gs.Tensor) -> nn.Module:
    """Return a norm in evaluation mode that has seen a batch and was trained."""
    norm(x)
    for parameter in norm.parameters():
        parameter.data = gs.randn(parameter.shape) + 1
    return norm.eval()


@pytest.mark.parametrize(
    ("layer", "norm", "x"),
    [
        (nn.Conv1d(4, 3, 2), nn.BatchNorm1d(3), SIGNAL),
        (nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), IMAGE),
        (nn.Conv3d(4, 3, 2, bias=False), nn.BatchNorm3d(3), VOLUME),
        (nn.ConvTranspose2d(4, 3, 2, stride=2), nn.BatchNorm2d(3), IMAGE),
        (nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=False), IMAGE),
    ],
)
def test_a_convolution_and_its_norm_become_one(layer: Any, norm: nn.Module, x: gs.Tensor) -> None:
    layer.eval()
    norm = used(norm, layer(x))
    before = layer.weight.detach().clone()
    fused = utils.fuse_conv_bn_eval(layer, norm, transpose="Transpose" in type(layer).__name__)
    assert type(fused) is type(layer)
    np.testing.assert_allclose(
        fused(x).detach().numpy(), norm(layer(x)).detach().numpy(), rtol=1e-4, atol=1e-5
    )
    assert gs.equal(layer.weight, before)
    assert fused.weight.requires_grad


def test_a_linear_layer_and_its_norm_become_one() -> None:
    layer, norm = nn.Linear(6, 3).eval(), nn.BatchNorm1d(3)
    norm = used(norm, layer(X))
    fused = utils.fuse_linear_bn_eval(layer, norm)
    np.testing.assert_allclose(
        fused(X).detach().numpy(), norm(layer(X)).detach().numpy(), rtol=1e-4, atol=1e-5
    )
    assert gs.equal(
        utils.fuse_conv_bn_weights(
            layer.weight,
            layer.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )[0],
        fused.weight,
    )
    weight, bias = utils.fuse_linear_bn_weights(
        layer.weight, None, norm.running_mean, norm.running_var, norm.eps, None, None
    )
    np.testing.assert_allclose(
        (X @ weight.T + bias).detach().numpy(),
        ((X @ layer.weight.T - norm.running_mean) / (norm.running_var + norm.eps).sqrt())
        .detach()
        .numpy(),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: utils.fuse_conv_bn_eval(nn.Linear(2, 2), nn.BatchNorm1d(2)),
            TypeError,
            "fuse_conv_bn_eval: conv is a Linear, expected a Convolution",
        ),
        (
            lambda: utils.fuse_linear_bn_eval(nn.Linear(2, 2), nn.ReLU()),
            TypeError,
            "fuse_linear_bn_eval: bn is a ReLU, expected a BatchNorm",
        ),
        (
            lambda: utils.fuse_linear_bn_eval(nn.Linear(2, 2), nn.BatchNorm1d(2)),
            ValueError,
            "in training mode",
        ),
        (
            lambda: utils.fuse_linear_bn_eval(
                nn.Linear(2, 2).eval(), nn.BatchNorm1d(2, track_running_stats=False).eval()
            ),
            ValueError,
            "no running statistics",
        ),
        (
            lambda: utils.fuse_linear_bn_weights(
                gs.ones(3, 2), None, gs.ones(2), gs.ones(3), 0.1, None, None
            ),
            ValueError,
            r"fuse_linear_bn_weights: bn_rm has shape \(2,\), expected \(3,\)",
        ),
        (
            lambda: utils.fuse_conv_bn_weights(
                gs.ones(3), None, gs.ones(3), gs.ones(3), 0.1, None, None
            ),
            ValueError,
            r"weight has shape \(3,\), expected at least 2 dimensions",
        ),
        (
            lambda: utils.fuse_conv_bn_weights(
                gs.ones(3, 2, 1),
                None,
                None,  # type: ignore[arg-type]
                gs.ones(3),
                0.1,
                None,
                None,
            ),
            TypeError,
            "fuse_conv_bn_weights: bn_rm is a NoneType",
        ),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
