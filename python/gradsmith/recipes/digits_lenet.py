# SPDX-License-Identifier: Apache-2.0
"""LeNet-5 learns scanned digits: the demo of the package.

The 8x8 scans grow to 28x28 by bilinear interpolation and get a border of 2 pixels, which gives the
32x32 that LeNet-5 takes. In training every image is moved by up to 2 pixels, less than one pixel of
the scan. Adam, with a learning rate that falls along a cosine to 0.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from gradsmith import train
from gradsmith.backend import as_device
from gradsmith.data import DataLoader, ImageDataset, datasets, transforms
from gradsmith.models import LeNet5, lenet5
from gradsmith.random import manual_seed

EPOCHS = 18
BATCH_SIZE = 16
LEARNING_RATE = 2e-3
SHIFT = 2
GOAL = 0.98


@dataclass
class Result:
    """The trained model, its accuracy on the test split and the mean seconds of an epoch."""

    model: LeNet5
    test_accuracy: float
    seconds_per_epoch: float


def enlarged(
    digits: ImageDataset, count: int | None = None, size: int = 28, border: int = 2
) -> ImageDataset:
    """Return the first digits of (N, 1, 8, 8) at another size in a border, scaled to [0, 1]."""
    enlarge = transforms.Compose([transforms.Resize(size, antialias=False), transforms.Pad(border)])
    scans = digits.data[:count].astype(np.float32) / np.float32(digits.scale)
    return ImageDataset(enlarge(scans), digits.targets[:count], digits.classes, scale=1.0)


def run(
    epochs: int = EPOCHS,
    seed: int = 0,
    device: str = "cpu",
    verbose: int | str = "auto",
    digits: int | None = None,
) -> Result:
    """Train on the train split, measure on the test split, and return both results.

    Args:
        epochs: passes over the training digits.
        seed: fixes weights and orders.
        device: where to train.
        verbose: as in `train.fit`.
        digits: how many digits of each split to take, None for all.

    Raises:
        ValueError: there is no epoch to train, or the device is unknown.
        RuntimeError: the device cannot be used here.
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, expected at least 1")
    manual_seed(seed)
    training, testing = (enlarged(datasets.digits(split), digits) for split in ("train", "test"))
    training.transform = transforms.RandomShift(SHIFT)
    loader = DataLoader(training, BATCH_SIZE, shuffle=True, seed=seed)
    model = lenet5(num_classes=10).to(as_device(device))
    train.compile(model, "adam", "cross_entropy", ["accuracy"])
    seconds: list[float] = []
    callbacks = [
        train.LearningRateScheduler(
            lambda epoch, _: LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        ),
        train.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: seconds.append(-time.perf_counter()),
            on_epoch_end=lambda epoch, logs: seconds.append(seconds.pop() + time.perf_counter()),
        ),
    ]
    train.fit(model, loader, epochs=epochs, callbacks=callbacks, verbose=verbose)
    measured = train.evaluate(model, testing, batch_size=128, verbose=0, return_dict=True)
    return Result(model, measured["accuracy"], sum(seconds) / len(seconds))


def main(
    epochs: int = EPOCHS,
    seed: int = 0,
    device: str = "cpu",
    verbose: int | str = "auto",
    digits: int | None = None,
) -> int:
    """Run the demo, print what came out, and return 0 if the goal was reached, else 1."""
    result = run(epochs, seed, device, verbose, digits)
    unseen = len(datasets.digits("test").data[:digits])
    print(f"test accuracy: {result.test_accuracy:.4f} on {unseen} digits that training did not see")
    print(f"time per epoch: {result.seconds_per_epoch:.2f} s")
    if result.test_accuracy < GOAL:
        print(f"the goal is a test accuracy of {GOAL}: missed")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
