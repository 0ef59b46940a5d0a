# SPDX-License-Identifier: Apache-2.0
"""YOLO v2 finds shapes in scenes: one pass of one network gives all boxes.

Each cell of a grid predicts a box per anchor, ``centre = cell + sigmoid(x, y)``, ``size = anchor *
exp(w, h)``, how sure it is, and a class (Redmon and Farhadi, 2017). Anchors come from k-means of
the training boxes by overlap. The size of the input changes from batch to batch, which a network of
convolutions allows, and which teaches it one object at several scales; the last third of training
keeps to the size of the test, so that batch norm's averages fit it.
"""

from __future__ import annotations

import numpy as np

from gradsmith import viz
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.data.transforms import Resize
from gradsmith.models import YOLOv2
from gradsmith.nn import YOLOLoss
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.batches import Batch, fit_batches
from gradsmith.recipes.detection.boxes import (
    anchors_of,
    centred_iou,
    chosen,
    precision_of,
    tell_detector,
)
from gradsmith.recipes.run import Run
from gradsmith.recipes.shapes import KINDS, Scenes, scenes
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import new_axes

BATCH = 8


def main(run: Run) -> None:
    """Find anchors, train, and measure."""
    side = run.choose(full=128, quick=64)
    counts = run.choose(full=(800, 150), quick=(200, 40))
    most, smallest = run.choose(full=(3, 0.15), quick=(1, 0.4))
    training, testing = (
        scenes(n, side, 1000 * run.seed + k, most=most, smallest=smallest, largest=0.6)
        for k, n in enumerate(counts)
    )
    anchors = find_anchors(run, training)
    model = YOLOv2(len(KINDS), len(anchors), divide=8).to(run.device)
    fit(run, model, training, YOLOLoss(anchors))
    for other in run.choose(full=(96, 160), quick=()):
        found = detected(run, model, testing, anchors, other)
        run.figure(f"mAP@0.5 at {other} pixels", precision_of(found, testing))
    found = detected(run, model, testing, anchors, side)
    tell_detector(run, found, testing, at_least=0.85, quick=0.1)
    run.picture("curves", viz.plot_history(run.history), "Loss by epoch.")
    run.model(model, (1, 3, side, side))


def find_anchors(run: Run, training: Scenes) -> Array:
    """Return five anchors, tell how well they fit, and draw them among the boxes."""
    sizes = np.concatenate(training.objects)[:, 3:]
    anchors = anchors_of(sizes, 5, run.seed)
    overlap = centred_iou(sizes, anchors).max(1).mean()
    run.figure("mean overlap of boxes with the best anchor", overlap, at_least=0.7)
    ax = new_axes()
    ax.scatter(*sizes.T, s=4, alpha=0.5, label="boxes")
    ax.scatter(*anchors.T, marker="x", color="black", label="anchors")
    ax.set_xlabel("width")
    ax.set_ylabel("height")
    ax.legend()
    run.picture("anchors", ax.figure, "Sizes of the boxes, and the anchors that k-means found.")
    return anchors


def fit(run: Run, model: YOLOv2, training: Scenes, loss_of: YOLOLoss) -> None:
    """Train, two thirds of the time with a new size of the input for each batch."""
    side = training.images.shape[-1]
    sides = run.choose(full=(side - 32, side, side + 32), quick=(side,))
    epochs = run.epochs(full=36, quick=10)

    def loss(batch: Batch) -> Tensor:
        mixed = len(run.history.get("loss", ())) < epochs * 2 // 3
        wanted = int(batch.rng.choice(sides)) if mixed else side
        predicted = model(_inputs(run, training.images[batch.samples], wanted))
        total: Tensor = loss_of(predicted, [training.objects[each] for each in batch.samples])
        return total

    rate = run.choose(full=2e-3, quick=5e-3)
    fit_batches(run, model, len(training), loss, epochs=epochs, batch_size=BATCH, rate=rate)


def detected(
    run: Run, model: YOLOv2, testing: Scenes, anchors: Array, side: int
) -> list[dict[str, Array]]:
    """Return what the model finds in each image, given to it at a size; corners in pixels."""
    found = []
    own = testing.images.shape[-1]
    model.eval()
    for begin in range(0, len(testing), BATCH):
        with no_grad():
            inputs = _inputs(run, testing.images[begin : begin + BATCH], side)
            parts = F.yolo_boxes(model(inputs), anchors)
        boxes, sure, classes = (each.cpu().numpy() for each in parts)
        found += [
            chosen(corners * own, points[:, None] * shares, own)
            for corners, points, shares in zip(boxes, sure, classes, strict=True)
        ]
    return found


def _inputs(run: Run, images: Array, side: int) -> Tensor:
    """Return images at a size."""
    return from_numpy(Resize(side, antialias=False)(images)).to(run.device)
