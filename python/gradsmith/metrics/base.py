# SPDX-License-Identifier: Apache-2.0
"""The base of streaming metrics, and how their arguments become arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import FLOATING, Array, on_host
from gradsmith.tensor import Tensor, as_array, wrap


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


def selected(op: str, x: Array, mask: Array) -> Array:
    """Return the elements (K) at the places of a mask, or the scores (K, C) there.

    Raises:
        ValueError: ``x`` has neither the mask's shape nor, without its dimension 1, that.
    """
    if x.shape == mask.shape:
        return x[mask]
    if x.shape[:1] + x.shape[2:] == mask.shape:
        return np.moveaxis(x, 1, -1)[mask]
    raise ValueError(
        f"{op}: mask has shape {mask.shape}, expected that of the positions of {x.shape}"
    )


class Metric:
    """A number over a stream of batches: `update` with each batch, then `result`.

    Sums and counts are kept, so the result is exact whatever the sizes of the batches.

    A subclass sets its options, then calls ``super().__init__(name)``; what its `reset` sets is the
    state: numbers, arrays, and lists of arrays.
    """

    def __init__(self, name: str) -> None:
        """Start empty under the name that logs show."""
        self.name = name
        options = set(vars(self))
        self.reset()
        self._state = tuple(key for key in vars(self) if key not in options)

    def reset(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} does not define reset")

    def update(self, output: Any, target: Any) -> None:
        """Take in the outputs and targets of a batch."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def result(self) -> Any:
        """Return the metric over all batches since `reset`."""
        raise NotImplementedError(f"{type(self).__name__} does not define result")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch (see `update`) and return the metric over all of them."""
        self.update(*args, **kwargs)
        return self.result()

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of what the batches since `reset` left, which `gradsmith.save` can write.

        A metric that loads it goes on exactly where this one is.
        """
        return {key: _packed(vars(self)[key]) for key in self._state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the state of a metric of the same kind and options.

        Raises:
            ValueError: it is the state of another kind of metric, or of another size.
        """
        kind = type(self).__name__
        if set(state_dict) != set(self._state):
            raise ValueError(
                f"{kind}.load_state_dict: got {sorted(state_dict)}, expected {sorted(self._state)}"
            )
        self.reset()
        for key, value in state_dict.items():
            fresh, loaded = vars(self)[key], _unpacked(value)
            fixed = isinstance(fresh, np.ndarray) and fresh.size > 0
            if fixed and np.shape(loaded) != fresh.shape:
                raise ValueError(
                    f"{kind}.load_state_dict: {key} has shape {np.shape(loaded)}, expected "
                    f"{fresh.shape}"
                )
            setattr(self, key, loaded)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


def _packed(value: Any) -> Any:
    if isinstance(value, list):
        return [_packed(each) for each in value]
    return wrap(value.copy()) if isinstance(value, np.ndarray) else value


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(each) for each in value]
    return on_host(value._array).copy() if isinstance(value, Tensor) else value


class RatioMetric(Metric):
    """A metric that is a total over a count; subclasses add to both."""

    def reset(self) -> None:
        """Forget all batches."""
        self.total = 0.0
        self.count = 0

    def result(self) -> float:
        """Return total over count since `reset`; NaN before the first."""
        return self.total / self.count if self.count else float("nan")


class MeanMetric(RatioMetric):
    """A metric that is a mean over elements; subclasses give each batch's sum and count."""

    def sum_and_count(self, output: Array, target: Array) -> tuple[float, int]:
        """Return the sum over the elements of a batch and their number."""
        raise NotImplementedError(f"{type(self).__name__} does not define sum_and_count")

    def update(self, output: Any, target: Any, mask: Any = None) -> None:
        """Take in the outputs and targets of a batch; those where a bool mask is False count not.

        Raises:
            ValueError: the shapes do not fit.
            TypeError: the mask is not bool.
        """
        outputs, targets = to_array(output), to_array(target)
        if mask is not None:
            keep = to_array(mask)
            if keep.dtype != np.bool_:
                raise TypeError(f"{self.name}: mask is {keep.dtype}, expected bool")
            outputs, targets = (selected(self.name, each, keep) for each in (outputs, targets))
        total, count = self.sum_and_count(outputs, targets)
        self.total += total
        self.count += count


class Sum(Metric):
    """The sum of numbers."""

    def __init__(self, name: str = "sum") -> None:
        """Start at 0."""
        super().__init__(name)

    def reset(self) -> None:
        """Forget all numbers."""
        self.total = 0.0

    def update(self, value: Any) -> None:  # type: ignore[override]
        """Take in a number, or an array of them."""
        self.total += float(to_array(value).sum(dtype=np.float64))

    def result(self) -> float:
        """Return the sum since `reset`."""
        return self.total


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

    def result(self) -> float:
        """Return the weighted mean since `reset`; NaN before the first number."""
        return self.total / self.weight if self.weight else float("nan")
