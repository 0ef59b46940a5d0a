# SPDX-License-Identifier: Apache-2.0
"""What the transformers of tables share: from what is given to columns, and back."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from gradsmith.backend import FLOATING, Array, DType, device_of, get_default_dtype, moved, on_host
from gradsmith.tensor import Tensor, wrap


class Transformer:
    """Learns from samples with ``fit`` and maps samples with ``transform``, as in scikit-learn.

    Tensors give tensors on their device, anything else gives arrays. Floating dtypes are kept,
    others become the default one; sums are float64.
    """

    # Attributes that `fit` sets, which make up the state.
    _learned: ClassVar[tuple[str, ...]] = ()

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from samples."""
        raise NotImplementedError(f"{type(self).__name__} does not define fit")

    def transform(self, X: Any) -> Any:
        """Map samples."""
        raise NotImplementedError(f"{type(self).__name__} does not define transform")

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Learn from samples and map them."""
        return self.fit(X, y).transform(X)

    def state_dict(self) -> dict[str, Any]:
        """Return what ``fit`` learned, for `gradsmith.save`: numbers as tensors, texts as lists."""
        self._check_fitted()
        return {name: _packed(getattr(self, name)) for name in self._learned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            ValueError: the keys are others.
        """
        if set(state) != set(self._learned):
            raise ValueError(
                f"{type(self).__name__}: the state has the keys {sorted(state)}, expected "
                f"{sorted(self._learned)}"
            )
        for name, value in state.items():
            setattr(self, name, _unpacked(value))

    def _check_fitted(self) -> None:
        if not all(hasattr(self, name) for name in self._learned):
            raise ValueError(f"{type(self).__name__}: nothing is learned yet, call fit first")

    def _check_features(self, columns: Array, expected: int) -> None:
        if columns.shape[1] != expected:
            raise ValueError(
                f"{type(self).__name__}: X has {columns.shape[1]} features, fit had {expected}"
            )


def _packed(value: Any) -> Any:
    if isinstance(value, list):
        return [_packed(each) for each in value]
    if isinstance(value, np.ndarray):
        return wrap(value) if value.dtype.kind in "fiub" else value.tolist()
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, Tensor):
        return on_host(value._array)
    if isinstance(value, list):
        nested = any(isinstance(each, (list, Tensor)) for each in value)
        return [_unpacked(each) for each in value] if nested else np.array(value)
    return value


def host_array(X: Any) -> Array:
    """Return samples as a NumPy array of any dtype; lists that hold texts one of objects."""
    if isinstance(X, Tensor):
        return on_host(X._array)
    array = np.asarray(X)
    if array.dtype.kind in "US" and not isinstance(X, np.ndarray):
        array = np.asarray(X, dtype=object)  # beside texts numbers stay numbers
    return array


def table(op: str, X: Any) -> Array:
    """Return samples as an array of shape (N, F) with at least one row.

    Raises:
        ValueError: they have another shape.
    """
    array = host_array(X)
    if array.ndim != 2 or not len(array):
        raise ValueError(f"{op}: X has shape {array.shape}, expected (N, F) with N at least 1")
    return array


def number_table(op: str, X: Any) -> tuple[Array, DType]:
    """Return samples of numbers as float64 (N, F), and the dtype that results should have.

    Raises:
        TypeError: they are no numbers.
        ValueError: they have another shape, or are infinite.
    """
    array = table(op, X)
    if array.dtype not in FLOATING and array.dtype.kind not in "fiub":
        raise TypeError(f"{op}: X is {array.dtype}, expected numbers")
    dtype = array.dtype if array.dtype in FLOATING else get_default_dtype()
    numbers = array.astype(np.float64)
    if np.isinf(numbers).any():
        raise ValueError(f"{op}: X holds infinite values")
    return numbers, dtype


def returned(result: Array, X: Any, dtype: DType | None = None) -> Any:
    """Return a result in a dtype: as a tensor where ``X`` is one, else as an array."""
    array = result if dtype is None else result.astype(dtype)
    return wrap(moved(array, device_of(X._array))) if isinstance(X, Tensor) else array
