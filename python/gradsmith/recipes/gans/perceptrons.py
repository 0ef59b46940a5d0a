# SPDX-License-Identifier: Apache-2.0
"""A generator and a discriminator of dense layers on 8x8 digits, under any loss of the two sides.

Shared by the recipes that differ in the loss only.
"""

from __future__ import annotations

from collections.abc import Callable

from gradsmith import nn, viz
from gradsmith.ops.random import randn
from gradsmith.optim import Adam
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans.digits import play, scans, sheet, tell_judgement, trained_judge
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

LATENT = 16


def generator(inputs: int = LATENT, outputs: int = 64, width: int = 128) -> nn.Sequential:
    """Return a net from noise (N, inputs) to values (N, outputs) in [-1, 1]."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, outputs),
        nn.Tanh(),
    )


def discriminator(inputs: int = 64, width: int = 128, dropout: float = 0.3) -> nn.Sequential:
    """Return a net from samples (N, ...) of ``inputs`` values to scores (N, 1)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, width),
        nn.LeakyReLU(0.2),
        nn.Dropout(dropout),
        nn.Linear(width, width),
        nn.LeakyReLU(0.2),
        nn.Dropout(dropout),
        nn.Linear(width, 1),
    )


def adam(net: nn.Module, lr: float = 1e-3, momentum: float = 0.5) -> Adam:
    """Return Adam with the low momentum that games need."""
    return Adam(net.parameters(), lr=lr, betas=(momentum, 0.999))


def noise(count: int) -> Tensor:
    """Return noise (count, LATENT)."""
    return randn(count, LATENT)


def train_on_digits(run: Run, loss: Callable[..., Tensor]) -> None:
    """Train on the digits with a loss, judge the samples, and show them."""
    judge = trained_judge(run)
    images, _ = scans(run)
    maker = nn.Sequential(generator(), nn.Unflatten(1, (1, 8, 8))).to(run.device)
    critic = discriminator().to(run.device)
    trainer = AdversarialTrainer(maker, critic, adam(maker), adam(critic), noise, loss)
    average = EMA(maker, 0.998, use_buffers=True)
    play(run, trainer, images, run.epochs(full=160, quick=25), average=average)
    samples = predictions(average, noise(1000).to(run.device))
    tell_judgement(run, judge, samples, share=0.75, quick=0.5)
    run.picture("samples", sheet(samples[:64], 16), "Drawn from noise.")
    run.picture("curves", viz.plot_history(run.history), "Losses of the two sides by epoch.")
    run.model(average.module, (1, LATENT))
