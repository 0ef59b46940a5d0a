# SPDX-License-Identifier: Apache-2.0
"""Two copies of one net learn whether two images are of the same kind.

Pairs of a kind are pulled together, ``d^2``, others pushed apart up to a margin, ``max(0, m -
d)^2``, where ``d = |f(x) - f(y)|`` (Bromley et al. 1993, with the loss of Hadsell, Chopra and
LeCun, 2006). Then the distance says same or different for images, and even for digits, that
training never saw.
"""

from __future__ import annotations

import numpy as np

from gradsmith import viz
from gradsmith.backend import Array
from gradsmith.metrics import roc_auc, roc_curve
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.few_shot.tasks import by_class, embedding
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import predictions

PAIRS, STEPS, MARGIN = 64, 20, 2.0


def pairs(
    groups: list[Array], count: int, random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return two images of each pair (count, 1, 8, 8), and 1 where they are of a class, else 0."""
    same = np.arange(count) % 2 == 0
    first = random.integers(len(groups), size=count)
    other = (first + random.integers(1, len(groups), size=count)) % len(groups)
    second = np.where(same, first, other)
    sides = [
        np.stack([groups[k][random.integers(len(groups[k]))] for k in side])
        for side in (first, second)
    ]
    return from_numpy(sides[0]), from_numpy(sides[1]), from_numpy(same.astype(np.float32))


def main(run: Run) -> None:
    """Train on pairs, then tell same from different among new images."""
    net = embedding(outputs=16)
    optimizer = Adam(net.parameters(), lr=1e-3)
    groups = by_class(True, "train")
    for epoch in run.rounds(run.epochs(full=60, quick=15), {"net": net, "optimizer": optimizer}):
        random = np.random.default_rng((run.seed, epoch))
        losses = []
        for _ in range(STEPS):
            one, other, same = pairs(groups, PAIRS, random)
            loss = F.contrastive_loss(net(one), net(other), 1 - same, margin=MARGIN)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        run.log(loss=float(np.mean(losses)))
    known, new = {"at_least": 0.95, "quick": 0.85}, {"at_least": 0.6}
    for seen, name, bounds in ((False, "digits never seen", new), (True, "known kinds", known)):
        random = np.random.default_rng(run.seed + 1)
        one, other, same = pairs(by_class(seen, "test"), 1000, random)
        far = F.pairwise_distance(predictions(net, one), predictions(net, other))
        run.figure(f"AUC on new images of {name}", roc_auc(-far, same.long()), **bounds)
    roc = viz.plot_roc(*roc_curve(-far, same.long())[:2])
    run.picture("roc", roc, "Same or different, for new images of known kinds.")
    rows = viz.reconstruction_rows(one, other, titles=["one", "other"])
    run.picture("pairs", rows, "Pairs: every first is of a kind, every second is not.")
    run.picture("curves", viz.plot_history(run.history), "Loss by epoch of 20 steps.")
    run.model(net, (1, 1, 8, 8))
