# SPDX-License-Identifier: Apache-2.0
"""Tasks of few samples from scanned digits, for classes that training never sees.

Training takes the digits 0 to 6 in four turns each (0, 90, 180 and 270 degrees) and their mirror
images, which makes 56 classes; the test is on 7, 8 and 9 as they are. A task has a few classes, a
few samples of each to learn from (the support) and others to answer (the queries).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradsmith import nn
from gradsmith.backend import Array
from gradsmith.data import datasets
from gradsmith.ops.creation import from_numpy
from gradsmith.tensor import Tensor

UNSEEN = (7, 8, 9)


@dataclass(frozen=True)
class Task:
    """Images (N, 1, 8, 8) and labels (N,) of support and queries; labels count the task's classes.

    Samples are in order of class: all of class 0, then all of class 1.
    """

    support: Tensor
    support_labels: Tensor
    queries: Tensor
    query_labels: Tensor


def by_class(seen: bool, split: str) -> list[Array]:
    """Return the images (N, 1, 8, 8) of each class for training, or of the unseen ones."""
    digits = datasets.digits(split)
    images = digits.data.astype(np.float32) / np.float32(digits.scale)
    kinds = [k for k in range(10) if (k not in UNSEEN) == seen]
    groups = [images[digits.targets == kind] for kind in kinds]
    if not seen:
        return groups
    turned = [np.rot90(group, turn, (2, 3)) for group in groups for turn in range(4)]
    return [np.ascontiguousarray(each) for turn in turned for each in (turn, turn[..., ::-1])]


def draw(
    groups: list[Array], ways: int, shots: int, queries: int, random: np.random.Generator
) -> Task:
    """Return a task of ``ways`` classes with ``shots`` samples of each to learn from."""
    chosen = random.choice(len(groups), ways, replace=False)
    parts = [groups[k][random.permutation(len(groups[k]))[: shots + queries]] for k in chosen]
    support = np.concatenate([part[:shots] for part in parts])
    rest = np.concatenate([part[shots:] for part in parts])
    labels = [np.repeat(np.arange(ways), count) for count in (shots, queries)]
    return Task(*(from_numpy(each) for each in (support, labels[0], rest, labels[1])))


def embedding(width: int = 32, outputs: int = 64) -> nn.Sequential:
    """Return a net from images (N, 1, 8, 8) to points (N, outputs)."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width, outputs),
    )
