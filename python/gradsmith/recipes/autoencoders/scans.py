# SPDX-License-Identifier: Apache-2.0
"""The images of this group, and how well a model restores them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith import metrics, nn, viz
from gradsmith.recipes.run import Run
from gradsmith.recipes.scans import scanned_digits
from gradsmith.tensor import Tensor

SIDE = 28


def scans(run: Run, split: str) -> tuple[Tensor, Tensor]:
    """Return scanned digits (N, 1, 28, 28) in [0, 1], enlarged from 8x8, and their classes (N)."""
    return scanned_digits(run, split, SIDE)


def first_of_each(labels: Tensor) -> list[int]:
    """Return where each class comes for the first time."""
    return [int(each) for each in np.unique(labels.numpy(), return_index=True)[1]]


def tell_reconstructions(
    run: Run, model: nn.Module, images: Tensor, labels: Tensor, *, at_least: float, quick: float
) -> None:
    """Tell the PSNR of reconstructions, which is to be that many decibels, and show one of each."""
    restored = model.predict(images, verbose=0)
    run.figure(
        "PSNR of the test scans, dB", metrics.psnr(restored, images), at_least=at_least, quick=quick
    )
    show_rows(run, labels, original=images, reconstruction=restored)


def show_rows(run: Run, labels: Tensor, **rows: Any) -> None:
    """Show a digit of each class in rows, named by the arguments."""
    chosen = first_of_each(labels)
    titles = [name.replace("_", " ") for name in rows]
    picture = viz.reconstruction_rows(*(each[chosen] for each in rows.values()), titles=titles)
    run.picture("reconstructions", picture, f"From above: {', '.join(titles)}.")
