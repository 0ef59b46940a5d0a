# SPDX-License-Identifier: Apache-2.0
"""A deep Boltzmann machine, trained by mean field and persistent chains.

Salakhutdinov and Hinton, "Deep Boltzmann machines", 2009. Given the data, the hidden layers are
replaced by the nearest independent units, found by ``mu1 = sigmoid(W1 v + W2^T mu2 + c1)``, ``mu2 =
sigmoid(W2 mu1 + c2)``; what the model dreams comes from chains that go on from step to step;
restricted machines give the first weights. A small machine of bars and stripes has an exact
log-likelihood; a larger one completes digits.
"""

from __future__ import annotations

import math

from gradsmith import models, viz
from gradsmith.autograd import no_grad
from gradsmith.ops.creation import zeros
from gradsmith.ops.elementwise import where
from gradsmith.optim import SGD, lr_scheduler
from gradsmith.recipes.energy.data import as_images, bars_and_stripes, pixels
from gradsmith.recipes.energy.machines import BATCH, Chains, train_greedily
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor


def learn(
    run: Run, machine: models.DBM, data: Tensor, *, epochs: int, stage: str, lr: float
) -> None:
    """Train a machine."""
    optimizer = SGD(machine.parameters(), lr=lr, weight_decay=2e-4)
    slower = lr_scheduler.LinearLR(optimizer, 1.0, 0.0, max(epochs * len(data) // BATCH, 1))
    visible = Chains(BATCH, len(machine.visible_bias)).to(run.device)
    top = Chains(BATCH, len(machine.top_bias)).to(run.device)

    def step(batch: Tensor) -> dict[str, float]:
        hidden, above = machine(batch)
        with no_grad():
            dreamt = machine.gibbs(visible.states, top.states, 5)
        visible.states, top.states = dreamt[0], dreamt[2]
        minimise(
            optimizer, machine.energy(batch, hidden, above).mean() - machine.energy(*dreamt).mean()
        )
        slower.step()
        restored = machine.visible_given_hidden(hidden)
        return {"reconstruction error": (restored - batch).square().mean().item()}

    states = {"machine": machine, "optimizer": optimizer, "visible": visible, "top": top}
    states["slower"] = slower
    train(run, step, [data], states, epochs=epochs, batch_size=BATCH, stage=stage)


def completed(machine: models.DBM, visible: Tensor, known: Tensor, steps: int = 30) -> Tensor:
    """Return visible units of which those unknown are filled in by mean field."""
    guess = where(known > 0, visible, visible * 0 + 0.5)
    for _ in range(steps):
        hidden, _ = machine(guess)
        guess = where(known > 0, visible, machine.visible_given_hidden(hidden))
    return guess


def main(run: Run) -> None:
    """Train both machines and measure."""
    _bars(run)
    training, _ = pixels(run, "train")
    testing, labels = pixels(run, "test")
    layers, _ = train_greedily(run, (64, 128, 64), training, epochs=run.choose(20, 6))
    machine = models.DBM(64, 128, 64).to(run.device)
    machine.load_rbms(*layers)
    epochs = run.epochs(full=60, quick=5)
    learn(run, machine, training, epochs=epochs, stage="digits", lr=0.05)
    known = zeros(64, device=run.device)
    known[:32] = 1
    with no_grad():
        filled = completed(machine, testing, known)
        mean = where(known > 0, testing, training.mean(0))
        errors = [(each - testing).square().mean().item() for each in (mean, filled)]
        run.figure("error of the mean lower half", errors[0])
        run.figure("completed / mean", errors[1] / errors[0], at_most=0.85, quick=0.95)
        start = (zeros(64, 64, device=run.device) + 0.5).bernoulli()
        hidden = machine.gibbs(start, start, run.choose(1000, 200))[1]
        dreams = machine.visible_given_hidden(hidden)
    chosen = [labels.numpy().tolist().index(digit) for digit in range(10)]
    rows = [as_images(each)[chosen] for each in (testing, testing * known, filled)]
    titles = ["scan", "upper half", "completed"]
    picture = viz.reconstruction_rows(*rows, titles=titles)
    run.picture("completion", picture, "The lower halves are imagined from the upper ones.")
    run.picture("dreams", viz.image_grid(as_images(dreams), 16), "The ends of 64 Gibbs chains.")
    run.model(machine, (1, 64))


def _bars(run: Run) -> None:
    patterns = bars_and_stripes(4).to(run.device)
    machine = models.DBM(16, 12, 6).to(run.device)
    epochs = run.choose(100, 16)
    learn(run, machine, patterns.repeat(64, 1), epochs=epochs, stage="bars", lr=0.2)
    with no_grad():
        exact, bound = machine.log_likelihood(patterns), machine.lower_bound(patterns)
    run.figure("bars: log-likelihood of fair coins, nats", -16 * math.log(2))
    run.figure("bars: best possible", -math.log(len(patterns)))
    run.figure("bars: exact log-likelihood", exact.mean(), at_least=-6, quick=-9)
    run.figure("bars: exact - mean-field bound, least", (exact - bound).min(), at_least=-1e-3)
    run.figure("bars: exact - mean-field bound, mean", (exact - bound).mean(), at_most=1)
