# SPDX-License-Identifier: Apache-2.0
"""A generator that is told which digit to draw.

The game is ``log D(x, y) + log(1 - D(G(z, y), y))``: both nets get the class y, as ten values of
which one is 1, beside noise or image (Mirza and Osindero, "Conditional generative adversarial
nets", 2014). The discriminator then also refuses a good image of the wrong class. The layers are
dense, or those of the DCGAN (``--set nets=convolutional``). A classifier of real digits checks that
the asked class comes out.
"""

from __future__ import annotations

from gradsmith import nn, viz
from gradsmith.nn import functional as F
from gradsmith.ops.creation import arange
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans import perceptrons
from gradsmith.recipes.gans.conditional import (
    LATENT,
    Conditional,
    beside,
    convolutional_nets,
    requests,
    requests_like,
)
from gradsmith.recipes.gans.digits import (
    classes_of,
    play,
    scans,
    sheet,
    tell_judgement,
    trained_judge,
)
from gradsmith.recipes.run import Run
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

OPTIONS = {"nets": "dense"}
CLASSES, PIXELS = 10, 64


def dense_nets() -> tuple[Conditional, nn.Module]:
    """Return generator and discriminator of dense layers for images of 8x8 pixels."""
    net = nn.Sequential(perceptrons.generator(LATENT + CLASSES), nn.Unflatten(1, (1, 8, 8)))
    return Conditional(net), perceptrons.discriminator((1 + CLASSES) * PIXELS)


def main(run: Run) -> None:
    """Train, and ask for every class."""
    nets = run.option("nets")
    if nets not in ("dense", "convolutional"):
        raise ValueError(f"option nets is {nets!r}, expected dense or convolutional")
    judge = trained_judge(run)
    images, labels = scans(run)
    dense = nets == "dense"
    pair = dense_nets() if dense else convolutional_nets(CLASSES, 8, 32)
    generator, discriminator = (each.to(run.device) for each in pair)
    average = EMA(generator, 0.998, use_buffers=True)
    rate = 1e-3 if dense else 5e-4
    optimizers = perceptrons.adam(generator), perceptrons.adam(discriminator, rate)
    draw = requests_like(labels, CLASSES)
    trainer = AdversarialTrainer(generator, discriminator, *optimizers, draw)
    pairs = beside(images, F.one_hot(labels, CLASSES).float())
    play(run, trainer, pairs, run.epochs(full=60, quick=20), average=average)
    asked = arange(1000, device=run.device) % CLASSES
    samples = predictions(average, requests(asked, CLASSES))[:, :1]
    found, _ = classes_of(judge, samples)
    run.figure("asked class drawn", (found == asked).float().mean(), at_least=0.9, quick=0.8)
    tell_judgement(run, judge, samples, quick=0.65)
    run.picture("samples", sheet(samples[:80], CLASSES), "Column k asks for digit k.")
    run.picture("curves", viz.plot_history(run.history), "Losses of the two sides by epoch.")
    run.model(average.module, (1, LATENT + CLASSES))
