# SPDX-License-Identifier: Apache-2.0
"""The base of streaming metrics, and how their arguments become arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import FLOATING, Array, on_host
from gradsmith.tensor import Tensor, as_array


def to_array(value: Any) -> Array:
    """Return a tensor, array or nested list as a NumPy array; floating ones as float64.

    Metrics count on the host, wherever the model is: a batch's outputs are few.
    """
    array = on_host(value._array if isinstance(value, Tensor) else as_array(value))
    return array.astype(np.float64) if array.dtype in FLOATING else array


def check_same_shape(op: str, output: Array, target: Array) -> None:
    """Raise ValueError unless the shapes are equal; a metric never broadcasts."""
    if output.shape != target.shape:
        raise ValueError(
            f"{op}: output has shape {output.shape}, target {target.shape}, expected equal shapes"
        )


class Metric:
    """A number over a stream of batches: `update` with each batch, then `result`.

    Sums and counts are kept, so the result is exact whatever the sizes of the batches.
    """

    def __init__(self, name: str) -> None:
        """Start empty under the name that logs show."""
        self.name = name
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} does not define reset")

    def update(self, output: Any, target: Any) -> None:
        """Take in the outputs and targets of a batch."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def result(self) -> Any:
        """Return the metric over all batches since `reset`."""
        raise NotImplementedError(f"{type(self).__name__} does not define result")

    def __call__(self, output: Any, target: Any) -> Any:
        """Take in a batch and return the metric over all of them."""
        self.update(output, target)
        return self.result()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


class MeanMetric(Metric):
    """A metric that is a mean over elements; subclasses give each batch's sum and count."""

    def reset(self) -> None:
        """Forget all batches."""
        self.total = 0.0
        self.count = 0

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return the sum over the elements of a batch and their number."""
        raise NotImplementedError(f"{type(self).__name__} does not define sum_and_count")

    def update(self, output: Any, target: Any) -> None:
        """Take in the outputs and targets of a batch."""
        total, count = self.sum_and_count(to_array(output), to_array(target))
        self.total += total
        self.count += count

    def result(self) -> float:
        """Return the mean over all elements since `reset`; NaN before the first."""
        return self.total / self.count if self.count else float("nan")


class Mean(Metric):
    """The mean of numbers, weighted by ``weight``; losses are averaged with it."""

    def __init__(self, name: str = "mean") -> None:
        """Start empty."""
        super().__init__(name)

    def reset(self) -> None:
        """Forget all numbers."""
        self.total = 0.0
        self.weight = 0.0

    def update(self, value: Any, weight: float = 1.0) -> None:
        """Take in a number, or an array of which every element counts ``weight``."""
        array = to_array(value)
        self.total += float(array.sum(dtype=np.float64)) * weight
        self.weight += array.size * weight

    def __call__(self, value: Any, weight: float = 1.0) -> float:
        """Take in a number and return the mean of all."""
        self.update(value, weight)
        return self.result()

    def result(self) -> float:
        """Return the weighted mean since `reset`; NaN before the first number."""
        return self.total / self.weight if self.weight else float("nan")
