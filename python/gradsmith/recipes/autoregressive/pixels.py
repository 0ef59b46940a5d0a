# SPDX-License-Identifier: Apache-2.0
"""Scanned digits as pixels of a few levels, and a model of their distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradsmith import viz
from gradsmith.backend import Array
from gradsmith.data import datasets
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

LEVELS, SIDE = 4, 8


def pixels(split: str) -> Array:
    """Return scans as int64 (N, 8, 8) in [0, 4)."""
    images = np.asarray(datasets.digits(split).data, dtype=np.float64).reshape(-1, SIDE, SIDE)
    levels = np.minimum(images / images.max() * LEVELS, LEVELS - 1)
    return np.asarray(levels, dtype=np.int64)


def bits_without_neighbours(train: Array, test: Array) -> float:
    """Return the bits per pixel of a code that knows each place's own frequencies."""
    counts = np.stack([(train == level).sum(axis=0) for level in range(LEVELS)]) + 1.0
    shares = counts / counts.sum(axis=0)
    return float(-np.log2(np.take_along_axis(shares, test, axis=0)).mean())


def study(run: Run, model: Any, epochs: int) -> None:
    """Train a model of pixels, measure its code length, and draw pictures from it."""
    train, test = pixels("train"), pixels("test")
    train = train[: run.choose(None, 640)]
    model = model.to(run.device)
    model.compile(Adam(model.parameters(), lr=run.choose(3e-3, 5e-3)), "cross_entropy")
    run.fit(model, train, train, batch_size=32, epochs=epochs)
    scores: Tensor = model.predict(test, verbose=0)
    bits = F.cross_entropy(scores, from_numpy(test)).item() / math.log(2)
    alone = bits_without_neighbours(train, test)
    run.figure("bits per pixel", bits, at_most=0.9, quick=1.12)
    run.figure("bits per pixel without neighbours", alone)
    run.figure("share of the bits saved", 1 - bits / alone, at_least=0.2, quick=0.02)
    model.eval()
    drawn = model.sample(run.choose(32, 8), SIDE, SIDE).numpy()
    for name, images, caption in (
        ("samples", drawn, "Drawn from the model, pixel by pixel."),
        ("scans", test[: len(drawn)], "Scans, for comparison."),
    ):
        grid = viz.image_grid(images[:, None] / (LEVELS - 1.0))
        run.picture(name, grid.repeat(8, 0).repeat(8, 1), caption)
    run.picture("curves", viz.plot_history(run.history), "Cross-entropy per pixel.")
    run.model(model)
