# SPDX-License-Identifier: Apache-2.0
"""Optimisers compared: one network, the same start, the same batches.

Momentum keeps going where gradients agree, ``v = m v + g``, ``w -= rate v``; Nesterov looks ahead.
Adagrad and RMSprop divide by the size of past gradients, Adam does both, ``w -= rate mean(g) /
sqrt(mean(g^2))`` (Kingma and Ba 2015). Learning rates are each one's own, the best of a few tried
on these digits.
"""

from __future__ import annotations

from functools import partial

import gradsmith as gs
from gradsmith import metrics, models, optim, viz
from gradsmith.recipes.feed_forward.digits import digit_rows
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import MNIST

STANDARD = MNIST
OPTIMIZERS = {
    "SGD": partial(optim.SGD, lr=0.02),
    "momentum": partial(optim.SGD, lr=0.02, momentum=0.9),
    "Nesterov": partial(optim.SGD, lr=0.02, momentum=0.9, nesterov=True),
    "Adagrad": partial(optim.Adagrad, lr=0.01),
    "Adadelta": partial(optim.Adadelta, lr=1.0),
    "RMSprop": partial(optim.RMSprop, lr=1e-3),
    "Adam": partial(optim.Adam, lr=1e-3),
    "AdamW": partial(optim.AdamW, lr=1e-3),
    "NAdam": partial(optim.NAdam, lr=1e-3),
    "Adamax": partial(optim.Adamax, lr=2e-3),
    "Lion": partial(optim.Lion, lr=1e-4),
}


def main(run: Run) -> None:
    """Train with each."""
    digits = digit_rows(run)
    names = run.choose(list(OPTIMIZERS), ["SGD", "momentum", "RMSprop", "Adam"])
    epochs = run.epochs(full=15, quick=5)
    rows, accuracies = [], {}
    for name in names:
        gs.manual_seed(run.seed)
        model = models.mlp([784, 128, 64, 10]).to(run.device)
        model.compile(OPTIMIZERS[name], "cross_entropy", ["accuracy"])
        data = digits.train_x, digits.train_y
        run.fit(model, *data, stage=name, epochs=epochs, seed=run.seed)
        scores = model.predict(digits.test_x, verbose=0)
        accuracies[name] = metrics.accuracy(scores, digits.test_y)
        losses = run.history[f"{name}/loss"]
        rows.append([name, losses[0], losses[-1], accuracies[name]])
    run.table(
        f"After {epochs} epochs",
        ["optimiser", "loss in the first", "loss in the last", "test accuracy"],
        rows,
    )
    run.figure("test accuracy with Adam", accuracies["Adam"], at_least=0.96, quick=0.88)
    run.figure("least test accuracy", min(accuracies.values()), at_least=0.8, quick=0.5)
    last = {name: run.history[f"{name}/loss"][-1] for name in names}
    run.figure(
        "loss with momentum over that without",
        last["momentum"] / last["SGD"],
        at_most=0.7,
        quick=0.9,
    )
    curves = {name: run.history[f"{name}/loss"] for name in names}
    picture = viz.plot_curves(curves, xlabel="epoch", ylabel="training loss", yscale="log")
    run.picture("losses", picture, "Training loss by epoch, from the same start.")
