# SPDX-License-Identifier: Apache-2.0
"""Samples of functions for the checks of gradients: those that no Case calls.

A key is the function's name, or ``name(parameter)`` where Cases reach all but a parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith.nn import regularizers, utils
from gradsmith.nn.utils import rnn
from tests.nn_models import set_parameters
from tests.public_functions import Call, Watch

Sample = tuple[Callable[..., Any], tuple[np.ndarray, ...]]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).uniform(0.2, 0.8, shape))


X, Y = normal(2, 3), normal(2, 3, seed=1)
VECTOR, SQUARE, TALL = normal(4), normal(3, 3, seed=2), normal(4, 2, seed=3)
ROWS = normal(2, 3, 2)
ROW, IMAGE, BLOCK = normal(1, 2, 4), normal(1, 2, 4, 4), normal(1, 1, 2, 2, 2)
MASK = gs.tensor([[True, False, True], [False, True, True]])
LENGTHS = gs.tensor([3, 2])
PIVOTS = gs.tensor([2, 3, 3])


def seeded(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """Return a function that draws the same numbers in every call."""

    def call(*inputs: gs.Tensor) -> Any:
        gs.manual_seed(3)
        return function(*inputs, *args, **kwargs)

    return call


def changed(change: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of what a change in place of a copy of its first input gives."""

    def call(x: gs.Tensor, *others: gs.Tensor) -> gs.Tensor:
        copy = x * 1
        change(copy, *others)
        return copy

    return call


def _set(x: gs.Tensor, value: gs.Tensor) -> None:
    x[:, 1] = value


def _unpooled(dims: int) -> Callable[[gs.Tensor], Any]:
    places = gs.tensor(np.arange(8).reshape((1, 1, 2, 2, 2) if dims == 3 else (1, 2, 4)))
    return lambda x: getattr(F, f"max_unpool{dims}d")(x, places, 2)


def _packed(x: gs.Tensor) -> rnn.PackedSequence:
    return rnn.pack_padded_sequence(x, LENGTHS, batch_first=True)


def _normed(normalise: Callable[..., Any], name: str) -> Callable[[gs.Tensor], Any]:
    """Return a function of the weight, which a linear layer normalises."""

    def call(x: gs.Tensor) -> Any:
        gs.manual_seed(0)
        layer = normalise(gs.nn.Linear(3, 2, bias=False, dtype=gs.float64)).eval()
        set_parameters(layer, {name: x})
        return layer(gs.tensor(SQUARE))

    return call


def _penalty(x: gs.Tensor) -> gs.Tensor:
    layer = gs.nn.Linear(3, 2, bias=False)
    regularizers.ElasticNet().attach(layer)
    set_parameters(layer, {"weight": x})
    return regularizers.penalty(layer)


def _cubes(x: gs.Tensor) -> gs.Tensor:
    return x * x * x


def _derivative(name: str, *directions: bool) -> Callable[..., Any]:
    function = getattr(gs.autograd.functional, name)
    scalar = name in ("hessian", "hvp", "vhp")

    def of(x: gs.Tensor) -> gs.Tensor:
        return _cubes(x).sum() if scalar else _cubes(x)

    def call(x: gs.Tensor, *v: gs.Tensor) -> Any:
        return function(
            lambda t: _cubes(t).sum() if scalar else _cubes(t), x, *v, create_graph=True
        )

    return call


TENSORS: dict[str, Sample] = {
    "gs.as_tensor": (gs.as_tensor, (X,)),
    "gs.asarray": (lambda x: [gs.asarray(x), gs.asarray(x, copy=True)], (X,)),
    "gs.atleast_1d": (gs.atleast_1d, (normal(),)),
    "gs.atleast_2d": (gs.atleast_2d, (VECTOR,)),
    "gs.atleast_3d": (gs.atleast_3d, (X,)),
    "gs.block_diag": (gs.block_diag, (X, VECTOR)),
    "gs.broadcast_to": (lambda x: gs.broadcast_to(x, (2, 4)), (VECTOR,)),
    "gs.linalg.norm": (lambda x: gs.linalg.norm(x, "nuc"), (X,)),
    "gs.linalg.vector_norm": (lambda x: gs.linalg.vector_norm(x, 3, dim=1), (X,)),
    "gs.lu": (lambda x: gs.lu(x)[0], (SQUARE,)),
    "gs.lu_solve": (lambda x, b: gs.lu_solve(b, *gs.linalg.lu_factor(x)), (SQUARE, normal(3, 2))),
    "gs.lu_unpack": (lambda x: gs.lu_unpack(x, PIVOTS)[1:], (SQUARE,)),
    "gs.mm": (gs.mm, (X, SQUARE)),
    "gs.nan_to_num": (gs.nan_to_num, (X,)),
    "gs.pca_lowrank": (
        seeded(lambda x: [each.square() for each in gs.pca_lowrank(x, 2)]),
        (TALL,),
    ),
    "gs.pinverse": (gs.pinverse, (TALL,)),
    "gs.positive": (gs.positive, (X,)),
    "gs.qr": (gs.qr, (TALL,)),
    "gs.rsub": (gs.rsub, (X, Y)),
    "gs.std_mean": (lambda x: gs.std_mean(x, 1), (X,)),
    "gs.svd": (lambda x: [each.square() for each in gs.svd(x)], (TALL,)),
    "gs.svd_lowrank": (
        seeded(lambda x, m: [each.square() for each in gs.svd_lowrank(x, 2, M=m)]),
        (normal(3, 4, seed=4), normal(4, seed=5)),
    ),
    "gs.swapaxes": (lambda x: gs.swapaxes(x, 0, 1), (X,)),
    "gs.t": (gs.t, (X,)),
    "gs.var_mean": (lambda x: gs.var_mean(x, 1), (X,)),
    "gs.gradient(spacing)": (
        lambda x, place: gs.gradient(x, spacing=(place,), dim=1),
        (X, positive(3).cumsum()),
    ),
    "gs.clamp_max(max)": (gs.clamp_max, (X, Y)),
    "gs.clamp_min(min)": (gs.clamp_min, (X, Y)),
    "gs.cov(aweights)": (lambda x, w: gs.cov(x, aweights=w), (X, positive(3))),
    "gs.cumulative_trapezoid(x)": (gs.cumulative_trapezoid, (X, Y)),
    "gs.ldexp(other)": (gs.ldexp, (X, Y)),
    "gs.nanquantile(q)": (gs.nanquantile, (X, positive(2))),
    "gs.quantile(q)": (gs.quantile, (X, positive(2))),
    "Tensor.H": (lambda x: x.H, (X,)),
    "Tensor.__copy__": (lambda x: (x * 1).__copy__(), (X,)),
    "Tensor.__iter__": (lambda x: list(x), (X,)),
    "Tensor.__pos__": (lambda x: +x, (X,)),
    "Tensor.__rfloordiv__": (lambda x: 2.5 // x, (positive(3),)),
    "Tensor.__rmatmul__": (lambda x: normal(2, 2) @ x, (X,)),
    "Tensor.__rmod__": (lambda x: 2.5 % x, (positive(3),)),
    "Tensor.__rpow__": (lambda x: 2.5**x, (X,)),
    "Tensor.__rtruediv__": (lambda x: 2.5 / x, (positive(3),)),
    "Tensor.__rfloordiv__(other)": (lambda x, y: x.__rfloordiv__(y), (positive(3), X)),
    "Tensor.__rmatmul__(other)": (lambda x, y: x.__rmatmul__(y), (X, TALL)),
    "Tensor.__rmod__(other)": (lambda x, y: x.__rmod__(y), (positive(3), X)),
    "Tensor.__rpow__(other)": (lambda x, y: x.__rpow__(y), (X, positive(2, 3))),
    "Tensor.__rtruediv__(other)": (lambda x, y: x.__rtruediv__(y), (positive(3), X)),
    "Tensor.__setitem__": (changed(_set), (X, normal(2, seed=4))),
    "Tensor.copy_": (changed(lambda x, y: x.copy_(y)), (X, normal(3, seed=5))),
    "Tensor.cpu": (lambda x: x.cpu() * 1, (X,)),
    "Tensor.double": (lambda x: x.double() * 1, (X,)),
    "Tensor.expand_as": (lambda x: x.expand_as(gs.ones(2, 4)), (VECTOR,)),
    "Tensor.fill_": (changed(lambda x, y: x.fill_(y)), (X, normal())),
    "Tensor.fill_diagonal_": (changed(lambda x: x.fill_diagonal_(2.0)), (SQUARE,)),
    "Tensor.reshape_as": (lambda x: x.reshape_as(gs.ones(3, 2)), (X,)),
    "Tensor.sum_to_size": (lambda x: x.sum_to_size(1, 3), (X,)),
    "Tensor.view": (lambda x: x.view(3, 2), (X,)),
    "Tensor.view_as": (lambda x: x.view_as(gs.ones(3, 2)), (X,)),
    "Tensor.where": (lambda x, y: x.where(MASK, y), (X, Y)),
    "Tensor.zero_": (changed(lambda x: x.zero_()), (X,)),
    "gs.nn.regularizers.ActivityL1": (regularizers.ActivityL1(0.5), (X,)),
    "gs.nn.regularizers.ElasticNet": (regularizers.ElasticNet(0.5, 0.25), (X,)),
    "gs.nn.regularizers.L1": (regularizers.L1(0.5), (X,)),
    "gs.nn.regularizers.L2": (regularizers.L2(0.5), (X,)),
    "gs.nn.utils.parameters_to_vector": (
        lambda x, y: utils.parameters_to_vector([x, y]),
        (X, VECTOR),
    ),
    "gs.nn.regularizers.penalty": (_penalty, (X,)),
    "gs.nn.utils.spectral_norm": (_normed(utils.spectral_norm, "weight_orig"), (X,)),
    "gs.nn.utils.weight_norm": (_normed(utils.weight_norm, "weight_v"), (X,)),
    "gs.nn.utils.rnn.pack_padded_sequence": (lambda x: _packed(x).data, (ROWS,)),
    "gs.nn.utils.rnn.pad_packed_sequence": (
        lambda x: rnn.pad_packed_sequence(_packed(x))[0],
        (ROWS,),
    ),
    "gs.nn.utils.rnn.unpack_sequence": (lambda x: rnn.unpack_sequence(_packed(x)), (ROWS,)),
    "gs.nn.utils.rnn.pack_sequence": (
        lambda x, y: rnn.pack_sequence([x, y[:1]]).data,
        (X, Y),
    ),
    "gs.nn.utils.rnn.pad_sequence": (lambda x, y: rnn.pad_sequence([x, y[:1]]), (X, Y)),
    "gs.nn.utils.rnn.unpad_sequence": (
        lambda x: rnn.unpad_sequence(x, LENGTHS, batch_first=True),
        (ROWS,),
    ),
    "gs.autograd.functional.jacobian": (_derivative("jacobian"), (VECTOR,)),
    "gs.autograd.functional.hessian": (_derivative("hessian"), (VECTOR,)),
    "gs.autograd.functional.jvp": (_derivative("jvp"), (VECTOR, normal(4, seed=7))),
    "gs.autograd.functional.vjp": (_derivative("vjp"), (VECTOR, normal(4, seed=7))),
    "gs.autograd.functional.hvp": (_derivative("hvp"), (VECTOR, normal(4, seed=7))),
    "gs.autograd.functional.vhp": (_derivative("vhp"), (VECTOR, normal(4, seed=7))),
}


def _contractive(x: gs.Tensor) -> gs.Tensor:
    with gs.enable_grad():  # also where gradcheck takes differences
        return F.contractive_penalty((x * x).tanh(), input=x)


CLASSES = gs.tensor([2, 0])

LAYERS: dict[str, Sample] = {
    "F.cycle_loss": (F.cycle_loss, (X, Y)),
    "F.depth_to_space": (lambda x: F.depth_to_space(x, 2), (normal(1, 4, 2, 1),)),
    "F.elbo_loss": (F.elbo_loss, (X, positive(2, 3), VECTOR.reshape(2, 2), TALL[:2])),
    "F.feature_alpha_dropout": (seeded(F.feature_alpha_dropout, training=True), (IMAGE,)),
    "F.feature_matching_loss": (lambda x: F.feature_matching_loss(x, gs.tensor(Y)), (X,)),
    "F.gaussian_dropout": (seeded(F.gaussian_dropout, 0.5), (X,)),
    "F.gaussian_noise": (seeded(F.gaussian_noise, 0.5), (X,)),
    "F.gumbel_softmax": (seeded(F.gumbel_softmax, 0.7), (X,)),
    "F.half_sum_squared_error": (F.half_sum_squared_error, (X, Y)),
    "F.identity_loss": (F.identity_loss, (X, Y)),
    "F.max_unpool1d": (_unpooled(1), (ROW,)),
    "F.max_unpool3d": (_unpooled(3), (BLOCK,)),
    "F.perceptual_loss": (
        lambda x, y: F.perceptual_loss([x], [y], [2.0]),
        (IMAGE, normal(1, 2, 4, 4, seed=1)),
    ),
    "F.rrelu": (seeded(F.rrelu, training=True), (X,)),
    "F.sparsity_l1": (F.sparsity_l1, (X,)),
    "F.sum_squared_error": (F.sum_squared_error, (X, Y)),
    "F.td_loss": (lambda x: F.td_loss(x, *gs.tensor(TALL.T), gs.zeros(4)), (VECTOR,)),
    "F.triplet_margin_with_distance_loss": (
        F.triplet_margin_with_distance_loss,
        (X, Y, normal(2, 3, seed=2)),
    ),
    "F.upsample": (lambda x: F.upsample(x, scale_factor=2, mode="linear"), (ROW,)),
    # Without objectness, whose target, the overlap, is a constant.
    "F.yolo_loss": (
        lambda x: F.yolo_loss(x, [[[1.0, 0.4, 0.6, 0.3, 0.2]]], [[0.3, 0.2]], object_weight=0.0),
        (normal(1, 7, 2, 2),),
    ),
    "F.policy_gradient_loss": (
        lambda p, e: F.policy_gradient_loss(p, gs.tensor(VECTOR), entropy=e),
        (VECTOR, positive(4)),
    ),
    "F.gradient_penalty": (
        seeded(lambda w: F.gradient_penalty(lambda x: _cubes(x) * w, *gs.tensor(np.stack([X, Y])))),
        (normal(3, seed=6),),
    ),
}
MAPS = normal(3, 2, 1, 2, seed=8) > 0

# Of arguments that Cases hold fixed.
ARGUMENTS: dict[str, Sample] = {
    "F.contractive_penalty(input)": (_contractive, (X,)),
    "F.cross_entropy(weight)": (F.cross_entropy, (X, positive(2, 3), positive(3))),
    "F.focal_loss(alpha)": (lambda x, w: F.focal_loss(x, CLASSES, w), (X, positive(3))),
    "F.masked_conv2d(bias)": (
        lambda x, w, bias: F.masked_conv2d(x, w, gs.tensor(MAPS), bias),
        (IMAGE, normal(3, 2, 1, 2), normal(3)),
    ),
    "F.multi_margin_loss(weight)": (
        lambda x, w: F.multi_margin_loss(x, CLASSES, weight=w),
        (X, positive(3)),
    ),
    **{
        f"F.{name}(weight)": (
            lambda x, y, w, name=name: getattr(F, name)(x, y, weight=w),
            (X, Y, positive(2, 3)),
        )
        for name in ("huber_loss", "l1_loss", "mse_loss")
    },
}
SAMPLES = {**TENSORS, **LAYERS, **ARGUMENTS}


def leaves(name: str) -> list[gs.Tensor]:
    return [gs.tensor(each, requires_grad=True) for each in SAMPLES[name][1]]


@cache
def calls_of(name: str) -> list[Call]:
    """Return the public functions that a sample calls directly."""
    with Watch() as watch:
        SAMPLES[name][0](*leaves(name))
    return watch.calls
