# SPDX-License-Identifier: Apache-2.0
"""Layers beside their tables: lazy sizes, what a layer may see, how it is built and trained."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from tests import nn_layers
from tests.cases import HAS_SIMULATOR, to_array
from tests.nn_models import IMAGE, SIGNAL, VOLUME, X
from tests.tolerance import assert_close

# ---- sizes from the first input ------------------------------------------------------------------


def test_a_lazy_layer_becomes_a_linear_one() -> None:
    layer = nn.LazyLinear(3, dtype="float64")
    assert repr(layer) == "LazyLinear(in_features=0, out_features=3, bias=True)"
    assert [type(p).__name__ for p in layer.parameters()] == ["UninitializedParameter"] * 2
    layer.reset_parameters()
    weight = layer.weight
    assert layer(X.double()).shape == (4, 3)
    assert type(layer) is nn.Linear
    assert layer.weight is weight
    assert type(weight) is nn.Parameter
    assert weight.dtype == gs.float64
    assert repr(layer) == "Linear(in_features=6, out_features=3, bias=True)"
    bound = 6**-0.5
    assert 0 < weight.abs().max().item() <= bound
    assert nn.LazyLinear(2, bias=False)(X).shape == (4, 2)


def test_an_optimiser_made_before_the_first_call_trains_it() -> None:
    layer = nn.LazyLinear(1).double()
    optimizer = gs.optim.Adam(layer.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (layer(X.double()) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_a_lazy_layer_loads_the_state_of_a_linear_one() -> None:
    source, lazy = nn.Linear(6, 3), nn.LazyLinear(3)
    lazy.load_state_dict(source.state_dict())
    assert gs.equal(lazy(X), source(X))
    assert type(lazy) is nn.Linear
    with pytest.raises(ValueError, match="bias: has shape"):
        nn.Linear(6, 3).load_state_dict(nn.LazyLinear(3).state_dict())


def test_a_lazy_layer_refuses_a_number() -> None:
    with pytest.raises(ValueError, match=r"input has shape \(\)"):
        nn.LazyLinear(3)(gs.tensor(1.0))
    with pytest.raises(ValueError, match="out_features is -1"):
        nn.LazyLinear(-1)


@pytest.mark.parametrize(
    ("lazy", "kind", "x"),
    [
        (nn.LazyConv1d, nn.Conv1d, SIGNAL),
        (nn.LazyConv2d, nn.Conv2d, IMAGE),
        (nn.LazyConv3d, nn.Conv3d, VOLUME),
        (nn.LazyConvTranspose1d, nn.ConvTranspose1d, SIGNAL),
        (nn.LazyConvTranspose2d, nn.ConvTranspose2d, IMAGE),
        (nn.LazyConvTranspose3d, nn.ConvTranspose3d, VOLUME),
    ],
)
def test_a_lazy_convolution_takes_the_channels_of_its_input(
    lazy: Any, kind: Any, x: gs.Tensor
) -> None:
    source, open_layer = kind(4, 6, 2, stride=2, groups=2), lazy(6, 2, stride=2, groups=2)
    assert isinstance(open_layer, kind)
    assert open_layer.in_channels == 0
    open_layer.load_state_dict(source.state_dict())
    assert gs.equal(open_layer(x), source(x))
    fresh = lazy(6, 2, 2, bias=False, groups=2)
    assert fresh(x).shape == source(x).shape
    for layer in (open_layer, fresh):
        assert type(layer) is kind
        assert layer.in_channels == 4
        assert layer.weight.shape == source.weight.shape
    assert 0 < fresh.weight.abs().amax().item() <= 1
    assert repr(open_layer) == repr(source)


# ---- what a layer sees ---------------------------------------------------------------------------


def seen(layer: nn.Module, x: gs.Tensor, output: tuple[int, ...]) -> np.ndarray:
    """Return which inputs an output depends on."""
    leaf = x.clone().requires_grad_()
    layer(leaf)[output].backward()
    assert leaf.grad is not None
    return leaf.grad.numpy() != 0


def test_a_causal_convolution_sees_no_later_input() -> None:
    layer = nn.CausalConv1d(1, 1, 3, dilation=2)
    assert np.flatnonzero(seen(layer, gs.ones(1, 9), (0, 6))).tolist() == [2, 4, 6]
    assert np.flatnonzero(seen(layer, gs.ones(1, 9), (0, 1))).tolist() == [1]
    assert nn.CausalConv1d(4, 2, 4, stride=2)(SIGNAL).shape == (2, 2, 5)


def test_masks_of_one_group_hide_the_pixel_or_not() -> None:
    for kind, own in (("A", 0), ("B", 1)):
        layer = nn.MaskedConv2d(kind, 1, 1, 3, padding=1, bias=False)
        expected = [[1, 1, 1], [1, own, 0], [0, 0, 0]]
        assert layer.mask[0, 0].int().tolist() == expected
        assert seen(layer, gs.ones(1, 3, 3), (0, 1, 1))[0].astype(int).tolist() == expected


def test_masks_of_colours_see_the_colours_before() -> None:
    """Red sees no colour of its own pixel under A; blue sees red and green."""
    for kind, expected in (
        ("A", [[0, 0, 0], [1, 0, 0], [1, 1, 0]]),
        ("B", [[1, 0, 0], [1, 1, 0], [1, 1, 1]]),
    ):
        layer = nn.MaskedConv2d(kind, 3, 6, 1, channel_groups=3)
        assert layer.mask[::2, :, 0, 0].int().tolist() == expected
        assert layer.mask[1::2, :, 0, 0].int().tolist() == expected
        assert list(layer.state_dict()) == ["weight", "bias"]


def test_the_table_of_lenet_has_its_connections_and_parameters() -> None:
    layer = nn.TableConv2d(6, 16, 5)
    assert sum(p.numel() for p in layer.parameters()) == 1516
    assert layer.table.sum(1).tolist() == [3] * 6 + [4] * 9 + [6]
    assert layer.table.sum(0).tolist() == [10] * 6
    assert layer.table[5].int().tolist() == [1, 1, 0, 0, 0, 1]
    assert layer(gs.ones(6, 14, 14)).shape == (16, 10, 10)
    full = nn.TableConv2d(2, 3, 1, np.ones((3, 2), bool), bias=False)
    assert full.weight.shape == (6, 1, 1)
    again = nn.TableConv2d(2, 3, 1, full.table)
    assert gs.equal(again.table, full.table)


def test_parameters_of_taken_apart_convolutions() -> None:
    layer = nn.SeparableConv2d(4, 6, 3, depth_multiplier=2)
    shapes = {key: value.shape for key, value in layer.state_dict().items()}
    assert shapes == {
        "depthwise.weight": (8, 1, 3, 3),
        "pointwise.weight": (6, 8, 1, 1),
        "pointwise.bias": (6,),
    }
    assert nn.LocallyConnected2d(4, 3, 5, 2, 2).weight.shape == (2, 2, 3, 4, 2, 2)
    assert nn.LocallyConnected2d(4, 3, 5, 2, 2).bias.shape == (3, 2, 2)


# ---- neurons -------------------------------------------------------------------------------------


def test_competing_units_find_the_clusters() -> None:
    gs.manual_seed(0)
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    points = centres[rng.integers(0, 3, 300)] + rng.normal(0, 0.05, (300, 2))
    x = gs.tensor(points, dtype="float32")
    layer = nn.Competitive(2, 3)
    layer.weight.copy_(gs.tensor([[0.3, 0.2], [0.6, 0.3], [0.3, 0.6]]))
    for start in range(0, 300, 10):
        layer.update(x[start : start + 10], lr=0.3)
    np.testing.assert_allclose(layer.weight.numpy(), centres, atol=0.06)
    assert not layer.weight.requires_grad
    assert layer(x[:5]).sum(1).tolist() == [1.0] * 5


def test_the_width_of_a_gaussian_is_trained() -> None:
    layer = nn.RBF(6, 3, gaussian=True)
    layer(X).sum().backward()
    assert layer.width.grad is not None
    assert layer.centers.grad is not None
    assert list(nn.RBF(6, 3).state_dict()) == ["centers"]


# ---- devices -------------------------------------------------------------------------------------


@pytest.mark.skipif(not HAS_SIMULATOR, reason="this build has no simulator (_cudasim)")
@pytest.mark.parametrize("name", nn_layers.SAME)
def test_a_layer_computes_the_same_on_a_device(name: str) -> None:
    module, inputs, _ = nn_layers.SAME[name]
    there = copy.deepcopy(module).to("cudasim")
    moved = [x.to("cudasim") if isinstance(x, gs.Tensor) else x for x in inputs]
    got, expected = there(*moved), module(*inputs)
    assert got.device == "cudasim"
    assert_close(to_array(got), to_array(expected), "float32", "transcendental", depth=64)


@pytest.mark.skipif(not HAS_SIMULATOR, reason="this build has no simulator (_cudasim)")
def test_units_compete_on_a_device() -> None:
    here = nn.Competitive(6, 3)
    there = copy.deepcopy(here).to("cudasim")
    here.update(X, 0.5)
    there.update(X.to("cudasim"), 0.5)
    assert_close(to_array(there.weight), to_array(here.weight), "float32", "matmul", depth=6)


@pytest.mark.parametrize("name", nn_layers.SAME)
def test_a_layer_takes_low_precision_where_autocast_asks_for_it(name: str) -> None:
    module, inputs, _ = nn_layers.SAME[name]
    low = [x.bfloat16() if getattr(x, "dtype", None) == gs.float32 else x for x in inputs]
    with gs.amp.autocast("cpu"):
        got = module(*low)
    expected = module(*inputs)
    assert got.shape == expected.shape
    if "Competitive" not in name:  # whose winners may change
        scale = expected.abs().amax().item()
        assert (got.float() - expected).abs().amax().item() <= 0.25 * scale


def test_points_meet_images_of_low_precision_under_autocast() -> None:
    with gs.amp.autocast("cpu"):
        sampled = nn.functional.grid_sample(IMAGE.bfloat16(), gs.zeros(2, 1, 1, 2))
    assert sampled.dtype == gs.float32


# ---- the rest ------------------------------------------------------------------------------------


def test_noise_layers_draw_in_training_only() -> None:
    for layer in (
        nn.GaussianNoise(0.5),
        nn.GaussianDropout(0.5),
        nn.FeatureAlphaDropout(0.5),
        nn.RReLU(),
    ):
        assert not gs.equal(layer(IMAGE), layer(IMAGE))
        layer.eval()
        assert gs.equal(layer(IMAGE), layer(IMAGE))


def test_pools_that_return_where() -> None:
    y, places = nn.MinPool2d(2, return_indices=True)(IMAGE)
    assert gs.equal(IMAGE.reshape(2, 4, -1).gather(2, places.reshape(2, 4, -1)).reshape(y.shape), y)
    y, places = nn.FractionalMaxPool2d(2, 3, return_indices=True)(IMAGE)
    assert y.shape == places.shape == (2, 4, 3, 3)
    assert nn.GlobalMaxPool2d()(IMAGE[0]).shape == (4,)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.Step(), "Step(at_zero=1.0)"),
        (nn.PiecewiseLinear(), "PiecewiseLinear(x=(-0.5, 0.5), y=(0.0, 1.0))"),
        (nn.ScaledSigmoid(2.0), "ScaledSigmoid(slope=2.0)"),
        (nn.ScaledTanh(), "ScaledTanh(amplitude=1.7159, slope=0.666667)"),
        (nn.ClippedReLU(), "ClippedReLU(max_value=20.0)"),
        (nn.RReLU(0.1, 0.3, True), "RReLU(lower=0.1, upper=0.3, inplace=True)"),
        (nn.GaussianNoise(0.1), "GaussianNoise(stddev=0.1)"),
        (nn.GaussianDropout(0.1), "GaussianDropout(rate=0.1)"),
        (nn.MaxUnpool1d(2), "MaxUnpool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
        (nn.GlobalAvgPool2d(), "GlobalAvgPool2d(keepdims=False)"),
        (nn.Subsampling2d(6), "Subsampling2d(6, kernel_size=(2, 2), stride=(2, 2))"),
        (
            nn.FractionalMaxPool2d(2, output_ratio=0.5),
            "FractionalMaxPool2d(kernel_size=2, output_ratio=0.5)",
        ),
        (nn.Maxout(4, 2), "(linear): Linear(in_features=4, out_features=4, bias=True)"),
        (nn.RBF(4, 2), "RBF(in_features=4, out_features=2, gaussian=False)"),
        (nn.Competitive(4, 2), "in_features=4, out_features=2, metric='euclidean'"),
        (nn.Reshape((2, -1)), "Reshape(target_shape=(2, -1))"),
        (nn.Permute((2, 1)), "Permute(dims=(2, 1))"),
        (nn.Cropping2d((1, (0, 2))), "Cropping2d(cropping=((1, 1), (0, 2)))"),
        (nn.SpaceToDepth(2), "SpaceToDepth(block_size=2)"),
        (nn.ChannelShuffle(2), "ChannelShuffle(groups=2)"),
        (
            nn.BinomialBlur2d(),
            "BinomialBlur2d(order=2, stride=(1, 1), padding_mode='reflect')",
        ),
        (
            nn.SeparableKernelConv2d(3, 5),
            "SeparableKernelConv2d(3, kernel_size=(5, 5), stride=(1, 1))",
        ),
        (nn.MaskedConv2d("A", 1, 1, 3), "MaskedConv2d('A', 1, 1, kernel_size=(3, 3)"),
        (nn.TableConv2d(6, 16, 5), "connections=60)"),
        (nn.TiledConv2d(1, 2, 3), "stride=(1, 1), tiles=(2, 2))"),
        (nn.LocallyConnected1d(1, 2, 5, 3), "stride=(1,), input_size=(5,))"),
    ],
)
def test_repr_shows_the_options(layer: nn.Module, text: str) -> None:
    assert text in repr(layer)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.LazyConv2d(4, 3, groups=0), ValueError, "LazyConv2d: groups is 0"),
        (lambda: nn.LazyConv2d(4, 3, groups=3), ValueError, "out_channels 4 is not divisible"),
        (lambda: nn.LazyConv2d(6, 3, groups=3)(IMAGE), ValueError, "expected a multiple of groups"),
        (lambda: nn.LazyConv2d(6, 3)(X), ValueError, "LazyConv2d: input has shape"),
        (lambda: nn.Step(0.2), ValueError, "Step: at_zero is 0.2"),
        (lambda: nn.Softmax2d()(X), ValueError, "Softmax2d: input has shape"),
        (lambda: nn.GaussianNoise(-1.0)(X), ValueError, "stddev is -1.0"),
        (lambda: nn.DepthwiseConv2d(2, 3, depth_multiplier=0), ValueError, "depth_multiplier is 0"),
        (lambda: nn.SeparableKernelConv2d(2, 0), ValueError, "kernel_size is 0"),
        (lambda: nn.BinomialBlur2d(-1), ValueError, "order is -1"),
        (lambda: nn.MaskedConv2d("C", 1, 1, 3), ValueError, "mask_type is 'C'"),
        (lambda: nn.MaskedConv2d("A", 1, 1, 2), ValueError, "expected odd sizes"),
        (lambda: nn.MaskedConv2d("A", 1, 3, 3, channel_groups=3), ValueError, "expected a divisor"),
        (lambda: nn.TableConv2d(6, 15, 5), ValueError, "table has shape"),
        (lambda: nn.TableConv2d(2, 1, 5, [[2]]), ValueError, "names the maps"),
        (lambda: nn.TableConv2d(2, 2, 5, [[0], []]), ValueError, "at least one input"),
        (lambda: nn.TableConv2d(2, 1, 5, np.ones((1, 2))), ValueError, "expected bool"),
        (lambda: nn.TiledConv2d(2, 2, 3, 0), ValueError, "tiles is 0"),
        (lambda: nn.LocallyConnected2d(1, 1, 2, 3), ValueError, "expected at most"),
        (lambda: nn.LocallyConnected2d(1, 1, 5, 3)(gs.ones(1, 1, 6, 6)), ValueError, "windows"),
        (lambda: nn.LPPool2d(2, 0), ValueError, "kernel_size is 0"),
        (lambda: nn.MinPool2d("a"), TypeError, "kernel_size is a str"),
        (lambda: nn.FractionalMaxPool2d(2), ValueError, "either output_size or output_ratio"),
        (lambda: nn.Subsampling2d(0), ValueError, "channels is 0"),
        (lambda: nn.MaxUnpool2d(2, 0), ValueError, "stride is 0"),
        (lambda: nn.GlobalAvgPool2d()(X), ValueError, "GlobalAvgPool2d"),
        (lambda: nn.PixelShuffle(0), ValueError, "upscale_factor is 0"),
        (lambda: nn.ChannelShuffle(2.0), TypeError, "groups is a float"),
        (lambda: nn.SpaceToDepth(0), ValueError, "SpaceToDepth: block_size is 0"),
        (lambda: nn.ZeroPad2d((1, 2)), ValueError, "ZeroPad2d: padding is"),
        (lambda: nn.ZeroPad2d(1.5), TypeError, "ZeroPad2d: padding is a float"),
        (lambda: nn.ReflectionPad1d(2)(IMAGE), ValueError, "expected 2 or 3 dimensions"),
        (lambda: nn.Cropping2d(-1), ValueError, "Cropping2d: cropping is -1"),
        (lambda: nn.Cropping2d((1, 2, 3)), ValueError, "expected 2 ints or pairs"),
        (lambda: nn.Cropping2d(((1, 2, 3), 1)), ValueError, "expected 2 ints or pairs"),
        (lambda: nn.Cropping1d(9)(SIGNAL), ValueError, "Cropping1d"),
        (lambda: nn.Reshape((-1, -1)), ValueError, "at most one -1"),
        (lambda: nn.Reshape((5,))(X), ValueError, "Reshape"),
        (lambda: nn.Permute((0, 1)), ValueError, "dims is 0"),
        (lambda: nn.Permute((1, 3)), ValueError, "the numbers from 1 to 2"),
        (lambda: nn.Unfold(0), ValueError, "Unfold: kernel_size is 0"),
        (lambda: nn.Fold(4, 2, stride=0), ValueError, "Fold: stride is 0"),
        (lambda: nn.RBF(0, 1), ValueError, "in_features is 0"),
        (lambda: nn.Competitive(2, 2, "cosine"), ValueError, "metric is 'cosine'"),
        (lambda: nn.Maxout(2, 2, 0), ValueError, "pieces is 0"),
    ],
)
def test_refused_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
