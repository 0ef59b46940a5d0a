# SPDX-License-Identifier: Apache-2.0
"""A generator that is told which digit to draw.

The game is ``log D(x, y) + log(1 - D(G(z, y), y))``: both nets get the class y, as ten values of
which one is 1, beside noise or image (Mirza and Osindero, "Conditional generative adversarial
nets", 2014). The discriminator then also refuses a good image of the wrong class. A classifier of
real digits checks that the asked class comes out.
"""

from __future__ import annotations

from gradsmith import nn, viz
from gradsmith.nn import functional as F
from gradsmith.ops.creation import arange
from gradsmith.ops.joining import cat
from gradsmith.ops.random import randint
from gradsmith.recipes.gans import perceptrons
from gradsmith.recipes.gans.digits import classes_of, play, scans, tell_judgement, trained_judge
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

CLASSES, PIXELS = 10, 64


def ones_of(classes: Tensor) -> Tensor:
    """Return the classes (N,) as (N, 10) values of which one is 1."""
    return F.one_hot(classes, CLASSES).float()


class Conditional(nn.Module):
    """Noise beside a class (N, LATENT + 10) -> an image beside the same class (N, 64 + 10)."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.net = perceptrons.generator(perceptrons.LATENT + CLASSES, PIXELS)

    def forward(self, request: Tensor) -> Tensor:
        """Return what the discriminator sees."""
        return cat([self.net(request), request[:, perceptrons.LATENT :]], 1)


def requests(classes: Tensor) -> Tensor:
    """Return noise beside the classes."""
    return cat([perceptrons.noise(len(classes)).to(classes.device), ones_of(classes)], 1)


def drawn(generator: Conditional, classes: Tensor) -> Tensor:
    """Return an image (N, 1, 8, 8) of each class."""
    return predictions(generator, requests(classes))[:, :PIXELS].reshape(-1, 1, 8, 8)


def main(run: Run) -> None:
    """Train, and ask for every class."""
    judge = trained_judge(run)
    images, labels = scans(run)
    pairs = cat([images.flatten(1), ones_of(labels)], 1)
    generator = Conditional().to(run.device)
    discriminator = perceptrons.discriminator(PIXELS + CLASSES).to(run.device)
    trainer = AdversarialTrainer(
        *(generator, discriminator, perceptrons.adam(generator), perceptrons.adam(discriminator)),
        lambda count: requests(randint(0, CLASSES, (count,))),
    )
    play(run, trainer, pairs, run.epochs(full=200, quick=25))
    asked = arange(1000, device=run.device) % CLASSES
    samples = drawn(generator, asked)
    found, _ = classes_of(judge, samples)
    run.figure("asked class drawn", (found == asked).float().mean(), at_least=0.9, quick=0.6)
    tell_judgement(run, judge, samples, quick=0.3)
    run.picture(
        "samples", viz.image_grid(samples[:80] / 2 + 0.5, CLASSES), "Column k asks for digit k."
    )
    run.picture("curves", viz.plot_history(run.history), "Losses of the two sides by epoch.")
    run.model(generator, (1, perceptrons.LATENT + CLASSES))
