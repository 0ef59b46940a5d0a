# SPDX-License-Identifier: Apache-2.0
"""Under-fitting, over-fitting, and how early stopping and more data help.

Networks of 1, 8 and 300 hidden neurons learn a noisy sine, ``y = sin(2 pi x) + N(0, 0.3)``, from 30
points. The first is too small to follow it, the last follows the noise: its training error falls on
while that of new points rises. Early stopping goes back to where the error of held-out points was
least (Morgan and Bourlard 1990).
"""

from __future__ import annotations

import copy
import math

import numpy as np

import gradsmith as gs
from gradsmith import models, nn, viz
from gradsmith.backend import Array, Device
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

NOISE = 0.3


def points(count: int, seed: int, device: Device) -> tuple[Tensor, Tensor]:
    """Return x in [-1, 1] and sin(2 pi x) with noise, both (N, 1)."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, size=(count, 1))
    y = np.sin(2 * np.pi * x) + random.normal(size=x.shape) * NOISE
    x, y = x.astype(np.float32), y.astype(np.float32)
    return gs.tensor(x, device=device), gs.tensor(y, device=device)


class Trained:
    """A network with its errors by step, and as it was when that of new points was least."""

    def __init__(self, hidden: int, seed: int, device: Device) -> None:
        gs.manual_seed(seed)
        self.model = models.mlp([1, hidden, hidden, 1], nn.Tanh).to(device)
        self.best = self.model
        self.errors: list[float] = []
        self.new_errors: list[float] = []

    def train(self, x: Tensor, y: Tensor, new_x: Tensor, new_y: Tensor, steps: int) -> None:
        """Take steps of all points, and measure after each tenth."""
        optimizer = Adam(self.model.parameters(), lr=5e-3)
        for step in range(steps):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(self.model(x), y)
            loss.backward()
            optimizer.step()
            if step % 10 == 0:
                self.errors.append(loss.item())
                with gs.no_grad():
                    new_error = nn.functional.mse_loss(self.model(new_x), new_y).item()
                if new_error < min(self.new_errors, default=math.inf):
                    self.best = copy.deepcopy(self.model)
                self.new_errors.append(new_error)


def main(run: Run) -> None:
    """Train three sizes, then the largest with more points."""
    few, many, new, test = (
        points(count, run.seed + k, run.device) for k, count in enumerate((30, 1000, 200, 1000))
    )
    steps = run.epochs(full=4000, quick=700)
    found: dict[str, Trained] = {}
    sizes = (("1 neuron", 1, few), ("8 neurons", 8, few), ("300 neurons", 300, few))
    for name, hidden, data in (*sizes, ("300 neurons, 1,000 points", 300, many)):
        each = found[name] = Trained(hidden, run.seed, run.device)
        each.train(*data, *new, steps if data is few else max(steps // 5, 1))
    rows = []
    errors = {}
    for name, each in found.items():
        with gs.no_grad():
            errors[name] = nn.functional.mse_loss(each.model(test[0]), test[1]).item()
            stopped = nn.functional.mse_loss(each.best(test[0]), test[1]).item()
        errors[f"{name}, stopped"] = stopped
        rows.append([name, each.errors[-1], errors[name], stopped])
    run.table(
        f"Squared errors (the noise alone has {NOISE**2:.2f})",
        ["network", "on its points", "on test points", "the same, stopped early"],
        rows,
    )
    run.figure("1 neuron: error on its own points", found["1 neuron"].errors[-1], at_least=0.15)
    large = found["300 neurons"]
    ratio = errors["300 neurons"] / large.errors[-1]
    run.figure("300 neurons: test error over training error", ratio, at_least=3.0, quick=2.0)
    gain = errors["300 neurons"] / errors["300 neurons, stopped"]
    run.figure("300 neurons: gain by early stopping", gain, at_least=1.1, quick=1.0)
    more = errors["300 neurons, 1,000 points"]
    run.figure("300 neurons, 1,000 points: test error", more, at_most=0.13, quick=0.2)
    curves = {}
    for name in ("1 neuron", "300 neurons"):
        curves[f"{name}, its points"] = found[name].errors
        curves[f"{name}, new points"] = found[name].new_errors
    losses = viz.plot_curves(curves, xlabel="step / 10", ylabel="squared error", yscale="log")
    run.picture("errors", losses, "The large network's error on new points turns upwards.")
    fits = viz.plot_curves(
        _lines(found, run.device), points=(few[0][:, 0], few[1][:, 0]), xlabel="x", ylabel="y"
    )
    run.picture("fits", fits, "Too stiff, right, and after the noise.")


def _lines(found: dict[str, Trained], device: Device) -> dict[str, tuple[Array, Array]]:
    line = gs.linspace(-1, 1, 200, device=device)[:, None]
    with gs.no_grad():
        return {
            name: (line[:, 0].cpu().numpy(), each.model(line)[:, 0].cpu().numpy())
            for name, each in list(found.items())[:3]
        }
