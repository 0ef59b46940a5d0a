# SPDX-License-Identifier: Apache-2.0
"""A GAN that also runs backwards: an encoder finds the code of an image.

The discriminator sees pairs, ``(x, E(x))`` from the encoder or ``(G(z), z)`` from the generator, in
``log D(x, E(x)) + log(1 - D(G(z), z))`` (Donahue et al., "Adversarial feature learning" (BiGAN),
and Dumoulin et al. (ALI), 2017). It is fooled for good only where E inverts G, though no loss
compares ``G(E(x))`` with x. An image that goes through both comes back as one of its kind.
"""

from __future__ import annotations

from functools import partial

from gradsmith import nn, viz
from gradsmith.nn import functional as F
from gradsmith.ops.joining import cat
from gradsmith.optim import Adam
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans import perceptrons
from gradsmith.recipes.gans.digits import Judge, scans, sheet, tell_judgement, trained_judge
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import predictions

PIXELS = 64


def encoder(width: int = 128) -> nn.Sequential:
    """Return a net from images (N, 64) to codes (N, LATENT)."""
    return nn.Sequential(
        nn.Linear(PIXELS, width),
        nn.BatchNorm1d(width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, width),
        nn.BatchNorm1d(width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, perceptrons.LATENT),
    )


def step(
    nets: nn.ModuleDict, average: EMA, optimizers: tuple[Adam, Adam], real: Tensor
) -> dict[str, float]:
    """Take a step of the discriminator, then one of encoder and generator together."""
    codes = perceptrons.noise(len(real)).to(real.device)
    found = cat([real, nets["encoder"](real)], 1)
    drawn = cat([nets["generator"](codes), codes], 1)
    judge, (of_pair, of_judge) = nets["discriminator"], optimizers
    told = F.gan_non_saturating_loss(judge(drawn.detach()), judge(found.detach()))
    told_apart = minimise(of_judge, told)
    # Each of the two wants to be taken for the other: the discriminator's loss, sides swapped.
    fooled = minimise(of_pair, F.gan_non_saturating_loss(judge(found), judge(drawn)))
    average.update_parameters(nets)
    return {"d_loss": told_apart, "g_loss": fooled}


def inverted(nets: nn.ModuleDict, images: Tensor) -> Tensor:
    """Return G(E(x)) of images (N, 64)."""
    return predictions(nets["generator"], predictions(nets["encoder"], images))


def main(run: Run) -> None:
    """Train, invert digits that training did not see, and judge drawn ones."""
    judge = trained_judge(run)
    images = scans(run)[0].flatten(1)
    nets = nn.ModuleDict(
        {
            "generator": perceptrons.generator(),
            "encoder": encoder(),
            "discriminator": perceptrons.discriminator(PIXELS + perceptrons.LATENT, 192, 0.2),
        }
    ).to(run.device)
    average = EMA(nets, 0.999, use_buffers=True)
    pair = nn.ModuleList([nets["generator"], nets["encoder"]])
    optimizers = perceptrons.adam(pair), perceptrons.adam(nets["discriminator"])
    parts = {"nets": nets, "average": average, "g": optimizers[0], "d": optimizers[1]}
    epochs = run.epochs(full=100, quick=25)
    game = partial(step, nets, average, optimizers)
    train(run, game, [images], parts, epochs=epochs, drop_last=True)
    with average.average_parameters(nets):
        tell_inversion(run, judge, nets)


def tell_inversion(run: Run, judge: Judge, nets: nn.ModuleDict) -> None:
    """Tell how well the encoder inverts the generator, and judge what that draws."""
    unseen, labels = scans(run, "test")
    real = unseen.flatten(1)
    back = inverted(nets, real)
    error = F.mse_loss(back, real)
    others = F.mse_loss(back.roll(1, 0), real)
    run.figure("error of G(E(x)) / of another digit's", error / others, at_most=0.4, quick=0.6)
    codes = perceptrons.noise(1000).to(run.device)
    samples = predictions(nets["generator"], codes).reshape(-1, 1, 8, 8)
    classes = predictions(judge, back.reshape(-1, 1, 8, 8)).argmax(1)
    run.figure("class kept by G(E(x))", (classes == labels).float().mean(), at_least=0.8, quick=0.5)
    tell_judgement(run, judge, samples, share=0.75, quick=0.6)
    rows = viz.reconstruction_rows(unseen, back.reshape(-1, 1, 8, 8), titles=["x", "G(E(x))"])
    run.picture("inverted", rows, "Digits of the test split, and what comes back from their codes.")
    run.picture("samples", sheet(samples[:64], 16), "Drawn from noise.")
    run.picture("curves", viz.plot_history(run.history), "Losses by epoch.")
    run.model(nets["generator"], (1, perceptrons.LATENT))
