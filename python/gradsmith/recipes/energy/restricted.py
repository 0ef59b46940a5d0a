# SPDX-License-Identifier: Apache-2.0
"""A restricted Boltzmann machine of scanned digits.

Weights follow ``<v h>`` of the data minus ``<v h>`` after k steps of Gibbs sampling from them:
contrastive divergence, ``dW = rate (<v h>_0 - <v h>_k)`` (Hinton, "Training products of experts by
minimizing contrastive divergence", 2002; ``--set k=1``), or with chains that go on from step to
step (Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood
gradient", 2008; ``--set persistent=true``). A scan is likelier than the same pixels shuffled, if
the machine has learned how pixels go together.
"""

from __future__ import annotations

from gradsmith import metrics, models, viz
from gradsmith.nn import functional as F
from gradsmith.ops.creation import arange
from gradsmith.ops.joining import cat
from gradsmith.ops.random import bernoulli, rand_like
from gradsmith.recipes.energy.data import as_images, pixels
from gradsmith.recipes.energy.machines import train_rbm
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"hidden": 128, "k": 1, "persistent": False}


def shuffled(units: Tensor) -> Tensor:
    """Return each row in an order of its own."""
    return units.gather(1, rand_like(units).argsort(1))


def main(run: Run) -> None:
    """Train, restore, tell scans from noise, and dream."""
    training, testing = ((pixels(run, split)[0] >= 0.5).float() for split in ("train", "test"))
    labels = pixels(run, "test")[1]
    machine = models.rbm(64, run.option("hidden")).to(run.device)
    options = {name: run.option(name) for name in ("k", "persistent")}
    train_rbm(run, machine, training, epochs=run.epochs(full=150, quick=15), **options)
    restored = machine.reconstruct(testing)
    error = F.mse_loss(restored, testing)
    run.figure("reconstruction error of the test scans", error, at_most=0.08, quick=0.12)
    both = cat([testing, shuffled(testing)])
    real = arange(len(both)) < len(testing)
    auc = metrics.roc_auc(-machine.free_energy(both), real)
    run.figure("scans told from shuffled ones (AUC)", auc, at_least=0.98, quick=0.95)
    gap = machine.free_energy(testing).mean() - machine.free_energy(training).mean()
    run.figure("free energy, test - training", gap)
    start = bernoulli(testing[:64] * 0 + training.mean(0))
    dreams = machine.reconstruct(machine.gibbs(start, run.choose(1000, 200)))
    run.picture("dreams", viz.image_grid(as_images(dreams), 16), "The ends of 64 Gibbs chains.")
    chosen = [labels.numpy().tolist().index(digit) for digit in range(10)]
    rows = [as_images(each)[chosen] for each in (testing, restored)]
    picture = viz.reconstruction_rows(*rows, titles=["scan", "reconstruction"])
    run.picture("reconstructions", picture, "Scans above, what the hidden units keep below.")
    filters = viz.plot_filters(as_images(machine.weight[:64]), 16)
    run.picture("filters", filters, "What 64 hidden units look for.")
    run.model(machine, (1, 64))
