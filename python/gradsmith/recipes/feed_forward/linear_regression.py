# SPDX-License-Identifier: Apache-2.0
"""A line through points, four ways that agree: closed form, batch, stochastic, mini-batch descent.

The closed form solves the normal equations ``X'X w = X'y`` (Legendre 1805; Gauss 1809). Descent
takes steps ``w -= rate * gradient`` with the gradient of all points, of one, or of sixteen; where
it sees only some, the rate has to fall for the steps to settle (Robbins and Monro 1951).
"""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import nn, viz
from gradsmith.backend import Array
from gradsmith.data import DataLoader, TensorDataset
from gradsmith.optim import SGD, lr_scheduler
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

TRUE = (3.0, 4.0)
# Name: points per step, epochs of a full run, and whether the rate falls.
WAYS = {"batch": (100, 300, False), "stochastic": (1, 60, True), "mini-batch": (16, 120, True)}


def points(seed: int, count: int = 100) -> tuple[Tensor, Tensor]:
    """Return x (N, 1) in [0, 2] and y = 3x + 4 + noise (N, 1)."""
    random = np.random.default_rng(seed)
    x = random.uniform(0, 2, size=(count, 1))
    y = TRUE[0] * x + TRUE[1] + random.normal(size=x.shape)
    return gs.tensor(x.astype(np.float32)), gs.tensor(y.astype(np.float32))


def closed_form(x: Tensor, y: Tensor) -> Array:
    """Return slope and intercept from the normal equations."""
    design = gs.cat([x, gs.ones_like(x)], dim=1)
    weights: Array = gs.linalg.solve(design.T @ design, design.T @ y)[:, 0].cpu().numpy()
    return weights


def descent(x: Tensor, y: Tensor, batch: int, epochs: int, falls: bool, seed: int) -> Array:
    """Return slope and intercept after each step, (steps + 1, 2)."""
    model = nn.init.initialize(nn.Linear(1, 1), {"*": "zeros"}).to(x.device)
    optimizer = SGD(model.parameters(), lr=0.1)
    schedule = lr_scheduler.InverseTimeLR(optimizer, 0.02 if falls else 0.0)
    path = [(0.0, 0.0)]
    for _ in range(epochs):
        for some_x, some_y in DataLoader(TensorDataset(x, y), batch, shuffle=True, seed=seed):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(some_x), some_y).backward()
            optimizer.step()
            schedule.step()
            path.append(tuple(parameter.item() for parameter in model.parameters()))
        seed += 1
    return np.array(path)


def main(run: Run) -> None:
    """Fit four times and compare."""
    x, y = (each.to(run.device) for each in points(run.seed))
    exact = closed_form(x, y)
    paths = {}
    rows = [["closed form", *exact, 0.0]]
    for name, (batch, epochs, falls) in WAYS.items():
        epochs = run.epochs(full=epochs, quick=epochs)
        paths[name] = descent(x, y, batch, epochs, falls, run.seed)
        apart = float(np.abs(paths[name][-1] - exact).max())
        rows.append([name, *paths[name][-1], apart])
        bound = 1e-3 if name == "batch" else 0.05
        run.figure(f"{name} descent from the closed form", apart, at_most=bound)
    run.figure("closed form from the true line", float(np.abs(exact - TRUE).max()), at_most=0.5)
    run.table("Weights", ["way", "slope", "intercept", "from the closed form"], rows)
    flat_x, flat_y = x[:, 0].cpu().numpy(), y[:, 0].cpu().numpy()

    def loss(slope: Array, intercept: Array) -> Array:
        residuals = slope[..., None] * flat_x + intercept[..., None] - flat_y
        squares: Array = (residuals**2).mean(axis=-1)
        return squares

    shown = {name: paths[name] for name in ("stochastic", "mini-batch", "batch")}
    picture = viz.plot_optimizer_paths(loss, shown, ((-0.5, 6.0), (-0.5, 6.0)))
    run.picture("paths", picture, "Three ways to the same minimum: slope across, intercept up.")
    ends = np.array([0.0, 2.0])
    lines = {str(name): (ends, slope * ends + intercept) for name, slope, intercept, _ in rows}
    line = viz.plot_curves(lines, points=(flat_x, flat_y), xlabel="x", ylabel="y")
    run.picture("line", line, "The four lines lie on each other.")
