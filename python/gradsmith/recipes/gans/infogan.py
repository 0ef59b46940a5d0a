# SPDX-License-Identifier: Apache-2.0
"""A generator finds the ten digits by itself, without a label.

Beside noise the generator gets a code, and a head Q of the discriminator has to read the code off
the image (Chen et al., "InfoGAN", 2016). Its loss, ``-E log Q(code | G(z, code))``, is a bound on
the mutual information of code and image, so the code has to mean something: a category of ten turns
out to be the kind of digit, a number in [-1, 1] its style. Labels are used to judge only.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from gradsmith import nn, viz
from gradsmith.nn import functional as F
from gradsmith.ops.creation import arange, linspace, zeros
from gradsmith.ops.joining import cat
from gradsmith.ops.random import rand, randint
from gradsmith.optim import Adam
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans import perceptrons
from gradsmith.recipes.gans.digits import classes_of, scans, sheet, tell_judgement, trained_judge
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import predictions

CODES, PIXELS = 10, 64
INPUTS = perceptrons.LATENT + CODES + 1


class Reader(nn.Module):
    """Images (N, 64) -> score (N, 1) of being real, scores (N, 10) of the code, style (N, 1)."""

    def __init__(self, width: int = 128) -> None:
        """Make the layers: D and Q share all but their last."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(PIXELS, width),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.3),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
        )
        self.real, self.code, self.style = (nn.Linear(width, n) for n in (1, CODES, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what D and Q say."""
        features = self.body(images)
        return self.real(features), self.code(features), self.style(features)


def inputs(codes: Tensor, styles: Tensor) -> Tensor:
    """Return noise beside codes (N,) and styles (N, 1)."""
    noise = perceptrons.noise(len(codes)).to(codes.device)
    return cat([noise, F.one_hot(codes, CODES).float(), styles], 1)


def information_loss(reader: Reader, images: Tensor, codes: Tensor, styles: Tensor) -> Tensor:
    """Return -log Q of the codes, with a Gaussian for the style."""
    _, scores, style = reader(images)
    return F.cross_entropy(scores, codes) + 0.5 * F.mse_loss(style, styles)


def step(
    generator: nn.Module, average: EMA, reader: Reader, optimizers: tuple[Adam, Adam], real: Tensor
) -> dict[str, float]:
    """Take a step of both nets; Q learns along with the generator."""
    of_generator, of_reader = optimizers
    codes = randint(0, CODES, (len(real),)).to(real.device)
    styles = (rand(len(real), 1) * 2 - 1).to(real.device)
    images = generator(inputs(codes, styles))
    told = F.gan_non_saturating_loss(reader(images.detach())[0], reader(real)[0])
    minimise(of_reader, told + information_loss(reader, images.detach(), codes, styles))
    fooled = F.gan_non_saturating_loss(reader(images)[0], role="generator")
    information = information_loss(reader, images, codes, styles)
    minimise(of_generator, fooled + information)
    average.update_parameters(generator)
    return {"d_loss": told.item(), "g_loss": fooled.item(), "information": information.item()}


def purity(codes: Tensor, classes: Tensor) -> float:
    """Return the share of samples that belong to the commonest class of their code."""
    table = np.zeros((CODES, 10))
    np.add.at(table, (codes.cpu().numpy(), classes.cpu().numpy()), 1)
    return float(table.max(1).sum() / table.sum())


def main(run: Run) -> None:
    """Train, and compare codes with digits."""
    judge = trained_judge(run)
    images = scans(run)[0].flatten(1)
    generator = perceptrons.generator(INPUTS).to(run.device)
    reader = Reader().to(run.device)
    optimizers = perceptrons.adam(generator), perceptrons.adam(reader)
    average = EMA(generator, 0.998, use_buffers=True)
    parts = {"generator": generator, "average": average, "reader": reader}
    states = {**parts, "g": optimizers[0], "d": optimizers[1]}
    game = partial(step, generator, average, reader, optimizers)
    epochs = run.epochs(full=80, quick=20)
    train(run, game, [images], states, epochs=epochs, drop_last=True)
    codes = arange(1000, device=run.device) % CODES
    samples = predictions(average, inputs(codes, zeros(1000, 1, device=run.device)))
    samples = samples.reshape(-1, 1, 8, 8)
    found, _ = classes_of(judge, samples)
    run.figure("purity of the codes", purity(codes, found), at_least=0.7, quick=0.4)
    tell_judgement(run, judge, samples, share=0.75, quick=0.6)
    run.picture("codes", sheet(samples[:80], CODES), "A column for each code.")
    styles = linspace(-1, 1, 12, device=run.device).reshape(-1, 1).repeat(CODES, 1)
    walk = inputs((arange(CODES * 12, device=run.device) // 12), styles)
    walk[:, : perceptrons.LATENT] = walk[:1, : perceptrons.LATENT]
    shown = predictions(average, walk).reshape(-1, 1, 8, 8)
    run.picture("styles", sheet(shown, 12), "A row for each code; the style grows.")
    run.picture("curves", viz.plot_history(run.history), "Losses by epoch.")
    run.model(average.module, (1, INPUTS))
