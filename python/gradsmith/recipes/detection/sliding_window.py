# SPDX-License-Identifier: Apache-2.0
"""A classifier of digits, slid over a page, finds the digits on it.

A network of convolutions only gives for a window one vector of scores, and for a page a map of
them, ``scores[i, j] = f(page[i : i + 28, j : j + 28])``: all windows at once, each overlap computed
once (Sermanet et al., "OverFeat", 2014). An eleventh class stands for everything that is no centred
digit. Windows sure of a digit become boxes; non-maximum suppression keeps the best of each heap.
"""

from __future__ import annotations

import numpy as np

from gradsmith import metrics, nn, viz
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.data import TensorDataset, datasets
from gradsmith.images import nms
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.convolution.classify import accuracy, fit_classifier
from gradsmith.recipes.detection.boxes import draw_found
from gradsmith.recipes.digits_lenet import enlarged
from gradsmith.recipes.run import Run

WINDOW, STRIDE, PAGE = 16, 4, 64
NOTHING, LEAST = 10, 0.3


def network() -> nn.Sequential:
    """Return convolutions only: (N, 1, H, W) -> scores (N, 11, (H - 16) / 4 + 1, ...)."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 16), (16, 32)):
        # No padding: a window's scores must not depend on whether it lies on a page.
        layers += [nn.Conv2d(inputs, outputs, 3), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if inputs == 1 else []
    layers += [nn.Conv2d(32, 32, 2, stride=2), nn.BatchNorm2d(32), nn.ReLU()]
    layers += [nn.Conv2d(32, 64, 2), nn.ReLU(), nn.Conv2d(64, NOTHING + 1, 1)]
    return nn.Sequential(*layers)


def page(rng: np.random.Generator, digits: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Return a page (1, 64, 64) with three to six digits, their corners (n, 4) and classes."""
    sheet = np.abs(0.1 * rng.standard_normal((1, PAGE, PAGE))).astype(np.float32)
    boxes: list[list[int]] = []
    classes = []
    for _ in range(rng.integers(3, 7)):
        left, top = rng.integers(0, PAGE - WINDOW + 1, 2)
        if any(abs(left - x) < WINDOW and abs(top - y) < WINDOW for x, y, _, _ in boxes):
            continue
        number = rng.integers(len(digits))
        sheet[:, top : top + WINDOW, left : left + WINDOW] += digits[number]
        boxes.append([left, top, left + WINDOW, top + WINDOW])
        classes.append(labels[number])
    return np.minimum(sheet, 1), np.array(boxes, np.float32), np.array(classes)


def windows(rng: np.random.Generator, digits: Array, labels: Array, pages: int) -> TensorDataset:
    """Return windows (1, 16, 16) of pages: around each digit, moved by up to 2, and elsewhere."""
    cut, classes = [], []
    for _ in range(pages):
        sheet, boxes, inside = page(rng, digits, labels)
        for (left, top, _, _), label in zip(boxes.astype(int), inside, strict=True):
            near = np.clip(np.array([left, top]) + rng.integers(-2, 3, 2), 0, PAGE - WINDOW)
            for x, y in (near, *rng.integers(0, PAGE - WINDOW + 1, (2, 2))):
                far = abs(boxes[:, :2] - (x, y)).max(1) > WINDOW // 4
                if not far.all() and (x, y) != tuple(near):
                    continue
                cut.append(sheet[:, y : y + WINDOW, x : x + WINDOW])
                classes.append(NOTHING if far.all() else label)
    return TensorDataset(np.stack(cut), np.array(classes, np.int64))


def found_on(scores: Array) -> dict[str, Array]:
    """Return the boxes, scores and labels that a page's map of probabilities (11, h, w) tells."""
    rows, columns = np.indices(scores.shape[1:]) * STRIDE
    corners = np.stack((columns, rows, columns + WINDOW, rows + WINDOW), -1)
    boxes, points = corners.reshape(-1, 4).astype(np.float32), scores.reshape(len(scores), -1).T
    labels = points[:, :NOTHING].argmax(1)
    sure = points.max(1)
    # Digits do not overlap: of two windows on one heap the better stays, whatever their classes.
    likely = np.flatnonzero((points.argmax(1) != NOTHING) & (sure > LEAST))
    kept = likely[nms(boxes[likely], sure[likely], 0.2)]
    return {"boxes": boxes[kept], "scores": sure[kept], "labels": labels[kept]}


def main(run: Run) -> None:
    """Train on windows, then search pages."""
    rng = np.random.default_rng(run.seed)
    training, testing = (
        enlarged(datasets.digits(split), size=WINDOW - 2, border=1) for split in ("train", "test")
    )
    counts = run.choose(full=(1500, 150), quick=(250, 40))
    cut = windows(rng, training.data, training.targets, counts[0])
    unseen = windows(rng, testing.data, testing.targets, counts[1])
    model = network().to(run.device)
    squeezed = nn.Sequential(model, nn.Flatten())
    fit_classifier(run, squeezed, cut, epochs=run.epochs(full=12, quick=3), rate=4e-3)
    share = accuracy(squeezed, unseen)
    run.figure("accuracy on single windows", share, at_least=0.93, quick=0.75)
    pages = [page(rng, testing.data, testing.targets) for _ in range(counts[1])]
    sheets = np.stack([sheet for sheet, _, _ in pages])
    model.eval()
    with no_grad():
        maps = model(from_numpy(sheets).to(run.device)).softmax(1).cpu().numpy()
    found = [found_on(each) for each in maps]
    true = [{"boxes": boxes, "labels": labels} for _, boxes, labels in pages]
    precision = metrics.mean_average_precision(found, true)
    run.figure("mAP@0.5", precision, at_least=0.85, quick=0.4)
    names = [str(digit) for digit in range(10)]
    run.picture("pages", draw_found(sheets, found, names), "Pages with the digits found on them.")
    picture = viz.image_grid(maps[0][:, None])
    run.picture("maps", picture, "Probabilities of 0 to 9 and of nothing, window by window.")
    run.picture("curves", viz.plot_history(run.history), "Loss and accuracy by epoch.")
    run.model(squeezed, (1, 1, WINDOW, WINDOW))
