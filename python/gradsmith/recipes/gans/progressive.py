# SPDX-License-Identifier: Apache-2.0
"""Both nets grow while they train: digits of 4x4 pixels first, 32x32 in the end.

A new level fades in, ``(1 - alpha) up(rgb(x)) + alpha rgb'(x')`` with alpha going from 0 to 1, and
then trains on (Karras et al. 2018). The coarse levels learn what a digit is while steps are cheap.
Equalised learning rates, pixel norm in the generator and a batch's deviation in the discriminator
keep the game in balance.
"""

from __future__ import annotations

from gradsmith import models, viz
from gradsmith.nn import functional as F
from gradsmith.ops.random import randn
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans.digits import play, scans, sheet, tell_judgement, trained_judge
from gradsmith.recipes.gans.perceptrons import adam
from gradsmith.recipes.run import Run
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

SIZE, LATENT = 32, 32
WIDTH, MAX_WIDTH = 6, 32


def main(run: Run) -> None:
    """Train level by level, judge, and show each level's samples."""
    judge = trained_judge(run, SIZE)
    images, _ = scans(run, size=SIZE)
    images = images[: run.choose(None, 320)]
    maker = models.ProgressiveGenerator(LATENT, 1, SIZE, WIDTH, MAX_WIDTH).to(run.device)
    critic = models.ProgressiveDiscriminator(1, SIZE, WIDTH, MAX_WIDTH).to(run.device)
    trainer = AdversarialTrainer(
        *(maker, critic, adam(maker, 2e-3, 0.0), adam(critic, 2e-3, 0.0)),
        lambda count: randn(count, LATENT),
    )
    average = EMA(maker, 0.998)
    seen = randn(10, LATENT).to(run.device)
    rows, names = [], []
    epochs = [run.epochs(full, quick) for full, quick in ((40, 8), (30, 4), (15, 3), (10, 3))]
    for level, count in enumerate(epochs):
        size = 4 << level
        maker.grow(level, 1 / (count // 2 + 1) if level else 1.0)
        critic.grow(level, maker.alpha)

        def fade(epoch: int, level: int = level, steps: int = count // 2 + 1) -> None:
            maker.grow(level, min(1.0, (epoch + 2) / steps) if level else 1.0)
            critic.grow(level, maker.alpha)

        data = F.avg_pool2d(images, SIZE // size)
        stage = f"{size}x{size}"
        play(run, trainer, data, count, batch_size=16, average=average, stage=stage, after=fade)
        maker.grow(level)
        critic.grow(level)
        with average.average_parameters(maker):
            made = predictions(maker, seen).clamp(-1, 1) / 2 + 0.5
        rows.append(F.interpolate(made, (SIZE, SIZE)))
        names.append(f"{size}x{size}")
    with average.average_parameters(maker):
        samples = predictions(maker, randn(500, LATENT).to(run.device)).clamp(-1, 1)
        run.model(maker, (1, LATENT))
    tell_judgement(run, judge, samples, share=0.65, quick=0.3, quick_classes=4)
    distance = F.mse_loss(samples.mean(0), images.mean(0))
    run.figure("distance of the mean pictures", distance, at_most=0.1, quick=0.25)
    levels = viz.reconstruction_rows(*rows, titles=names)
    run.picture("levels", levels, "The same noise at the end of each level.")
    run.picture("samples", sheet(samples[:64], 16), "Drawn from noise.")
    run.picture("curves", viz.plot_history(run.history), "Losses of each level by epoch.")
