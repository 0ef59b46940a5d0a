# SPDX-License-Identifier: Apache-2.0
"""Digits are drawn from coarse to fine: a GAN for 4x4 pixels, another for what 8x8 adds, 16x16.

At each level the image is the enlarged coarser one plus a difference, ``x = up(x') + G(z,
up(x'))``, and a generator that sees the enlarged one draws the difference (Denton et al., "Deep
generative image models using a Laplacian pyramid of adversarial networks", 2015). Its discriminator
sees both. The levels train apart.
"""

from __future__ import annotations

from gradsmith import nn, viz
from gradsmith.nn import functional as F
from gradsmith.ops.joining import cat
from gradsmith.ops.random import randint, randn
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans import perceptrons
from gradsmith.recipes.gans.digits import play, scans, tell_judgement, trained_judge
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

COARSEST, FINEST, WIDTH = 4, 16, 24


def enlarged(images: Tensor) -> Tensor:
    """Return images of twice the size."""
    return F.interpolate(images, scale_factor=2, mode="bilinear")


def shrunk(images: Tensor) -> Tensor:
    """Return images of half the size."""
    return F.avg_pool2d(images, 2)


class Detail(nn.Module):
    """Enlarged images (N, 1, H, W) and a plane of noise -> image beside it (N, 2, H, W)."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2, WIDTH, 3, padding=1),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
            nn.Conv2d(WIDTH, 1, 3, padding=1),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the enlarged image plus its difference, beside the enlarged image."""
        base = inputs[:, :1]
        return cat([base + self.net(inputs), base], 1)


def detail_judge(size: int) -> nn.Sequential:
    """Return a discriminator of images beside their enlarged coarser selves."""
    return nn.Sequential(
        nn.Conv2d(2, WIDTH, 3, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(2 * WIDTH * (size // 4) ** 2, 1),
    )


def with_noise(coarse: Tensor) -> Tensor:
    """Return what `Detail` takes for coarser images."""
    base = enlarged(coarse)
    return cat([base, randn(*base.shape).to(base.device)], 1)


def trained_base(run: Run, images: Tensor) -> nn.Module:
    """Return a generator of the coarsest images, from noise."""
    maker = nn.Sequential(
        perceptrons.generator(outputs=COARSEST**2), nn.Unflatten(1, (1, COARSEST, COARSEST))
    ).to(run.device)
    critic = perceptrons.discriminator(COARSEST**2).to(run.device)
    game = AdversarialTrainer(
        *(maker, critic, perceptrons.adam(maker), perceptrons.adam(critic), perceptrons.noise)
    )
    average = EMA(maker, 0.998, use_buffers=True)
    play(run, game, images, run.epochs(full=200, quick=15), average=average, stage="4x4")
    return average.module


def trained_detail(run: Run, images: Tensor) -> nn.Module:
    """Return a generator of the differences that images have to their coarser selves."""
    size = images.shape[-1]
    coarse = shrunk(images)
    maker, critic = Detail().to(run.device), detail_judge(size).to(run.device)

    def inputs(count: int) -> Tensor:
        return with_noise(coarse[randint(0, len(coarse), (count,)).to(run.device)])

    game = AdversarialTrainer(
        *(maker, critic, perceptrons.adam(maker), perceptrons.adam(critic, 5e-4), inputs)
    )
    pairs = cat([images, enlarged(coarse)], 1)
    average = EMA(maker, 0.998, use_buffers=True)
    stage = f"{size}x{size}"
    play(run, game, pairs, run.epochs(full=30, quick=2), average=average, stage=stage)
    return average.module


def main(run: Run) -> None:
    """Train level by level, draw from the coarsest on, and judge."""
    judge = trained_judge(run, FINEST)
    levels = [scans(run, size=FINEST)[0]]
    while levels[0].shape[-1] > COARSEST:
        levels.insert(0, shrunk(levels[0]))
    base = trained_base(run, levels[0])
    details = [trained_detail(run, images) for images in levels[1:]]
    drawn = [predictions(base, perceptrons.noise(1000).to(run.device))]
    for detail in details:
        drawn.append(predictions(detail, with_noise(drawn[-1]))[:, :1])
    tell_judgement(run, judge, drawn[-1], share=0.65, quick=0.4, quick_classes=5)
    distance = F.mse_loss(drawn[-1].mean(0), levels[-1].mean(0))
    run.figure("distance of the mean pictures", distance, at_most=0.1, quick=0.22)
    rows = [F.interpolate(each[:10], (FINEST, FINEST)).clamp(-1, 1) / 2 + 0.5 for each in drawn]
    names = [f"{each.shape[-1]}x{each.shape[-1]}" for each in drawn]
    steps = viz.reconstruction_rows(*rows, titles=names)
    run.picture("levels", steps, "Each row adds the details that its size allows.")
    run.picture("curves", viz.plot_history(run.history), "Losses of the levels by epoch.")
    run.model(details[-1], (1, 2, FINEST, FINEST))
