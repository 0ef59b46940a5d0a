# SPDX-License-Identifier: Apache-2.0
"""Residual networks with each kind of shortcut learn scanned digits equally well.

Where shapes change in ``y = relu(s(x) + f(x))``, the shortcut s of kind A pads with zeros and that
of B projects by a 1x1 convolution; C projects everywhere (He, Zhang, Ren, Sun, 2016, section 4.1).
A has no parameters, C the most, and the paper's gains from them are small: projections are not what
cures degradation.
"""

from __future__ import annotations

from gradsmith.models import CifarResNet
from gradsmith.recipes.convolution.classify import accuracy, digits, fit_classifier
from gradsmith.recipes.run import Run
from gradsmith.viz.canvas import new_axes

KINDS = ("A", "B", "C")


def main(run: Run) -> None:
    """Train one of each."""
    depth = run.choose(full=20, quick=8)
    epochs = run.epochs(full=12, quick=2)
    training, testing = digits(8)
    rows = []
    ax = new_axes()
    for kind in KINDS:
        model = CifarResNet(depth, 10, kind, channels=1).to(run.device)
        fit_classifier(run, model, training, epochs=epochs, stage=kind)
        found = accuracy(model, testing)
        run.figure(f"test accuracy, shortcut {kind}", found, at_least=0.97, quick=0.8)
        rows.append([kind, sum(each.numel() for each in model.parameters()), found])
        ax.plot(run.history[f"{kind}/loss"], label=kind)
    run.table("Kinds of shortcut", ["kind", "parameters", "test accuracy"], rows)
    ax.set_xlabel("epoch")
    ax.set_ylabel("training loss")
    ax.set_yscale("log")
    ax.legend()
    run.picture("losses", ax.figure, "Training loss with each kind of shortcut.")
    run.model(model, (1, 1, 8, 8))
