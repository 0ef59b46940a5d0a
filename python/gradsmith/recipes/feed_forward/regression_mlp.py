# SPDX-License-Identifier: Apache-2.0
"""A network with one linear output predicts a number: 11-30-10-5-1 or 8-30-10-5-1.

``data=wine``: the flavanoids of real wines from 11 other measurements of them; this UCI wine set
stands in for the wine quality tables, which ``csv=winequality-red.csv`` takes themselves.
``data=friedman``: 8 inputs, of which 5 matter, by Friedman's formula (1991), synthetic:
``y = 10 sin(pi a b) + 20 (c - 1/2)^2 + 10 d + 5 e + noise``. Mean squared error on standardised
numbers; early stopping keeps the best weights.
"""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import models, nn, viz
from gradsmith.backend import Array
from gradsmith.data import CSVDataset, StandardScaler, datasets, train_test_split
from gradsmith.metrics import r2_score
from gradsmith.optim import Adam
from gradsmith.recipes.options import chosen
from gradsmith.recipes.run import Run
from gradsmith.train import EarlyStopping

OPTIONS = {"data": "wine", "csv": ""}


def wine(seed: int) -> tuple[Array, Array]:
    """Return 11 measurements of 178 wines, and their flavanoids (proline is left out)."""
    table = datasets.wine().tensors[0].numpy()
    return np.delete(table, (6, 12), axis=1), table[:, 6:7]


def friedman(seed: int) -> tuple[Array, Array]:
    """Return 1,000 points in the unit cube of 8 dimensions, and Friedman's function of them."""
    random = np.random.default_rng(seed)
    x = random.uniform(size=(1000, 8))
    a, b, c, d, e = x[:, :5].T
    y = 10 * np.sin(np.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e
    return x.astype(np.float32), (y + random.normal(size=len(y)))[:, None].astype(np.float32)


def main(run: Run) -> None:
    """Train and measure on samples that were held out."""
    table = chosen(run, "data", {"wine": wine, "friedman": friedman})
    if run.option("csv"):
        file = CSVDataset(run.option("csv"), delimiter=";", target="quality")
        x, y = (each.numpy() for each in file.tensors)
    else:
        x, y = table(run.seed)
    parts = train_test_split(x, y, test_size=0.2, random_state=run.seed)
    train_x, test_x, train_y, test_y = (gs.tensor(part) for part in parts)
    inputs, targets = StandardScaler(), StandardScaler()
    train_x, test_x = inputs.fit_transform(train_x), inputs.transform(test_x)
    train_y, test_y = targets.fit_transform(train_y), targets.transform(test_y)
    model = models.mlp([x.shape[1], 30, 10, 5, 1], nn.ReLU).to(run.device)
    model.compile(Adam(model.parameters(), lr=3e-3, weight_decay=1e-4), "mse", ["mae"])
    stopper = EarlyStopping(patience=30, restore_best_weights=True)
    epochs = run.epochs(full=200, quick=40)
    run.fit(
        model,
        train_x,
        train_y,
        epochs=epochs,
        batch_size=16,
        validation_split=0.2,
        callbacks=[stopper],
        seed=run.seed,
    )
    output = model.predict(test_x, verbose=0).cpu()
    goal = 0.9 if table is friedman else 0.7
    expected = {} if run.option("csv") else {"at_least": goal, "quick": goal - 0.2}
    run.figure("R2 on test samples", r2_score(output, test_y), **expected)
    line = gs.linalg.lstsq(train_x, train_y).solution
    run.figure("R2 of a linear regression", r2_score(test_x @ line, test_y))
    errors = (output - test_y).abs().mean().item() * float(targets.scale_[0])
    run.figure("mean absolute error, in the target's unit", errors)
    run.picture("curves", viz.plot_history(run.history), "Loss and error by epoch.")
    found = tuple(targets.inverse_transform(each.numpy())[:, 0] for each in (test_y, output))
    ends = np.array([found[0].min(), found[0].max()])
    picture = viz.plot_curves(
        {"equal": (ends, ends)}, points=found, xlabel="true", ylabel="predicted"
    )
    run.picture("predictions", picture, "Each dot is a test sample.")
    run.model(model, (1, x.shape[1]))
