# SPDX-License-Identifier: Apache-2.0
"""Four tanh neurons and a sigmoid tell the petals of a flower apart.

``p = sigmoid(w2' tanh(W1 x + b1) + b2)`` by gradient descent on the whole set. Beside it stand a
logistic regression, which has no hidden layer and cannot do it, and hidden layers of other sizes.
One hidden layer of enough neurons comes as near to any function as one likes (Cybenko 1989).
"""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import metrics, models, nn, viz
from gradsmith.optim import GD
from gradsmith.recipes.options import chosen
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"data": "petals"}
RATE = 1.2


def petals(samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return points (N, 2) on the rose r = 4 sin 4a with noise, and the half turn of a (N,)."""
    random = np.random.default_rng(seed)
    labels = np.arange(samples) % 2
    angle = np.pi * (labels + random.uniform(size=samples)) + random.normal(size=samples) * 0.2
    radius = 4 * np.sin(4 * angle) + random.normal(size=samples) * 0.2
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    return gs.tensor(points.astype(np.float32)), gs.tensor(labels)


def moons(samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return two noisy half circles."""
    x, y = gs.data.generators.moons(samples, noise=0.15, seed=seed).tensors
    return x, y


def circles(samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return a noisy circle within another."""
    x, y = gs.data.generators.circles(samples, noise=0.08, factor=0.5, seed=seed).tensors
    return x, y


def main(run: Run) -> None:
    """Train the network and its neighbours."""
    x, y = chosen(run, "data", {"petals": petals, "moons": moons, "circles": circles})(
        400, run.seed
    )
    x, y = x.to(run.device), y.to(run.device)
    targets = y.to(gs.float32)[:, None]
    rows, steps = [], run.epochs(full=10_000, quick=1500)
    reached = {}
    for hidden in run.choose((0, 1, 2, 3, 4, 5, 20, 50), (0, 4)):
        model = models.mlp([2, hidden, 1] if hidden else [2, 1], nn.Tanh).to(run.device)
        optimizer = GD(model.parameters(), lr=RATE)
        losses = []
        for _ in run.progress(range(steps), f"{hidden} hidden"):
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(model(x), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        accuracy = ((model(x)[:, 0] > 0) == (y > 0)).to(gs.float32).mean().item()
        rows.append([hidden, losses[-1], accuracy])
        reached[hidden] = model, losses, accuracy
    model, losses, accuracy = reached[4]
    run.history["loss"] = losses
    run.figure("accuracy of 4 tanh neurons", accuracy, at_least=0.86, quick=0.8)
    run.figure("gain over a logistic regression", accuracy - reached[0][2], at_least=0.05)
    run.table("Hidden layers", ["neurons", "loss", "accuracy"], rows)
    for hidden, name in ((0, "line"), (4, "network")):
        picture = viz.plot_decision_boundary(reached[hidden][0], x, y)
        run.picture(name, picture, f"With {hidden} hidden neurons.")
    run.confusion(metrics.confusion_matrix((model(x)[:, 0] > 0).to(gs.int64), y, 2))
    run.model(model, (1, 2))
