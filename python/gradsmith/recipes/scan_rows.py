# SPDX-License-Identifier: Apache-2.0
"""Scanned digits of 8x8 as rows of 64 numbers."""

from __future__ import annotations

from gradsmith.data import datasets
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor


def scan_rows(run: Run, split: str) -> tuple[Tensor, Tensor]:
    """Return images (N, 64) in [0, 1] and their digits (N), on the run's device."""
    digits = datasets.digits(split)
    rows = from_numpy(digits.data).flatten(1).float() / digits.scale
    return rows.to(run.device), from_numpy(digits.targets).to(run.device)
