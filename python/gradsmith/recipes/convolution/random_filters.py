# SPDX-License-Identifier: Apache-2.0
"""A classifier on random filters, which no training touched, comes near to one on trained filters.

Convolution, absolute value and pooling with random frozen kernels, ``pool(|w * x|)``, are already
tuned to frequencies (Jarrett, Kavukcuoglu, Ranzato, LeCun, 2009; Saxe et al., 2011). So random
filters are the baseline that training of filters has to beat, and a cheap way to compare
architectures.
"""

from __future__ import annotations

from gradsmith import nn, viz
from gradsmith.recipes.convolution.classify import accuracy, digits, fit_classifier
from gradsmith.recipes.run import Run


def network(filters: int) -> nn.Sequential:
    """Return two layers of filters, then a linear classifier: (N, 1, 16, 16) -> (N, 10)."""
    features = nn.Sequential(
        nn.Conv2d(1, filters, 5, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(filters, filters, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.BatchNorm1d(filters * 16),
    )
    return nn.Sequential(features, nn.Linear(filters * 16, 10))


def main(run: Run) -> None:
    """Train three: all of it, the classifier on random filters, the classifier on pixels."""
    epochs = run.epochs(full=15, quick=3)
    training, testing = digits(16)
    raw = nn.Sequential(nn.Flatten(), nn.Linear(16 * 16, 10)).to(run.device)
    trained, frozen = network(16).to(run.device), network(16).to(run.device)
    for module in frozen[0]:
        if isinstance(module, nn.Conv2d):
            module.requires_grad_(False)
    before = frozen[0][0].weight.numpy().copy()
    found = {}
    for stage, model in (("pixels", raw), ("random", frozen), ("trained", trained)):
        fit_classifier(run, model, training, epochs=epochs, stage=stage)
        found[stage] = accuracy(model, testing)
    run.figure("test accuracy, no filters", found["pixels"])
    run.figure("test accuracy, random filters", found["random"], at_least=0.95, quick=0.85)
    run.figure("test accuracy, trained filters", found["trained"], at_least=0.975, quick=0.88)
    gained = found["random"] - found["pixels"]
    run.figure("gain of random filters over pixels", gained, at_least=0.0, quick=0.0)
    run.figure(
        "largest change of a frozen weight",
        abs(frozen[0][0].weight.numpy() - before).max(),
        at_most=0.0,
    )
    for name, model in (("random", frozen), ("trained", trained)):
        kernels = viz.plot_filters(model[0][0].weight)
        run.picture(f"{name}-filters", kernels, f"Kernels of the first layer, {name}.")
    run.model(trained, (1, 1, 16, 16))
