# SPDX-License-Identifier: Apache-2.0
"""Metrics of predicted numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.metrics.base import MeanMetric, Metric, check_same_shape, to_array


class MeanSquaredError(MeanMetric):
    """The mean of (output - target)**2 over all elements; shapes must be equal."""

    def __init__(self, name: str = "mean_squared_error") -> None:
        """Start empty."""
        super().__init__(name)

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return the sum of the squares and their number."""
        check_same_shape(self.name, output, target)
        return float(np.square(np.subtract(output, target, dtype=np.float64)).sum()), output.size


class RootMeanSquaredError(MeanSquaredError):
    """The square root of the mean of (output - target)**2 over all elements."""

    def __init__(self, name: str = "root_mean_squared_error") -> None:
        """Start empty."""
        super().__init__(name)

    def result(self) -> float:
        """Return the root of the mean over all elements since `reset`; NaN before the first."""
        return math.sqrt(super().result())


class MeanAbsoluteError(MeanMetric):
    """The mean of |output - target| over all elements; shapes must be equal."""

    def __init__(self, name: str = "mean_absolute_error") -> None:
        """Start empty."""
        super().__init__(name)

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return the sum of the absolute values and their number."""
        check_same_shape(self.name, output, target)
        return float(np.abs(np.subtract(output, target, dtype=np.float64)).sum()), output.size


class R2Score(Metric):
    """The coefficient of determination, 1 - residual / total sum of squares.

    Outputs and targets (N) or (N, ...): one score for each element of a sample, then their mean. A
    constant target scores 1 if it is met, else 0.
    """

    def __init__(self, name: str = "r2_score") -> None:
        """Start empty."""
        super().__init__(name)

    def reset(self) -> None:
        """Forget all batches."""
        self.count = 0
        self.mean = np.zeros(0)
        self.deviation = np.zeros(0)  # squares of targets around their mean
        self.residual = np.zeros(0)

    def update(self, output: Any, target: Any) -> None:
        """Take in the outputs and targets of a batch, of equal shapes.

        The means of batches are merged (Chan et al. 1979), so that large ones do not cancel.
        """
        outputs, targets = to_array(output), to_array(target)
        check_same_shape(self.name, outputs, targets)
        count = len(targets) if targets.ndim else 0
        if not count:
            raise ValueError(f"{self.name}: output has shape {outputs.shape}, expected (N, ...)")
        rows = targets.reshape(count, -1).astype(np.float64)
        residual = np.square(outputs.reshape(count, -1) - rows).sum(0)
        mean = rows.mean(0)
        deviation = np.square(rows - mean).sum(0)
        if self.count:
            if mean.shape != self.mean.shape:
                raise ValueError(
                    f"{self.name}: samples have {mean.size} elements, before {self.mean.size}"
                )
            share = count / (self.count + count)
            step = mean - self.mean
            deviation += self.deviation + np.square(step) * self.count * share
            residual += self.residual
            mean = self.mean + step * share
        self.count += count
        self.mean, self.deviation, self.residual = mean, deviation, residual

    def result(self) -> float:
        """Return the score over all samples since `reset`; NaN before the second."""
        if self.count < 2 or not self.mean.size:
            return math.nan
        constant = self.deviation == 0
        ratio = self.residual / np.where(constant, 1.0, self.deviation)
        met = (self.residual == 0).astype(np.float64)
        return float(np.where(constant, met, 1 - ratio).mean())


def mean_squared_error(output: Any, target: Any) -> float:
    """Return the mean of (output - target)**2; ValueError when the shapes differ."""
    return float(MeanSquaredError()(output, target))


def mean_absolute_error(output: Any, target: Any) -> float:
    """Return the mean of |output - target|; ValueError when the shapes differ."""
    return float(MeanAbsoluteError()(output, target))


def root_mean_squared_error(output: Any, target: Any) -> float:
    """Return the root of the mean of (output - target)**2; ValueError when the shapes differ."""
    return float(RootMeanSquaredError()(output, target))


def r2_score(output: Any, target: Any) -> float:
    """Return the coefficient of determination (see `R2Score`)."""
    return float(R2Score()(output, target))
