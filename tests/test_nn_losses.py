# SPDX-License-Identifier: Apache-2.0
"""Loss modules: options they refuse, state they keep, what the perceptual loss looks at."""

from __future__ import annotations

from typing import Any

import pytest

import gradsmith as gs
from gradsmith import nn
from tests.nn_losses import FEATURES, IMAGES, SHARES

REFUSED: list[tuple[Any, type[Exception], str]] = [
    (lambda: nn.LogCoshLoss("avg"), ValueError, "LogCoshLoss: reduction is 'avg'"),
    (lambda: nn.PseudoHuberLoss(delta=0), ValueError, "PseudoHuberLoss: delta is 0"),
    (lambda: nn.GaussianNLLLoss(eps=0), ValueError, "GaussianNLLLoss: eps is 0"),
    (lambda: nn.MultiMarginLoss(p=3), ValueError, "MultiMarginLoss: p is 3, expected 1 or 2"),
    (lambda: nn.MultiMarginLoss(margin="1"), TypeError, "MultiMarginLoss: margin is a str"),
    (lambda: nn.MarginRankingLoss(None), TypeError, "MarginRankingLoss: margin is a NoneType"),
    (lambda: nn.HingeEmbeddingLoss(True), TypeError, "HingeEmbeddingLoss: margin is a bool"),
    (lambda: nn.ContrastiveLoss(-1), ValueError, "ContrastiveLoss: margin is -1"),
    (lambda: nn.TripletMarginLoss(0), ValueError, "TripletMarginLoss: margin is 0"),
    (
        lambda: nn.TripletMarginWithDistanceLoss(margin=0),
        ValueError,
        "TripletMarginWithDistanceLoss: margin is 0",
    ),
    (lambda: nn.RBFDistanceLoss(0), ValueError, "RBFDistanceLoss: offset is 0"),
    (lambda: nn.FocalLoss(gamma=-1), ValueError, "FocalLoss: gamma is -1, expected at least 0"),
    (lambda: nn.DiceLoss(0), ValueError, "DiceLoss: smooth is 0"),
    (lambda: nn.JaccardLoss(reduction=1), TypeError, "JaccardLoss: reduction is a int"),
    (
        lambda: nn.PerceptualLoss(FEATURES, ["0", "7"]),
        ValueError,
        "PerceptualLoss: features have no module '7'",
    ),
    (
        lambda: nn.PerceptualLoss(FEATURES, ["0"], [1.0, 2.0]),
        ValueError,
        "got 1 layers and 2 weights",
    ),
    (lambda: nn.PerceptualLoss(FEATURES, []), ValueError, "got 0 layers and 0 weights"),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED)
def test_refused_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_weights_are_state() -> None:
    for kind in (nn.MultiMarginLoss, nn.MultiLabelSoftMarginLoss):
        assert list(kind(weight=gs.ones(3)).state_dict()) == ["weight"]
    focal = nn.FocalLoss(gs.ones(3))
    assert list(focal.state_dict()) == ["alpha"]
    assert focal.double().alpha.dtype == gs.float64
    assert list(nn.FocalLoss(0.25).state_dict()) == []


def test_a_distance_module_is_a_part_of_the_triplet_loss() -> None:
    class Distance(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(gs.tensor(2.0))

        def forward(self, a: gs.Tensor, b: gs.Tensor) -> gs.Tensor:
            return (a - b).abs().sum(1) * self.scale

    loss = nn.TripletMarginWithDistanceLoss(distance_function=Distance())
    assert list(loss.state_dict()) == ["distance_function.scale"]
    loss(gs.zeros(1, 2), gs.ones(1, 2), gs.ones(1, 2)).backward()
    assert loss.distance_function.scale.grad.item() == 0
    assert loss(gs.zeros(1, 2), gs.ones(1, 2), gs.zeros(1, 2)).item() == 1 + 4


def test_perceptual_loss_sees_several_layers_and_leaves_no_hook() -> None:
    loss = nn.PerceptualLoss(FEATURES, ["1", "0"], [3.0, 0.5])
    image, target = (x.detach().clone().requires_grad_() for x in (IMAGES, SHARES))
    y = loss(image, target)
    y.backward()
    assert image.grad is not None
    assert target.grad is None
    first = [FEATURES[0](x) for x in (IMAGES, SHARES)]
    second = [x.tanh() for x in first]
    expected = nn.functional.mse_loss(*second) * 3 + nn.functional.mse_loss(*first) * 0.5
    assert y.item() == pytest.approx(expected.item(), rel=1e-5)
    assert not any(module._forward_hooks for module in FEATURES.modules())
    with pytest.raises(ValueError, match=r"perceptual_loss: input has shape .* and target"):
        loss(IMAGES, SHARES[:1])
