# SPDX-License-Identifier: Apache-2.0
"""Capsules: a vector per class, whose length says that the digit is there and its direction how.

Capsules of the first layer predict those of the second, and three rounds of routing send each to
the class whose other predictions agree with its own; ``v = |s|^2 / (1 + |s|^2) s / |s|`` keeps
lengths below 1 (Sabour, Frosst, Hinton, "Dynamic routing between capsules", 2017). The loss holds
the length of the true class above 0.9, those of others below 0.1; a decoder of the true class's
vector has to draw the image again.
"""

from __future__ import annotations

import numpy as np

from gradsmith import metrics, models, nn, viz
from gradsmith.backend import Array
from gradsmith.data import DataLoader, TensorDataset
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.gans.digits import scans
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import predictions

CLASSES, VECTOR, DRAWING, STEPS = 10, 8, 0.3, 9


def margin_loss(lengths: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of lengths (N, 10) (eq. 4 of the paper), mean over the batch."""
    true = F.one_hot(labels, CLASSES).to(lengths.dtype)
    missing = true * F.relu(0.9 - lengths).square()
    wrong = (1 - true) * F.relu(lengths - 0.1).square()
    return (missing + 0.5 * wrong).sum(1).mean()


def drawn(decoder: nn.Module, vectors: Tensor, labels: Tensor) -> Tensor:
    """Return what the vectors of the labels' classes give, (N, 1, 8, 8)."""
    chosen = F.one_hot(labels, CLASSES).to(vectors.dtype)[:, :, None]
    images: Tensor = decoder((vectors * chosen).flatten(1))
    return images.reshape(-1, 1, 8, 8)


def main(run: Run) -> None:
    """Train, measure, and turn the knobs of a digit's vector."""
    images, labels = scans(run)
    unseen, answers = scans(run, "test")
    net = models.CapsuleNet(
        *(CLASSES, 1, 8), width=24, kinds=4, dimension=4, vector=VECTOR, kernel_size=3
    ).to(run.device)
    decoder = nn.Sequential(
        nn.Linear(CLASSES * VECTOR, 96), nn.ReLU(), nn.Linear(96, 64), nn.Tanh()
    ).to(run.device)
    optimizer = Adam([*net.parameters(), *decoder.parameters()], lr=3e-3)
    parts = {"net": net, "decoder": decoder, "optimizer": optimizer}
    for epoch in run.rounds(run.epochs(full=25, quick=6), parts):
        losses = []
        pairs = TensorDataset(images, labels)
        for x, y in DataLoader(pairs, 32, shuffle=True, seed=run.seed + epoch):
            vectors = net(x)
            loss = margin_loss(vectors.norm(dim=2), y)
            loss = loss + DRAWING * F.mse_loss(drawn(decoder, vectors, y), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        run.log(loss=float(np.mean(losses)))
    vectors = predictions(net, unseen)
    scores = vectors.norm(dim=2)
    run.figure("test accuracy", metrics.accuracy(scores, answers), at_least=0.97, quick=0.85)
    run.confusion(metrics.confusion_matrix(scores, answers, CLASSES))
    again = drawn(decoder, vectors, answers).detach()
    rows = viz.reconstruction_rows(unseen, again, titles=["digit", "from its vector"])
    run.picture("drawn", rows, "Digits of the test split drawn from the vector of their class.")
    run.picture("knobs", knobs(decoder, vectors[:1], answers[:1]), "A row for each entry, moved.")
    run.picture("curves", viz.plot_history(run.history), "Loss by epoch.")
    run.model(net, (1, 1, 8, 8))


def knobs(decoder: nn.Module, vectors: Tensor, labels: Tensor) -> Array:
    """Return what a digit's vector draws when each of its entries is moved from -0.3 to 0.3."""
    steps = np.linspace(-0.3, 0.3, STEPS, dtype=np.float32)
    moves = np.kron(np.eye(VECTOR, dtype=np.float32), steps[:, None])[:, None]
    moved = vectors + from_numpy(moves).to(vectors.device)
    images = drawn(decoder, moved, labels.repeat(VECTOR * STEPS)).detach()
    return viz.image_grid(images / 2 + 0.5, STEPS)
