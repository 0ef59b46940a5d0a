# SPDX-License-Identifier: Apache-2.0
"""Deep plain networks fit worse than shallow ones, even what they train on; shortcuts cure it.

A deeper plain net could copy its input through its extra layers, but training does not find that;
a residual block ``relu(x + f(x))`` does it with ``f = 0`` (He, Zhang, Ren, Sun, 2016, figure 6).
Plain and residual nets of 8, 20 and 56 layers learn the same digits for the same number of epochs.
"""

from __future__ import annotations

import math

from gradsmith.models import CifarResNet
from gradsmith.random import manual_seed
from gradsmith.recipes.convolution.classify import accuracy, digits, fit_classifier
from gradsmith.recipes.run import Run
from gradsmith.viz.canvas import new_axes


def main(run: Run) -> None:
    """Train all, and compare the losses on what they train on."""
    depths = run.choose(full=(8, 20, 56), quick=(8, 32))
    epochs = run.epochs(full=8, quick=2)
    training, testing = digits(8)
    losses: dict[str, list[float]] = {"plain": [], "residual": []}
    rows = []
    for kind, shortcut in (("plain", "none"), ("residual", "A")):
        for depth in depths:
            manual_seed(run.seed)
            model = CifarResNet(depth, 10, shortcut, channels=1).to(run.device)
            stage = f"{kind}-{depth}"
            fit_classifier(run, model, training, epochs=epochs, batch_size=64, stage=stage)
            losses[kind].append(run.history[f"{stage}/loss"][-1])
            rows.append([kind, depth, losses[kind][-1], accuracy(model, testing)])
    run.table("After training", ["kind", "layers", "training loss", "test accuracy"], rows)
    # Ratios of losses: above 1 depth makes things worse.
    plain, residual = losses["plain"], losses["residual"]
    run.figure("plain: loss deep / shallow", plain[-1] / plain[0], at_least=2.0, quick=1.3)
    run.figure("loss residual / plain, deepest", residual[-1] / plain[-1], at_most=0.5, quick=0.8)
    ax = new_axes()
    for kind, values in losses.items():
        ax.plot(depths, [math.log10(value) for value in values], marker="o", label=kind)
    ax.set_xlabel("layers")
    ax.set_ylabel("log10 of the training loss")
    ax.legend()
    run.picture("depth", ax.figure, "Plain nets get worse with depth, residual ones do not.")
    run.model(model, (1, 1, 8, 8))
