# SPDX-License-Identifier: Apache-2.0
"""Convolutions draw digits: the rules that made GANs of images train.

Strides instead of pooling, batch norm in both nets, ReLU in the generator and LeakyReLU in the
discriminator, Adam with a momentum of 0.5 (Radford et al. 2015). No label is used: both nets are
told which of twenty clusters c, that k-means finds among the scans, is meant, ``x = G([z, c])``
(Liu et al., "Diverse image generation via self-conditioned GANs", 2020); without (``--set
clusters=1``) a third of the samples lie between two digits. The moving average of the generator's
weights draws; a classifier of real digits judges; the GIF shows the same noise after every epoch.
"""

from __future__ import annotations

from gradsmith import nn, viz
from gradsmith.backend import Array
from gradsmith.nn import functional as F
from gradsmith.ops.creation import arange
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans.conditional import (
    LATENT,
    beside,
    convolutional_nets,
    requests,
    requests_like,
)
from gradsmith.recipes.gans.digits import play, scans, sheet, tell_judgement, trained_judge
from gradsmith.recipes.gans.perceptrons import adam
from gradsmith.recipes.neurons.competition import compete, spread_samples, start_at
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

OPTIONS = {"clusters": 20}
SIZE, WIDTH, ROWS = 16, 24, 5


def clustered(images: Tensor, count: int, rounds: int = 30) -> Tensor:
    """Return which of ``count`` clusters each image belongs to (N,), by k-means."""
    x = images.flatten(1)
    units = nn.Competitive(x.shape[1], count).to(x.device)
    compete(start_at(units, spread_samples(x, count)), x, rounds, rate=1.0)
    clusters: Tensor = units(x).argmax(1)
    return clusters


def main(run: Run) -> None:
    """Train, judge, and show the training."""
    judge = trained_judge(run, SIZE)
    images, _ = scans(run, size=SIZE)
    count = run.option("clusters")
    kinds = clustered(images, count)
    nets = convolutional_nets(count, SIZE, WIDTH)
    generator, discriminator = (each.to(run.device) for each in nets)
    average = EMA(generator, 0.998, use_buffers=True)
    draw = requests_like(kinds, count)
    trainer = AdversarialTrainer(
        *(generator, discriminator, adam(generator, 1e-3), adam(discriminator, 5e-4), draw)
    )
    seen = requests(arange(ROWS * count, device=run.device) % count, count)
    frames: list[Array] = []

    def keep(epoch: int) -> None:
        frames.append(sheet(predictions(average, seen)[:, :1], count))

    pairs = beside(images, F.one_hot(kinds, count).float())
    play(run, trainer, pairs, run.epochs(full=40, quick=6), average=average, after=keep)
    samples = predictions(average, draw(1000))[:, :1]
    tell_judgement(run, judge, samples, quick=0.65)
    gif = viz.save_gif(frames, run.folder / "pictures" / "training.gif", fps=6)
    run.animation("training", gif, "The same noise after each epoch.")
    run.picture("samples", frames[-1], "A column for each cluster of scans.")
    run.picture("curves", viz.plot_history(run.history), "Losses of the two sides by epoch.")
    run.model(average.module, (1, LATENT + count))
