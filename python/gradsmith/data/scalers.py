# SPDX-License-Identifier: Apache-2.0
"""Columns of numbers brought to a common scale, and their gaps filled; names of scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.transformer import Transformer, number_table, returned, table
from gradsmith.ops.options import check_flag


class StandardScaler(Transformer):
    """Maps each column to mean 0 and standard deviation 1 (divisor N); NaN is left out and kept.

    >>> StandardScaler().fit_transform([[1.0], [3.0]]).tolist()
    [[-1.0], [1.0]]

    Args:
        with_mean: subtract the mean.
        with_std: divide by the standard deviation; constant columns by 1.

    Attributes:
        mean_, var_, scale_: of the columns, float64 (F,).
    """

    _learned: ClassVar[tuple[str, ...]] = ("mean_", "var_", "scale_")

    def __init__(self, *, with_mean: bool = True, with_std: bool = True) -> None:
        """Keep the options."""
        self.with_mean = check_flag("StandardScaler", "with_mean", with_mean)
        self.with_std = check_flag("StandardScaler", "with_std", with_std)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn mean and variance of each column of (N, F)."""
        columns, _ = number_table("StandardScaler", X)
        count = (~np.isnan(columns)).sum(axis=0)
        known = np.maximum(count, 1)
        mean = np.nansum(columns, axis=0) / known
        var = np.nansum((columns - mean) ** 2, axis=0) / known
        self.mean_ = np.where(count > 0, mean, np.nan)
        self.var_ = np.where(count > 0, var, np.nan)
        # A variance within rounding of a constant column's is that of a constant one.
        eps = np.finfo(np.float64).eps
        constant = var <= known * eps * var + (known * mean * eps) ** 2
        self.scale_ = (
            np.where(constant, 1.0, np.sqrt(self.var_)) if self.with_std else 1.0 + 0 * var
        )
        return self

    def transform(self, X: Any) -> Any:
        """Return (X - mean) / scale."""
        columns, dtype = self._columns(X)
        shifted = columns - self.mean_ if self.with_mean else columns
        return returned(shifted / self.scale_, X, dtype)

    def inverse_transform(self, X: Any) -> Any:
        """Return X * scale + mean."""
        columns, dtype = self._columns(X)
        scaled = columns * self.scale_
        return returned(scaled + self.mean_ if self.with_mean else scaled, X, dtype)

    def _columns(self, X: Any) -> tuple[Array, Any]:
        self._check_fitted()
        columns, dtype = number_table("StandardScaler", X)
        self._check_features(columns, len(self.mean_))
        return columns, dtype


class MinMaxScaler(Transformer):
    """Maps the range of each column to ``feature_range``; NaN is left out and kept.

    Args:
        feature_range: (low, high).
        clip: hold values that ``fit`` has not seen within the range.

    Attributes:
        data_min_, data_max_, data_range_: of the columns, float64 (F,).
        scale_, min_: ``X * scale_ + min_`` is the result.

    Raises:
        ValueError: low is not below high.
    """

    _learned: ClassVar[tuple[str, ...]] = (
        "data_min_",
        "data_max_",
        "data_range_",
        "scale_",
        "min_",
    )

    def __init__(self, feature_range: tuple[float, float] = (0, 1), *, clip: bool = False) -> None:
        """Keep the options."""
        low, high = feature_range
        if not low < high:
            raise ValueError(f"MinMaxScaler: feature_range is {feature_range}, expected low < high")
        self.feature_range = feature_range
        self.clip = check_flag("MinMaxScaler", "clip", clip)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the range of each column of (N, F); a constant one counts as a range of 1."""
        columns, _ = number_table("MinMaxScaler", X)
        low, high = self.feature_range
        known = ~np.isnan(columns)
        seen = known.any(axis=0)
        least = np.where(known, columns, np.inf).min(axis=0)
        most = np.where(known, columns, -np.inf).max(axis=0)
        self.data_min_ = np.where(seen, least, np.nan)
        self.data_max_ = np.where(seen, most, np.nan)
        self.data_range_ = self.data_max_ - self.data_min_
        tiny = 10 * np.finfo(np.float64).eps
        self.scale_ = (high - low) / np.where(self.data_range_ < tiny, 1.0, self.data_range_)
        self.min_ = low - self.data_min_ * self.scale_
        return self

    def transform(self, X: Any) -> Any:
        """Return the columns in ``feature_range``."""
        columns, dtype = self._columns(X)
        scaled = columns * self.scale_ + self.min_
        return returned(np.clip(scaled, *self.feature_range) if self.clip else scaled, X, dtype)

    def inverse_transform(self, X: Any) -> Any:
        """Return the columns in their own range."""
        columns, dtype = self._columns(X)
        return returned((columns - self.min_) / self.scale_, X, dtype)

    def _columns(self, X: Any) -> tuple[Array, Any]:
        self._check_fitted()
        columns, dtype = number_table("MinMaxScaler", X)
        self._check_features(columns, len(self.scale_))
        return columns, dtype


_STRATEGIES = ("mean", "median", "most_frequent", "constant")


class SimpleImputer(Transformer):
    """Fills missing values with a number of their column.

    >>> SimpleImputer().fit_transform([[1.0], [float("nan")], [5.0]]).tolist()
    [[1.0], [3.0], [5.0]]

    Args:
        missing_values: what stands for a missing value, a number, NaN, a text or None.
        strategy: ``"mean"``, ``"median"``, ``"most_frequent"`` (the smallest of equally frequent
            ones) or ``"constant"``. The last two also fill columns of text (arrays of objects).
        fill_value: the constant; None: 0, or "missing_value" in text.
        add_indicator: append a column of 0 and 1 for each column where ``fit`` saw gaps.

    Attributes:
        statistics_: what fills each column, of shape (F,).
        indicator_: the columns where ``fit`` saw gaps.

    Raises:
        ValueError: an unknown strategy; in ``fit``, a column has nothing but missing values.
    """

    _learned: ClassVar[tuple[str, ...]] = ("statistics_", "indicator_")

    def __init__(
        self,
        *,
        missing_values: Any = np.nan,
        strategy: str = "mean",
        fill_value: Any = None,
        add_indicator: bool = False,
    ) -> None:
        """Keep the options."""
        if strategy not in _STRATEGIES:
            raise ValueError(
                f"SimpleImputer: strategy is {strategy!r}, expected one of {_STRATEGIES}"
            )
        self.missing_values = missing_values
        self.strategy = strategy
        self.fill_value = fill_value
        self.add_indicator = check_flag("SimpleImputer", "add_indicator", add_indicator)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what fills each column of (N, F)."""
        columns, _ = self._table(X)
        missing = self._missing(columns)
        fill: list[Any] = []
        for place in range(columns.shape[1]):
            known = columns[~missing[:, place], place]
            if self.strategy != "constant" and not len(known):
                raise ValueError(f"SimpleImputer: column {place} has nothing but missing values")
            fill.append(self._statistic(known))
        self.statistics_ = np.array(fill, dtype=columns.dtype)
        self.indicator_ = np.flatnonzero(missing.any(axis=0))
        return self

    def _statistic(self, known: Array) -> Any:
        if self.strategy == "mean":
            return known.mean()
        if self.strategy == "median":
            return np.median(known)
        if self.strategy == "most_frequent":
            values, counts = np.unique(known, return_counts=True)
            return values[counts.argmax()]
        if self.fill_value is None:
            return "missing_value" if known.dtype == object else 0.0
        return self.fill_value

    def transform(self, X: Any) -> Any:
        """Return the columns without gaps, then those of the indicator."""
        self._check_fitted()
        columns, dtype = self._table(X)
        self._check_features(columns, len(self.statistics_))
        missing = self._missing(columns)
        filled = np.where(missing, self.statistics_, columns)
        if self.add_indicator:
            flags = missing[:, self.indicator_].astype(columns.dtype)
            filled = np.concatenate([filled, flags], axis=1)
        return returned(filled, X, dtype)

    def _table(self, X: Any) -> tuple[Array, Any]:
        columns = table("SimpleImputer", X)
        if columns.dtype.kind in "OUS":
            if self.strategy in ("mean", "median"):
                raise TypeError(
                    f"SimpleImputer: X is {columns.dtype}, strategy {self.strategy!r} needs numbers"
                )
            return columns.astype(object), None
        return number_table("SimpleImputer", X)

    def _missing(self, columns: Array) -> Array:
        wanted = self.missing_values
        is_nan = isinstance(wanted, float) and np.isnan(wanted)
        if columns.dtype == object:
            flags = [[(x != x) if is_nan else x == wanted for x in row] for row in columns]
            return np.array(flags, dtype=bool)
        return np.isnan(columns) if is_nan else np.asarray(columns == wanted)
