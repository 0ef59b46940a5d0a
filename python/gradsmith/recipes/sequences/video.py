# SPDX-License-Identifier: Apache-2.0
"""A CNN reads each frame of a film, an LSTM what happens between them.

Each frame becomes a vector, and the LSTM reads those: ``h_t = lstm(cnn(x_t), h_(t-1))`` (Donahue et
al., "Long-term recurrent convolutional networks", 2015). Which way does the shape move? No single
frame tells: the same CNN on one frame is at chance. Synthetic films: a square, cross or bar moves
up, down, left or right around a small torus, with noise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gradsmith import metrics, nn, viz
from gradsmith.backend import Array
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.curves import plot_stages
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

SIDE, FRAMES = 8, 6
WAYS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


def _shapes() -> list[Array]:
    square, bar = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    square[:2, :2], bar[:1, :3] = 1, 1
    y, x = np.indices((SIDE, SIDE)) - 1
    return [square, bar, (x**2 + y**2 < 2).astype(float)]


def films(count: int, seed: int) -> tuple[Array, Array]:
    """Return films (count, FRAMES, 1, SIDE, SIDE) and which of WAYS the shape goes."""
    draw = np.random.default_rng(seed)
    shapes, ways = _shapes(), list(WAYS.values())
    frames = np.empty((count, FRAMES, 1, SIDE, SIDE), dtype=np.float32)
    labels = draw.integers(len(ways), size=count)
    for film, label in zip(frames, labels, strict=True):
        shape, start = shapes[draw.integers(3)], draw.integers(SIDE, size=2)
        for step, frame in enumerate(film):
            frame[0] = np.roll(shape, start + step * np.array(ways[label]), axis=(0, 1))
    return frames + draw.normal(0, 0.1, frames.shape).astype(np.float32), labels


class Watcher(nn.Module):
    """Films (N, T, 1, SIDE, SIDE) -> scores (N, ways)."""

    def __init__(self, hidden: int = 32) -> None:
        """Make the layers."""
        super().__init__()
        self.eye = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, padding_mode="circular"),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * SIDE**2, hidden),
        )
        self.memory = nn.LSTM(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(WAYS))

    def forward(self, frames: Tensor) -> Tensor:
        """Return the scores before softmax."""
        count, length = frames.shape[:2]
        seen = self.eye(frames.flatten(0, 1)).reshape(count, length, -1)
        _, (last, _) = self.memory(seen)
        scores: Tensor = self.head(last[0])
        return scores


def main(run: Run) -> None:
    """Train on films, and on single frames."""
    x, y = films(run.choose(2500, 1200), 2 * run.seed)
    test_x, test_y = films(400, 2 * run.seed + 1)
    labels = from_numpy(test_y)
    for frames, name in ((1, "one frame"), (FRAMES, "film")):
        model = Watcher().to(run.device)
        model.compile(Adam(model.parameters(), lr=5e-3), "cross_entropy", ["accuracy"])
        run.fit(model, x[:, :frames], y, stage=name, epochs=run.epochs(full=12, quick=6))
        scores = model.predict(test_x[:, :frames], verbose=0)
        accuracy = metrics.accuracy(scores, labels)
        if frames == 1:
            run.figure("accuracy from one frame (chance 0.25)", accuracy, at_most=0.35)
        else:
            run.figure("accuracy from the film", accuracy, at_least=0.95, quick=0.5)
    run.confusion(metrics.confusion_matrix(scores, labels, len(WAYS)), list(WAYS))
    pictures = [np.clip(frame[0], 0, 1).repeat(20, 0).repeat(20, 1) for frame in test_x[0]]
    path: Path = run.folder / "pictures" / "film.gif"
    shown = list(WAYS)[int(scores[0].argmax().item())]
    run.animation("film", viz.save_gif(pictures, path, fps=4), f"A film, said to go {shown}.")
    run.picture("curves", plot_stages(run, "accuracy"), "Accuracy in training.")
    run.model(model)
