# SPDX-License-Identifier: Apache-2.0
"""Two copies of one net learn whether two images are of the same kind.

Pairs of a kind are pulled together, ``d^2``, others pushed apart up to a margin, ``max(0, m -
d)^2``, where ``d = |f(x) - f(y)|`` is taken between points on the unit sphere (Bromley et al. 1993,
with the loss of Hadsell, Chopra and LeCun, 2006). Then it says same or different for digits that
training never saw, better than the distance of pixels does.
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn, viz
from gradsmith.backend import Array
from gradsmith.metrics import roc_auc, roc_curve
from gradsmith.nn import functional as F
from gradsmith.ops.creation import ones, zeros
from gradsmith.ops.joining import cat
from gradsmith.optim import Adam
from gradsmith.recipes.few_shot.tasks import KNOWN, UNSEEN, digits_of, draw, embedding
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import predictions

EACH, STEPS, MARGIN = 8, 50, 1.0

Pairs = tuple[Tensor, Tensor, Tensor]


def pairs(groups: list[Array], each: int, random: np.random.Generator, script: bool) -> Pairs:
    """Return two images of each pair (N, 1, 8, 8), and 1 where they are of a class, else 0.

    Of every class come ``each`` pairs with itself, then as many with another class.
    """
    task = draw(groups, len(groups), each, each, random, script)
    other = task.queries.roll(each * int(random.integers(1, len(groups))), 0)
    same = cat([ones(len(other)), zeros(len(other))], 0)
    return cat([task.support] * 2, 0), cat([task.queries, other], 0), same


class Points(nn.Module):
    """Images (N, 1, 8, 8) -> points of the unit sphere (N, 64)."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.body = embedding()

    def forward(self, images: Tensor) -> Tensor:
        """Return the points."""
        return F.normalize(self.body(images), dim=1)


def main(run: Run) -> None:
    """Train on pairs, then tell same from different among digits never seen."""
    net = Points()
    optimizer = Adam(net.parameters(), lr=2e-3)
    groups = digits_of(KNOWN)
    for epoch in run.rounds(run.epochs(full=24, quick=6), {"net": net, "optimizer": optimizer}):
        random = np.random.default_rng((run.seed, epoch))
        losses = []
        for _ in range(STEPS):
            one, other, same = pairs(groups, EACH, random, script=True)
            loss = F.contrastive_loss(net(one), net(other), 1 - same, margin=MARGIN)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        run.log(loss=float(np.mean(losses)))
    random = np.random.default_rng(run.seed + 1)
    one, other, same = pairs(digits_of(UNSEEN), 80, random, script=False)
    far = F.pairwise_distance(predictions(net, one), predictions(net, other))
    found = roc_auc(-far, same.long())
    pixels = roc_auc(-F.pairwise_distance(one.flatten(1), other.flatten(1)), same.long())
    run.figure("AUC by pixels, digits never seen", pixels)
    run.figure("AUC on digits never seen", found, at_least=0.7, quick=0.61)
    run.figure("gain over pixels", found - pixels, at_least=0.08, quick=0.0)
    roc = viz.plot_roc(*roc_curve(-far, same.long())[:2])
    run.picture("roc", roc, "Same or different, for digits never seen.")
    half = len(one) // 2
    some = list(range(0, half, half // 10))
    rows = (one[some], other[:half][some], other[half:][some])
    titles = ["a digit", "of its kind", "of another"]
    run.picture("pairs", viz.reconstruction_rows(*rows, titles=titles), "Pairs of unseen digits.")
    run.picture("curves", viz.plot_history(run.history), f"Loss by epoch of {STEPS} steps.")
    run.model(net, (1, 1, 8, 8))
