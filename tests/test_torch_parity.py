# SPDX-License-Identifier: Apache-2.0
"""Weights of PyTorch load and compute the same: layers, networks, ten steps of training.

Networks are written once and built from either library, which also shows that the names agree.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn, optim
from tests import nn_layers

pytestmark = pytest.mark.torch
if find_spec("torch") is not None:
    import torch

TOLERANCE = 1e-4


def as_torch(array: np.ndarray) -> Any:
    return torch.from_numpy(array.copy())


def numpy_state(module: Any) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in module.state_dict().items()}


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(np.float32)


def first(output: Any) -> Any:
    """Return the tensor to compare: recurrent layers and attention return others beside it."""
    return output[0] if isinstance(output, tuple) else output


def assert_near(got: Any, expected: Any, what: str, limit: float = TOLERANCE) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, what
    error = np.abs(got - expected) / np.maximum(1, np.abs(expected))
    assert error.size == 0 or error.max() <= limit, f"{what}: off by {error.max():.3g}"


# ---- single layers -------------------------------------------------------------------------------

X, SIGNAL, IMAGE, VOLUME = (4, 6), (2, 4, 9), (2, 4, 7, 6), (2, 4, 5, 6, 4)
LAYERS: list[tuple[str, tuple[int, ...]]] = [
    ("Identity()", X),
    ("Linear(6, 3)", X),
    ("Linear(6, 3, bias=False)", (2, 5, 6)),
    ("Flatten()", IMAGE),
    ("Unflatten(1, (2, 3))", X),
    ("Conv1d(4, 8, 3)", SIGNAL),
    ("Conv2d(4, 8, 3, padding=1, stride=2, bias=False)", IMAGE),
    ("Conv2d(4, 8, (3, 5), padding='same')", IMAGE),
    ("Conv2d(4, 8, 3, groups=2, dilation=2, padding=2, padding_mode='reflect')", IMAGE),
    ("Conv2d(4, 4, 3, padding='same', padding_mode='replicate')", IMAGE),
    ("Conv1d(4, 4, 4, padding='same', padding_mode='circular')", SIGNAL),
    ("Conv2d(4, 4, 3, padding='valid', padding_mode='circular')", IMAGE),
    ("Conv3d(4, 2, 3)", VOLUME),
    ("ConvTranspose1d(4, 8, 3)", SIGNAL),
    ("ConvTranspose2d(4, 8, 3, stride=2, output_padding=1, groups=2)", IMAGE),
    ("ConvTranspose3d(4, 2, 3, padding=1, dilation=2)", VOLUME),
    ("MaxPool1d(2)", SIGNAL),
    ("MaxPool2d((2, 3), stride=(2, 1), padding=1)", IMAGE),
    ("MaxPool3d(2, ceil_mode=True)", VOLUME),
    ("AvgPool1d(2)", SIGNAL),
    ("AvgPool2d(3, 2, 1, count_include_pad=False)", IMAGE),
    ("AvgPool3d(2)", VOLUME),
    ("AdaptiveAvgPool1d(3)", SIGNAL),
    ("AdaptiveAvgPool2d((None, 3))", IMAGE),
    ("AdaptiveAvgPool3d(2)", VOLUME),
    ("AdaptiveMaxPool1d(3)", SIGNAL),
    ("AdaptiveMaxPool2d(4)", IMAGE),
    ("AdaptiveMaxPool3d((2, 3, 1))", VOLUME),
    ("BatchNorm1d(6)", X),
    ("BatchNorm1d(4)", SIGNAL),
    ("BatchNorm2d(4, affine=False)", IMAGE),
    ("BatchNorm2d(4, momentum=None)", IMAGE),
    ("BatchNorm3d(4, track_running_stats=False)", VOLUME),
    ("LayerNorm(6)", X),
    ("LayerNorm((7, 6), bias=False)", IMAGE),
    ("GroupNorm(2, 4)", IMAGE),
    ("InstanceNorm1d(4)", SIGNAL),
    ("InstanceNorm2d(4, affine=True, track_running_stats=True)", IMAGE),
    ("InstanceNorm3d(4)", VOLUME),
    ("LocalResponseNorm(3)", IMAGE),
    ("RMSNorm(6)", X),
    ("ReLU()", X),
    ("ReLU(inplace=True)", X),
    ("ReLU6()", X),
    ("LeakyReLU(0.2)", X),
    ("PReLU()", X),
    ("PReLU(4)", IMAGE),
    ("ELU()", X),
    ("SELU()", X),
    ("CELU(0.7)", X),
    ("GELU()", X),
    ("GELU('tanh')", X),
    ("SiLU()", X),
    ("Mish()", X),
    ("Sigmoid()", X),
    ("Tanh()", X),
    ("Softplus(2.0)", X),
    ("Softsign()", X),
    ("Hardtanh()", X),
    ("Hardsigmoid()", X),
    ("Hardswish()", X),
    ("LogSigmoid()", X),
    ("Softmax(1)", IMAGE),
    ("LogSoftmax(dim=-1)", X),
    ("Softmin(0)", X),
    ("GLU()", X),
    ("Threshold(0.1, 20)", X),
    ("Tanhshrink()", X),
    ("Softshrink()", X),
    ("Hardshrink()", X),
    ("Dropout(0.0)", X),
    ("Dropout2d(0.0)", IMAGE),
    ("Sequential(Linear(6, 4), Sequential(Tanh(), Linear(4, 2)))", X),
    ("RNN(6, 5, 2, nonlinearity='relu')", (3, 2, 6)),
    ("LSTM(6, 5, 2, batch_first=True, bidirectional=True)", (3, 2, 6)),
    ("GRU(6, 5, bias=False)", (3, 2, 6)),
    *nn_layers.TORCH_LAYERS,
]


def build(expression: str, library: Any) -> Any:
    return eval(expression, {**vars(library)})


@pytest.mark.parametrize(("expression", "shape"), LAYERS, ids=[each[0] for each in LAYERS])
def test_layer(expression: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    theirs, ours = build(expression, torch.nn), build(expression, nn)
    state = numpy_state(theirs)
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    if "nonlinearity" not in expression:  # which PyTorch leaves out
        assert repr(ours) == repr(theirs)
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    x = floats(*shape)
    their_x, our_x = as_torch(x).requires_grad_(), gs.tensor(x, requires_grad=True)
    # The factor keeps in-place layers away from the leaf.
    their_y, our_y = first(theirs(their_x * 1)), first(ours(our_x * 1))
    assert_near(our_y.detach(), their_y.detach(), "output")
    dy = floats(*our_y.shape, seed=1)
    their_y.backward(as_torch(dy))
    our_y.backward(gs.tensor(dy))
    assert_near(our_x.grad, their_x.grad, "dx")
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert_near(parameter.grad, gradients[name].grad, f"gradient of {name}")
    after = numpy_state(theirs)
    for key, value in ours.state_dict().items():
        assert_near(value, after[key], f"{key} after a step of training")
    their_y, our_y = first(theirs.eval()(as_torch(x))), first(ours.eval()(gs.tensor(x)))
    assert_near(our_y.detach(), their_y.detach(), "output in evaluation")


def test_layers_take_the_same_arguments() -> None:
    """Names, order and defaults, apart from the differences that docs/differences.md lists."""
    dropped = {"size_average", "reduce"}  # deprecated long ago

    def parameters(kind: Any) -> list[tuple[str, Any]]:
        # A default that is a function is the library's own of that name.
        return [
            (p.name, getattr(p.default, "__name__", p.default))
            for p in inspect.signature(kind.__init__).parameters.values()
            if p.name not in dropped
        ]

    for name in dir(nn):
        ours, theirs = getattr(nn, name), getattr(torch.nn, name, None)
        if not inspect.isclass(ours) or theirs is None:
            continue
        wanted, got = parameters(theirs), parameters(ours)
        if ("args", "_empty") in wanted:
            continue
        if name in ("Softmax", "Softmin", "LogSoftmax"):
            wanted[1] = ("dim", "_empty")
        if name == "Hardtanh":
            wanted = wanted[:4]
        if name == "Parameter":
            continue
        assert got == wanted, name


LOSSES = [
    ("MSELoss()", "same"),
    ("MSELoss(reduction='none')", "same"),
    ("L1Loss(reduction='sum')", "same"),
    ("HuberLoss(delta=0.5)", "same"),
    ("SmoothL1Loss(beta=0.5)", "same"),
    ("BCELoss()", "probabilities"),
    ("BCEWithLogitsLoss(reduction='sum')", "share"),
    ("KLDivLoss(reduction='batchmean')", "share"),
    ("NLLLoss()", "classes"),
    ("CrossEntropyLoss()", "classes"),
    ("CrossEntropyLoss(ignore_index=2, label_smoothing=0.2)", "classes"),
    ("CrossEntropyLoss(reduction='none')", "classes"),
    ("CrossEntropyLoss(label_smoothing=0.1)", "share"),
]


@pytest.mark.parametrize(("expression", "target"), LOSSES, ids=[each[0] for each in LOSSES])
def test_loss(expression: str, target: str) -> None:
    theirs, ours = build(expression, torch.nn), build(expression, nn)
    assert repr(ours) == repr(theirs)
    x = floats(5, 4)
    share = np.random.default_rng(1).random((5, 4)).astype(np.float32)
    wanted = {"same": floats(5, 4, seed=2), "classes": np.array([0, 3, 2, 1, 2])}.get(target, share)
    if target == "probabilities":
        x = share[::-1].copy()
    their_x, our_x = as_torch(x).requires_grad_(), gs.tensor(x, requires_grad=True)
    their_y, our_y = theirs(their_x, as_torch(wanted)), ours(our_x, gs.tensor(wanted))
    assert_near(our_y.detach(), their_y.detach(), "loss")
    their_y.sum().backward()
    our_y.sum().backward()
    assert_near(our_x.grad, their_x.grad, "dx")


# ---- networks ------------------------------------------------------------------------------------


def conv_net(lib: Any) -> Any:
    return lib.Sequential(
        lib.Conv2d(1, 4, 3, padding=1, bias=False),
        lib.BatchNorm2d(4),
        lib.ReLU(),
        lib.MaxPool2d(2),
        lib.Conv2d(4, 8, 3, stride=2, padding=1),
        lib.BatchNorm2d(8, momentum=0.3),
        lib.GELU(),
        lib.AdaptiveAvgPool2d(2),
        lib.Flatten(),
        lib.Linear(32, 3),
    )


def recurrent_net(kind: str) -> Callable[[Any], Any]:
    def make(lib: Any) -> Any:
        class Net(lib.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.table = lib.Embedding(11, 6, padding_idx=0)
                self.rnn = getattr(lib, kind)(6, 8, num_layers=2, batch_first=True)
                self.head = lib.Linear(8, 3)

            def forward(self, ids: Any) -> Any:
                return self.head(self.rnn(self.table(ids))[0][:, -1])

        return Net()

    return make


def attention_net(lib: Any) -> Any:
    class Net(lib.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.table = lib.Embedding(11, 8)
            self.norm1 = lib.LayerNorm(8)
            self.attention = lib.MultiheadAttention(8, 2, batch_first=True)
            self.norm2 = lib.LayerNorm(8)
            self.mlp = lib.Sequential(lib.Linear(8, 16), lib.GELU("tanh"), lib.Linear(16, 8))
            self.head = lib.Linear(8, 3)

        def forward(self, ids: Any) -> Any:
            x = self.table(ids)
            y = self.norm1(x)
            x = x + self.attention(y, y, y, need_weights=False)[0]
            x = x + self.mlp(self.norm2(x))
            return self.head(x.mean(1))

    return Net()


def images(step: int) -> np.ndarray:
    return floats(6, 1, 12, 12, seed=step)


def sentences(step: int) -> np.ndarray:
    return np.random.default_rng(step).integers(0, 11, (6, 5))


NETWORKS: dict[str, tuple[Callable[[Any], Any], Callable[[int], np.ndarray]]] = {
    "conv": (conv_net, images),
    "rnn": (recurrent_net("RNN"), sentences),
    "lstm": (recurrent_net("LSTM"), sentences),
    "gru": (recurrent_net("GRU"), sentences),
    "attention": (attention_net, sentences),
}

OPTIMIZERS: dict[str, Callable[[Any, Any], Any]] = {
    "sgd": lambda lib, p: lib.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda lib, p: lib.Adam(p, lr=1e-3),
    "adamw": lambda lib, p: lib.AdamW(p, lr=1e-3, weight_decay=0.1),
}


def as_dtype(x: np.ndarray, dtype: str) -> np.ndarray:
    return x if x.dtype.kind == "i" else x.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_ten_training_steps(network: str, optimizer: str, dtype: str) -> None:
    """Outputs, losses and weights agree step by step.

    Some biases have a gradient of exactly zero but for rounding (before a batch norm, of the keys
    in attention). Adam divides that rounding by its own size, so in float32 those weights are
    random; there its outputs and losses in training are compared, in float64 its weights too.
    """
    make, batch = NETWORKS[network]
    limit = TOLERANCE if dtype == "float32" else 1e-9
    exact = dtype == "float64" or optimizer == "sgd"
    torch.manual_seed(0)
    theirs, ours = make(torch.nn), make(nn)
    result = ours.load_state_dict(numpy_state(theirs))
    assert result.missing_keys == result.unexpected_keys == []
    theirs.to(getattr(torch, dtype))
    ours.to(dtype)
    their_optimizer = OPTIMIZERS[optimizer](torch.optim, theirs.parameters())
    our_optimizer = OPTIMIZERS[optimizer](optim, ours.parameters())
    their_loss, our_loss = torch.nn.CrossEntropyLoss(), nn.CrossEntropyLoss()
    for step in range(10):
        x = as_dtype(batch(step), dtype)
        labels = np.random.default_rng(step).integers(0, 3, 6)
        their_y, our_y = theirs(as_torch(x)), ours(gs.tensor(x))
        assert_near(our_y.detach(), their_y.detach(), f"output of step {step}", limit)
        lost, expected = our_loss(our_y, gs.tensor(labels)), their_loss(their_y, as_torch(labels))
        assert_near(lost.detach(), expected.detach(), f"loss of step {step}", limit)
        for module, opt, loss, utils in (
            (theirs, their_optimizer, expected, torch.nn.utils),
            (ours, our_optimizer, lost, nn.utils),
        ):
            opt.zero_grad()
            loss.backward()
            utils.clip_grad_norm_(module.parameters(), 1.0)
            opt.step()
        if exact:
            for key, value in numpy_state(theirs).items():
                assert_near(ours.state_dict()[key], value, f"{key} after step {step}", limit)
    x = as_dtype(batch(99), dtype)
    final = ours.eval()(gs.tensor(x)).detach()
    if exact:
        assert_near(final, theirs.eval()(as_torch(x)).detach(), "output in evaluation", limit)
    back = make(torch.nn).to(getattr(torch, dtype))
    back.load_state_dict({key: as_torch(value) for key, value in numpy_state(ours).items()})
    assert_near(back.eval()(as_torch(x)).detach(), final, "output on the way back", limit)
