# SPDX-License-Identifier: Apache-2.0
"""A picture is repainted in the style of another: its pixels are what gradient descent moves.

The style is the Gram matrices ``G = F F' / (H W)`` of a net's features F, the products of channels
at the same place (Gatys, Ecker, Bethge, "Image style transfer using convolutional neural networks",
2016). Filters of random weights and several sizes serve for that (Ustyuzhaninov et al. 2016), so
nothing has to be downloaded; with mean 0 they see patterns and no plain colour. The content is what
a picture looks like from afar: its means over squares of 4 x 4 pixels. Both pictures are synthetic.
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn, viz
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

SIZE, WIDTH, KERNELS, FAR = 64, 24, (3, 5, 9), 4
CONTENT, STYLE = 1.0, 5.0


def house() -> Array:
    """Return a house under a sun, (3, SIZE, SIZE) in [0, 1]."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    beside = abs(columns - 0.4)
    parts = {
        (0.62, 0.78, 0.92): rows <= 1,
        (1.0, 0.9, 0.4): np.hypot(rows - 0.2, columns - 0.8) < 0.11,
        (0.35, 0.6, 0.3): rows > 0.75,
        (0.9, 0.85, 0.7): (rows > 0.45) & (rows <= 0.8) & (beside < 0.22),
        (0.7, 0.25, 0.2): (rows > 0.2) & (rows <= 0.45) & (beside < rows - 0.17),
        (0.35, 0.22, 0.15): (rows > 0.58) & (rows <= 0.8) & (beside < 0.06),
    }
    picture = np.zeros((3, SIZE, SIZE), np.float32)
    for colour, where in parts.items():
        picture[:, where] = np.array(colour, np.float32)[:, None]
    return picture


def weave() -> Array:
    """Return a woven pattern, (3, SIZE, SIZE) in [0, 1]."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    one, other = (np.sin(12 * np.pi * each) for each in (rows + columns, rows - columns))
    colours = np.stack([0.5 + 0.4 * one, 0.4 + 0.3 * one * other, 0.5 - 0.4 * other])
    return colours.astype(np.float32)


class Features(nn.Module):
    """Images -> the maps of filters of each size."""

    def __init__(self) -> None:
        """Draw random weights of mean 0, which stay."""
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(3, WIDTH, size, padding=size // 2, padding_mode="reflect", bias=False)
                for size in KERNELS
            ]
        )
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight)
            with no_grad():
                layer.weight.copy_(layer.weight - layer.weight.mean((2, 3), keepdim=True))
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps, as large as the images."""
        return [F.relu(layer(images)) for layer in self.layers]


def gram(maps: Tensor) -> Tensor:
    """Return the products of channels (C, C) of maps (1, C, H, W), mean over places."""
    flat = maps.flatten(2)[0]
    return flat @ flat.T / flat.shape[1]


def style_distance(maps: list[Tensor], grams: list[Tensor]) -> Tensor:
    """Return the squared distance of the maps' Gram matrices, relative to those wanted."""
    total = maps[0].new_zeros(())
    for each, goal in zip(maps, grams, strict=True):
        total = total + (gram(each) - goal).square().sum() / goal.square().sum()
    return total / len(grams)


def main(run: Run) -> None:
    """Move the pixels and compare."""
    content, style = (from_numpy(each[None]).to(run.device) for each in (house(), weave()))
    features = Features().to(run.device)
    grams = [gram(each) for each in features(style)]
    wanted = F.avg_pool2d(content, FAR)
    spread = (wanted - wanted.mean((2, 3), keepdim=True)).square().mean()
    image = nn.Parameter(content.clone())
    before = style_distance(features(image), grams).item()
    optimizer = Adam([image], lr=0.03)
    for _ in run.progress(range(run.epochs(full=300, quick=60))):
        near = F.mse_loss(F.avg_pool2d(image, FAR), wanted) / spread
        far = style_distance(features(image), grams)
        optimizer.zero_grad()
        (CONTENT * near + STYLE * far).backward()
        optimizer.step()
        run.log(content=near.item(), style=far.item())
    # Of the two pictures themselves: content 0 and style 1 of the first, style 0 of the second.
    other = F.mse_loss(F.avg_pool2d(style, FAR), wanted) / spread
    run.figure("style distance left", run.history["style"][-1] / before, at_most=0.1, quick=0.3)
    run.figure("content distance", run.history["content"][-1], at_most=0.15)
    run.figure("content distance of the style picture", other.item())
    rows = [each.detach().clamp(0, 1) for each in (content, style, image)]
    titles = ["content", "style", "both"]
    run.picture("painted", viz.reconstruction_rows(*rows, titles=titles), "Repainted in the style.")
    run.picture("curves", viz.plot_history(run.history), "Distances by step.")
