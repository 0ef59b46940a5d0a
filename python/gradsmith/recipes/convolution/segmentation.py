# SPDX-License-Identifier: Apache-2.0
"""What the painters of pixels share: scenes as a data set, training, and judging by overlap."""

from __future__ import annotations

import numpy as np

from gradsmith import metrics, viz
from gradsmith.data import TensorDataset
from gradsmith.nn import Module
from gradsmith.recipes.convolution.classify import fit_classifier, judged
from gradsmith.recipes.run import Run
from gradsmith.recipes.shapes import KINDS, scenes

SIDE = 32
CLASSES = len(KINDS) + 1


def shape_masks(run: Run, full: int = 600) -> tuple[TensorDataset, TensorDataset]:
    """Return images (3, S, S) with classes per pixel (S, S), for training and for testing."""
    counts = run.choose(full=(full, 150), quick=(240, 50))
    made = [
        scenes(count, SIDE, 1000 * run.seed + k, most=2, smallest=0.3, largest=0.6)
        for k, count in enumerate(counts)
    ]
    training, testing = (TensorDataset(each.images, each.masks) for each in made)
    return training, testing


def paint(run: Run, model: Module, *, epochs: int, at_least: float, quick: float) -> None:
    """Train a model of scores (N, 4, S, S), tell its overlap, and show what it paints."""
    training, testing = shape_masks(run)
    fit_classifier(run, model, training, epochs=epochs, rate=4e-3, batch_size=8, measures=("iou",))
    scores, masks = judged(model, testing)
    run.figure("mean IoU", metrics.iou(scores, masks), at_least=at_least, quick=quick)
    run.figure("pixel accuracy", metrics.pixel_accuracy(scores, masks))
    each = metrics.iou(scores, masks, average=None)
    rows = [[name, float(value)] for name, value in zip(("background", *KINDS), each, strict=True)]
    run.table("Overlap by class", ["class", "IoU"], rows)
    run.picture("curves", viz.plot_history(run.history), "Loss and overlap by epoch.")
    images = testing.tensors[0].numpy()[:8]
    painted = [shown(each) for each in (masks.numpy()[:8], scores.numpy()[:8].argmax(1))]
    rows = viz.reconstruction_rows(images, *painted, titles=["scene", "true", "painted"])
    run.picture("masks", rows, "Unseen scenes, their classes and what the network paints.")
    run.model(model, (1, 3, SIDE, SIDE))


def shown(classes: np.ndarray) -> np.ndarray:
    """Return classes (N, H, W) as colours (N, 3, H, W): black, red, green, blue."""
    return np.stack([classes == kind for kind in (1, 2, 3)], 1).astype(np.float32)
