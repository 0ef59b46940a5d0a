# SPDX-License-Identifier: Apache-2.0
"""Pre-training: a deep net of sigmoids learns from few labels after it has learned to restore.

Each layer is trained as an auto-encoder of what the layers below give, ``|g(f(h)) - h|^2``, on all
scans without their labels; then the whole net is fine-tuned on the few scans that have one (Bengio,
Lamblin, Popovici, Larochelle, "Greedy layer-wise training of deep networks", 2007). From scratch,
plain SGD sees a gradient that has vanished in four sigmoids and stays at chance.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from gradsmith import metrics, nn, viz
from gradsmith import train as training_tools
from gradsmith.optim import SGD
from gradsmith.recipes.autoencoders.scans import SIDE, scans
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"labelled": 10}
SIZES = (784, 256, 128, 128, 64)


def few_of_each(labels: Tensor, count: int) -> Tensor:
    """Return the places of ``count`` of each class, spread evenly over the data."""
    classes = labels.numpy()
    chosen = []
    for each in np.unique(classes):
        places = np.flatnonzero(classes == each)
        chosen.append(places[np.linspace(0, len(places) - 1, count).astype(int)])
    return Tensor(np.concatenate(chosen))


def _net() -> nn.Sequential:
    layers = [
        nn.Sequential(nn.Linear(before, after), nn.Sigmoid()) for before, after in pairwise(SIZES)
    ]
    return nn.Sequential(*layers, nn.Linear(SIZES[-1], 10))


def main(run: Run) -> None:
    """Train with and without, on the same few labels."""
    training, classes = scans(run, "train")
    testing, labels = scans(run, "test")
    everything = training.flatten(1)
    chosen = few_of_each(classes, run.option("labelled"))
    few, names = everything[chosen.to(run.device)], classes[chosen]
    reached = {}
    for stage in ("from-scratch", "pre-trained"):
        net = _net().to(run.device)
        if stage == "pre-trained":
            epochs = run.choose(30, 8)
            training_tools.greedy_pretrain(list(net)[:-1], everything, epochs=epochs, seed=run.seed)
            filters = net[0][0].weight[:48].reshape(-1, 1, SIDE, SIDE)
            run.picture("filters", viz.plot_filters(filters, 12), "Units of the first layer.")
        net.compile(SGD(net.parameters(), lr=0.1, momentum=0.9), "cross_entropy", ["accuracy"])
        epochs = run.epochs(full=120, quick=50)
        run.fit(net, few, names, epochs=epochs, stage=stage, seed=run.seed, verbose=0)
        scores = net.predict(testing.flatten(1), verbose=0)
        reached[stage] = metrics.accuracy(scores, labels)
    run.figure("labelled scans", len(few))
    run.figure("test accuracy from scratch", reached["from-scratch"])
    run.figure("test accuracy pre-trained", reached["pre-trained"], at_least=0.85, quick=0.7)
    gain = reached["pre-trained"] - reached["from-scratch"]
    run.figure("gain", gain, at_least=0.3)
    run.picture("curves", viz.plot_history(run.history), "Both trainings.")
    run.confusion(metrics.confusion_matrix(scores, labels, 10))
    run.model(net, (1, 784))
