# SPDX-License-Identifier: Apache-2.0
"""Weights drawn from N(0, 1) and a learning rate of 1: the gradients explode, nothing is learnt.

Sums of hundreds of such weights push tanh to +-1, a wrong answer costs far more than it should, and
each step throws the weights elsewhere. Cures: weights after Glorot (Glorot and Bengio 2010) with a
smaller rate, clipping the norm of the gradient, ``g *= min(1, c / |g|)`` (Pascanu, Mikolov and
Bengio 2013), at that rate, and batch normalisation (Ioffe and Szegedy 2015), which does not mind
how large weights are. All rates fall along a cosine.
"""

from __future__ import annotations

import math
from typing import Any

import gradsmith as gs
from gradsmith import models, nn, viz
from gradsmith.data import DataLoader, TensorDataset
from gradsmith.nn.utils import clip_grad_norm_
from gradsmith.optim import SGD, lr_scheduler
from gradsmith.recipes.feed_forward.digits import digit_rows
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import MNIST

STANDARD = MNIST
SIZES = [784, 100, 100, 100, 10]
VARIANTS: dict[str, dict[str, Any]] = {
    "N(0, 1), rate 1": {"init": "normal", "rate": 1.0},
    "Glorot, rate 0.1": {"init": "xavier_normal", "rate": 0.1},
    "Glorot, clipped": {"init": "xavier_normal", "rate": 1.0, "clip": 0.25},
    "N(0, 1), batch norm": {"init": "normal", "rate": 1.0, "batch_norm": True},
}


def main(run: Run) -> None:
    """Train all variants alike."""
    digits = digit_rows(run)
    data = TensorDataset(digits.train_x, digits.train_y)
    test_x, test_y = digits.test_x.to(run.device), digits.test_y.to(run.device)
    epochs = run.epochs(full=15, quick=4)
    rows, accuracies = [], {}
    for name, options in VARIANTS.items():
        gs.manual_seed(run.seed)
        model = models.mlp(SIZES, nn.Tanh, batch_norm="batch_norm" in options).to(run.device)
        nn.init.initialize(model, {nn.Linear: options["init"], "*bias": "zeros"})
        optimizer = SGD(model.parameters(), lr=options["rate"])
        schedule = lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        loader = DataLoader(data, 32, shuffle=True, seed=run.seed)
        states = {"model": model, "optimizer": optimizer, "schedule": schedule, "loader": loader}
        for _ in run.rounds(epochs, states, name, stage=name):
            losses, norms = [], []
            for x, y in loader:
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x.to(run.device)), y.to(run.device))
                loss.backward()
                limit = options.get("clip", math.inf)
                norms.append(clip_grad_norm_(model.parameters(), limit).item())
                optimizer.step()
                losses.append(loss.item())
            schedule.step()
            mean = sum(losses) / len(losses)
            run.log(**{f"{name}/loss": mean, f"{name}/gradient norm": max(norms)})
        model.eval()
        right = model(test_x).argmax(dim=1) == test_y
        accuracies[name] = right.to(gs.float32).mean().item()
        norms, losses = (run.history[f"{name}/{what}"] for what in ("gradient norm", "loss"))
        rows.append([name, max(norms), losses[-1], accuracies[name]])
    run.table("Variants", ["variant", "largest gradient norm", "loss", "test accuracy"], rows)
    first, *cures = VARIANTS
    run.figure("test accuracy, N(0, 1) at rate 1: fails", accuracies[first], at_most=0.3)
    run.figure("its largest gradient norm", rows[0][1], at_least=20.0)
    for name in cures:
        goals = (0.92, 0.85) if "batch" in name else (0.95, 0.9)
        run.figure(
            f"test accuracy, {name}: cured", accuracies[name], at_least=goals[0], quick=goals[1]
        )
    curves = {name: run.history[f"{name}/loss"] for name in VARIANTS}
    picture = viz.plot_curves(curves, xlabel="epoch", ylabel="loss", yscale="log")
    run.picture(
        "losses",
        picture,
        "The first is thrown about and ends at guessing; the others fall.",
    )
