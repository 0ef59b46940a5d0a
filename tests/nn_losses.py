# SPDX-License-Identifier: Apache-2.0
"""A row per loss module beside those of test_nn_modules: the module, its inputs, the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import nn


def _normal(*shape: int, seed: int = 0) -> gs.Tensor:
    return gs.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


X, Y, Z = _normal(4, 6), _normal(4, 6, seed=1), _normal(4, 6, seed=2)
SIGNS, CLASSES, ZEROS = Z.sign(), gs.tensor([0, 5, 1, 2]), gs.zeros(4, 6)
PAIRS = gs.tensor([1, -1, -1, 1])
LISTED = gs.tensor([[0, 3, -1, 0, 0, 0]] * 4)
IMAGES, SHARES = _normal(2, 3, 4, 4), _normal(2, 3, 4, 4, seed=3).sigmoid()
MAP = gs.tensor(np.arange(32).reshape(2, 4, 4) % 3)
LOG_PROBS = F.log_softmax(_normal(5, 2, 4), 2)
CTC = (LOG_PROBS, gs.tensor([[1, 2], [3, 3]]), gs.tensor([5, 4]), gs.tensor([2, 1]))
ANCHORS = [[0.3, 0.3], [0.5, 0.2]]
OBJECTS = [[[1.0, 0.4, 0.6, 0.3, 0.2]], []]
FEATURES = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 2, 2))


SAME: dict[str, tuple[nn.Module, tuple[Any, ...], Callable[[Any], Any]]] = {
    "SumSquaredError": (nn.SumSquaredError(), (X, Y), lambda m: (X - Y).square().sum()),
    "HalfSumSquaredError": (
        nn.HalfSumSquaredError(),
        (X, Y),
        lambda m: (X - Y).square().sum() / 2,
    ),
    "PseudoHuberLoss": (
        nn.PseudoHuberLoss("sum", 2.0),
        (X, Y),
        lambda m: ((((X - Y) / 2).square() + 1).sqrt() - 1).sum() * 4,
    ),
    "LogCoshLoss": (nn.LogCoshLoss(), (X, Y), lambda m: (X - Y).cosh().log().mean()),
    "PoissonNLLLoss": (
        nn.PoissonNLLLoss(False, eps=0.5),
        (X.abs(), Y.abs()),
        lambda m: (X.abs() - Y.abs() * (X.abs() + 0.5).log()).mean(),
    ),
    "GaussianNLLLoss": (
        nn.GaussianNLLLoss(reduction="none"),
        (X, Y, Z.exp()),
        lambda m: (Z + (X - Y).square() / Z.exp()) / 2,
    ),
    "HingeLoss": (nn.HingeLoss(), (X, SIGNS), lambda m: F.relu(1 - X * SIGNS).mean()),
    "SquaredHingeLoss": (
        nn.SquaredHingeLoss("sum"),
        (X, SIGNS),
        lambda m: F.relu(1 - X * SIGNS).square().sum(),
    ),
    "SoftMarginLoss": (
        nn.SoftMarginLoss("none"),
        (X, SIGNS),
        lambda m: F.softplus(-X * SIGNS),
    ),
    "MultiMarginLoss": (
        nn.MultiMarginLoss(2, 0.5, gs.tensor([2.0] * 6)),
        (X, CLASSES),
        lambda m: F.multi_margin_loss(X, CLASSES, 2, 0.5) * 2,
    ),
    "MultiLabelMarginLoss": (
        nn.MultiLabelMarginLoss("none"),
        (X, LISTED),
        lambda m: F.multilabel_margin_loss(X, LISTED, "none"),
    ),
    "MultiLabelSoftMarginLoss": (
        nn.MultiLabelSoftMarginLoss(gs.tensor([3.0] * 6)),
        (X, ZEROS),
        lambda m: F.softplus(X).mean() * 3,
    ),
    "MarginRankingLoss": (
        nn.MarginRankingLoss(0.2),
        (X, Y, SIGNS),
        lambda m: F.relu(0.2 - SIGNS * (X - Y)).mean(),
    ),
    "HingeEmbeddingLoss": (
        nn.HingeEmbeddingLoss(0.3, "sum"),
        (X, SIGNS),
        lambda m: F.hinge_embedding_loss(X, SIGNS, 0.3, "sum"),
    ),
    "CosineEmbeddingLoss": (
        nn.CosineEmbeddingLoss(0.1),
        (X, Y, PAIRS),
        lambda m: F.cosine_embedding_loss(X, Y, PAIRS, 0.1),
    ),
    "ContrastiveLoss": (
        nn.ContrastiveLoss(4.0),
        (X, Y, PAIRS.clamp(min=0)),
        lambda m: F.contrastive_loss(X, Y, PAIRS.clamp(min=0), 4.0),
    ),
    "TripletMarginLoss": (
        nn.TripletMarginLoss(3.0, 1.0, swap=True),
        (X, Y, Z),
        lambda m: F.triplet_margin_loss(X, Y, Z, 3.0, 1.0, swap=True),
    ),
    "TripletMarginWithDistanceLoss": (
        nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().sum(1)),
        (X, Y, Z),
        lambda m: F.triplet_margin_loss(X, Y, Z, p=1.0, eps=0.0),
    ),
    "RBFDistanceLoss": (
        nn.RBFDistanceLoss(0.5),
        (X.abs(), CLASSES),
        lambda m: F.rbf_distance_loss(X.abs(), CLASSES, 0.5),
    ),
    "CTCLoss": (nn.CTCLoss(0, "sum"), CTC, lambda m: F.ctc_loss(*CTC, 0, "sum")),
    "FocalLoss": (
        nn.FocalLoss(gs.tensor([0.5] * 6), 1.5),
        (X, CLASSES),
        lambda m: F.focal_loss(X, CLASSES, gamma=1.5) / 2,
    ),
    "FocalLoss binary": (
        nn.FocalLoss(0.25),
        (X, ZEROS),
        lambda m: F.focal_loss(X, ZEROS) * 0.75,
    ),
    "DiceLoss": (
        nn.DiceLoss(0.5, "none"),
        (SHARES, MAP),
        lambda m: F.dice_loss(SHARES, MAP, 0.5, "none"),
    ),
    "JaccardLoss": (nn.JaccardLoss(2.0), (SHARES, MAP), lambda m: F.jaccard_loss(SHARES, MAP, 2)),
    "YOLOLoss": (
        nn.YOLOLoss(ANCHORS, 2.0, 1.0, 0.5, 3.0, 0.4),
        (_normal(2, 14, 3, 3), OBJECTS),
        lambda m: F.yolo_loss(_normal(2, 14, 3, 3), OBJECTS, ANCHORS, 2.0, 1.0, 0.5, 3.0, 0.4),
    ),
    "TotalVariationLoss": (
        nn.TotalVariationLoss(False, "none"),
        (IMAGES,),
        lambda m: F.total_variation_loss(IMAGES, False, "none"),
    ),
    "PerceptualLoss": (
        nn.PerceptualLoss(FEATURES, ["0"], [2.0], style=True),
        (IMAGES, SHARES),
        lambda m: F.mse_loss(*(F.gram_matrix(FEATURES[0](x)) for x in (IMAGES, SHARES))) * 2.0,
    ),
}
