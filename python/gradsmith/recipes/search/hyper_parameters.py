# SPDX-License-Identifier: Apache-2.0
"""Grid, random and Bayesian search choose learning rate and width of a small network.

All get the same number of trainings. A grid tries few values of each option; random points try as
many values as there are trainings (Bergstra and Bengio 2012); optuna's Parzen estimators put new
points where the density of good ones over that of bad ones, ``l(x) / g(x)``, is largest (Bergstra
et al. 2011). Choices are made on held-out training digits; the test digits are looked at once, with
the best model.
"""

from __future__ import annotations

from typing import Any

from gradsmith import metrics, nn, train
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.recipes.scans import scan_rows
from gradsmith.train import Range, SearchResult
from gradsmith.viz import canvas

SIDE = 4
SPACE = {"rate": Range(1e-4, 1.0, log=True), "width": Range(4, 128, log=True)}
GRID: dict[str, list[Any]] = {"rate": [1e-4, 2e-3, 5e-2, 1.0], "width": [4, 13, 40, 128]}


def main(run: Run) -> None:
    """Search three ways, and test the best model."""
    x, t = scan_rows(run, "train")
    side = run.choose(full=SIDE, quick=3)
    grid = {name: values[SIDE - side :] for name, values in GRID.items()}

    def build(rate: float, width: int) -> nn.Module:
        model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
        model.to(run.device)
        train.compile(model, Adam(model.parameters(), lr=rate), "cross_entropy", ["accuracy"])
        return model

    fitting: dict[str, Any] = {
        "epochs": run.epochs(full=10, quick=3),
        "validation_split": 0.25,
        "monitor": "val_accuracy",
    }
    drawing = {"trials": side**2, "seed": run.seed}
    found = {
        "grid": train.grid_search(build, grid, x, t, **fitting),
        "random": train.random_search(build, SPACE, x, t, **drawing, **fitting),
        "Bayesian": train.bayesian_search(build, SPACE, x, t, **drawing, **fitting),
    }
    rows = [[name, len(each.trials), *_best(each)] for name, each in found.items()]
    run.table("Best of each", ["search", "trainings", "accuracy", "rate", "width"], rows)
    for name, each in found.items():
        run.figure(f"{name}: held-out accuracy", each.best_value, at_least=0.9, quick=0.8)
    winner = max(found.values(), key=lambda each: each.best_value)
    assert winner.best_model is not None
    unseen, answers = scan_rows(run, "test")
    scores = winner.best_model.predict(unseen, verbose=0)
    run.figure(
        "test accuracy of the best", metrics.accuracy(scores, answers), at_least=0.94, quick=0.8
    )
    run.picture("trials", _plot(found), "Every training: where, and its held-out accuracy.")
    run.model(winner.best_model, (1, 64))


def _best(found: SearchResult) -> list[float]:
    return [found.best_value, found.best_params["rate"], found.best_params["width"]]


def _plot(found: dict[str, SearchResult]) -> Any:
    figure, axes = canvas.pyplot().subplots(
        1, len(found), figsize=(4 * len(found), 3.5), sharey=True, layout="constrained"
    )
    for ax, (name, each) in zip(axes, found.items(), strict=True):
        rates, widths = ([params[key] for params, _ in each.trials] for key in ("rate", "width"))
        accuracies = [value for _, value in each.trials]
        drawn = ax.scatter(rates, widths, c=accuracies, s=60, cmap="viridis", vmin=0, vmax=1)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("learning rate")
        ax.set_title(f"{name}: best {each.best_value:.3f}", fontsize=9)
    axes[0].set_ylabel("width")
    figure.colorbar(drawn, ax=axes, label="held-out accuracy")
    return figure
