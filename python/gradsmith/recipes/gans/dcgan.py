# SPDX-License-Identifier: Apache-2.0
"""Convolutions draw digits: the rules that made GANs of images train.

Strides instead of pooling, batch norm in both nets, ReLU in the generator and LeakyReLU in the
discriminator, Adam with a momentum of 0.5 (Radford et al. 2015). Both nets are told the class, ``x
= G([z, y])``: ten values beside the noise, ten planes beside the image. A classifier of real digits
judges what comes out; the GIF shows the same noise after every epoch.
"""

from __future__ import annotations

from gradsmith import models, nn, viz
from gradsmith.backend import Array
from gradsmith.ops.creation import arange
from gradsmith.ops.joining import cat
from gradsmith.ops.random import randint, randn
from gradsmith.recipes.gans.cgan import CLASSES, ones_of
from gradsmith.recipes.gans.digits import play, scans, tell_judgement, trained_judge
from gradsmith.recipes.gans.perceptrons import adam
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

SIZE, LATENT, WIDTH = 16, 16, 24


class Conditional(nn.Module):
    """Noise beside a class (N, LATENT + 10) -> image and planes (N, 1 + 10, SIZE, SIZE)."""

    def __init__(self) -> None:
        """Make the generator."""
        super().__init__()
        self.net = models.DCGANGenerator(LATENT + CLASSES, 1, SIZE, WIDTH)

    def forward(self, request: Tensor) -> Tensor:
        """Return what the discriminator sees."""
        return cat([self.net(request), planes(request[:, LATENT:])], 1)


def planes(ones: Tensor) -> Tensor:
    """Return a plane (SIZE, SIZE) of each of the ten values (N, 10)."""
    return ones[:, :, None, None].expand(-1, -1, SIZE, SIZE)


def requests(classes: Tensor) -> Tensor:
    """Return noise beside the classes."""
    return cat([randn(len(classes), LATENT).to(classes.device), ones_of(classes)], 1)


def main(run: Run) -> None:
    """Train, judge, and show the training."""
    judge = trained_judge(run, SIZE)
    images, labels = scans(run, size=SIZE)
    pairs = cat([images, planes(ones_of(labels))], 1)
    generator = Conditional().to(run.device)
    discriminator = models.DCGANDiscriminator(1 + CLASSES, SIZE, WIDTH).to(run.device)
    trainer = AdversarialTrainer(
        *(generator, discriminator, adam(generator, 1e-3), adam(discriminator, 5e-4)),
        lambda count: requests(randint(0, CLASSES, (count,))),
    )
    seen = requests(arange(60, device=run.device) % CLASSES)
    frames: list[Array] = []

    def keep(epoch: int) -> None:
        frames.append(viz.image_grid(predictions(generator, seen)[:, :1] / 2 + 0.5, CLASSES))

    play(run, trainer, pairs, run.epochs(full=12, quick=6), batch_size=32, after=keep)
    samples = predictions(generator, requests(arange(1000, device=run.device) % CLASSES))[:, :1]
    tell_judgement(run, judge, samples, quick=0.6)
    gif = viz.save_gif(frames, run.folder / "pictures" / "training.gif", fps=6)
    run.animation("training", gif, "The same noise after each epoch.")
    run.picture("samples", frames[-1], "Column k asks for digit k.")
    run.picture("curves", viz.plot_history(run.history), "Losses of the two sides by epoch.")
    run.model(generator, (1, LATENT + CLASSES))
