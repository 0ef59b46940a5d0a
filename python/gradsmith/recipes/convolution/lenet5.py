# SPDX-License-Identifier: Apache-2.0
"""LeNet-5 in today's form learns scanned digits.

Two convolutions, ``y = relu(w * x + b)``, each followed by pooling, find strokes and how they lie
together; three dense layers name the digit (LeCun, Bottou, Bengio, Haffner, 1998, with today's
activations and loss). Trained by AdamW with a learning rate that falls along a cosine, on digits
moved by up to 2 pixels.
"""

from __future__ import annotations

from gradsmith import models, viz
from gradsmith.recipes.convolution.classify import digits, fit_classifier, tell_classifier
from gradsmith.recipes.digits_lenet import BATCH_SIZE, LEARNING_RATE, SHIFT
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import MNIST, digit_images

STANDARD = MNIST


def main(run: Run) -> None:
    """Train and measure."""
    training, testing = digits(28, border=2, shift=SHIFT, splits=digit_images(run))
    model = models.lenet5().to(run.device)
    epochs = run.epochs(full=18, quick=3)
    fit_classifier(run, model, training, epochs=epochs, rate=LEARNING_RATE, batch_size=BATCH_SIZE)
    tell_classifier(run, model, testing, at_least=0.98, quick=0.9)
    kernels = viz.plot_filters(model.features[0].weight)
    run.picture("filters", kernels, "Kernels of the first layer.")
    first = testing[0][0].unsqueeze(0).to(run.device)
    maps = viz.plot_feature_maps(model, first, "features.3")
    run.picture("maps", maps, "What the second convolution makes of a digit.")
