# SPDX-License-Identifier: Apache-2.0
"""detect_anomaly names the op, the module and the call where the first NaN or Inf arose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.autograd import AnomalyError, Function, detect_anomaly, set_detect_anomaly


class Root(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.sqrt()  # the line that the report has to show


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), Root())

    def forward(self, x: Any) -> Any:
        return self.body(x).sum()


def test_forward() -> None:
    x = gs.tensor([[1.0, 0.0]])
    with detect_anomaly():
        with pytest.raises(AnomalyError, match=r"div gave inf at index \(0, 1\) \(1 of 2"):
            1.0 / x
        with pytest.raises(AnomalyError, match=r"log gave nan .* finite numbers only"):
            (x - 2.0).log()
    assert math.isinf((1.0 / x)[0, 1].item())


def test_forward_names_the_module() -> None:
    net = Net()
    net.body[0].weight.data[:] = float("inf")
    with (
        detect_anomaly(),
        pytest.raises(AnomalyError, match=r"linear in module body.0 \(Linear 2 -> 2\) gave nan"),
    ):
        net(gs.tensor([[1.0, -1.0]]))
    net.body[0].weight.data[:] = float("nan")
    with detect_anomaly(), gs.no_grad(), pytest.raises(AnomalyError, match="its inputs have NaN"):
        net(gs.tensor([[1.0, -1.0]]))


def test_backward_names_the_call() -> None:
    net = Net()
    for parameter in net.parameters():
        parameter.data[:] = 0.0
    with detect_anomaly():
        y = net(gs.tensor([[1.0, 2.0]]))
        with pytest.raises(AnomalyError) as caught:
            y.backward()
    text = str(caught.value)
    assert "SqrtBackward gave inf at index (0, 0)" in text
    assert "as the gradient of input 0" in text
    assert "in module body.2 (Root)" in text
    assert "the line that the report has to show" in text


def test_rule_that_gives_nan() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2.0

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * float("nan")

    x = gs.tensor([1.0], requires_grad=True)
    with detect_anomaly(), pytest.raises(AnomalyError, match="WrongBackward gave nan"):
        Wrong.apply(x * 1.0).sum().backward()
    with detect_anomaly(check_nan=False):
        Wrong.apply(x).sum().backward()
    assert math.isnan(x.grad.item())


def test_errors_in_rules_name_the_call() -> None:
    class Broken(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2.0

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            raise KeyError("lost")

    x = gs.tensor([1.0], requires_grad=True)
    with detect_anomaly(check_nan=False), pytest.raises(KeyError) as caught:
        Broken.apply(x).backward()
    assert "test_errors_in_rules_name_the_call" in caught.value.__notes__[0]


def test_what_is_let_pass() -> None:
    """Masks of attention are infinite on purpose; whole healthy trainings raise nothing."""
    gs.manual_seed(0)
    scores = gs.randn(2, 3, 3, requires_grad=True)
    mask = gs.tensor(np.triu(np.ones((3, 3), dtype=bool), 1))
    with detect_anomaly():
        scores.masked_fill(mask, -math.inf).softmax(-1).sum().backward()
        added = gs.tensor(np.where(mask.numpy(), -np.inf, 0.0).astype(np.float32))
        (scores + added).softmax(-1).sum().backward()
        filled = scores * 1.0
        filled[0, 0, 0] = -math.inf
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2))
        model(gs.randn(2, 1, 6, 6)).sum().backward()


def test_switch() -> None:
    zero = gs.zeros(1)
    setting = set_detect_anomaly(True)
    try:
        with pytest.raises(AnomalyError):
            zero.log()
        with set_detect_anomaly(False):
            zero.log()
        with pytest.raises(AnomalyError):
            zero.log()
    finally:
        setting.__exit__()
    zero.log()
    x = gs.zeros(1, requires_grad=True)
    y = x.sqrt().sum()
    with detect_anomaly(), pytest.raises(AnomalyError, match="while detect_anomaly was off"):
        y.backward()


def test_second_derivatives() -> None:
    x = gs.tensor([4.0], requires_grad=True)
    with detect_anomaly():
        (slope,) = gs.autograd.grad(x.sqrt().sum(), x, create_graph=True)
        slope.backward()
    assert x.grad.item() == pytest.approx(-1 / 32)
