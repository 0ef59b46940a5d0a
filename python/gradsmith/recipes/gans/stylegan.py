# SPDX-License-Identifier: Apache-2.0
"""Styles at every size draw digits of 32x32 pixels, and can be mixed.

A mapping of dense layers turns noise into a style w, which AdaIN puts on the maps of every level,
``s(w) (x - mean x) / std x + b(w)`` (Karras et al. 2019). Coarse levels of one sample and fine ones
of another mix what each decides. The discriminator is that of progressive growing, with blur before
it halves; the squared slope of its scores at real samples is held down (R1, Mescheder et al. 2018).
"""

from __future__ import annotations

from gradsmith import models, nn, viz
from gradsmith.autograd import grad, no_grad
from gradsmith.nn import functional as F
from gradsmith.ops.joining import cat
from gradsmith.ops.random import randn
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans.digits import Judge, play, scans, sheet, tell_judgement, trained_judge
from gradsmith.recipes.gans.perceptrons import adam
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

SIZE, LATENT, MAPPING = 32, 32, 4
WIDTH, MAX_WIDTH = 6, 32
SLOPE = 0.1


def mixed(maker: models.StyleGANGenerator, coarse: Tensor, fine: Tensor) -> Tensor:
    """Return a table of pictures (R * C, 1, SIZE, SIZE): coarse styles of rows, fine of columns."""
    with no_grad():
        rows, columns = maker.mapping(coarse), maker.mapping(fine)
        return cat(
            [
                maker.synthesize(row[None].expand(len(columns), -1), columns, crossover=2)
                for row in rows
            ]
        )


def slope_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return R1, the mean squared length of the slope at real samples."""
    at = real.detach().requires_grad_()
    (slope,) = grad(critic(at).sum(), at, create_graph=True)
    return slope.square().flatten(1).sum(1).mean() * (SLOPE / 2)


def main(run: Run) -> None:
    """Train, judge, and mix styles."""
    judge = trained_judge(run, SIZE)
    images, _ = scans(run, size=SIZE)
    images = images[: run.choose(None, 320)]
    maker = models.StyleGANGenerator(LATENT, 1, SIZE, WIDTH, MAX_WIDTH, MAPPING)
    maker = maker.to(run.device)
    critic = models.ProgressiveDiscriminator(1, SIZE, WIDTH, MAX_WIDTH, blur=True).to(run.device)
    trainer = AdversarialTrainer(
        *(maker, critic, adam(maker, 2e-3, 0.0), adam(critic, 2e-3, 0.0)),
        lambda count: randn(count, LATENT),
        penalty=slope_penalty,
    )
    average = EMA(maker, 0.998)
    epochs = run.epochs(full=50, quick=4)
    play(run, trainer, images, epochs, batch_size=run.choose(32, 16), average=average)
    with average.average_parameters(maker):
        tell_samples(run, judge, maker, images)


def tell_samples(run: Run, judge: Judge, maker: models.StyleGANGenerator, images: Tensor) -> None:
    """Judge samples, and mix styles."""
    samples = predictions(maker, randn(500, LATENT).to(run.device)).clamp(-1, 1)
    tell_judgement(run, judge, samples, share=0.65, quick=0.3, quick_classes=4)
    distance = F.mse_loss(samples.mean(0), images.mean(0))
    run.figure("distance of the mean pictures", distance, at_most=0.1, quick=0.25)
    styles = randn(16, LATENT).to(run.device)
    table = mixed(maker, styles[:6], styles[6:])
    caption = "Rows give the styles of 4x4 and 8x8 pixels, columns those of finer levels."
    run.picture("mixed", sheet(table, 10), caption)
    run.picture("samples", sheet(samples[:64], 16), "Drawn from noise.")
    run.picture("curves", viz.plot_history(run.history), "Losses of the two sides by epoch.")
    run.model(maker, (1, LATENT))
