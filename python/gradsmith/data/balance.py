# SPDX-License-Identifier: Apache-2.0
"""Classes made equally frequent by drawing samples again or leaving some out."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.splits import class_of_each, length_of, random_state_of, samples_at


def oversample(X: Any, y: Any, *, random_state: Any = None) -> tuple[Any, Any]:
    """Return the samples, followed by draws from each class until it is as large as the largest.

    Args:
        X: tensor, array, list or dataset of N samples.
        y: their labels (N,).
        random_state: an int, a generator, or None for the library's generator.

    Returns:
        Samples and labels, of the types of ``X`` and ``y``.

    Raises:
        ValueError: there is not one label for each sample.
    """
    random, members = _members("oversample", X, y, random_state)
    largest = max(len(own) for own in members)
    drawn = [random.choice(own, size=largest - len(own)) for own in members]
    return _both(X, y, np.concatenate([np.arange(len(y)), *drawn]))


def undersample(X: Any, y: Any, *, random_state: Any = None) -> tuple[Any, Any]:
    """Return as many samples of each class as the smallest has, in their order.

    Arguments, results and errors are those of `oversample`.
    """
    random, members = _members("undersample", X, y, random_state)
    smallest = min(len(own) for own in members)
    drawn = [random.choice(own, size=smallest, replace=False) for own in members]
    return _both(X, y, np.sort(np.concatenate(drawn)))


def _members(
    op: str, X: Any, y: Any, random_state: Any
) -> tuple[np.random.RandomState, list[Array]]:
    """Return the generator and, for each class, the indices of its samples."""
    length = length_of(op, X)
    if length == 0:
        raise ValueError(f"{op}: X has no samples")
    classes, places = class_of_each(op, y, length)
    random = random_state_of(op, random_state)
    return random, [np.flatnonzero(places == which) for which in range(len(classes))]


def _both(X: Any, y: Any, indices: Array) -> tuple[Any, Any]:
    return samples_at(X, indices), samples_at(y, indices)
