# SPDX-License-Identifier: Apache-2.0
"""The two small nets of CIFAR-10 learn colour images.

``--set model=pool512``: three times convolution and pooling, then a layer of 512; ``norm``: 32, 64
and 64 channels with batch norm, ``y = g (x - mean) / sqrt(variance + eps) + b`` (Ioffe and Szegedy,
2015). On CIFAR-10 (Krizhevsky, 2009) if it is in the cache, else on synthetic scenes of one disc,
rectangle or triangle, which ``--data offline`` insists on.
"""

from __future__ import annotations

from typing import Any

from gradsmith import nn, viz
from gradsmith.data import ImageDataset, datasets
from gradsmith.recipes.convolution.classify import fit_classifier, tell_classifier
from gradsmith.recipes.run import Run
from gradsmith.recipes.shapes import KINDS, scenes
from gradsmith.recipes.standard import CIFAR10, standard_images

STANDARD = CIFAR10
OPTIONS: dict[str, Any] = {"model": "norm"}


def pool512(classes: int) -> nn.Sequential:
    """Return three convolutions with pooling, and a hidden layer of 512: (N, 3, 32, 32)."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, nn.ReLU(), nn.MaxPool2d(2)]
    hidden = [nn.Flatten(), nn.Linear(64 * 16, 512), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, *hidden, nn.Linear(512, classes))


def norm(classes: int) -> nn.Sequential:
    """Return convolutions of 32, 64 and 64 channels with batch norm: (N, 3, 32, 32)."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 64)):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    hidden = [nn.Flatten(), nn.Linear(64 * 16, 64), nn.BatchNorm1d(64), nn.ReLU()]
    return nn.Sequential(*layers, *hidden, nn.Linear(64, classes))


MODELS = {"pool512": pool512, "norm": norm}
# Without batch norm a net needs smaller steps, and more of them.
RATES = {"pool512": 2e-3, "norm": 4e-3}


def single_shapes(count: int, seed: int) -> ImageDataset:
    """Return scenes (3, 32, 32) of one shape with its kind."""
    made = scenes(count, 32, seed, most=1, smallest=0.3, largest=0.8, noise=0.1)
    labels = made.masks.max((1, 2)) - 1
    return ImageDataset(made.images, labels, KINDS, scale=1.0)


def images(run: Run) -> tuple[ImageDataset, ImageDataset, float]:
    """Return what to train and to test on, and the accuracy to expect."""
    stand_in = f"scenes of one shape each: {', '.join(KINDS)}"
    found = standard_images(run, CIFAR10, datasets.cifar10, stand_in)
    if found:
        return *found, run.choose(full=0.7, quick=0.2)
    counts = run.choose(full=(3000, 600), quick=(900, 200))
    training, testing = (single_shapes(n, 1000 * run.seed + k) for k, n in enumerate(counts))
    return training, testing, run.choose(full=0.97, quick=0.7)


def main(run: Run) -> None:
    """Train and measure."""
    name = run.option("model")
    if name not in MODELS:
        raise ValueError(f"option model is {name!r}, expected one of {', '.join(MODELS)}")
    training, testing, goal = images(run)
    model = MODELS[name](len(training.classes)).to(run.device)
    epochs = run.epochs(full=12, quick=2 if name == "norm" else 5)
    fit_classifier(run, model, training, epochs=epochs, rate=RATES[name])
    tell_classifier(run, model, testing, at_least=goal, quick=goal)
    run.picture("images", viz.image_grid(testing.data[:24]), "Images of the test split.")
    run.picture("filters", viz.plot_filters(model[0].weight), "Kernels of the first layer.")
