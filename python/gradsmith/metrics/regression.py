# SPDX-License-Identifier: Apache-2.0
"""Metrics of predicted numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.metrics.base import MeanMetric, check_same_shape


class MeanSquaredError(MeanMetric):
    """The mean of (output - target)**2 over all elements; shapes must be equal."""

    def __init__(self, name: str = "mean_squared_error") -> None:
        """Start empty."""
        super().__init__(name)

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return the sum of the squares and their number."""
        check_same_shape(self.name, output, target)
        return float(np.square(np.subtract(output, target, dtype=np.float64)).sum()), output.size


class MeanAbsoluteError(MeanMetric):
    """The mean of |output - target| over all elements; shapes must be equal."""

    def __init__(self, name: str = "mean_absolute_error") -> None:
        """Start empty."""
        super().__init__(name)

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return the sum of the absolute values and their number."""
        check_same_shape(self.name, output, target)
        return float(np.abs(np.subtract(output, target, dtype=np.float64)).sum()), output.size


def mean_squared_error(output: Any, target: Any) -> float:
    """Return the mean of (output - target)**2; ValueError when the shapes differ."""
    return float(MeanSquaredError()(output, target))


def mean_absolute_error(output: Any, target: Any) -> float:
    """Return the mean of |output - target|; ValueError when the shapes differ."""
    return float(MeanAbsoluteError()(output, target))
