# SPDX-License-Identifier: Apache-2.0
"""Fast R-CNN classifies proposals and corrects their boxes, with one pass over the image.

Maps of the whole image are made once; each proposal is cut out of them by RoI align, classified or
refused as background, and moved onto its object by ``x' = x + w t_x``, ``w' = w exp(t_w)``
(Girshick, 2015). Proposals here are windows of several sizes on a grid, a stand-in for selective
search or the proposal network of Faster R-CNN.
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn, viz
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.models import FastRCNN, decode_boxes, default_boxes
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.batches import Batch, fit_batches
from gradsmith.recipes.detection.boxes import chosen, tell_detector
from gradsmith.recipes.detection.ssd import corners_of, matched
from gradsmith.recipes.run import Run
from gradsmith.recipes.shapes import KINDS, Scenes, scenes
from gradsmith.tensor import Tensor

SIDE, STRIDE, IMAGES = 64, 4, 4
PER_IMAGE, OBJECTS = 32, 16  # proposals per image in training, of which at most that many objects


def body() -> nn.Sequential:
    """Return a small body: (N, 3, H, W) -> (N, 64, H / 4, W / 4)."""
    layers: list[nn.Module] = []
    for inputs, outputs, pooled in ((3, 16, True), (16, 32, True), (32, 64, False)):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pooled else []
    return nn.Sequential(*layers)


def main(run: Run) -> None:
    """Propose, train, and measure."""
    counts = run.choose(full=(600, 120), quick=(200, 30))
    most, smallest = run.choose(full=(2, 0.2), quick=(1, 0.35))
    training, testing = (
        scenes(n, SIDE, 1000 * run.seed + k, most=most, smallest=smallest, largest=0.6)
        for k, n in enumerate(counts)
    )
    proposals = default_boxes((8, 6, 4), (0.25, 0.4, 0.6))
    model = FastRCNN(body(), 64, len(KINDS), stride=STRIDE).to(run.device)
    _fit(run, model, training, proposals)
    found = detected(run, model, testing, proposals)
    tell_detector(run, found, testing, at_least=0.8, quick=0.6)
    run.picture("curves", viz.plot_history(run.history), "Loss by epoch.")
    run.model(model)


def _table(proposals: Array, images: int) -> Array:
    """Return rows (K, 5): the image and corners in pixels, the same proposals for each image."""
    corners = np.clip(corners_of(proposals), 0, 1) * SIDE
    numbers = np.repeat(np.arange(images), len(corners))[:, None]
    return np.concatenate((numbers, np.tile(corners, (images, 1))), 1)


def _fit(run: Run, model: FastRCNN, training: Scenes, proposals: Array) -> None:
    matches = [matched(objects, proposals) for objects in training.objects]

    def loss(batch: Batch) -> Tensor:
        some = [matches[each] for each in batch.samples]
        rows, labels, offsets = _sampled(batch.rng, some, proposals)
        scores, moves = model(from_numpy(training.images[batch.samples]).to(run.device), rows)
        objects = np.flatnonzero(labels)
        wanted = from_numpy(offsets[objects]).to(run.device)
        # Each class has its own offsets; only those of the true class are trained.
        given = moves.reshape(len(rows), len(KINDS), 4)[objects, labels[objects] - 1]
        moved = F.smooth_l1_loss(given, wanted, reduction="sum") / len(rows)
        return F.cross_entropy(scores, from_numpy(labels).to(run.device)) + moved

    epochs = run.epochs(full=14, quick=4)
    fit_batches(run, model, len(training), loss, epochs=epochs, batch_size=IMAGES, rate=3e-3)


def _sampled(
    rng: np.random.Generator, matches: list[tuple[Array, Array]], proposals: Array
) -> tuple[Array, Array, Array]:
    """Return some proposals of each image (K, 5), their classes (K) and offsets (K, 4)."""
    kept = []
    for number, (labels, _) in enumerate(matches):
        objects = rng.permutation(np.flatnonzero(labels))[:OBJECTS]
        others = rng.permutation(np.flatnonzero(labels == 0))[: PER_IMAGE - len(objects)]
        kept.append(number * len(proposals) + np.concatenate((objects, others)))
    rows = np.concatenate(kept)
    labels, offsets = (np.concatenate(each)[rows] for each in zip(*matches, strict=True))
    return _table(proposals, len(matches))[rows], labels, offsets


def detected(
    run: Run, model: FastRCNN, testing: Scenes, proposals: Array
) -> list[dict[str, Array]]:
    """Return what the model finds in each image, corners in pixels."""
    found = []
    model.eval()
    for image in testing.images:
        with no_grad():
            one = from_numpy(image[None]).to(run.device)
            scores, moves = model(one, _table(proposals, 1))
        shares = scores.softmax(1).cpu().numpy()[:, 1:]
        offsets = moves.cpu().numpy().reshape(len(proposals), len(KINDS), 4)
        boxes = decode_boxes(offsets.swapaxes(0, 1), proposals).swapaxes(0, 1) * SIDE
        found.append(chosen(boxes, shares, SIDE))
    return found
