# SPDX-License-Identifier: Apache-2.0
"""SSD finds shapes in scenes: default boxes on maps of three scales.

A default box that overlaps an object by half, or best of all, has to name its class and move onto
it; all others are background, of which only the three hardest per object count, since there are so
many (Liu et al., 2016). The loss is ``(cross-entropy + smooth L1 of the offsets) / objects``.
"""

from __future__ import annotations

import numpy as np

from gradsmith import viz
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.metrics import box_iou
from gradsmith.models import SSD, decode_boxes, default_boxes, encode_boxes
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.batches import Batch, fit_batches
from gradsmith.recipes.detection.boxes import chosen, tell_detector
from gradsmith.recipes.run import Run
from gradsmith.recipes.shapes import KINDS, Scenes, scenes
from gradsmith.tensor import Tensor

SIDE, BATCH = 64, 16
GRIDS, SCALES = (8, 4, 2), (0.25, 0.4, 0.6)
HARD = 3  # negatives per positive
MATCH = 0.5


def main(run: Run) -> None:
    """Match, train, and measure."""
    counts = run.choose(full=(800, 150), quick=(240, 40))
    most, smallest = run.choose(full=(2, 0.2), quick=(1, 0.35))
    training, testing = (
        scenes(n, SIDE, 1000 * run.seed + k, most=most, smallest=smallest, largest=0.6)
        for k, n in enumerate(counts)
    )
    defaults = default_boxes(GRIDS, SCALES)
    model = SSD(len(KINDS)).to(run.device)
    matches = [matched(objects, defaults) for objects in training.objects]
    used = np.mean([(labels > 0).sum() for labels, _ in matches])
    run.figure("default boxes with an object, per image", used)
    _fit(run, model, training, matches)
    found = detected(run, model, testing, defaults)
    tell_detector(run, found, testing, at_least=0.75, quick=0.4, drawn=0.25)
    run.picture("curves", viz.plot_history(run.history), "Loss by epoch.")
    run.model(model, (1, 3, SIDE, SIDE))


def corners_of(boxes: Array) -> Array:
    """Return corners (n, 4) for centres and sizes (n, 4)."""
    return np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), 1)


def matched(objects: Array, defaults: Array) -> tuple[Array, Array]:
    """Return for each default box its class (B), 0 for background, and its offsets (B, 4)."""
    both = (corners_of(each).astype(np.float32) for each in (objects[:, 1:], defaults))
    overlaps = box_iou(*(from_numpy(each) for each in both)).numpy()
    nearest = overlaps.argmax(0)
    best = overlaps.max(0)
    # Every object has the default box that fits it best, however badly.
    own = overlaps.argmax(1)
    nearest[own], best[own] = np.arange(len(objects)), 1.0
    labels = np.where(best >= MATCH, objects[nearest, 0].astype(np.int64) + 1, 0)
    offsets = encode_boxes(objects[nearest, 1:], defaults)
    return labels, offsets.astype(np.float32)


def multibox_loss(scores: Tensor, offsets: Tensor, labels: Tensor, wanted: Tensor) -> Tensor:
    """Return the loss of a batch of scores (N, B, 1 + C) and offsets (N, B, 4)."""
    positive = labels.gt(0)
    count = max(int(positive.sum().item()), 1)
    errors = F.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="none")
    negative = errors.detach() * labels.flatten().eq(0).to(errors.dtype)
    least = negative.sort(descending=True)[0][min(HARD * count, negative.numel()) - 1]
    counted = positive.flatten().logical_or(negative.ge(least).logical_and(negative.gt(0)))
    moved = F.smooth_l1_loss(offsets[positive], wanted[positive], reduction="sum")
    return (errors[counted].sum() + moved) / count


def _fit(run: Run, model: SSD, training: Scenes, matches: list[tuple[Array, Array]]) -> None:
    images, labels, offsets = (
        from_numpy(each).to(run.device)
        for each in (training.images, *(np.stack(each) for each in zip(*matches, strict=True)))
    )

    def loss(batch: Batch) -> Tensor:
        some = batch.samples
        scores, moves = model(images[some])
        return multibox_loss(scores, moves, labels[some], offsets[some])

    epochs = run.epochs(full=30, quick=8)
    fit_batches(run, model, len(training), loss, epochs=epochs, batch_size=BATCH, rate=4e-3)


def detected(run: Run, model: SSD, testing: Scenes, defaults: Array) -> list[dict[str, Array]]:
    """Return what the model finds in each image, corners in pixels."""
    model.eval()
    with no_grad():
        scores, offsets = model(from_numpy(testing.images).to(run.device))
    shares = scores.softmax(-1).cpu().numpy()[..., 1:]
    boxes = decode_boxes(offsets.cpu().numpy(), defaults) * SIDE
    return [chosen(*each, SIDE) for each in zip(boxes, shares, strict=True)]
