# SPDX-License-Identifier: Apache-2.0
"""CD-1, CD-10 and persistent CD, judged by the exact log-likelihood of a small machine.

With 12 hidden units the partition function is a sum over 4,096 states. The data are the 30 bars and
stripes of 4x4 pixels, equally likely, so no model exceeds ``-log 30 = -3.40`` nats. CD-1 follows
only a rough direction of the gradient; chains that persist need a rate that falls, so that they
keep up with the model (Tieleman 2008).
"""

from __future__ import annotations

import math

from gradsmith import models, random, viz
from gradsmith.autograd import no_grad
from gradsmith.optim import SGD, lr_scheduler
from gradsmith.recipes.energy.data import bars_and_stripes
from gradsmith.recipes.energy.machines import Chains
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor
from gradsmith.train import contrastive_divergence

HIDDEN = 12
COPIES = 20  # of the data in an epoch
CURVE = "log-likelihood"
# Name -> steps of the chain, and whether it persists.
RULES = {"CD-1": (1, False), "CD-10": (10, False), "PCD-1": (1, True)}


def learn(run: Run, rule: str, patterns: Tensor) -> models.RBM:
    """Return a machine trained by a rule, with the log-likelihood among the curves."""
    steps, persistent = RULES[rule]
    random.manual_seed(run.seed)  # the same weights for each rule
    machine = models.RBM(patterns.shape[1], HIDDEN).to(run.device)
    optimizer = SGD(machine.parameters(), lr=run.choose(0.3, 0.5))
    chains = Chains(4 * len(patterns), patterns.shape[1]).to(run.device)
    epochs = run.epochs(full=150, quick=25)
    slower = lr_scheduler.LinearLR(optimizer, 1.0, 0.0, max(epochs * COPIES, 1))
    draw = (machine.free_energy, machine.sample_hidden, machine.sample_visible)

    def step(batch: Tensor) -> dict[str, float]:
        start = chains.states if persistent else None
        loss, end = contrastive_divergence(*draw, batch, steps, start)
        minimise(optimizer, loss)
        slower.step()
        if persistent:
            chains.states = end
        return {CURVE: machine.log_likelihood(patterns).mean().item()}

    states = {"machine": machine, "optimizer": optimizer, "chains": chains, "slower": slower}
    data, size = [patterns.repeat(COPIES, 1)], len(patterns)
    train(run, step, data, states, epochs=epochs, batch_size=size, stage=rule)
    return machine


def main(run: Run) -> None:
    """Train by each rule and compare."""
    patterns = bars_and_stripes(4).to(run.device)
    dreams = []
    for rule in RULES:
        machine = learn(run, rule, patterns)
        with no_grad():
            dreams.append(machine.gibbs(patterns[:12], 500).reshape(-1, 1, 4, 4))
    reached = {rule: run.history[f"{rule}/{CURVE}"][-1] for rule in RULES}
    run.figure("log-likelihood of fair coins, nats", -16 * math.log(2))
    run.figure("best possible", -math.log(len(patterns)))
    for rule, value in reached.items():
        run.figure(rule, value, at_least=-6, quick=-9.5)
    run.figure("CD-10 - CD-1", reached["CD-10"] - reached["CD-1"], at_least=0.1, quick=-0.5)
    run.figure("PCD-1 - CD-1", reached["PCD-1"] - reached["CD-1"], at_least=0.1, quick=-0.5)
    ax = viz.canvas.new_axes()
    for rule in RULES:
        ax.plot(run.history[f"{rule}/{CURVE}"], label=rule)
    ax.set_xlabel("epoch")
    ax.set_ylabel("log-likelihood, nats")
    ax.legend()
    run.picture("log-likelihood", ax.figure, "Exact log-likelihood of the data under each rule.")
    picture = viz.reconstruction_rows(*dreams, titles=list(RULES), count=12)
    run.picture("dreams", picture, "Ends of Gibbs chains: bars or stripes, or a mixture.")
    run.model(machine, (1, 16))
