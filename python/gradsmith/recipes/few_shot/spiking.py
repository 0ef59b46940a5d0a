# SPDX-License-Identifier: Apache-2.0
"""Neurons that fire: leaky integrate-and-fire units read digits from trains of spikes.

A membrane leaks and sums its input, ``v <- 0.9 v + w x``; above the threshold 1 it fires a spike
and loses 1. The step has no slope, so the backward pass takes that of a fast sigmoid instead, ``1 /
(1 + 5 |v - 1|)^2`` (Neftci, Mostafa, Zenke, "Surrogate gradient learning", 2019). Pixels fire at
random with their brightness as rate; the class whose membrane is highest on average wins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith import metrics, nn, viz
from gradsmith.autograd import Function
from gradsmith.ops.creation import zeros
from gradsmith.ops.joining import stack
from gradsmith.ops.random import rand
from gradsmith.optim import Adam
from gradsmith.recipes.gans.digits import scans
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import new_axes, predictions

LEAK, STEEPNESS, STEPS, HIDDEN = 0.9, 5.0, 12, 96


class Spike(Function):
    """1 where the argument is above 0, with the slope of a fast sigmoid."""

    @staticmethod
    def forward(ctx: Any, above: Tensor) -> Tensor:
        """Return the spikes."""
        ctx.save_for_backward(above)
        return (above > 0).to(above.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient with the slope that stands in."""
        (above,) = ctx.saved_tensors
        slope: Tensor = gradient / (1 + STEEPNESS * above.abs()).square()
        return slope


class SpikingNet(nn.Module):
    """Brightnesses (N, 64) in [0, 1] -> mean membranes of the classes (N, 10)."""

    def __init__(self) -> None:
        """Make the weights."""
        super().__init__()
        self.hidden = nn.Linear(64, HIDDEN)
        self.out = nn.Linear(HIDDEN, 10)

    def run_through(self, rates: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean membranes (N, 10) and the hidden spikes (STEPS, N, HIDDEN)."""
        membrane = zeros(len(rates), HIDDEN, device=rates.device)
        answer = zeros(len(rates), 10, device=rates.device)
        answers, spikes = [], []
        for _ in range(STEPS):
            pixels = (rand(*rates.shape).to(rates.device) < rates).float()
            membrane = LEAK * membrane + self.hidden(pixels)
            fired = Spike.apply(membrane - 1)
            membrane = membrane - fired
            answer = LEAK * answer + self.out(fired)
            answers.append(answer)
            spikes.append(fired)
        return stack(answers).mean(0), stack(spikes)

    def forward(self, rates: Tensor) -> Tensor:
        """Return the mean membranes."""
        return self.run_through(rates)[0]


def main(run: Run) -> None:
    """Train and show who fires when."""
    (images, labels), (unseen, answers) = scans(run), scans(run, "test")
    rates, others = (each.flatten(1) / 2 + 0.5 for each in (images, unseen))
    net = SpikingNet().to(run.device)
    net.compile(Adam(net.parameters(), lr=2e-3), "cross_entropy", ["accuracy"])
    epochs = run.epochs(full=40, quick=8)
    run.fit(net, rates, labels, batch_size=32, epochs=epochs, verbose=0)
    scores = predictions(net, others)
    run.figure("test accuracy", metrics.accuracy(scores, answers), at_least=0.93, quick=0.8)
    spikes = net.run_through(others[:1])[1].detach()[:, 0].cpu().numpy()
    run.figure("spikes per hidden neuron and step", spikes.mean(), at_most=0.5)
    ax = new_axes(size=(6.0, 4.0))
    ax.eventplot([np.flatnonzero(train) for train in spikes.T], colors="black", linelengths=0.8)
    ax.set(xlabel="step", ylabel="hidden neuron")
    run.picture("raster", ax.figure, "Spikes of the hidden neurons for one digit.")
    run.confusion(metrics.confusion_matrix(scores, answers, 10))
    run.picture("curves", viz.plot_history(run.history), "Loss and accuracy by epoch.")
    run.model(net, (1, 64))
