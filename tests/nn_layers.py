# SPDX-License-Identifier: Apache-2.0
"""Rows of the tables of modules: convolutions, pooling, padding, resampling, shapes, neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import nn
from tests.nn_models import IMAGE, SIGNAL, VOLUME, X, normal

SIX = normal(2, 6, 7, 7)
PLANES = {1: SIGNAL, 2: IMAGE, 3: VOLUME}
Row = tuple[nn.Module, tuple[Any, ...], Callable[[Any], Any]]


def _pools(
    n: int, lp: Any, minimum: Any, average: Any, maximum: Any, unpool: Any
) -> dict[str, Row]:
    """Rows of the pooling modules for n dimensions."""
    x, axes = PLANES[n], tuple(range(2, 2 + n))
    y, places = getattr(F, f"max_pool{n}d")(x, 2, return_indices=True)
    return {
        lp.__name__: (lp(1, 2), (x,), lambda m: getattr(F, f"avg_pool{n}d")(x, 2) * 2**n),
        minimum.__name__: (
            minimum(3, 2, 1),
            (x,),
            lambda m: -getattr(F, f"max_pool{n}d")(-x, 3, 2, 1),
        ),
        average.__name__: (average(), (x,), lambda m: x.mean(axes)),
        maximum.__name__: (maximum(keepdims=True), (x,), lambda m: x.amax(axes, keepdim=True)),
        unpool.__name__: (
            unpool(2),
            (y, places, x.shape),
            lambda m: getattr(F, f"max_unpool{n}d")(y, places, 2, output_size=x.shape),
        ),
    }


def _pads(n: int, zero: Any, constant: Any, *others: Any) -> dict[str, Row]:
    """Rows of the padding modules for n dimensions."""
    x, amounts = PLANES[n], (1, 2, 0, 1, 2, 1)[: 2 * n]
    rows: dict[str, Row] = {
        kind.__name__: (kind(amounts), (x,), lambda m, mode=mode: F.pad(x, amounts, mode))
        for kind, mode in zip(others, ("reflect", "replicate", "circular"), strict=True)
    }
    rows[zero.__name__] = zero(1), (x,), lambda m: F.pad(x, (1,) * 2 * n)
    rows[constant.__name__] = (
        constant(amounts, 3.5),
        (x,),
        lambda m: F.pad(x, amounts, value=3.5),
    )
    return rows


def _masked(m: nn.MaskedConv2d) -> gs.Tensor:
    weight = m.weight.detach().numpy().copy()
    weight[:, :, 1, 1:] = 0
    weight[:, :, 2] = 0
    return F.conv2d(IMAGE, gs.tensor(weight), m.bias, padding=1)


def _by_table(m: nn.TableConv2d) -> gs.Tensor:
    weight = np.zeros((16, 6, 3, 3), np.float32)
    weight[m.table.numpy()] = m.weight.detach().numpy()
    return F.conv2d(SIX, gs.tensor(weight), m.bias)


def _locally(m: nn.LocallyConnected2d) -> gs.Tensor:
    rows = [
        gs.cat([F.conv2d(IMAGE[:, :, i : i + 3, j : j + 2], m.weight[i, j]) for j in range(5)], 3)
        for i in range(5)
    ]
    return gs.cat(rows, 2) + m.bias


def _tiled(m: nn.TiledConv2d) -> gs.Tensor:
    y = np.zeros((2, 3, 5, 4), np.float32)
    for i, j in np.ndindex(5, 4):
        window = IMAGE[:, :, i : i + 3, j : j + 3]
        value = F.conv2d(window, m.weight[i % 2, j % 2], m.bias)
        y[:, :, i, j] = value.detach().numpy()[:, :, 0, 0]
    return gs.tensor(y)


def _separable(m: Any, conv: Any, x: gs.Tensor) -> gs.Tensor:
    deep = conv(x, m.depthwise.weight, groups=4)
    return conv(deep, m.pointwise.weight, m.pointwise.bias)


SAME: dict[str, Row] = {
    **_pools(
        *(1, nn.LPPool1d, nn.MinPool1d, nn.GlobalAvgPool1d, nn.GlobalMaxPool1d, nn.MaxUnpool1d)
    ),
    **_pools(
        *(2, nn.LPPool2d, nn.MinPool2d, nn.GlobalAvgPool2d, nn.GlobalMaxPool2d, nn.MaxUnpool2d)
    ),
    **_pools(
        *(3, nn.LPPool3d, nn.MinPool3d, nn.GlobalAvgPool3d, nn.GlobalMaxPool3d, nn.MaxUnpool3d)
    ),
    **_pads(
        *(1, nn.ZeroPad1d, nn.ConstantPad1d, nn.ReflectionPad1d),
        *(nn.ReplicationPad1d, nn.CircularPad1d),
    ),
    **_pads(
        *(2, nn.ZeroPad2d, nn.ConstantPad2d, nn.ReflectionPad2d),
        *(nn.ReplicationPad2d, nn.CircularPad2d),
    ),
    **_pads(
        *(3, nn.ZeroPad3d, nn.ConstantPad3d, nn.ReflectionPad3d),
        *(nn.ReplicationPad3d, nn.CircularPad3d),
    ),
    "DepthwiseConv1d": (
        nn.DepthwiseConv1d(4, 3, depth_multiplier=2),
        (SIGNAL,),
        lambda m: F.conv1d(SIGNAL, m.weight, m.bias, groups=4),
    ),
    "DepthwiseConv2d": (
        nn.DepthwiseConv2d(4, 3, 2, "valid", padding_mode="reflect"),
        (IMAGE,),
        lambda m: F.conv2d(IMAGE, m.weight, m.bias, 2, groups=4),
    ),
    "SeparableConv1d": (
        nn.SeparableConv1d(4, 6, 3),
        (SIGNAL,),
        lambda m: _separable(m, F.conv1d, SIGNAL),
    ),
    "SeparableConv2d": (
        nn.SeparableConv2d(4, 6, 3, depth_multiplier=2, bias=False),
        (IMAGE,),
        lambda m: _separable(m, F.conv2d, IMAGE),
    ),
    "SeparableKernelConv2d": (
        nn.SeparableKernelConv2d(4, (3, 2), padding=1),
        (IMAGE,),
        lambda m: F.conv2d(
            IMAGE, (m.column[:, :, None] * m.row[:, None]).unsqueeze(1), m.bias, 1, 1, groups=4
        ),
    ),
    "BinomialBlur2d": (
        nn.BinomialBlur2d(1, 2, "constant"),
        (IMAGE,),
        lambda m: F.avg_pool2d(F.pad(IMAGE, (0, 1, 0, 1)), 2, 2),
    ),
    "CausalConv1d": (
        nn.CausalConv1d(4, 2, 3, dilation=2),
        (SIGNAL,),
        lambda m: F.conv1d(F.pad(SIGNAL, (4, 0)), m.weight, m.bias, dilation=2),
    ),
    "FFTConv2d": (
        nn.FFTConv2d(4, 2, 3, 2, 1),
        (IMAGE,),
        lambda m: F.conv2d(IMAGE, m.weight, m.bias, 2, 1),
    ),
    "MaskedConv2d": (nn.MaskedConv2d("A", 4, 3, 3, padding=1), (IMAGE,), _masked),
    "TableConv2d": (nn.TableConv2d(6, 16, 3), (SIX,), _by_table),
    "TiledConv2d": (nn.TiledConv2d(4, 3, 3), (IMAGE,), _tiled),
    "LocallyConnected1d": (
        nn.LocallyConnected1d(4, 3, 9, 9),
        (SIGNAL,),
        lambda m: F.conv1d(SIGNAL, m.weight[0]) + m.bias,
    ),
    "LocallyConnected2d": (nn.LocallyConnected2d(4, 3, (7, 6), (3, 2)), (IMAGE,), _locally),
    "FractionalMaxPool2d": (
        nn.FractionalMaxPool2d(2, output_ratio=0.5, _random_samples=gs.full((2, 4, 2), 0.5)),
        (IMAGE,),
        lambda m: F.fractional_max_pool2d(
            IMAGE, 2, (3, 3), _random_samples=gs.full((2, 4, 2), 0.5)
        ),
    ),
    "FractionalMaxPool3d": (
        nn.FractionalMaxPool3d(2, 2, _random_samples=gs.full((2, 4, 3), 0.5)),
        (VOLUME,),
        lambda m: F.fractional_max_pool3d(
            VOLUME, 2, (2, 2, 2), _random_samples=gs.full((2, 4, 3), 0.5)
        ),
    ),
    "Subsampling2d": (
        nn.Subsampling2d(4, (2, 3)),
        (IMAGE,),
        lambda m: F.avg_pool2d(IMAGE, (2, 3)),
    ),
    "Unfold": (nn.Unfold(3, 1, 1, 2), (IMAGE,), lambda m: F.unfold(IMAGE, 3, 1, 1, 2)),
    "Fold": (
        nn.Fold((7, 6), (7, 1)),
        (IMAGE.reshape(2, 28, 6),),
        lambda m: IMAGE,
    ),
    "Reshape": (nn.Reshape((2, -1)), (X,), lambda m: X.reshape(4, 2, 3)),
    "Permute": (nn.Permute((3, 1, 2)), (IMAGE,), lambda m: IMAGE.permute(0, 3, 1, 2)),
    "Cropping1d": (nn.Cropping1d((1, 2)), (SIGNAL,), lambda m: SIGNAL[:, :, 1:7]),
    "Cropping2d": (
        nn.Cropping2d((1, (0, 2))),
        (IMAGE,),
        lambda m: IMAGE[:, :, 1:6, :4],
    ),
    "Upsample": (
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        (IMAGE,),
        lambda m: F.interpolate(IMAGE, (14, 12), mode="bilinear"),
    ),
    "UpsamplingNearest2d": (
        nn.UpsamplingNearest2d(scale_factor=2),
        (IMAGE,),
        lambda m: IMAGE.repeat_interleave(2, 2).repeat_interleave(2, 3),
    ),
    "UpsamplingBilinear2d": (
        nn.UpsamplingBilinear2d((13, 11)),
        (IMAGE,),
        lambda m: F.interpolate(IMAGE, (13, 11), mode="bilinear", align_corners=True),
    ),
    "PixelShuffle": (nn.PixelShuffle(2), (IMAGE,), lambda m: F.pixel_shuffle(IMAGE, 2)),
    "PixelUnshuffle": (nn.PixelUnshuffle(2), (VOLUME,), lambda m: F.pixel_unshuffle(VOLUME, 2)),
    "SpaceToDepth": (
        nn.SpaceToDepth(7),
        (IMAGE[..., :1].expand(2, 4, 7, 7),),
        lambda m: IMAGE[..., :1].expand(2, 4, 7, 7).permute(0, 2, 3, 1).reshape(2, 196, 1, 1),
    ),
    "DepthToSpace": (
        nn.DepthToSpace(2),
        (IMAGE,),
        lambda m: F.pixel_shuffle(IMAGE, 2),  # with one channel the orders agree
    ),
    "ChannelShuffle": (nn.ChannelShuffle(2), (IMAGE,), lambda m: IMAGE[:, [0, 2, 1, 3]]),
    "RBF": (nn.RBF(6, 3), (X,), lambda m: (X[:, None] - m.centers).square().sum(-1)),
    "RBF gaussian": (
        nn.RBF(6, 3, gaussian=True),
        (X,),
        lambda m: (-(X[:, None] - m.centers).square().sum(-1) / 2).exp(),
    ),
    "Competitive": (
        nn.Competitive(6, 3, "dot"),
        (X,),
        lambda m: F.one_hot((X @ m.weight.T).argmax(1), 3).float(),
    ),
    "Maxout": (
        nn.Maxout(6, 2, 3),
        (X,),
        lambda m: m.linear(X).reshape(4, 2, 3).amax(2),
    ),
    "CosineSimilarity": (
        nn.CosineSimilarity(),
        (X, X.flip(0)),
        lambda m: (X * X.flip(0)).sum(1) / (X.norm(dim=1) * X.flip(0).norm(dim=1)),
    ),
    "PairwiseDistance": (
        nn.PairwiseDistance(1.0, 0.0, keepdim=True),
        (X, X.flip(0)),
        lambda m: (X - X.flip(0)).abs().sum(1, keepdim=True),
    ),
    "Step": (nn.Step(0.5), (X,), lambda m: (X > 0).float()),
    "Sign": (nn.Sign(), (X,), lambda m: X.sign()),
    "PiecewiseLinear": (nn.PiecewiseLinear(), (X,), lambda m: (X + 0.5).clamp(0.0, 1.0)),
    "ScaledSigmoid": (nn.ScaledSigmoid(3.0), (X,), lambda m: (X * 3).sigmoid()),
    "BipolarSigmoid": (nn.BipolarSigmoid(3.0), (X,), lambda m: (X * 3).sigmoid() * 2 - 1),
    "ScaledTanh": (nn.ScaledTanh(2.0, 0.5), (X,), lambda m: (X / 2).tanh() * 2),
    "ClippedReLU": (nn.ClippedReLU(0.5), (X,), lambda m: X.clamp(0.0, 0.5)),
    "RReLU off": (nn.RReLU(0.1, 0.3).eval(), (X,), lambda m: F.leaky_relu(X, 0.2)),
    "Softmax2d": (nn.Softmax2d(), (IMAGE,), lambda m: F.softmax(IMAGE, 1)),
    "GaussianNoise off": (nn.GaussianNoise(1.0).eval(), (X,), lambda m: X),
    "GaussianDropout off": (nn.GaussianDropout(0.5).eval(), (X,), lambda m: X),
}

# Tested by its moments; of several results; and those of another class after the first call.
ELSEWHERE = {"FeatureAlphaDropout", "LazyLinear", "LazyConv1d", "LazyConv2d", "LazyConv3d"}
ELSEWHERE |= {"AdaptiveLogSoftmaxWithLoss"}
ELSEWHERE |= {f"Lazy{kind}Norm{n}d" for kind in ("Batch", "Instance") for n in (1, 2, 3)}
ELSEWHERE |= {"LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d"}

# What the modules with an argument dtype are built with, where it is not (2, 3, 1) or (2,).
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "TableConv2d": (6, 16, 1),
    "MaskedConv2d": ("B", 2, 2, 1),
    "LocallyConnected1d": (2, 3, 5, 2),
    "LocallyConnected2d": (2, 3, 5, 2),
    "RBF": (2, 3, True),
    "Competitive": (2, 3),
    "Maxout": (2, 3),
}

TORCH_LAYERS: list[tuple[str, tuple[int, ...]]] = [
    ("LPPool1d(2, 3)", (2, 4, 9)),
    ("LPPool2d(2.0, (3, 2), stride=2, ceil_mode=True)", (2, 4, 7, 6)),
    ("LPPool3d(2, 2)", (2, 4, 5, 6, 4)),
    ("Unfold(3, padding=1, stride=2)", (2, 4, 7, 6)),
    ("Fold((7, 6), (2, 3))", (2, 24, 24)),
    ("Upsample(scale_factor=2)", (2, 4, 9)),
    ("Upsample(size=(5, 9), mode='bicubic')", (2, 4, 7, 6)),
    ("Upsample(scale_factor=(1.5, 2.0, 0.6), mode='trilinear')", (2, 4, 5, 6, 4)),
    ("UpsamplingNearest2d(scale_factor=1.7)", (2, 4, 7, 6)),
    ("UpsamplingBilinear2d(size=9)", (2, 4, 7, 6)),
    ("PixelShuffle(2)", (2, 4, 7, 6)),
    ("PixelUnshuffle(2)", (2, 4, 6, 4)),
    ("ZeroPad1d(2)", (2, 4, 9)),
    ("ZeroPad2d((1, 0, 2, 1))", (2, 4, 7, 6)),
    ("ZeroPad3d(1)", (2, 4, 5, 6, 4)),
    ("ConstantPad1d((1, -2), 3.5)", (2, 4, 9)),
    ("ConstantPad2d(2, -1)", (2, 4, 7, 6)),
    ("ConstantPad3d(1, 7.0)", (2, 4, 5, 6, 4)),
    ("ReflectionPad1d(2)", (4, 9)),
    ("ReflectionPad2d((1, 2, 3, 0))", (2, 4, 7, 6)),
    ("ReflectionPad3d(1)", (2, 4, 5, 6, 4)),
    ("ReplicationPad1d((3, 0))", (2, 4, 9)),
    ("ReplicationPad2d(2)", (4, 7, 6)),
    ("ReplicationPad3d(1)", (2, 4, 5, 6, 4)),
    ("CircularPad1d(3)", (2, 4, 9)),
    ("CircularPad2d((1, 2, 0, 3))", (2, 4, 7, 6)),
    ("CircularPad3d(2)", (2, 4, 5, 6, 4)),
    ("Softmax2d()", (2, 4, 7, 6)),
    ("FeatureAlphaDropout(0.0)", (2, 4, 7)),
]
