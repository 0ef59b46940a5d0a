# SPDX-License-Identifier: Apache-2.0
"""A competitive network finds clusters without being told of any.

The unit whose weights are nearest to the input wins and moves towards it, ``w += lr (x - w)``; the
others stay (Rumelhart and Zipser 1985). A unit that starts far from all data never wins and is
dead; units that start at samples far apart all live.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith import metrics, nn
from gradsmith.data import StandardScaler, datasets, generators
from gradsmith.ops.creation import tensor
from gradsmith.recipes.neurons.competition import compete, spread_samples, start_at
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas

# Away from the unit square, where weights start.
OFFSET = 20.0
CENTERS = [(-6.0, -6.0), (-6.0, 6.0), (0.0, 0.0), (6.0, -6.0), (6.0, 6.0)]


def purity(winners: Tensor, labels: Tensor) -> float:
    """Return the share of samples (N, units) whose unit wins most often for their class."""
    counts = metrics.confusion_matrix(winners.argmax(1), labels, winners.shape[1])
    return float(np.asarray(counts).max(axis=0).sum() / len(labels))


def main(run: Run) -> None:
    """Cluster five clouds from a bad and from a good start, then flowers."""
    epochs = run.epochs(full=100, quick=20)
    x, labels = generators.blobs(500, CENTERS, seed=run.seed).tensors
    x, random = (x + OFFSET).to(run.device), nn.Competitive(2, len(CENTERS)).to(run.device)
    spread = start_at(
        nn.Competitive(2, len(CENTERS)).to(run.device), spread_samples(x, len(CENTERS))
    )
    for layer in (random, spread):
        compete(layer, x, epochs)
    run.figure("purity of five clouds", purity(spread(x), labels), at_least=0.99)
    apart = (spread.weight.unsqueeze(1) - (tensor(CENTERS, device=run.device) + OFFSET)).norm(dim=2)
    run.figure("largest distance of a centre", apart.amin(1).max(), at_most=0.3)
    run.figure("units that win", (spread(x).sum(0) > 0).sum(), at_least=len(CENTERS))
    run.figure("units that win from the unit square", (random(x).sum(0) > 0).sum(), at_most=4)
    lengths, kinds = datasets.iris().tensors
    measured = StandardScaler().fit_transform(lengths).to(run.device)
    three = start_at(nn.Competitive(4, 3).to(run.device), spread_samples(measured, 3))
    compete(three, measured, epochs)
    found = purity(three(measured), kinds)
    run.figure("purity of three kinds of iris", found, at_least=0.8)
    caption = "Units (stars) from weights in the unit square, and from samples far apart."
    run.picture(
        "clusters", _plot(x, {"from the unit square": random, "from samples": spread}), caption
    )
    run.model(spread, (1, 2))


def _plot(x: Tensor, layers: dict[str, nn.Competitive]) -> Any:
    figure, axes = canvas.new_grid(1, len(layers), 3.5)
    for ax, (name, layer) in zip(axes[0], layers.items(), strict=True):
        winners = layer(x).argmax(1).cpu().numpy()
        ax.scatter(*x.cpu().numpy().T, c=winners, s=6, cmap="tab10", vmin=0, vmax=9)
        ax.scatter(*layer.weight.cpu().numpy().T, marker="*", s=160, color="black")
        ax.set_title(name, fontsize=9)
    return figure
