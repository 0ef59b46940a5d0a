# SPDX-License-Identifier: Apache-2.0
"""Initialisers by name and by layer, and their scales beside PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.nn import init


def test_names() -> None:
    assert init.get("xavier_uniform") is init.get("xavier_uniform_") is init.xavier_uniform_
    assert init.get("glorot_normal") is init.xavier_normal_
    assert init.get("he_uniform") is init.kaiming_uniform_
    assert init.get("lecun_normal") is init.lecun_normal_
    assert init.get(max) is max
    with pytest.raises(ValueError, match="'glorot' is unknown"):
        init.get("glorot")
    with pytest.raises(TypeError, match="initializer is a int"):
        init.get(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(300, 40), (60, 8, 3, 3)])
def test_lecun(shape: tuple[int, ...]) -> None:
    fan_in = math.prod(shape[1:])
    gs.manual_seed(0)
    uniform = init.lecun_uniform_(gs.zeros(*shape)).numpy()
    bound = math.sqrt(3 / fan_in)
    assert bound * 0.98 < np.abs(uniform).max() <= bound
    normal = init.lecun_normal_(gs.zeros(*shape)).numpy()
    for values in (uniform, normal):
        assert values.std() == pytest.approx(1 / math.sqrt(fan_in), rel=0.05)
    with pytest.raises(ValueError, match="lecun_normal_: the tensor has shape"):
        init.lecun_normal_(gs.zeros(3))


def test_rules_for_layers() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 4), nn.Linear(4, 2)
    )
    before = model[0].bias.tolist()
    result = init.initialize(
        model,
        {
            nn.Linear: "ones",
            nn.Conv2d: lambda w: init.constant_(w, 0.5),
            "4.weight": "eye",
            "[34].bias": init.zeros_,
        },
    )
    assert result is model
    assert (model[0].weight == 0.5).all()
    assert model[0].bias.tolist() == before
    assert (model[3].weight == 1).all()
    assert model[4].weight.tolist() == np.eye(2, 4).tolist()
    assert not model[3].bias.any()
    assert not model[4].bias.any()
    assert (model[1].weight == 1).all()


def test_recurrent_weights_are_weights() -> None:
    model = nn.LSTM(3, 4)
    init.initialize(model, {nn.LSTM: "zeros"})
    assert not model.weight_ih_l0.any()
    assert not model.weight_hh_l0.any()
    assert model.bias_ih_l0.any()


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        ({nn.LSTM: "zeros"}, ValueError, "LSTM'> applies to no parameter"),
        ({"*.wieght": "zeros"}, ValueError, "applies to no parameter"),
        ({3: "zeros"}, TypeError, "a rule is for a int"),
        ({nn.Linear: "zeroes"}, ValueError, "'zeroes' is unknown"),
    ],
)
def test_refused_rules_change_nothing(rules: Any, error: Any, message: str) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    before = model[0].weight.tolist()
    with pytest.raises(error, match=message):
        init.initialize(model, {"0.weight": "zeros", **rules})
    assert model[0].weight.tolist() == before


def test_only_modules_have_rules() -> None:
    with pytest.raises(TypeError, match="model is a int"):
        init.initialize(3, {})  # type: ignore[type-var]


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(50, 20), (20, 6, 5), (30, 4, 3, 3), (8, 4, 3, 3, 2)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("xavier_uniform_", {}),
        ("xavier_normal_", {"gain": 2.0}),
        ("kaiming_uniform_", {"a": 0.3}),
        ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_normal_", {"nonlinearity": "tanh"}),
        ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "selu"}),
    ],
)
def test_scales_are_pytorch_s(
    name: str, options: dict[str, Any], shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both draw with the same bound or deviation: what they ask of their generators is compared."""
    import torch

    asked: list[list[float]] = [[], []]
    for number, (library, tensor) in enumerate(
        ((gs, gs.zeros(*shape)), (torch, torch.zeros(shape)))
    ):
        for kind in ("uniform_", "normal_"):

            def note(self: Any, a: float, b: float, generator: Any = None, n: int = number) -> Any:
                asked[n] += [a, b]
                return self

            monkeypatch.setattr(library.Tensor, kind, note)
        initializers: Any = init if library is gs else torch.nn.init
        getattr(initializers, name)(tensor, **options)
    np.testing.assert_allclose(asked[0], asked[1], rtol=1e-12)
