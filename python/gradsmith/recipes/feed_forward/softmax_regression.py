# SPDX-License-Identifier: Apache-2.0
"""Softmax regression: one linear layer for several classes.

``p_k = exp(w_k'x + b_k) / sum_j exp(w_j'x + b_j)``, trained by cross-entropy (Bridle 1990).
``data=digits`` learns 8x8 scans, whose weights can be looked at; ``data=iris`` two lengths of three
species (Fisher 1936), whose regions can be drawn.
"""

from __future__ import annotations

import gradsmith as gs
from gradsmith import metrics, nn, viz
from gradsmith.data import datasets
from gradsmith.optim import Adam
from gradsmith.recipes.options import chosen
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"data": "digits"}


def digits(split: str) -> tuple[Tensor, Tensor]:
    """Return scans as rows of 64 numbers in [0, 1], and their classes."""
    scans = datasets.digits(split)
    rows = gs.from_numpy(scans.data.reshape(len(scans), -1)).to(gs.float32) / scans.scale
    return rows, gs.from_numpy(scans.targets).to(gs.int64)


def iris(split: str) -> tuple[Tensor, Tensor]:
    """Return length and width of petals in cm, and the species."""
    x, y = datasets.iris(split).tensors
    return x[:, 2:], y


def main(run: Run) -> None:
    """Train, measure, and show what was learnt."""
    data = chosen(run, "data", {"digits": digits, "iris": iris})
    (x, y), (test_x, test_y) = data("train"), data("test")
    classes = int(y.max().item()) + 1
    model = nn.init.initialize(nn.Linear(x.shape[1], classes), {"*": "zeros"}).to(run.device)
    model.compile(Adam(model.parameters(), lr=0.02), "cross_entropy", ["accuracy"])
    epochs = run.epochs(full=60, quick=15) if data is digits else run.epochs(full=200, quick=60)
    validation = test_x, test_y
    run.fit(model, x, y, epochs=epochs, seed=run.seed, validation_data=validation)
    scores = model.predict(test_x, verbose=0)
    goal = 0.94 if data is digits else 0.9
    run.figure("test accuracy", metrics.accuracy(scores, test_y), at_least=goal, quick=0.88)
    run.confusion(metrics.confusion_matrix(scores, test_y, classes))
    run.picture("curves", viz.plot_history(run.history), "Loss and accuracy by epoch.")
    if data is digits:
        weights = viz.plot_filters(model.weight.reshape(-1, 1, 8, 8), columns=5)
        run.picture("weights", weights, "Bright pixels speak for a digit, dark ones against it.")
    else:
        plane = viz.plot_decision_boundary(model, x, y)
        run.picture("plane", plane, "Regions of the three species; the borders are straight.")
    run.model(model, (1, x.shape[1]))
