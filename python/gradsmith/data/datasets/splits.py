# SPDX-License-Identifier: Apache-2.0
"""The split of sets that come without one: every fifth sample of each class is for the test."""

from __future__ import annotations

import numpy as np

from gradsmith.backend import Array


def check_split(op: str, split: str) -> None:
    """Raise ValueError unless ``split`` is ``"train"`` or ``"test"``."""
    if split not in ("train", "test"):
        raise ValueError(f"{op}: split is {split!r}, expected 'train' or 'test'")


def is_fifth_of_its_class(labels: Array) -> Array:
    """Return True at the 5th, 10th, ... sample of each class in file order, bool of shape (N,)."""
    rank_in_class = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank_in_class[members] = np.arange(len(members))
    chosen: Array = rank_in_class % 5 == 4
    return chosen
