# SPDX-License-Identifier: Apache-2.0
"""Neighbours that `Sequential` runs as one op: nobody can tell them from the modules one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.ops.gemm import activated_linear


def one_by_one(network: Any, x: gs.Tensor) -> gs.Tensor:
    for module in network:
        x = module(x)
    return x


def normal(*shape: int, dtype: Any = gs.float32) -> gs.Tensor:
    return gs.tensor(np.random.default_rng(0).standard_normal(shape)).to(dtype)


def dense(activation: Callable[[], nn.Module]) -> Callable[[], nn.Sequential]:
    return lambda: nn.Sequential(nn.Linear(5, 7), activation(), nn.Linear(7, 3), activation())


def normed(norm: Any) -> Callable[[], nn.Sequential]:
    return lambda: nn.Sequential(norm(3), nn.ReLU(), norm(3, affine=False), nn.ReLU())


NETWORKS: dict[str, tuple[Callable[[], nn.Sequential], tuple[int, ...]]] = {
    "relu": (dense(nn.ReLU), (4, 5)),
    "tanh": (dense(nn.Tanh), (4, 5)),
    "sigmoid": (dense(nn.Sigmoid), (2, 3, 5)),
    "one row": (dense(nn.ReLU), (5,)),
    "no rows": (dense(nn.ReLU), (0, 5)),
    "without bias": (lambda: nn.Sequential(nn.Linear(5, 2, bias=False), nn.ReLU()), (4, 5)),
    "norm 1d": (normed(nn.BatchNorm1d), (4, 3, 6)),
    "norm 2d": (normed(nn.BatchNorm2d), (4, 3, 3, 5)),
    "norm 3d": (normed(nn.BatchNorm3d), (2, 3, 2, 3, 2)),
    "pool 1d": (lambda: nn.Sequential(nn.ReLU(), nn.MaxPool1d(3, 2, 1)), (2, 3, 9)),
    "pool 2d": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        (2, 3, 9, 8),
    ),
    "pool 3d": (lambda: nn.Sequential(nn.ReLU(), nn.MaxPool3d(2)), (1, 2, 4, 4, 4)),
    "dilated pool": (lambda: nn.Sequential(nn.ReLU(), nn.MaxPool1d(2, 1, 1, 3)), (2, 3, 4)),
}


def gradients(network: Any, run: Any, shape: tuple[int, ...], dtype: Any) -> list[np.ndarray]:
    """Result, gradients of input and parameters, and buffers of one training pass."""
    x = normal(*shape, dtype=dtype).requires_grad_()
    y = run(network, x)
    (y * normal(*y.shape, dtype=dtype)).sum().backward()
    tensors = [y, x.grad, *(p.grad for p in network.parameters()), *network.buffers()]
    return [each.detach().to(gs.float64).numpy() for each in tensors]


@pytest.mark.parametrize("dtype", [gs.float32, gs.float64, gs.bfloat16, gs.float16], ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", NETWORKS)
def test_same_values_gradients_and_statistics(name: str, training: bool, dtype: Any) -> None:
    make, shape = NETWORKS[name]
    gs.manual_seed(0)
    fused = make().to(dtype).train(training)
    plain = make().to(dtype).train(training)
    plain.load_state_dict(fused.state_dict())
    got = gradients(fused, lambda network, x: network(x), shape, dtype)
    expected = gradients(plain, one_by_one, shape, dtype)
    tolerance = {gs.bfloat16: 0.1, gs.float16: 0.02, gs.float32: 1e-5, gs.float64: 1e-12}[dtype]
    for each, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(each, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "without bias", "norm 2d", "pool 2d"])
def test_first_and_second_derivatives(name: str) -> None:
    make, shape = NETWORKS[name]
    network = make().to(gs.float64).eval()
    x = normal(*shape, dtype=gs.float64).requires_grad_()
    inputs = (x, *network.parameters())
    assert gs.autograd.gradcheck(lambda x, *_: network(x), inputs)
    assert gs.autograd.gradgradcheck(lambda x, *_: network(x), inputs)


def test_hooks_see_what_lies_between() -> None:
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU())
    seen: list[gs.Tensor] = []
    handle = network[0].register_forward_hook(lambda module, args, result: seen.append(result))
    x = normal(4, 5)
    with_hook = network(x)
    assert len(seen) == 1
    assert float(seen[0].detach().numpy().min()) < 0
    handle.remove()
    network[1].register_forward_pre_hook(lambda module, args: (args[0] * 0 - 1,))
    assert float(network(x).detach().numpy().max()) == 0
    assert float(with_hook.detach().numpy().max()) > 0


def test_other_classes_and_own_forward_functions_are_called() -> None:
    class Doubling(nn.Linear):
        def forward(self, input: gs.Tensor) -> gs.Tensor:
            return super().forward(input) * 2

    x = normal(4, 5)
    network = nn.Sequential(Doubling(5, 7), nn.ReLU())
    np.testing.assert_allclose(
        network(x).detach().numpy(), one_by_one(network, x).detach().numpy(), rtol=1e-6
    )
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU())
    network[0].forward = lambda input: gs.ones(2)
    assert network(x).tolist() == [1.0, 1.0]


def test_pool_that_gives_indices_keeps_its_place() -> None:
    network = nn.Sequential(nn.ReLU(), nn.MaxPool1d(2, return_indices=True))
    values, indices = network(gs.tensor([[[-2.0, -1.0, 3.0, 4.0]]]))
    assert values.tolist() == [[[0.0, 4.0]]]
    assert indices.tolist() == [[[0, 3]]]


def test_equal_maxima_send_the_gradient_to_the_first() -> None:
    x = gs.tensor([[[1.0, 1.0, -1.0, -2.0, 0.0, 0.0]]], requires_grad=True)
    network = nn.Sequential(nn.ReLU(), nn.MaxPool1d(2))
    network(x).backward(gs.tensor([[[1.0, 1.0, 1.0]]]))
    assert x.grad is not None
    assert x.grad.tolist() == [[[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]]


def test_nan_passes() -> None:
    network = nn.Sequential(nn.ReLU(), nn.MaxPool1d(2))
    values = network(gs.tensor([[[float("nan"), 1.0, -1.0, -2.0]]])).numpy()
    assert np.isnan(values[0, 0, 0])
    assert values[0, 0, 1] == 0


def test_state_is_that_of_the_modules() -> None:
    network = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU())
    network(normal(4, 5))
    assert list(network.state_dict()) == [
        *("0.weight", "0.bias", "1.weight", "1.bias"),
        *("1.running_mean", "1.running_var", "1.num_batches_tracked"),
    ]
    assert int(network[1].num_batches_tracked) == 1


@pytest.mark.parametrize(
    ("network", "x", "error", "message"),
    [
        ((nn.Linear(5, 7), nn.ReLU()), gs.ones(2, 4), ValueError, r"0 \(Linear 5 -> 7\): input"),
        (
            (nn.Linear(5, 7), nn.ReLU()),
            gs.ones(2, 5, dtype=gs.float64),
            TypeError,
            r"0 \(Linear 5 -> 7\): weight is float32, input is float64",
        ),
        ((nn.BatchNorm2d(3), nn.ReLU()), gs.ones(2, 3), ValueError, r"0 \(BatchNorm2d 3\): input"),
        ((nn.BatchNorm1d(3), nn.ReLU()), gs.ones(1, 3), ValueError, r"0 .*\): batch_norm: input"),
        ((nn.ReLU(), nn.MaxPool2d(9)), gs.ones(1, 1, 4, 4), ValueError, r"1 \(MaxPool2d\): "),
    ],
)
def test_errors_name_the_module(network: Any, x: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        nn.Sequential(*network)(x)


def test_a_changed_result_is_noticed() -> None:
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU())
    y = network(normal(4, 5))
    loss = y.sum()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


@pytest.mark.parametrize(
    ("modules", "shape", "name"),
    [
        ((nn.Linear(5, 7), nn.Tanh()), (4, 5), "LinearBackward"),
        ((nn.BatchNorm1d(5), nn.ReLU()), (4, 5), "BatchNormBackward"),
        ((nn.ReLU(), nn.MaxPool1d(2)), (1, 2, 4), "ReluBackward"),
    ],
)
def test_pairs_are_one_op_or_exchanged(
    modules: tuple[nn.Module, nn.Module], shape: tuple[int, ...], name: str
) -> None:
    fused = nn.Sequential(*modules)(normal(*shape).requires_grad_())
    assert type(fused.grad_fn).__name__ == name or name in repr(fused.grad_fn)


def test_what_a_pool_gives_may_be_changed_in_place() -> None:
    network = nn.Sequential(nn.ReLU(), nn.MaxPool1d(2))
    x = normal(2, 3, 8).requires_grad_()
    y = network(x)
    y += 1
    y.sum().backward()
    other = normal(2, 3, 8).requires_grad_()
    one_by_one(network, other).sum().backward()
    assert x.grad is not None
    assert other.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), other.grad.numpy())


def test_a_forward_that_replaces_the_class_s_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, input: input * 3)
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU())
    x = normal(4, 5)
    np.testing.assert_allclose(
        network(x).detach().numpy(), 3 * network[0](x).detach().numpy(), rtol=1e-6
    )


def test_a_weight_of_one_dimension() -> None:
    layer = nn.Linear(3, 1, bias=False)
    layer.weight = nn.Parameter(gs.ones(3))
    assert nn.Sequential(layer, nn.ReLU())(gs.ones(2, 3)).tolist() == [3.0, 3.0]


def test_activations_whose_slope_needs_more_than_the_result_are_refused() -> None:
    with pytest.raises(ValueError, match="activation is 'gelu', expected none, relu"):
        activated_linear(gs.ones(2, 3), gs.ones(2, 3), None, "gelu")
