# SPDX-License-Identifier: Apache-2.0
"""Styles at every size draw digits of 32x32 pixels, and can be mixed.

Karras et al. 2019: a mapping of dense layers turns noise into a style w, which AdaIN puts on the
maps of every level. Coarse levels of one sample and fine ones of another mix what each decides. The
discriminator is that of progressive growing, with blur before it halves.
"""

from __future__ import annotations

from gradsmith import models, viz
from gradsmith.autograd import no_grad
from gradsmith.nn import functional as F
from gradsmith.ops.joining import cat
from gradsmith.ops.random import randn
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans.digits import Judge, play, scans, tell_judgement, trained_judge
from gradsmith.recipes.gans.perceptrons import adam
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

SIZE, LATENT, MAPPING = 32, 32, 4
WIDTH, MAX_WIDTH = 6, 32


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
    )
    average = EMA(maker, 0.998)
    epochs = run.epochs(full=60, quick=4)
    play(run, trainer, images, epochs, batch_size=run.choose(32, 16), average=average)
    with average.average_parameters(maker):
        tell_samples(run, judge, maker, images)


def tell_samples(run: Run, judge: Judge, maker: models.StyleGANGenerator, images: Tensor) -> None:
    """Judge samples, and mix styles."""
    samples = predictions(maker, randn(500, LATENT).to(run.device)).clamp(-1, 1)
    tell_judgement(run, judge, samples, share=0.6, quick=0.2, quick_classes=4)
    distance = F.mse_loss(samples.mean(0), images.mean(0))
    run.figure("distance of the mean pictures", distance, at_most=0.1, quick=0.25)
    styles = randn(16, LATENT).to(run.device)
    table = mixed(maker, styles[:6], styles[6:]).clamp(-1, 1) / 2 + 0.5
    caption = "Rows give the styles of 4x4 and 8x8 pixels, columns those of finer levels."
    run.picture("mixed", viz.image_grid(table, 10), caption)
    run.picture("samples", viz.image_grid(samples[:64] / 2 + 0.5, 16), "Drawn from noise.")
    run.picture("curves", viz.plot_history(run.history), "Losses of the two sides by epoch.")
    run.model(maker, (1, LATENT))
