# SPDX-License-Identifier: Apache-2.0
"""From an outline to the picture: pairs teach a U-Net, a judge of patches keeps it sharp.

The generator lowers ``-log D(x, G(x)) + 100 |y - G(x)|``, and D sees outline and picture together
(Isola et al., "Image-to-image translation with conditional adversarial networks", 2017). The
distance gets colours and shapes right, the judge what a patch has to look like. Outlines and
striped shapes are synthetic.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from gradsmith import models, nn, viz
from gradsmith.backend import Array
from gradsmith.metrics import psnr
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.ops.joining import cat
from gradsmith.optim import Adam
from gradsmith.recipes.gans.domains import SIZE, masks, painted
from gradsmith.recipes.gans.perceptrons import adam
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import predictions

CLOSENESS = 100.0


def outlines(shapes: Array) -> Array:
    """Return the borders of shapes (N, H, W) as (N, 1, H, W): 1 on it, -1 elsewhere."""
    inner = shapes.copy()
    for axis in (1, 2):
        for step in (-1, 1):
            inner &= np.roll(shapes, step, axis)
    return np.where(shapes & ~inner, 1, -1).astype(np.float32)[:, None]


def pairs(run: Run, count: int, seed: int) -> Tensor:
    """Return outlines beside their pictures (count, 1 + 3, SIZE, SIZE)."""
    shapes = masks(count, seed)
    both = np.concatenate([outlines(shapes), painted(shapes, True, seed)], 1)
    return from_numpy(both).to(run.device)


def step(
    generator: nn.Module, judge: nn.Module, optimizers: tuple[Adam, Adam], real: Tensor
) -> dict[str, float]:
    """Take a step of the judge, then one of the generator."""
    outline, goal = real[:, :1], real[:, 1:]
    made = generator(outline)
    both = cat([outline, made], 1)
    told = minimise(optimizers[1], F.gan_non_saturating_loss(judge(both.detach()), judge(real)))
    distance = F.l1_loss(made, goal)
    fooled = F.gan_non_saturating_loss(judge(both), role="generator")
    minimise(optimizers[0], fooled + CLOSENESS * distance)
    return {"d_loss": told, "g_loss": fooled.item(), "distance": distance.item()}


def main(run: Run) -> None:
    """Train, and paint outlines that training did not see."""
    data = pairs(run, run.choose(640, 192), run.seed)
    test = pairs(run, 100, 10_000)
    width = run.choose(16, 12)
    generator = models.Pix2PixGenerator(1, 3, width, depth=4).to(run.device)
    judge = models.PatchGAN(4, width, levels=1).to(run.device)
    optimizers = adam(generator, 2e-3), adam(judge, 5e-4)
    parts = {"generator": generator, "judge": judge, "g": optimizers[0], "d": optimizers[1]}
    game = partial(step, generator, judge, optimizers)
    epochs = run.epochs(full=20, quick=6)
    train(run, game, [data], parts, epochs=epochs, batch_size=16, drop_last=True)
    made, goal = predictions(generator, test[:, :1]) / 2 + 0.5, test[:, 1:] / 2 + 0.5
    run.figure("PSNR of unseen pictures in dB", psnr(made, goal), at_least=20, quick=14)
    rows = [each[:10] for each in (test[:, :1] / 2 + 0.5, made, goal)]
    picture = viz.reconstruction_rows(*rows, titles=["outline", "painted", "true"])
    run.picture(
        "painted", picture, "Outlines of the test set and what the generator makes of them."
    )
    run.picture("curves", viz.plot_history(run.history), "Losses by epoch.")
    run.model(generator, (1, 1, SIZE, SIZE))
