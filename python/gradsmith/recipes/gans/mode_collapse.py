# SPDX-License-Identifier: Apache-2.0
"""Does a generator cover all of the data? Eight Gaussians on a ring tell at a glance.

A plain GAN whose generator is faster than its discriminator drops modes or jumps from one to the
next (mode collapse), since one good place fools the discriminator of the moment. The critic of
WGAN-GP, ``mean f(x) - mean f(G(z)) - 10 (|grad f| - 1)^2`` (Gulrajani et al. 2017), has a slope
everywhere that points to the modes that lack mass. A mode counts as covered when 1 % of the samples
lie within three standard deviations of its centre. The data are synthetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith import nn, viz
from gradsmith.backend import Array
from gradsmith.data import generators
from gradsmith.nn import functional as F
from gradsmith.ops.random import randn
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans.digits import play
from gradsmith.recipes.gans.perceptrons import adam
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import new_grid, predictions

MODES, DEVIATION, LATENT = 8, 0.1, 4
SAMPLES, BATCH, CRITIC_STEPS = 2000, 128, 4


def ring() -> Array:
    """Return the centres (MODES, 2) on a circle of radius 2."""
    angles = np.arange(MODES) * 2 * np.pi / MODES
    return np.stack([2 * np.cos(angles), 2 * np.sin(angles)], 1)


def shares(points: Array) -> Array:
    """Return the share of points (N, 2) that lie at each centre."""
    distances = np.linalg.norm(points[:, None] - ring(), axis=2)
    return np.asarray((distances < 3 * DEVIATION).mean(0))


def covered(parts: Array) -> int:
    """Return how many modes have 1 % of the points or more."""
    return int((parts >= 0.01).sum())


def net(inputs: int, outputs: int, width: int = 96) -> nn.Sequential:
    """Return two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, outputs),
    )


def penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Hold the critic's slope at 1."""
    return F.gradient_penalty(critic, real, fake)


GAMES: dict[str, dict[str, Any]] = {
    "gan": {"loss": F.gan_non_saturating_loss},
    "wgan-gp": {"loss": F.gan_wasserstein_loss, "n_critic": CRITIC_STEPS, "penalty": penalty},
}

# Learning rates of generator and discriminator.
RATES = {"gan": (2e-3, 2e-4), "wgan-gp": (2e-3, 2e-3)}


def trained(run: Run, name: str, data: Tensor) -> Array:
    """Return samples (N, 2) of a generator trained by the game of a name."""
    maker, critic = net(LATENT, 2).to(run.device), net(2, 1).to(run.device)
    game = AdversarialTrainer(
        *(maker, critic, adam(maker, RATES[name][0]), adam(critic, RATES[name][1])),
        lambda count: randn(count, LATENT),
        **GAMES[name],
    )
    average = EMA(maker, 0.99)
    epochs = run.epochs(full=120, quick=36)
    # An average would hide how the plain generator jumps from one place to the next.
    drawing = maker if name == "gan" else average

    def drawn() -> Array:
        return predictions(drawing, randn(SAMPLES, LATENT).to(run.device)).cpu().numpy()

    def count(epoch: int) -> None:
        run.log(**{f"{name}/modes": covered(shares(drawn()))})

    options: dict[str, Any] = {"batch_size": BATCH, "average": average, "after": count}
    play(run, game, data, epochs, stage=name, **options)
    return drawn()


def main(run: Run) -> None:
    """Train both games and compare what they cover."""
    count = BATCH * CRITIC_STEPS * run.choose(25, 10)
    data = generators.blobs(count, ring(), cluster_std=DEVIATION, seed=run.seed).tensors[0]
    figure, axes = new_grid(1, 3, 3.0)
    axes[0, 0].scatter(*data[:SAMPLES].numpy().T, s=2)
    axes[0, 0].set_title("data")
    rows = []
    for ax, name in zip(axes[0, 1:], GAMES, strict=True):
        points = trained(run, name, data.to(run.device))
        parts = shares(points)
        rows.append([name, covered(parts), float(parts.sum())])
        ax.scatter(*points.T, s=2)
        ax.set(title=name, xlim=(-3, 3), ylim=(-3, 3))
    run.table("Coverage", ["game", "modes of 8", "share at a mode"], rows)
    modes = {name: run.history[f"{name}/modes"] for name in GAMES}
    later = modes["gan"][len(modes["gan"]) // 2 :]
    run.figure("modes that the plain GAN covers, mean", np.mean(later), at_most=6)
    run.figure("modes that WGAN-GP covers", rows[1][1], at_least=MODES, quick=6)
    run.figure("share of its samples at a mode", rows[1][2], at_least=0.75, quick=0.3)
    run.picture("rings", figure, "What each generator draws.")
    coverage = viz.plot_history(modes)
    run.picture(
        "coverage",
        coverage,
        "Modes covered after each epoch: the plain GAN jumps from one to the next.",
    )
