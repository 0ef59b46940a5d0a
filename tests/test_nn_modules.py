# SPDX-License-Identifier: Apache-2.0
"""Layers: what each computes against its function, options it refuses, state it keeps."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import nn
from tests import nn_layers, nn_losses
from tests.nn_models import IMAGE, SIGNAL, VOLUME, X, normal
from tests.tolerance import assert_close


def positive(*shape: int) -> gs.Tensor:
    return normal(*shape).abs() * 0.3 + 0.05


# name: the module, its inputs, the same by function
SAME: dict[str, tuple[nn.Module, tuple[Any, ...], Callable[[Any], Any]]] = {
    "Identity": (nn.Identity(3, a=4), (X,), lambda m: X),
    "Linear": (nn.Linear(6, 3), (X,), lambda m: X @ m.weight.T + m.bias),
    "Linear no bias": (nn.Linear(6, 3, bias=False), (X,), lambda m: X @ m.weight.T),
    "Bilinear": (nn.Bilinear(6, 6, 2), (X, X), lambda m: F.bilinear(X, X, m.weight, m.bias)),
    "Flatten": (nn.Flatten(), (IMAGE,), lambda m: IMAGE.reshape(2, 168)),
    "Flatten part": (nn.Flatten(-2), (IMAGE,), lambda m: IMAGE.reshape(2, 4, 42)),
    "Unflatten": (nn.Unflatten(-1, (2, -1)), (X,), lambda m: X.reshape(4, 2, 3)),
    "Conv1d": (nn.Conv1d(4, 2, 3), (SIGNAL,), lambda m: F.conv1d(SIGNAL, m.weight, m.bias)),
    "Conv2d": (
        nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2),
        (IMAGE,),
        lambda m: F.conv2d(IMAGE, m.weight, m.bias, (2, 1), (1, 0), (1, 2), 2),
    ),
    "Conv2d same": (
        nn.Conv2d(4, 2, 4, padding="same", bias=False),
        (IMAGE,),
        lambda m: F.conv2d(F.pad(IMAGE, (1, 2, 1, 2)), m.weight),
    ),
    "Conv2d reflect": (
        nn.Conv2d(4, 2, 3, padding=(2, 1), padding_mode="reflect"),
        (IMAGE,),
        lambda m: F.conv2d(F.pad(IMAGE, (1, 1, 2, 2), "reflect"), m.weight, m.bias),
    ),
    "Conv1d circular same": (
        nn.Conv1d(4, 2, 4, padding="same", padding_mode="circular"),
        (SIGNAL,),
        lambda m: F.conv1d(F.pad(SIGNAL, (1, 2), "circular"), m.weight, m.bias),
    ),
    "Conv3d": (nn.Conv3d(4, 2, 3), (VOLUME,), lambda m: F.conv3d(VOLUME, m.weight, m.bias)),
    "ConvTranspose1d": (
        nn.ConvTranspose1d(4, 2, 3),
        (SIGNAL,),
        lambda m: F.conv_transpose1d(SIGNAL, m.weight, m.bias),
    ),
    "ConvTranspose2d": (
        nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, dilation=2),
        (IMAGE,),
        lambda m: F.conv_transpose2d(IMAGE, m.weight, m.bias, 2, 1, 1, 2, 2),
    ),
    "ConvTranspose3d": (
        nn.ConvTranspose3d(4, 2, 2, bias=False),
        (VOLUME,),
        lambda m: F.conv_transpose3d(VOLUME, m.weight),
    ),
    "MaxPool1d": (nn.MaxPool1d(2), (SIGNAL,), lambda m: F.max_pool1d(SIGNAL, 2)),
    "MaxPool2d": (
        nn.MaxPool2d((3, 2), 2, 1, ceil_mode=True),
        (IMAGE,),
        lambda m: F.max_pool2d(IMAGE, (3, 2), 2, 1, ceil_mode=True),
    ),
    "MaxPool3d": (nn.MaxPool3d(2), (VOLUME,), lambda m: F.max_pool3d(VOLUME, 2)),
    "AvgPool1d": (nn.AvgPool1d(3, 1), (SIGNAL,), lambda m: F.avg_pool1d(SIGNAL, 3, 1)),
    "AvgPool2d": (
        nn.AvgPool2d(2, padding=1, count_include_pad=False),
        (IMAGE,),
        lambda m: F.avg_pool2d(IMAGE, 2, padding=1, count_include_pad=False),
    ),
    "AvgPool3d": (
        nn.AvgPool3d(2, divisor_override=3),
        (VOLUME,),
        lambda m: F.avg_pool3d(VOLUME, 2, divisor_override=3),
    ),
    "AdaptiveAvgPool1d": (
        nn.AdaptiveAvgPool1d(4),
        (SIGNAL,),
        lambda m: F.adaptive_avg_pool1d(SIGNAL, 4),
    ),
    "AdaptiveAvgPool2d": (
        nn.AdaptiveAvgPool2d((None, 2)),
        (IMAGE,),
        lambda m: F.adaptive_avg_pool2d(IMAGE, (None, 2)),
    ),
    "AdaptiveAvgPool3d": (
        nn.AdaptiveAvgPool3d(1),
        (VOLUME,),
        lambda m: VOLUME.mean((2, 3, 4), keepdim=True),
    ),
    "AdaptiveMaxPool1d": (
        nn.AdaptiveMaxPool1d(4),
        (SIGNAL,),
        lambda m: F.adaptive_max_pool1d(SIGNAL, 4),
    ),
    "AdaptiveMaxPool2d": (
        nn.AdaptiveMaxPool2d(3),
        (IMAGE,),
        lambda m: F.adaptive_max_pool2d(IMAGE, 3),
    ),
    "AdaptiveMaxPool3d": (
        nn.AdaptiveMaxPool3d(1),
        (VOLUME,),
        lambda m: VOLUME.amax((2, 3, 4), keepdim=True),
    ),
    "LayerNorm": (
        nn.LayerNorm((7, 6)),
        (IMAGE,),
        lambda m: F.layer_norm(IMAGE, (7, 6), m.weight, m.bias),
    ),
    "RMSNorm": (
        nn.RMSNorm(6, eps=1e-3),
        (X,),
        lambda m: X / (X.square().mean(-1, keepdim=True) + 1e-3).sqrt(),
    ),
    "GroupNorm": (
        nn.GroupNorm(2, 4, eps=0.1),
        (IMAGE,),
        lambda m: F.group_norm(IMAGE, 2, m.weight, m.bias, 0.1),
    ),
    "LocalResponseNorm": (
        nn.LocalResponseNorm(3, k=2.0),
        (IMAGE,),
        lambda m: F.local_response_norm(IMAGE, 3, k=2.0),
    ),
    "CrossMapLRN2d": (
        nn.CrossMapLRN2d(4, k=2.0),
        (IMAGE,),
        lambda m: F.cross_map_lrn2d(IMAGE, 4, k=2.0),
    ),
    "AdaIN": (nn.AdaIN(0.1), (IMAGE, SIGNAL), lambda m: F.adain(IMAGE, SIGNAL, 0.1)),
    "SyncBatchNorm": (
        nn.SyncBatchNorm(4, track_running_stats=False),
        (SIGNAL,),
        lambda m: F.batch_norm(SIGNAL, None, None, training=True),
    ),
    "InstanceNorm2d": (nn.InstanceNorm2d(4), (IMAGE,), lambda m: F.instance_norm(IMAGE)),
    "InstanceNorm1d unbatched": (
        nn.InstanceNorm1d(4, affine=True),
        (SIGNAL[0],),
        lambda m: F.instance_norm(SIGNAL[:1])[0],
    ),
    "ReLU": (nn.ReLU(), (X,), lambda m: X.clamp(0.0)),
    "ReLU6": (nn.ReLU6(), (X * 5,), lambda m: (X * 5).clamp(0.0, 6.0)),
    "LeakyReLU": (nn.LeakyReLU(0.2), (X,), lambda m: gs.maximum(X, X * 0.2)),
    "PReLU": (nn.PReLU(4), (IMAGE,), lambda m: F.leaky_relu(IMAGE, 0.25)),
    "ELU": (nn.ELU(0.5), (X,), lambda m: F.elu(X, 0.5)),
    "SELU": (nn.SELU(), (X,), lambda m: F.selu(X)),
    "CELU": (nn.CELU(0.5), (X,), lambda m: F.celu(X, 0.5)),
    "GELU": (nn.GELU(), (X,), lambda m: X * ((X / math.sqrt(2)).erf() + 1) / 2),
    "GELU tanh": (nn.GELU("tanh"), (X,), lambda m: F.gelu(X, "tanh")),
    "SiLU": (nn.SiLU(), (X,), lambda m: X * X.sigmoid()),
    "Mish": (nn.Mish(), (X,), lambda m: X * (X.exp() + 1).log().tanh()),
    "Sigmoid": (nn.Sigmoid(), (X,), lambda m: 1 / ((-X).exp() + 1)),
    "Tanh": (nn.Tanh(), (X,), lambda m: X.tanh()),
    "Softplus": (nn.Softplus(2.0), (X,), lambda m: ((X * 2).exp() + 1).log() / 2),
    "Softsign": (nn.Softsign(), (X,), lambda m: X / (X.abs() + 1)),
    "Hardtanh": (nn.Hardtanh(-0.5, 0.7), (X,), lambda m: X.clamp(-0.5, 0.7)),
    "Hardsigmoid": (nn.Hardsigmoid(), (X * 3,), lambda m: (X * 3 + 3).clamp(0.0, 6.0) / 6),
    "Hardswish": (nn.Hardswish(), (X * 3,), lambda m: X * 3 * (X * 3 + 3).clamp(0.0, 6.0) / 6),
    "LogSigmoid": (nn.LogSigmoid(), (X,), lambda m: X.sigmoid().log()),
    "Softmax": (nn.Softmax(0), (X,), lambda m: X.exp() / X.exp().sum(0)),
    "Softmin": (nn.Softmin(-1), (X,), lambda m: F.softmax(-X, -1)),
    "LogSoftmax": (nn.LogSoftmax(1), (X,), lambda m: F.softmax(X, 1).log()),
    "GLU": (nn.GLU(), (X,), lambda m: X[:, :3] * X[:, 3:].sigmoid()),
    "Threshold": (nn.Threshold(0.1, 9.0), (X,), lambda m: gs.where(X > 0.1, X, 9.0)),
    "Tanhshrink": (nn.Tanhshrink(), (X,), lambda m: X - X.tanh()),
    "Softshrink": (nn.Softshrink(0.3), (X,), lambda m: X - X.clamp(-0.3, 0.3)),
    "Hardshrink": (nn.Hardshrink(0.3), (X,), lambda m: gs.where(X.abs() > 0.3, X, 0.0)),
    "Dropout off": (nn.Dropout(0.9).eval(), (X,), lambda m: X),
    "MSELoss": (nn.MSELoss(), (X, X * 0.5), lambda m: (X * 0.5).square().mean()),
    "L1Loss": (nn.L1Loss("sum"), (X, X * 0.5), lambda m: (X * 0.5).abs().sum()),
    "HuberLoss": (
        nn.HuberLoss("none", 0.3),
        (X, X * 0.5),
        lambda m: F.huber_loss(X, X * 0.5, "none", 0.3),
    ),
    "SmoothL1Loss": (
        nn.SmoothL1Loss(beta=0.3),
        (X, X * 0.5),
        lambda m: F.huber_loss(X, X * 0.5, delta=0.3) / 0.3,
    ),
    "BCELoss": (
        nn.BCELoss(weight=positive(4, 6)),
        (positive(4, 6), gs.ones(4, 6)),
        lambda m: (-positive(4, 6).log() * positive(4, 6)).mean(),
    ),
    "BCEWithLogitsLoss": (
        nn.BCEWithLogitsLoss(pos_weight=gs.tensor([2.0] * 6)),
        (X, gs.ones(4, 6)),
        lambda m: -2.0 * F.logsigmoid(X).mean(),
    ),
    "KLDivLoss": (
        nn.KLDivLoss("batchmean", log_target=True),
        (F.log_softmax(X, 1), F.log_softmax(X * 2, 1)),
        lambda m: (F.softmax(X * 2, 1) * (F.log_softmax(X * 2, 1) - F.log_softmax(X, 1))).sum() / 4,
    ),
    "NLLLoss": (
        nn.NLLLoss(reduction="sum"),
        (X, gs.tensor([0, 5, 1, 2])),
        lambda m: -(X[0, 0] + X[1, 5] + X[2, 1] + X[3, 2]),
    ),
    "CrossEntropyLoss": (
        nn.CrossEntropyLoss(ignore_index=5),
        (X, gs.tensor([0, 5, 1, 2])),
        lambda m: F.nll_loss(F.log_softmax(X, 1), gs.tensor([0, 5, 1, 2]), ignore_index=5),
    ),
    "Embedding": (
        nn.Embedding(5, 3),
        (gs.tensor([[0, 4], [2, 2]]),),
        lambda m: m.weight[gs.tensor([[0, 4], [2, 2]])],
    ),
    "EmbeddingBag": (
        nn.EmbeddingBag(5, 3),
        (gs.tensor([0, 4, 2]), gs.tensor([0, 1])),
        lambda m: gs.stack([m.weight[0], (m.weight[4] + m.weight[2]) / 2]),
    ),
    "MaskedMeanPool": (
        nn.MaskedMeanPool(),
        (SIGNAL, gs.tensor([3, 1])),
        lambda m: gs.stack([SIGNAL[0, :3].mean(0), SIGNAL[1, 0]]),
    ),
    "MaskedMaxPool": (
        nn.MaskedMaxPool(),
        (SIGNAL, gs.tensor([3, 1])),
        lambda m: gs.stack([SIGNAL[0, :3].amax(0), SIGNAL[1, 0]]),
    ),
    "SinusoidalPositionalEncoding": (
        nn.SinusoidalPositionalEncoding(9, batch_first=True),
        (SIGNAL,),
        lambda m: SIGNAL + m.table[:4],
    ),
    "LearnedPositionalEncoding": (
        nn.LearnedPositionalEncoding(9, 5),
        (SIGNAL,),
        lambda m: SIGNAL + m.weight[:2].unsqueeze(1),
    ),
    "RotaryEmbedding": (
        nn.RotaryEmbedding(6, interleaved=False),
        (IMAGE,),
        lambda m: F.rotary_embedding(IMAGE, interleaved=False),
    ),
    "Concat": (
        nn.Concat(nn.Linear(6, 2), nn.Identity(), dim=-1),
        (X,),
        lambda m: gs.cat([m[0](X), X], 1),
    ),
    "Residual": (
        nn.Residual(nn.Linear(6, 3), nn.Linear(6, 3, bias=False), nn.Tanh()),
        (X,),
        lambda m: (m.body(X) + m.shortcut(X)).tanh(),
    ),
    "Lambda": (nn.Lambda(lambda x: x * 2), (X,), lambda m: X + X),
    **nn_losses.SAME,
    **nn_layers.SAME,
}


@pytest.mark.parametrize("name", SAME)
def test_module_computes_its_function(name: str) -> None:
    module, inputs, expected = SAME[name]
    got, wanted = module(*inputs).detach().numpy(), expected(module).detach().numpy()
    assert_close(got, wanted, "float32", "transcendental", depth=64)


def test_every_module_is_in_the_table() -> None:
    tested = {type(module).__name__ for module, _, _ in SAME.values()}
    elsewhere = {"Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList"}
    elsewhere |= {"ParameterDict", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm3d"}
    elsewhere |= {"Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"} | nn_layers.ELSEWHERE
    elsewhere |= {"RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell", "MultiheadAttention"}
    elsewhere |= {"PeepholeLSTM", "PeepholeLSTMCell", "AdditiveAttention", "DotAttention"}
    elsewhere |= {"Parallel", "Graph"}
    elsewhere |= {name for name in dir(nn) if name.startswith("Transformer")}
    public = {
        name
        for name in dir(nn)
        if inspect.isclass(getattr(nn, name)) and issubclass(getattr(nn, name), nn.Module)
    }
    assert public - elsewhere == tested


def test_functional_defines_nothing_itself() -> None:
    for name in filter(lambda name: callable(getattr(F, name)), dir(F)):
        assert getattr(F, name).__module__.startswith("gradsmith.ops"), name


KINDS = {type(module) for module, _, _ in SAME.values()} | {nn.BatchNorm2d}
TRAINED = [kind for kind in KINDS if "dtype" in inspect.signature(kind.__init__).parameters]


@pytest.mark.parametrize("kind", sorted(TRAINED, key=str))
def test_dtype_and_device_arguments(kind: Any) -> None:
    sizes = {"Linear": (2, 3), "Bilinear": (2, 3, 4), "Embedding": (3, 2), "GroupNorm": (2, 4)}
    sizes |= {"EmbeddingBag": (3, 2), "LearnedPositionalEncoding": (2, 3)}
    sizes |= nn_layers.ARGUMENTS
    arguments = sizes.get(kind.__name__, (2, 3, 1) if "Conv" in kind.__name__ else (2,))
    module = kind(*arguments, device="cpu", dtype=gs.float64)
    assert {p.dtype for p in module.parameters()} <= {gs.float64}


# ---- batch and instance normalisation ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "x"),
    [
        (nn.BatchNorm1d, normal(5, 4)),
        (nn.BatchNorm1d, SIGNAL),
        (nn.BatchNorm2d, IMAGE),
        (nn.BatchNorm3d, VOLUME),
    ],
)
@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_batch_norm_statistics(kind: Any, x: gs.Tensor, momentum: float | None) -> None:
    bn = kind(4, momentum=momentum)
    axes = (0, *range(2, x.ndim))
    count = x.numel() // 4
    mean, var = np.zeros(4), np.ones(4)
    shape = (1, 4) + (1,) * (x.ndim - 2)
    for step in range(1, 4):
        array = x.numpy().astype(np.float64) * step + step
        out = bn(x * step + step)
        batch_mean, batch_var = array.mean(axes), array.var(axes)
        expected = (array - batch_mean.reshape(shape)) / np.sqrt(batch_var.reshape(shape) + 1e-5)
        assert_close(out.detach().numpy(), expected, "float32", "norm", depth=count)
        share = 1 / step if momentum is None else momentum
        mean = (1 - share) * mean + share * batch_mean
        var = (1 - share) * var + share * batch_var * count / (count - 1)
        assert_close(bn.running_mean.numpy(), mean, "float32", "norm", depth=count)
        assert_close(bn.running_var.numpy(), var, "float32", "norm", depth=count)
        assert bn.num_batches_tracked.item() == step
    array = x.numpy().astype(np.float64)
    expected = (array - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5)
    assert_close(bn.eval()(x).detach().numpy(), expected, "float32", "norm", depth=count)
    assert bn.num_batches_tracked.item() == 3
    bn.reset_running_stats()
    assert bn.running_mean.tolist() == [0.0] * 4
    assert bn.num_batches_tracked.item() == 0


def test_batch_norm_without_statistics() -> None:
    bn = nn.BatchNorm2d(4, track_running_stats=False)
    assert list(bn.state_dict()) == ["weight", "bias"]
    training = bn(IMAGE).tolist()
    assert bn.eval()(IMAGE).tolist() == training
    assert list(nn.BatchNorm1d(3, affine=False).state_dict()) == [
        *("running_mean", "running_var", "num_batches_tracked"),
    ]
    assert nn.BatchNorm1d(3, bias=False).bias is None


def test_batch_norm_does_not_count_a_batch_it_refuses() -> None:
    bn = nn.BatchNorm2d(4)
    with pytest.raises(ValueError, match=r"BatchNorm2d 4: input has shape \(2, 4, 9\), expected a"):
        bn(SIGNAL)
    with pytest.raises(ValueError, match="BatchNorm2d 4"):
        bn(normal(2, 3, 4, 4))
    assert bn.num_batches_tracked.item() == 0
    with pytest.raises(ValueError, match="expected a 2-d or 3-d input"):
        nn.BatchNorm1d(4)(IMAGE)


def test_instance_norm_statistics() -> None:
    norm = nn.InstanceNorm2d(4, track_running_stats=True)
    norm(IMAGE)
    array = IMAGE.numpy().astype(np.float64)
    mean = 0.1 * array.mean((0, 2, 3))
    var = 0.9 + 0.1 * array.var((2, 3), ddof=1).mean(0)
    assert_close(norm.running_mean.numpy(), mean, "float32", "norm", depth=84)
    assert_close(norm.running_var.numpy(), var, "float32", "norm", depth=84)
    out = norm.eval()(IMAGE).numpy()
    shape = (1, 4, 1, 1)
    expected = (array - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5)
    assert_close(out, expected, "float32", "norm", depth=84)
    assert nn.InstanceNorm3d(4)(VOLUME).shape == VOLUME.shape
    with pytest.raises(ValueError, match="3-d or 4-d"):
        norm(VOLUME)


# ---- dropout -------------------------------------------------------------------------------------


def test_dropout_in_training() -> None:
    gs.manual_seed(0)
    layer = nn.Dropout(0.25)
    out = layer(gs.ones(100, 100)).numpy()
    assert set(np.unique(out).tolist()) == {0.0, np.float32(1 / 0.75).item()}
    assert abs((out == 0).mean() - 0.25) < 0.02
    assert layer.eval()(gs.ones(3)).tolist() == [1.0] * 3


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(nn.Dropout1d, (8, 9, 3)), (nn.Dropout2d, (8, 9, 3, 2)), (nn.Dropout3d, (8, 9, 3, 2, 2))],
)
def test_channel_dropout(kind: Any, shape: tuple[int, ...]) -> None:
    gs.manual_seed(0)
    out = kind(0.5)(gs.ones(*shape)).numpy().reshape(72, -1)
    assert ((out == 0).all(1) | (out == 2).all(1)).all()
    assert 10 < (out[:, 0] == 0).sum() < 62
    assert kind(0.5).eval()(gs.ones(*shape)).tolist() == gs.ones(*shape).tolist()


def test_alpha_dropout_keeps_the_moments() -> None:
    gs.manual_seed(0)
    out = nn.AlphaDropout(0.3)(gs.randn(200, 200)).numpy()
    assert abs(out.mean()) < 0.03
    assert abs(out.std() - 1) < 0.03


# ---- the rest ------------------------------------------------------------------------------------


def test_in_place_activations() -> None:
    for kind in (nn.ReLU, nn.SiLU, nn.LeakyReLU, nn.ELU, nn.Hardtanh):
        x = normal(3, 3)
        expected = kind()(x).tolist()
        assert kind(inplace=True)(x).tolist() == expected


def test_max_pool_with_indices() -> None:
    out, indices = nn.MaxPool2d(2, return_indices=True)(IMAGE)
    assert indices.dtype == gs.int64
    picked = IMAGE.numpy().reshape(2, 4, -1)
    picked = np.take_along_axis(picked, indices.numpy().reshape(2, 4, -1), 2)
    assert picked.reshape(out.shape).tolist() == out.tolist()
    out, indices = nn.AdaptiveMaxPool1d(2, return_indices=True)(SIGNAL)
    assert out.shape == indices.shape == (2, 4, 2)


def test_transposed_convolution_to_a_size() -> None:
    layer = nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1)
    assert layer(IMAGE).shape == (2, 2, 13, 11)
    assert layer(IMAGE, output_size=(14, 11)).shape == (2, 2, 14, 11)
    assert layer(IMAGE, output_size=(2, 2, 14, 12)).shape == (2, 2, 14, 12)
    with pytest.raises(ValueError, match="expected a size from 13 to 14 in spatial dimension 0"):
        layer(IMAGE, output_size=(15, 11))
    with pytest.raises(ValueError, match="expected 2 sizes"):
        layer(IMAGE, output_size=(15,))


def test_embedding() -> None:
    table = nn.Embedding(5, 3, padding_idx=-2)
    assert table.padding_idx == 3
    assert table.weight[3].tolist() == [0.0] * 3
    table(gs.tensor([3, 1, 1])).sum().backward()
    assert table.weight.grad.tolist() == [[0.0] * 3, [2.0] * 3, [0.0] * 3, [0.0] * 3, [0.0] * 3]
    fixed = nn.Embedding.from_pretrained(gs.ones(4, 2))
    assert not fixed.weight.requires_grad
    assert fixed(gs.tensor(2)).tolist() == [1.0, 1.0]
    with pytest.raises(IndexError, match="Embedding 5 x 3: "):
        table(gs.tensor([5]))
    with pytest.raises(IndexError):
        table(gs.tensor([-1]))


def test_losses_refuse_to_broadcast() -> None:
    for loss in (nn.MSELoss(), nn.L1Loss(), nn.HuberLoss(), nn.SmoothL1Loss(), nn.BCELoss()):
        with pytest.raises(ValueError, match=type(loss).__name__):
            loss(positive(4, 1), positive(4))


def test_loss_weights_are_state() -> None:
    loss = nn.CrossEntropyLoss(weight=gs.ones(3))
    assert list(loss.state_dict()) == ["weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []
    assert loss.double().weight.dtype == gs.float64


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Linear(-1, 2), ValueError, "Linear: in_features is -1, expected at least 0"),
        (lambda: nn.Linear(2.5, 2), TypeError, "in_features is a float"),
        (lambda: nn.Linear(2, True), TypeError, "out_features is a bool"),
        (lambda: nn.Bilinear(0, 1, 1), ValueError, "in1_features is 0"),
        (lambda: nn.Unflatten(1, ()), ValueError, "at least one size"),
        (lambda: nn.Unflatten(1, (-1, -1)), ValueError, "at most one is -1"),
        (lambda: nn.Unflatten("a", (1,)), TypeError, "dim is a str"),
        (lambda: nn.Unflatten(1, 3), TypeError, "expected a sequence"),
        (lambda: nn.Conv2d(3, 4, 0), ValueError, "Conv2d: kernel_size is 0"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), ValueError, r"\(3, 3, 3\), expected 2 ints"),
        (lambda: nn.Conv2d(3, 4, 3, stride=0), ValueError, "stride is 0"),
        (lambda: nn.Conv2d(3, 4, 3, padding=-1), ValueError, "padding is -1"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels 3 is not divisible"),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), ValueError, "out_channels 3 is not divisible"),
        (lambda: nn.Conv2d(4, 4, 3, groups=0), ValueError, "groups is 0"),
        (lambda: nn.Conv2d(4, 4, 3, padding="full"), ValueError, "padding is 'full'"),
        (lambda: nn.Conv2d(4, 4, 3, 2, "same"), ValueError, "'same' needs stride 1"),
        (lambda: nn.Conv2d(4, 4, 3, padding_mode="x"), ValueError, "padding_mode is 'x'"),
        (
            lambda: nn.ConvTranspose2d(4, 4, 3, padding_mode="reflect"),
            ValueError,
            "padding_mode is 'reflect'",
        ),
        (lambda: nn.ConvTranspose1d(4, 4, 3, padding="same"), ValueError, "expected ints"),
        (lambda: nn.MaxPool2d(0), ValueError, "kernel_size is 0"),
        (lambda: nn.MaxPool2d("a"), TypeError, "kernel_size is a str"),
        (lambda: nn.AvgPool2d(2, (1, 2, 3)), ValueError, "expected 2 ints"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), ValueError, "expected 2 ints"),
        (lambda: nn.AdaptiveMaxPool2d(-1), ValueError, "output_size is -1"),
        (lambda: nn.BatchNorm1d(0), ValueError, "num_features is 0"),
        (lambda: nn.GroupNorm(3, 4), ValueError, "num_channels 4 is not divisible"),
        (lambda: nn.LayerNorm(()), ValueError, "normalized_shape is empty"),
        (lambda: nn.RMSNorm((3, -1)), ValueError, "normalized_shape is -1"),
        (lambda: nn.LocalResponseNorm(0), ValueError, "size is 0"),
        (lambda: nn.PReLU(0), ValueError, "num_parameters is 0"),
        (lambda: nn.GELU("erf"), ValueError, "approximate is 'erf'"),
        (lambda: nn.Hardtanh(2, 1), ValueError, "min_val 2 is not below max_val 1"),
        (lambda: nn.Dropout(1.5), ValueError, r"p is 1.5, expected a number in \[0, 1\]"),
        (lambda: nn.Dropout2d("a"), TypeError, "p is a str"),
        (lambda: nn.Dropout(float("nan")), ValueError, "p is nan"),
        (lambda: nn.Embedding(0, 3), ValueError, "num_embeddings is 0"),
        (lambda: nn.Embedding(3, 3, padding_idx=3), ValueError, "padding_idx is 3"),
        (lambda: nn.Embedding(3, 3, sparse=True), ValueError, "sparse is True"),
        (lambda: nn.Embedding(3, 3, _weight=gs.ones(2, 3)), ValueError, r"shape \(2, 3\)"),
        (lambda: nn.Embedding.from_pretrained(gs.ones(2)), ValueError, "expected 2 dimensions"),
        (lambda: nn.MSELoss("avg"), ValueError, "MSELoss: reduction is 'avg'"),
        (lambda: nn.MSELoss("batchmean"), ValueError, "reduction is 'batchmean'"),
        (lambda: nn.HuberLoss(delta=0), ValueError, "delta is 0"),
        (lambda: nn.SmoothL1Loss(beta=-1), ValueError, "beta is -1"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=2), ValueError, "label_smoothing is 2"),
        (lambda: nn.CrossEntropyLoss([1.0]), TypeError, "buffer 'weight' is a list"),
    ],
)
def test_refused_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
