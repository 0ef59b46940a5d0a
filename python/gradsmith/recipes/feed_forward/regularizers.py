# SPDX-License-Identifier: Apache-2.0
"""L2, max-norm and dropout help a network whose teacher is often wrong.

All networks are 784-300-100-10 with ELU (Clevert, Unterthiner and Hochreiter 2016) and weights
after He (He et al. 2015), trained on 800 digits of which 40 % got a class at random. A network that
learns those by heart is worse on others. L2 pulls every weight to 0, ``loss + l2 |w|^2 / 2``;
max-norm scales the weights into a neuron back to a length of at most c after each step, ``w *=
min(1, c / |w|)``; dropout leaves out a share of the hidden neurons at random (Srivastava et al.
2014).
"""

from __future__ import annotations

import gradsmith as gs
from gradsmith import metrics, models, nn, viz
from gradsmith.nn.constraints import MaxNorm, after_step
from gradsmith.optim import Adam
from gradsmith.recipes.feed_forward.digits import digit_rows
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import MNIST

STANDARD = MNIST
OPTIONS = {"samples": 800, "wrong": 0.4}
LIMIT = 0.5
VARIANTS = {
    "plain": {},
    "L2": {"weight_decay": 0.01},
    "max-norm": {"max_norm": LIMIT},
    "dropout": {"dropout": 0.5},
    "all three": {"weight_decay": 0.003, "max_norm": LIMIT, "dropout": 0.5},
}


def longest(model: nn.Sequential) -> float:
    """Return the largest norm of the weights into one hidden neuron."""
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    return float(max(gs.linalg.norm(layer.weight, dim=1).max().item() for layer in layers[:-1]))


def main(run: Run) -> None:
    """Train each variant from the same start."""
    digits = digit_rows(run)
    count = run.option("samples")
    x, y = digits.train_x[:count], digits.train_y[:count]
    random = gs.rand(len(y)) < run.option("wrong")
    y = gs.where(random, gs.randint(10, (len(y),)), y)
    rows, accuracies, norms = [], {}, {}
    names = run.choose(list(VARIANTS), ["plain", "max-norm"])
    epochs = run.epochs(full=50, quick=20)
    for name in names:
        options = VARIANTS[name]
        gs.manual_seed(run.seed)
        model = models.mlp([784, 300, 100, 10], nn.ELU, dropout=options.get("dropout", 0.0))
        nn.init.initialize(model, {nn.Linear: "kaiming_normal", "*bias": "zeros"}).to(run.device)
        decay = options.get("weight_decay", 0.0)
        optimizer = Adam(model.parameters(), lr=2e-3, weight_decay=decay)
        if "max_norm" in options:
            weights = [layer.weight for layer in model if isinstance(layer, nn.Linear)][:-1]
            after_step(optimizer, MaxNorm(options["max_norm"]), weights)
        model.compile(optimizer, "cross_entropy", ["accuracy"])
        run.fit(
            model,
            x,
            y,
            stage=name,
            epochs=epochs,
            batch_size=64,
            validation_data=(digits.test_x, digits.test_y),
            seed=run.seed,
        )
        learned = metrics.accuracy(model.predict(x, verbose=0), y)
        accuracies[name] = metrics.accuracy(model.predict(digits.test_x, verbose=0), digits.test_y)
        norms[name] = longest(model)
        rows.append(
            [name, learned, accuracies[name], run.history[f"{name}/val_loss"][-1], norms[name]]
        )
    header = ["variant", "training accuracy", "test accuracy", "test loss", "longest weights"]
    run.table(f"{count} digits, {run.option('wrong'):.0%} with a class at random", header, rows)
    run.figure("test accuracy, plain", accuracies["plain"])
    best = max(accuracy for name, accuracy in accuracies.items() if name != "plain")
    run.figure("test accuracy, best of the others", best, at_least=0.9, quick=0.85)
    run.figure("its gain", best - accuracies["plain"], at_least=0.08, quick=0.0)
    run.figure("longest weights under max-norm", norms["max-norm"], at_most=LIMIT + 1e-4)
    curves = {name: run.history[f"{name}/val_loss"] for name in names}
    picture = viz.plot_curves(curves, xlabel="epoch", ylabel="loss on test digits")
    run.picture("losses", picture, "Plain, the test loss rises again; with dropout it does not.")
