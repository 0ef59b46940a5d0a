# SPDX-License-Identifier: Apache-2.0
"""LeNet-5 as published learns scanned digits.

F6 learns to draw each digit as a picture of 12 x 7 pixels; the output measures how far it is from
ten fixed drawings, ``d_k = |F6 - drawing_k|^2``, and the loss pulls it to the right one and off the
others (LeCun, Bottou, Bengio, Haffner, 1998, eq. 9). Backgrounds are -0.1 and ink 1.175, so that
images have about mean 0 and variance 1.
"""

from __future__ import annotations

import numpy as np

from gradsmith import metrics, models, nn, viz
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.data.transforms import RandomShift
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.convolution.classify import digits, fit_classifier, judged
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import MNIST, digit_images
from gradsmith.tensor import Tensor

STANDARD = MNIST
PAPER, INK = -0.1, 1.175
_MOVE = RandomShift(2)


def shaded(images: Array) -> Array:
    """Return images of [0, 1] in the paper's greys."""
    greys: Array = np.float32(PAPER) + np.float32(INK - PAPER) * images
    return greys


def accuracy(distances: Tensor, labels: Tensor) -> float:
    """Return how often the nearest drawing is the right one."""
    return metrics.accuracy(-distances, labels)


def main(run: Run) -> None:
    """Train and measure."""
    training, testing = digits(28, border=2, splits=digit_images(run))
    training.transform = lambda image: shaded(_MOVE(image))
    testing.data = shaded(testing.data)
    model = models.lenet5_1998().to(run.device)
    epochs = run.epochs(full=20, quick=3)
    loss = nn.RBFDistanceLoss()
    fit_classifier(
        run, model, training, epochs=epochs, batch_size=16, loss=loss, measures=[accuracy]
    )
    distances, labels = judged(model, testing)
    run.figure("test accuracy", accuracy(distances, labels), at_least=0.97, quick=0.75)
    run.confusion(metrics.confusion_matrix(-distances, labels, 10))
    run.picture("curves", viz.plot_history(run.history), "Loss and accuracy by epoch.")
    firsts = [int(np.flatnonzero(testing.targets == digit)[0]) for digit in range(10)]
    scans = testing.data[firsts]
    with no_grad():
        drawn = model.drawings(from_numpy(scans).to(run.device)).cpu().numpy()
    pictures = [each.reshape(10, 1, 12, 7) for each in (drawn, models.digit_codes())]
    rows = viz.reconstruction_rows(scans, *pictures, titles=["scan", "F6", "wanted"])
    run.picture("drawings", rows, "Unseen scans, what F6 draws for them, and what it should draw.")
    run.model(model, (1, 1, 32, 32))
