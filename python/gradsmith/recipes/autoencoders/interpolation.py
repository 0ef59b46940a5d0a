# SPDX-License-Identifier: Apache-2.0
"""Interpolation: between two digits the codes of a VAE pass through other digits.

The mean of the pixels of two scans is a double exposure; the scan that a mixture of their codes
stands for, ``g((1 - a) f(x) + a f(y))``, is a digit again (Kingma and Welling, "Auto-encoding
variational Bayes", 2014). The distance to the nearest real scan tells them apart.
"""

from __future__ import annotations

from itertools import pairwise

from gradsmith import viz
from gradsmith.ops.joining import cat
from gradsmith.recipes.autoencoders.neighbours import distances
from gradsmith.recipes.autoencoders.scans import first_of_each, scans
from gradsmith.recipes.autoencoders.variational import trained_vae
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

STEPS = 10


def strangeness(images: Tensor, real: Tensor) -> float:
    """Return the mean distance of images to the nearest real one."""
    return float(distances(images, real).min(1)[0].mean().item())


def main(run: Run) -> None:
    """Train a VAE, walk between digits, and compare the middles with those of pixels."""
    training, _ = scans(run, "train")
    testing, labels = scans(run, "test")
    model = trained_vae(run, training, 8, 1.0, run.epochs(full=100, quick=12)).eval()
    codes = model.encode(testing)[0].detach()
    others = testing.roll(1, 0)
    middles = model.decode((codes + codes.roll(1, 0)) * 0.5).detach()
    by_code, by_pixel = (
        strangeness(each, training) for each in (middles, (testing + others) * 0.5)
    )
    run.figure("distance of pixel middles to real scans", by_pixel)
    run.figure("distance of code middles to real scans", by_code)
    run.figure("code / pixel", by_code / by_pixel, at_most=0.8, quick=0.9)
    chosen = first_of_each(labels)
    shares = [k / (STEPS - 1) for k in range(STEPS)]
    walks = []
    for first, last in pairwise(chosen):
        line = cat([codes[first : first + 1].lerp(codes[last : last + 1], s) for s in shares])
        walks.append(model.decode(line))
    grid = viz.image_grid(cat(walks).detach(), STEPS)
    run.picture("walks", grid, "Each row walks from one digit to the next in the space of codes.")
    first, last = chosen[3], chosen[8]
    fades = cat([testing[first : first + 1].lerp(testing[last : last + 1], s) for s in shares])
    run.picture("fade", viz.image_grid(fades, STEPS), "The same between pixels: two at once.")
    run.model(model, (1, 1, 28, 28))
