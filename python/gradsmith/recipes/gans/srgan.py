# SPDX-License-Identifier: Apache-2.0
"""Digits of 4x4 pixels become 8x8: squares alone blur, a judge and features make them sharp.

SRResNet first learns the mean squared error; then the loss is the distance of features, here those
of a classifier of digits instead of VGG, plus 0.001 times the generator's loss: ``|F(G(x)) -
F(y)|^2 + |G(x) - y|^2 - 0.001 log D(G(x))`` (Ledig et al. 2017). The figures: PSNR against bicubic,
and how many digits can still be read.
"""

from __future__ import annotations

from functools import partial

from gradsmith import models, nn, viz
from gradsmith.metrics import psnr
from gradsmith.nn import functional as F
from gradsmith.optim import Adam
from gradsmith.recipes.gans.digits import Judge, scans, trained_judge
from gradsmith.recipes.gans.perceptrons import adam, discriminator
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import predictions

ADVERSARIAL = 1e-3


def shrunk(images: Tensor) -> Tensor:
    """Return images (N, 1, 4, 4)."""
    return F.avg_pool2d(images, 2)


def step(
    maker: nn.Module, critic: nn.Module, judge: Judge, optimizers: tuple[Adam, Adam], real: Tensor
) -> dict[str, float]:
    """Take a step of the critic, then one of the generator."""
    made = maker(shrunk(real))
    told = minimise(optimizers[1], F.gan_non_saturating_loss(critic(made.detach()), critic(real)))
    content = F.mse_loss(judge.features(made), judge.features(real)) + F.mse_loss(made, real)
    fooled = F.gan_non_saturating_loss(critic(made), role="generator")
    minimise(optimizers[0], content + ADVERSARIAL * fooled)
    return {"content": content.item(), "d_loss": told, "g_loss": fooled.item()}


def main(run: Run) -> None:
    """Train twice and compare with bicubic enlargement."""
    judge = trained_judge(run)
    images, _ = scans(run)
    unseen, labels = scans(run, "test")
    maker = models.SRResNet(1, 2, blocks=run.choose(3, 1), width=16).to(run.device)
    maker.compile(adam(maker, 2e-3, 0.9), "mse")
    epochs = run.epochs(full=15, quick=4)
    run.fit(maker, shrunk(images), images, epochs=epochs, batch_size=32, stage="squares", verbose=0)
    smooth = predictions(maker, shrunk(unseen)).clamp(-1, 1)
    critic = discriminator().to(run.device)
    optimizers = adam(maker, 1e-3, 0.9), adam(critic)
    parts = {"maker": maker, "critic": critic, "g": optimizers[0], "d": optimizers[1]}
    game = partial(step, maker, critic, judge, optimizers)
    epochs = run.epochs(full=10, quick=2)
    train(run, game, [images], parts, epochs=epochs, drop_last=True, stage="game")
    sharp = predictions(maker, shrunk(unseen)).clamp(-1, 1)
    bicubic = F.interpolate(shrunk(unseen), (8, 8), mode="bicubic").clamp(-1, 1)
    rows = []
    for name, made in (("bicubic", bicubic), ("SRResNet", smooth), ("SRGAN", sharp)):
        read = (predictions(judge, made).argmax(1) == labels).float().mean().item()
        rows.append([name, psnr(made / 2 + 0.5, unseen / 2 + 0.5), read])
    run.table("Enlarged digits of the test split", ["by", "PSNR in dB", "read right"], rows)
    gain = rows[1][1] - rows[0][1]
    run.figure("PSNR gain of SRResNet over bicubic in dB", gain, at_least=2.5, quick=0.5)
    run.figure("digits of SRGAN read right", rows[2][2], at_least=0.9, quick=0.7)
    shown = [each / 2 + 0.5 for each in (bicubic, smooth, sharp, unseen)]
    titles = ["bicubic", "SRResNet", "SRGAN", "true"]
    run.picture("enlarged", viz.reconstruction_rows(*shown, titles=titles), "From 4x4 pixels.")
    run.picture("curves", viz.plot_history(run.history), "Losses by epoch.")
    run.model(maker, (1, 1, 4, 4))
