# SPDX-License-Identifier: Apache-2.0
"""XOR and XNOR: what no single neuron can tell apart, two or four hidden ones can.

A 2-h-1 network of sigmoids, ``y = s(v' s(W x + b) + c)``, learns the four rows of the truth table.
With two hidden neurons some starts end in a local minimum, with four hardly any does, so several
starts are made and counted (Rumelhart, Hinton and Williams, "Learning internal representations by
error propagation", 1986).
"""

from __future__ import annotations

import gradsmith as gs
from gradsmith import models, nn, viz
from gradsmith.optim import Adam
from gradsmith.recipes.options import chosen
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"gate": "xor", "hidden": 2}
TRUTH = {"xor": [0.0, 1.0, 1.0, 0.0], "xnor": [1.0, 0.0, 0.0, 1.0]}
CORNERS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]


def trained(x: Tensor, y: Tensor, hidden: int, steps: int) -> tuple[nn.Sequential, list[float]]:
    """Return a network after ``steps`` of all four rows, and its losses."""
    model = models.mlp([2, hidden, 1], nn.Sigmoid).to(x.device)
    gs.nn.init.initialize(model, {nn.Linear: gs.nn.init.normal_})
    optimizer = Adam(model.parameters(), lr=0.1)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


def main(run: Run) -> None:
    """Train from several starts and show the best network."""
    x = gs.tensor(CORNERS, device=run.device)
    y = gs.tensor(chosen(run, "gate", TRUTH), device=run.device)[:, None]
    starts, steps = run.choose(20, 6), run.epochs(full=1000, quick=400)
    runs = [
        trained(x, y, run.option("hidden"), steps) for _ in run.progress(range(starts), "starts")
    ]
    right = [int(((model(x) > 0) == (y > 0.5)).sum().item()) for model, _ in runs]
    best, losses = min(runs, key=lambda each: each[1][-1])
    for loss in losses:
        run.log(loss=loss)
    run.figure("rows that the best network has right", max(right), at_least=4)
    run.figure("its loss", losses[-1], at_most=0.01, quick=0.1)
    run.figure("share of starts with all rows right", right.count(4) / starts, at_least=0.2)
    rows = [[*corner, target, out] for corner, target, out in _table(best, x, y)]
    run.table("Truth table", ["a", "b", run.option("gate"), "network"], rows)
    picture = viz.plot_curves(
        {f"start {number + 1}": curve for number, (_, curve) in enumerate(runs[:10])},
        xlabel="step",
        ylabel="loss",
        yscale="log",
    )
    run.picture(
        "losses", picture, "Each curve is a start: one that stays up is in a local minimum."
    )
    plane = viz.plot_decision_boundary(best, x, y)
    run.picture("plane", plane, "The best network cuts the plane twice, once per hidden neuron.")
    run.model(best, (1, 2))


def _table(model: nn.Module, x: Tensor, y: Tensor) -> list[tuple[list[float], float, float]]:
    outputs = model(x).sigmoid()
    return list(zip(x.tolist(), y[:, 0].tolist(), outputs[:, 0].tolist(), strict=True))
