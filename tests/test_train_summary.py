# SPDX-License-Identifier: Apache-2.0
"""summary: shapes, parameters and multiply-accumulates of any model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import models, nn
from gradsmith.nn import functional as F
from tests.test_train import TwoInputs, X, weights


def text_of(model: nn.Module, *args: Any, **kwargs: Any) -> str:
    texts: list[str] = []
    model.summary(*args, print_fn=texts.append, **kwargs)
    return texts[0]


def macs(model: nn.Module, *args: Any, **kwargs: Any) -> int:
    line = next(x for x in text_of(model, *args, **kwargs).splitlines() if x.startswith("MACs: "))
    return int(line.removeprefix("MACs: ").replace(",", ""))


def test_table() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 5))
    model[3].requires_grad_(False)
    model(gs.ones(4, 1, 8, 8)).sum().backward()
    grad = model[0].weight.grad
    before = weights(model)
    text = text_of(model, (4, 1, 8, 8))
    lines = text.splitlines()
    assert lines[0].split() == ["layer", "output", "shape", "parameters", "MACs"]
    assert lines[3].split() == ["0", "(Conv2d)", "(4,", "2,", "6,", "6)", "20", "2,592"]
    assert lines[6].split()[-2:] == ["365", "1,440"]
    assert "parameters: 389 (24 trained, 365 frozen)" in text
    assert "MACs: 4,032" in text
    for name, value in weights(model).items():
        np.testing.assert_array_equal(value, before[name])
    assert model.training
    assert model[0].weight.grad is grad
    plain = text_of(model)
    assert "(4, 2, 6, 6)" not in plain
    assert "MACs" not in plain
    assert all(not module._forward_hooks for module in model.modules())


def test_inputs_of_any_form() -> None:
    assert "(2, 1)" in text_of(TwoInputs(), [(2, 3), (2, 3)])
    assert "(2, 1)" in text_of(TwoInputs(), {"a": (2, 3), "b": (2, 3)})
    assert "(50, 1)" in text_of(TwoInputs(), input_data={"a": gs.tensor(X), "b": gs.tensor(X)})
    assert "(50, 1)" in text_of(nn.Linear(3, 1), input_data=X)
    tokens = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 2))
    assert macs(tokens, input_data=gs.zeros(5, 3, dtype="int64")) == 5 * 12 * 2


@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [
        (nn.Linear(3, 4), (2, 5, 3), 2 * 5 * 3 * 4),
        (nn.Conv1d(2, 4, 3, padding=1), (1, 2, 7), 7 * 4 * 2 * 3),
        (nn.Conv2d(4, 6, 3, stride=2, groups=2), (1, 4, 7, 7), 9 * 6 * 2 * 9),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), (1, 4, 5, 5), 25 * 4 * 6 * 9),
        (nn.Conv3d(1, 2, 2), (1, 1, 3, 3, 3), 8 * 2 * 8),
        (nn.LSTM(3, 5), (7, 2, 3), 7 * 2 * 4 * 5 * (3 + 5)),
        (nn.GRU(3, 5, num_layers=2), (7, 2, 3), 7 * 2 * 3 * 5 * (3 + 5 + 5 + 5)),
        (nn.RNN(3, 5, bidirectional=True), (7, 2, 3), 7 * 2 * 2 * 5 * (3 + 5)),
        (nn.ReLU(), (3, 3), 0),
        # LeNet-5: 28*28*6*25 + 10*10*16*150 + 400*120 + 120*84 + 84*10
        (models.lenet5(), (1, 1, 32, 32), 117600 + 240000 + 48000 + 10080 + 840),
    ],
)
def test_multiplications(model: nn.Module, size: tuple[int, ...], expected: int) -> None:
    assert macs(model, size) == expected


def test_packed_sequences() -> None:
    packed = nn.utils.rnn.pack_sequence([gs.randn(4, 3), gs.randn(2, 3)])
    text = text_of(nn.LSTM(3, 5), input_data=packed)
    assert "(1, 2, 5)" in text
    assert macs(nn.LSTM(3, 5), input_data=packed) > 0


def test_attention() -> None:
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x = gs.randn(3, 5, 8)
    projections, products = 3 * 5 * 8 * 8 * 4, 2 * 3 * 5 * 5 * 8
    assert macs(layer, input_data=[x, x, x]) == projections + products


class Mixed(nn.Module):
    """A shared layer, a frozen one, products and functions of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.inner = nn.ModuleDict({"a": nn.Sequential(nn.Linear(4, 2), nn.Tanh())})
        self.scale = nn.Parameter(gs.ones(4, 4))

    def forward(self, x: Any) -> Any:
        x = F.relu(self.shared(self.shared(x)))
        x = x @ self.scale
        return {"y": self.inner["a"](x), "pair": (x, x.sum(1))}


def test_functions_between_modules_count_where_they_stand() -> None:
    text = text_of(Mixed(), (3, 4))
    lines = text.splitlines()
    assert lines[2].startswith("Mixed")
    assert lines[2].split()[-2:] == ["16", "48"]
    assert "y: (3, 2), pair: (3, 4), (3,)" in lines[2]
    assert lines[3].split()[:3] == ["shared", "(Linear)", "x2"]
    assert lines[3].split()[-2:] == ["20", "96"]
    assert "MACs: 168" in text


def test_refusals() -> None:
    model = nn.Conv2d(1, 2, 3)
    with pytest.raises(ValueError, match="exclude each other"):
        model.summary((1, 1, 8, 8), X)
    with pytest.raises(ValueError, match="expected positive ints"):
        model.summary((0, 1, 8, 8))
    with pytest.raises(TypeError, match="input_size is or holds a str"):
        model.summary("big")
    with pytest.raises(ValueError, match="channels"):
        model.summary((1, 3, 8, 8))
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
