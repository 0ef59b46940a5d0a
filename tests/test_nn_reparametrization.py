# SPDX-License-Identifier: Apache-2.0
"""Weights computed from others: spectral norm, weight norm."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.autograd import gradcheck
from gradsmith.nn.utils import (
    remove_spectral_norm,
    remove_weight_norm,
    spectral_norm,
    weight_norm,
)
from tests.nn_models import set_parameters


def largest_singular_value(weight: Any) -> float:
    matrix = weight.detach().numpy()
    return float(np.linalg.norm(matrix.reshape(len(matrix), -1), 2))


def test_spectral_norm_finds_the_largest_singular_value() -> None:
    layer = spectral_norm(nn.Linear(6, 4), n_power_iterations=5)
    assert list(layer.state_dict()) == ["bias", "weight_orig", "weight_u", "weight_v"]
    x = gs.randn(3, 6)
    for _ in range(20):
        layer(x)
    np.testing.assert_allclose(largest_singular_value(layer.weight), 1.0, rtol=1e-4)
    want = layer.weight_orig.detach().numpy() / largest_singular_value(layer.weight_orig)
    np.testing.assert_allclose(layer.weight.detach().numpy(), want, rtol=1e-4, atol=1e-6)


def test_spectral_norm_rests_in_evaluation() -> None:
    layer = spectral_norm(nn.Conv2d(2, 3, 3))
    u = layer.weight_u.clone()
    layer.eval()(gs.ones(1, 2, 4, 4))
    assert layer.weight_u.tolist() == u.tolist()
    layer.train()(gs.ones(1, 2, 4, 4))
    assert layer.weight_u.tolist() != u.tolist()


def test_two_passes_before_the_gradients() -> None:
    """As an adversary's on real and made images: the second pass changes the vectors."""
    layer = spectral_norm(nn.Linear(3, 2))
    first, second = layer(gs.ones(1, 3)), layer(gs.ones(1, 3) * 2)
    (first.sum() + second.sum()).backward()
    assert layer.weight_orig.grad is not None
    assert np.isfinite(layer.weight_orig.grad.numpy()).all()


@pytest.mark.parametrize("apply", [spectral_norm, weight_norm])
def test_gradients(apply: Callable[..., Any]) -> None:
    layer = apply(nn.Linear(3, 2, dtype=gs.float64)).eval()
    names = [name for name, _ in layer.named_parameters()]
    x = gs.randn(2, 3, dtype=gs.float64)

    def run(*parameters: gs.Tensor) -> Any:
        set_parameters(layer, dict(zip(names, parameters, strict=True)))
        return layer(x)

    values = [each.detach().clone().requires_grad_() for each in layer.parameters()]
    assert gradcheck(run, values)


def test_weight_norm_separates_length_and_direction() -> None:
    layer = nn.Linear(3, 2)
    before = layer.weight.detach().numpy().copy()
    x = gs.randn(4, 3)
    want = layer(x).tolist()
    assert weight_norm(layer) is layer
    np.testing.assert_allclose(layer(x).tolist(), want, rtol=1e-5, atol=1e-6)
    assert layer.weight_g.shape == (2, 1)
    norms = np.linalg.norm(before, axis=1, keepdims=True)
    np.testing.assert_allclose(layer.weight_g.detach().numpy(), norms, rtol=1e-5)
    with gs.no_grad():
        layer.weight_g.mul_(2.0)
        layer.weight_v.mul_(7.0)
    layer(x)
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * before, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("apply", "remove"),
    [(spectral_norm, remove_spectral_norm), (weight_norm, remove_weight_norm)],
)
def test_removal(apply: Callable[..., Any], remove: Callable[..., Any]) -> None:
    layer = apply(nn.Linear(3, 2))
    x = gs.randn(4, 3)
    layer.eval()
    want = layer(x).tolist()
    with pytest.raises(ValueError, match=r"weight is computed by a .* already|no parameter"):
        apply(layer)
    assert remove(layer) is layer
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    assert isinstance(layer.weight, nn.Parameter)
    np.testing.assert_allclose(layer(x).tolist(), want, rtol=1e-6)
    with pytest.raises(ValueError, match=r"weight of Linear.* is not computed by one"):
        remove(layer)
    assert copy.deepcopy(layer)(x).tolist() == layer(x).tolist()


def test_parts_of_other_layers() -> None:
    lstm = weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    y, _ = lstm(gs.randn(5, 2, 3))
    y.sum().backward()
    assert lstm.weight_hh_l0_g.grad is not None
    net = nn.Sequential(spectral_norm(nn.Linear(3, 4)), nn.ReLU())
    net.double()
    assert net(gs.ones(2, 3, dtype=gs.float64)).dtype == gs.float64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: spectral_norm(nn.Linear(3, 2), "nothing"), ValueError, "no parameter 'nothing'"),
        (lambda: spectral_norm(nn.Linear(3, 2), n_power_iterations=0), ValueError, "is 0, expect"),
        (lambda: spectral_norm(nn.Linear(3, 2), dim=2), IndexError, "spectral_norm"),
        (lambda: weight_norm(nn.Linear(3, 2), dim=2), IndexError, "weight_norm"),
        (lambda: spectral_norm(3.0), TypeError, "spectral_norm: module is a float"),
        (lambda: remove_weight_norm(gs.ones(1)), TypeError, "remove_weight_norm: module is a Tens"),
        (lambda: weight_norm(nn.ReLU()), ValueError, "no parameter 'weight'"),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


LAYERS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "linear": (lambda lib: lib.Linear(5, 3), (2, 5)),
    "conv": (lambda lib: lib.Conv2d(3, 4, 3), (2, 3, 5, 5)),
    "transposed": (lambda lib: lib.ConvTranspose2d(3, 4, 3), (2, 3, 5, 5)),
}


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("spectral_norm", {}),
        ("spectral_norm", {"n_power_iterations": 3, "dim": 1}),
        ("weight_norm", {}),
        ("weight_norm", {"dim": None}),
        ("weight_norm", {"dim": 1}),
    ],
)
def test_as_torch(layer: str, kind: str, options: dict[str, Any]) -> None:
    import torch

    make, shape = LAYERS[layer]
    theirs = getattr(torch.nn.utils, kind)(make(torch.nn), **options)
    ours = getattr(nn.utils, kind)(make(nn), **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for _ in range(3):
        want, got = theirs(torch.tensor(x)), ours(gs.tensor(x))
        np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), atol=1e-5)
        want.square().sum().backward()
        got.square().sum().backward()
    for name, parameter in ours.named_parameters():
        expected = theirs.get_parameter(name).grad.numpy()
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(parameter.grad.numpy(), expected, atol=1e-5 * scale)
    for module, library in ((theirs, torch.nn), (ours, nn)):
        getattr(library.utils, f"remove_{kind}")(module)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    np.testing.assert_allclose(
        ours.weight.detach().numpy(), theirs.weight.detach().numpy(), atol=1e-6
    )
