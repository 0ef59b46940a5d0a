# SPDX-License-Identifier: Apache-2.0
"""Mixed precision: which op computes in what, gradients, nesting, conversions."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import amp, nn, optim
from gradsmith.amp import autocast_mode
from gradsmith.autograd.mode import mode
from gradsmith.nn import functional as F
from tests.cases import HAS_SIMULATOR

Tensor = gs.Tensor
W, IMAGE, KERNEL = gs.ones(3, 3), gs.ones(1, 2, 4, 4), gs.ones(2, 2, 3, 3)

LOW: dict[str, Callable[[Tensor], Tensor]] = {
    "matmul": lambda x: x @ W,
    "matmul of a vector": lambda x: x @ W[0],
    "mm": lambda x: gs.mm(x, W),
    "bmm": lambda x: gs.bmm(x[None], W[None]),
    "addmm": lambda x: gs.addmm(W, x, W),
    "baddbmm": lambda x: gs.baddbmm(W, x[None], W[None]),
    "einsum": lambda x: gs.einsum("ij,jk->ik", x, W),
    "linear": lambda x: F.linear(x, W, W[0]),
    "linear of a vector": lambda x: F.linear(x, W[0], W[0, 0]),
    "conv2d": lambda x: F.conv2d(IMAGE.to(x.dtype), KERNEL, W[0, :2]),
    "conv_transpose2d": lambda x: F.conv_transpose2d(IMAGE.to(x.dtype), KERNEL, W[0, :2]),
    "attention": lambda x: F.scaled_dot_product_attention(x, W, W, attn_mask=W),
    "lstm": lambda x: nn.LSTM(3, 2)(x[None])[0],
    "gru both ways": lambda x: nn.GRU(3, 2, bidirectional=True)(x[None])[0],
    "rnn cell": lambda x: nn.RNNCell(3, 2)(x),
    "multi-head attention": lambda x: nn.MultiheadAttention(3, 1)(x, x, x, need_weights=False)[0],
    "with weights": lambda x: nn.MultiheadAttention(3, 1)(x, x, x)[0],
}
HIGH: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": gs.exp,
    "expm1": gs.expm1,
    "log": gs.log,
    "log2": gs.log2,
    "log10": gs.log10,
    "log1p": gs.log1p,
    "pow": lambda x: x**1.5,
    "square as a power": lambda x: x**2,
    "rsqrt": gs.rsqrt,
    "reciprocal": gs.reciprocal,
    "sum": gs.sum,
    "mean": gs.mean,
    "prod": gs.prod,
    "cumsum": lambda x: gs.cumsum(x, 0),
    "norm": gs.norm,
    "softmax": lambda x: gs.softmax(x, 1),
    "log_softmax": lambda x: gs.log_softmax(x, 1),
    "logsumexp": lambda x: gs.logsumexp(x, 1),
    "layer_norm": lambda x: F.layer_norm(x, (3,), W[0], W[0]),
    "group_norm": lambda x: F.group_norm(x, 1, W[0], W[0]),
    "batch_norm": lambda x: nn.BatchNorm1d(3)(x),
    "mse_loss": lambda x: F.mse_loss(x, W),
    "cross_entropy": lambda x: F.cross_entropy(x, gs.tensor([0, 1, 2])),
    "soft cross_entropy": lambda x: F.cross_entropy(x, W / 3),
    "nll_loss": lambda x: F.nll_loss(x, gs.tensor([0, 1, 2])),
    "bce with logits": lambda x: F.binary_cross_entropy_with_logits(x, W, pos_weight=W[0]),
    "kl_div": lambda x: F.kl_div(x, W),
    "softplus": F.softplus,
    "tan": gs.tan,
    "sinh": gs.sinh,
    "cosh": gs.cosh,
    "asin": gs.asin,
    "acos": gs.acos,
    "erfinv": gs.erfinv,
    "interpolate": lambda x: F.interpolate(x[None, None], scale_factor=2, mode="bilinear"),
    "gumbel_softmax": F.gumbel_softmax,
    "quantile": lambda x: gs.quantile(x, 0.3),
    "solve": lambda x: gs.linalg.solve(W + x * gs.eye(3), x),
    "pinv": gs.linalg.pinv,
    "eigvalsh": gs.linalg.eigvalsh,
    "matrix_exp": gs.matrix_exp,
    "index_put": lambda x: gs.index_put(x, (gs.tensor([0]),), W[0]),
    "scatter_add": lambda x: gs.scatter_add(x, 0, gs.tensor([[0, 1, 2]]), W),
}
AS_GIVEN: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "tanh": gs.tanh,
    "mul": lambda x: x * x,
    "max": lambda x: x.max(),
    "sqrt": gs.sqrt,
}


@pytest.mark.parametrize("given", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", [*LOW, *HIGH, *AS_GIVEN])
def test_dtypes_of_results(name: str, given: str) -> None:
    function = {**LOW, **HIGH, **AS_GIVEN}[name]
    x = gs.full((3, 3), 0.5, dtype=given).requires_grad_()
    with amp.autocast("cpu"):
        y = function(x)
    expected = "bfloat16" if name in LOW else "float32" if name in HIGH else given
    assert str(y.dtype) == expected
    if y.requires_grad:
        y.backward(gs.ones_like(y))
        if x.grad is not None:
            assert x.grad.dtype == x.dtype
    assert mode.autocast is None


def test_other_dtypes_and_devices_stay() -> None:
    x, wide = gs.ones(2, 3), gs.ones(2, 3, dtype=gs.float64)
    with amp.autocast("cpu"):
        assert (wide @ wide.T).dtype == gs.float64
        assert (gs.arange(4).reshape(2, 2) @ gs.arange(4).reshape(2, 2)).dtype == gs.int64
        assert gs.arange(3).sum().dtype == gs.int64
    with amp.autocast("cuda"):
        assert (x @ x.T).dtype == gs.float32
        assert x.bfloat16().sum().dtype == gs.bfloat16
        with amp.autocast("cpu"):
            assert (x @ x.T).dtype == gs.bfloat16


@pytest.mark.skipif(not HAS_SIMULATOR, reason="this build has no simulator")
def test_a_region_of_a_device() -> None:
    layer = nn.Linear(3, 2).to("cudasim")
    x = gs.ones(4, 3, device="cudasim")
    with amp.autocast("cudasim"):
        y = layer(x)
        loss = F.mse_loss(y, gs.zeros(4, 2, device="cudasim"))
    assert (y.dtype, loss.dtype) == (gs.bfloat16, gs.float32)
    loss.backward()
    assert layer.weight.grad.dtype == gs.float32


def test_in_place_ops_keep_the_dtype() -> None:
    for dtype in ("float32", "bfloat16"):
        x = gs.full((2,), 2.0, dtype=dtype, requires_grad=True)
        with amp.autocast():
            y = x * 1
            y.pow_(2).exp_()
            z = x.detach().clone().pow_(2)
        assert str(y.dtype) == str(z.dtype) == dtype
        y.sum().backward()
        assert x.grad.tolist() == pytest.approx([4 * math.exp(4)] * 2, rel=0.02)


# ---- models -------------------------------------------------------------------------------------


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 8, num_layers=2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)), (8, 6)),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        ),
        (8, 2, 4, 4),
    ),
    "lstm": (Recurrent, (8, 5, 6)),
}


@pytest.mark.parametrize("name", MODELS)
def test_losses_and_gradients_stay_close(name: str) -> None:
    make, shape = MODELS[name]
    gs.manual_seed(0)
    model = make()
    x, target = gs.randn(*shape), gs.arange(8) % 3
    losses, grads = [], []
    for enabled in (False, True):
        model.zero_grad()
        with amp.autocast("cpu", enabled=enabled):
            y = model(x)
            loss = F.cross_entropy(y, target)
        loss.backward()
        assert y.dtype == (gs.bfloat16 if enabled else gs.float32)
        assert loss.dtype == gs.float32
        losses.append(loss.item())
        grads.append([each.grad for each in model.parameters()])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]
    for exact, rounded in zip(*grads, strict=True):
        assert rounded.dtype == gs.float32
        scale = float(exact.abs().max())
        np.testing.assert_allclose(rounded.numpy(), exact.numpy(), atol=0.06 * scale + 1e-3)


def test_training_in_a_region_learns() -> None:
    gs.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.03)
    x = gs.randn(64, 2)
    target = (x[:, :1] * x[:, 1:] > 0).float()
    scaler = amp.GradScaler()
    for _ in range(150):
        optimizer.zero_grad()
        with amp.autocast():
            loss = F.binary_cross_entropy_with_logits(model(x), target)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert loss.item() < 0.2


# ---- regions ------------------------------------------------------------------------------------


def dtype_of_product() -> str:
    return str((W @ W).dtype)


def test_nesting_and_decorators() -> None:
    region = amp.autocast()
    with region:
        assert dtype_of_product() == "bfloat16"
        with amp.autocast(enabled=False):
            assert dtype_of_product() == "float32"
            with region:
                assert dtype_of_product() == "bfloat16"
        assert dtype_of_product() == "bfloat16"
    decorated = amp.autocast(dtype=gs.bfloat16)(dtype_of_product)
    assert decorated() == "bfloat16"
    assert decorated.__name__ == "dtype_of_product"
    assert dtype_of_product() == "float32"

    def fail() -> None:
        with amp.autocast():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert dtype_of_product() == "float32"


@pytest.mark.parametrize("device", ["cpu", "cudasim"])
def test_float16(device: str) -> None:
    layer, x = nn.Linear(3, 2).to(device), gs.ones(4, 3, device=device)
    with amp.autocast(device, dtype=gs.float16):
        y = layer(x)
        # What is low in another way comes to the region's dtype, and its gradient goes back.
        other = gs.ones(4, 3, device=device).bfloat16().requires_grad_()
        product = layer(other)
        loss = product.square().mean()
        assert (x.half() + 1).dtype == gs.float16
    assert (y.dtype, product.dtype, loss.dtype) == (gs.float16, gs.float16, gs.float32)
    loss.backward()
    assert str(getattr(other.grad, "dtype", None)) == "bfloat16"
    assert str(getattr(layer.weight.grad, "dtype", None)) == "float32"


def test_regions_are_of_one_thread() -> None:
    seen: list[str] = []
    with amp.autocast():
        thread = threading.Thread(target=lambda: seen.append(dtype_of_product()))
        thread.start()
        thread.join()
    assert seen == ["float32"]


@pytest.mark.parametrize("cache_enabled", [True, False])
def test_a_weight_is_converted_once(monkeypatch: pytest.MonkeyPatch, cache_enabled: bool) -> None:
    converted: list[Any] = []
    convert = autocast_mode._lowered
    monkeypatch.setattr(
        autocast_mode, "_lowered", lambda x, dtype: (converted.append(x), convert(x, dtype))[1]
    )
    layer = nn.Linear(3, 3, bias=False)
    x = gs.ones(2, 3).bfloat16()
    with amp.autocast(cache_enabled=cache_enabled):
        first = layer(layer(x))
        assert len(converted) == (1 if cache_enabled else 2)
        with gs.no_grad():
            layer.weight.fill_(0.0)
        assert not layer(x).any()
        layer.weight.data = gs.ones(3, 3)
        assert (layer(x) == 3).all()
        with gs.no_grad():
            converted.clear()
            assert not layer(layer(x)).requires_grad
            assert len(converted) == (1 if cache_enabled else 2)
        assert layer(x).requires_grad
    assert first.requires_grad


def test_one_conversion_serves_several_passes() -> None:
    layer = nn.Linear(3, 1, bias=False)
    x = gs.tensor([[1.0, 2.0, 4.0]])
    with amp.autocast():
        with gs.no_grad():
            layer(x)
        layer(x).sum().backward()  # also inside of the region
        second = layer(x).sum()
    second.backward()
    assert layer.weight.grad.tolist() == [[2.0, 4.0, 8.0]]
    assert layer.weight.grad.dtype == gs.float32


def test_second_derivatives() -> None:
    x = gs.tensor([[0.5, -1.0]], requires_grad=True)
    w = gs.tensor([[1.0], [2.0]], requires_grad=True)
    with amp.autocast():
        y = ((x @ w) ** 2).sum()
        (dx,) = gs.autograd.grad(y, x, create_graph=True)
        assert dx.dtype == gs.float32
    dx.sum().backward()
    # y = (x w)^2, dx = 2 (x w) w, the sum of dx along w: 2 x sum(w) + 2 (x w)
    np.testing.assert_allclose(w.grad.numpy(), [[0.0], [-9.0]], atol=0.1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: amp.autocast("tpu"), ValueError, "device_type is 'tpu'"),
        (lambda: amp.autocast(dtype=gs.float64), ValueError, "dtype is float64"),
        (lambda: amp.autocast(enabled=1), TypeError, "enabled is a int"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
