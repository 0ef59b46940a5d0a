# SPDX-License-Identifier: Apache-2.0
"""Tasks of few samples from scanned digits, for classes that training never sees.

A task has a few classes, a few samples of each to learn from (the support) and others to answer
(the queries). Every sample is written carelessly: moved by up to a pixel, turned by up to 20
degrees, up to 15 % larger or smaller. Training knows the digits 0 to 6 only, in a script that is
new in every task: all samples turned by one angle, slanted, perhaps mirrored. The test is on 7, 8
and 9, upright.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradsmith import nn, viz
from gradsmith.backend import Array
from gradsmith.data import datasets
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.ops.distance import cdist
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

KNOWN, UNSEEN = range(7), range(7, 10)
_TURN, _GROW, _MOVE = np.radians(20), 0.15, 0.25  # at most; a move is in halves of the side
_SLANT = 0.4


@dataclass(frozen=True)
class Task:
    """Images (N, 1, 8, 8) and labels (N,) of support and queries; labels count the task's classes.

    Samples are in order of class: all of class 0, then all of class 1.
    """

    support: Tensor
    support_labels: Tensor
    queries: Tensor
    query_labels: Tensor


def digits_of(kinds: range) -> list[Array]:
    """Return the images (N, 1, 8, 8) in [0, 1] of each of some digits."""
    splits = [datasets.digits(split) for split in ("train", "test")]
    images = np.concatenate([each.data / np.float32(each.scale) for each in splits])
    targets = np.concatenate([each.targets for each in splits])
    return [images[targets == kind] for kind in kinds]


def draw(
    groups: list[Array],
    ways: int,
    shots: int,
    queries: int,
    random: np.random.Generator,
    script: bool = False,
) -> Task:
    """Return a task of ``ways`` classes with ``shots`` samples of each to learn from.

    ``script`` writes all of it in a new script.
    """
    chosen = random.choice(len(groups), ways, replace=False)
    each = shots + queries
    images = np.concatenate([groups[k][random.permutation(len(groups[k]))[:each]] for k in chosen])
    shapes = _careless(len(images), random)
    if script:
        shapes = _script(random) @ shapes
    written = warped(images, shapes, random.uniform(-_MOVE, _MOVE, (len(images), 2)))
    classes = written.reshape(ways, each, 1, *images.shape[2:])
    labels = [from_numpy(np.repeat(np.arange(ways), count)) for count in (shots, queries)]
    return Task(
        *(classes[:, :shots].flatten(0, 1), labels[0]),
        *(classes[:, shots:].flatten(0, 1), labels[1]),
    )


def warped(images: Array, shapes: Array, moves: Array) -> Tensor:
    """Return images (N, 1, H, W) seen through linear maps (N, 2, 2) and moves (N, 2)."""
    maps = np.concatenate((shapes, moves[:, :, None]), 2).astype(np.float32)
    grid = F.affine_grid(from_numpy(maps), images.shape, align_corners=False)
    return F.grid_sample(from_numpy(images), grid, align_corners=False)


def _turns(angles: Array) -> Array:
    """Return rotations (..., 2, 2)."""
    cosines, sines = np.cos(angles), np.sin(angles)
    rows = np.stack((cosines, -sines), -1), np.stack((sines, cosines), -1)
    return np.stack(rows, -2)


def _careless(count: int, random: np.random.Generator) -> Array:
    """Return small turns and changes of size (count, 2, 2)."""
    sizes = 1 + random.uniform(-_GROW, _GROW, (count, 1, 1))
    return np.asarray(_turns(random.uniform(-_TURN, _TURN, count)) * sizes)


def _script(random: np.random.Generator) -> Array:
    """Return a turn by any angle with a slant, mirrored or not (2, 2)."""
    slant = [[random.choice([-1, 1]), random.uniform(-_SLANT, _SLANT)], [0, 1]]
    return np.asarray(_turns(np.asarray(random.uniform(-np.pi, np.pi))) @ slant)


def embedding(width: int = 32, outputs: int = 64) -> nn.Sequential:
    """Return a net from images (N, 1, 8, 8) to points (N, outputs)."""
    layers: list[nn.Module] = []
    for inputs in (1, width):
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width, outputs))


def accuracy(answers: Tensor, task: Task) -> float:
    """Return the share of a task's queries that are answered rightly."""
    return float((answers == task.query_labels).float().mean().item())


def nearest_pixels(task: Task) -> float:
    """Return the accuracy of giving each query the class of the sample with the closest pixels."""
    distances = cdist(task.queries.flatten(1), task.support.flatten(1))
    return accuracy(task.support_labels[distances.argmin(1)], task)


def unseen_tasks(run: Run, shots: int) -> list[Task]:
    """Return tasks that tell 7, 8 and 9 apart."""
    random = np.random.default_rng(run.seed + 1)
    groups = digits_of(UNSEEN)
    return [draw(groups, len(UNSEEN), shots, 15, random) for _ in range(run.choose(100, 20))]


def show_task(run: Run) -> None:
    """Draw a task of training above one of the test, a column for each sample."""
    random = np.random.default_rng(run.seed)
    known = draw(digits_of(KNOWN), 3, 4, 1, random, script=True).support
    unseen = draw(digits_of(UNSEEN), 3, 4, 1, random).support
    rows = viz.reconstruction_rows(known, unseen, titles=["training", "test"], count=12)
    run.picture("tasks", rows, "Four samples each of three classes, in training and in the test.")
