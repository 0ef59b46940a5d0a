# SPDX-License-Identifier: Apache-2.0
"""What the recipes of this group share: scanned digits, a judge of samples, the game of two nets.

The judge is a small classifier of real digits. Samples that it gives a class with a probability
over 0.9 pass for digits; how many of the ten classes are among them tells whether a generator has
collapsed. What a generator has to beat are draws of a normal distribution of pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith import nn, viz
from gradsmith.backend import Array
from gradsmith.nn import functional as F
from gradsmith.ops.random import randn
from gradsmith.optim import Adam
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.run import Run
from gradsmith.recipes.scans import scanned_digits
from gradsmith.recipes.training import train
from gradsmith.tensor import Tensor
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

CONFIDENCE = 0.9


def scans(run: Run, split: str = "train", size: int = 8) -> tuple[Tensor, Tensor]:
    """Return digits (N, 1, size, size) in [-1, 1] and their classes (N,), on the run's device."""
    images, digits = scanned_digits(run, split, size)
    return images * 2 - 1, digits.to(run.device)


class Judge(nn.Module):
    """Images (N, 1, 8k, 8k) in [-1, 1] -> scores (N, 10); larger ones are averaged to 8x8."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.shrink = nn.AdaptiveAvgPool2d(8)
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        scores: Tensor = self.head(self.features(self.shrink(images)))
        return scores


def trained_judge(run: Run, size: int = 8) -> Judge:
    """Return a judge that learned the training digits of a size; its accuracy is told."""
    judge = Judge().to(run.device)
    judge.compile(Adam(judge.parameters(), lr=2e-3), "cross_entropy")
    judge.fit(*scans(run, size=size), batch_size=32, epochs=16, verbose=0)
    images, labels = scans(run, "test", size)
    classes, confidence = classes_of(judge, images)
    run.figure("accuracy of the judge", (classes == labels).float().mean(), at_least=0.95)
    run.figure("real digits that pass", (confidence > CONFIDENCE).float().mean())
    _, confidence = classes_of(judge, normal_draws(scans(run, size=size)[0], 500))
    run.figure("normal draws that pass", (confidence > CONFIDENCE).float().mean())
    return judge


def normal_draws(images: Tensor, count: int) -> Tensor:
    """Return draws of a normal distribution with mean and covariance of images (N, ...).

    A mean plus a random sum of differences to it has that covariance, and needs no root of it.
    """
    mean = images.mean(0)
    mixing = randn(count, len(images)).to(images.device) / len(images) ** 0.5
    drawn: Tensor = mean + (mixing @ (images - mean).flatten(1)).reshape(count, *mean.shape)
    return drawn.clamp(-1, 1)


def classes_of(judge: Judge, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the class of each image (N,) and the judge's probability of it (N,)."""
    chances = F.softmax(predictions(judge, images), 1)
    best, classes = chances.max(1)
    return classes, best


def tell_judgement(
    run: Run,
    judge: Judge,
    samples: Tensor,
    share: float = 0.85,
    quick: float = 0.5,
    classes: int = 10,
    quick_classes: int = 6,
) -> None:
    """Tell which share of samples passes for digits, and how many classes are among them."""
    found, confidence = classes_of(judge, samples)
    passed = confidence > CONFIDENCE
    run.figure("samples that pass for a digit", passed.float().mean(), at_least=share, quick=quick)
    counts = np.bincount(found[passed].cpu().numpy(), minlength=10)
    run.figure("classes among them", (counts > 0).sum(), at_least=classes, quick=quick_classes)
    run.table("Samples by class", [str(each) for each in range(10)], [[int(n) for n in counts]])


def sheet(samples: Tensor, columns: int) -> Array:
    """Return samples (N, C, H, W) in [-1, 1] side by side, each enlarged to 32 pixels or more."""
    scale = max(1, 32 // samples.shape[-1])
    shown = F.interpolate(samples.detach().clamp(-1, 1) / 2 + 0.5, scale_factor=scale)
    return viz.image_grid(shown, columns)


def play(
    run: Run,
    trainer: AdversarialTrainer,
    data: Tensor,
    epochs: int,
    *,
    batch_size: int = 64,
    average: EMA | None = None,
    stage: str = "",
    after: Callable[[int], None] | None = None,
) -> None:
    """Train both nets for some epochs, log their losses, and call ``after`` each epoch.

    The generator takes a step after ``n_critic`` steps of the discriminator, each on a batch;
    ``average`` follows its weights.
    """
    states: dict[str, Any] = {
        "generator": trainer.generator,
        "discriminator": trainer.discriminator,
        "g_optimizer": trainer.generator_optimizer,
        "d_optimizer": trainer.discriminator_optimizer,
    }

    if average is not None:
        states["average"] = average

    def step(real: Tensor) -> dict[str, float]:
        parts = real.chunk(trainer.n_critic)
        told = [trainer.discriminator_step(part) for part in parts]
        fooled = trainer.generator_step(parts[-1])
        if average is not None:
            average.update_parameters(trainer.generator)
        return {"g_loss": fooled, "d_loss": float(np.mean(told))}

    size = batch_size * trainer.n_critic
    options: dict[str, Any] = {"stage": stage, "after": after}
    train(run, step, [data], states, epochs=epochs, batch_size=size, drop_last=True, **options)
