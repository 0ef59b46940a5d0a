# SPDX-License-Identifier: Apache-2.0
"""A picture is repainted in the style of another: its pixels are what gradient descent moves.

The content is the features F of a net, the style their Gram matrices ``G = F F' / (H W)``, the
products of channels at the same place (Gatys, Ecker, Bethge, "Image style transfer using
convolutional neural networks", 2016). A net of random weights does for features (Ustyuzhaninov et
al. 2016), so nothing has to be downloaded. Content and style are synthetic pictures.
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn, viz
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

SIZE, WIDTH, STYLE = 48, 24, 30.0


def content_and_style() -> tuple[Tensor, Tensor]:
    """Return a house under a sun and a woven pattern, (1, 3, SIZE, SIZE) in [0, 1]."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    house = np.full((3, SIZE, SIZE), 0.8)
    house[:, rows > 0.75] = 0.35
    house[:, (rows > 0.45) & (rows <= 0.75) & (abs(columns - 0.4) < 0.2)] = 0.6
    house[:, (rows > 0.2) & (rows <= 0.45) & (abs(columns - 0.4) < rows - 0.2)] = 0.2
    house[:, np.hypot(rows - 0.2, columns - 0.8) < 0.1] = 1.0
    waves = np.sin(2 * np.pi * 6 * (rows + columns)), np.sin(2 * np.pi * 6 * (rows - columns))
    woven = np.stack([0.5 + 0.4 * waves[0], 0.4 + 0.3 * waves[0] * waves[1], 0.5 - 0.4 * waves[1]])
    first, second = (from_numpy(each[None].astype(np.float32)) for each in (house, woven))
    return first, second


class Features(nn.Module):
    """Images -> the maps of three layers."""

    def __init__(self) -> None:
        """Draw random weights that stay."""
        super().__init__()
        sizes = [(3, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH)]
        self.layers = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in sizes])
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps, each of half the size of those before."""
        found = []
        for number, layer in enumerate(self.layers):
            images = F.relu(layer(F.avg_pool2d(images, 2) if number else images))
            found.append(images)
        return found


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
    content, style = (each.to(run.device) for each in content_and_style())
    features = Features().to(run.device)
    wanted, grams = features(content)[-1], [gram(each) for each in features(style)]
    image = nn.Parameter(content.clone())
    before = style_distance(features(image), grams).item()
    optimizer = Adam([image], lr=0.02)
    for _ in run.progress(range(run.epochs(full=400, quick=80))):
        maps = features(image)
        near = F.mse_loss(maps[-1], wanted) / wanted.square().mean()
        far = style_distance(maps, grams)
        optimizer.zero_grad()
        (near + STYLE * far + 0.1 * F.total_variation_loss(image)).backward()
        optimizer.step()
        run.log(content=near.item(), style=far.item())
    left = run.history["style"][-1] / before
    run.figure("style distance left", left, at_most=0.1, quick=0.3)
    run.figure("content distance", run.history["content"][-1], at_most=0.6)
    rows = [each.detach().clamp(0, 1) for each in (content, style, image)]
    titles = ["content", "style", "both"]
    run.picture("painted", viz.reconstruction_rows(*rows, titles=titles), "Repainted in the style.")
    run.picture("curves", viz.plot_history(run.history), "Distances by step.")
