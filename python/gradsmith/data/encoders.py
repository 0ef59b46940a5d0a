# SPDX-License-Identifier: Apache-2.0
"""Categories as numbers; names of scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from gradsmith.backend import Array, as_dtype, get_default_dtype
from gradsmith.data.transformer import Transformer, host_array, returned, table


def _plain(column: Array) -> Array:
    """Return a column of objects in the dtype of its values."""
    return np.array(column.tolist()) if column.dtype == object else column


def _places(categories: Array, column: Array) -> Array:
    """Return the place of each value among the sorted categories, -1 for those not among them."""
    if (categories.dtype.kind in "US") != (column.dtype.kind in "US"):
        return np.full(len(column), -1)
    places = np.searchsorted(categories, column).clip(0, len(categories) - 1)
    found = categories[places]
    equal = (found == column) | ((found != found) & (column != column))  # NaN is a category too
    return np.where(equal, places, -1)


class LabelEncoder(Transformer):
    """Maps labels to their place among the sorted different ones.

    >>> encoder = LabelEncoder().fit(["b", "a", "b"])
    >>> encoder.transform(["a", "b"]).tolist(), encoder.inverse_transform([1]).tolist()
    ([0, 1], ['b'])

    Attributes:
        classes_: the different labels, sorted.
    """

    _learned: ClassVar[tuple[str, ...]] = ("classes_",)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the labels, of shape (N,)."""
        self.classes_ = np.unique(self._labels(X))
        return self

    def transform(self, X: Any) -> Any:
        """Return int64 (N,); ValueError for a label that ``fit`` has not seen."""
        self._check_fitted()
        labels = self._labels(X)
        places = _places(self.classes_, labels)
        if (places < 0).any():
            unknown = sorted(set(labels[places < 0].tolist()))
            raise ValueError(f"LabelEncoder: labels {unknown[:5]} are not among those of fit")
        return returned(places, X)

    def inverse_transform(self, X: Any) -> Any:
        """Return the labels at places; ValueError for a place out of range."""
        self._check_fitted()
        places = self._labels(X)
        if places.dtype.kind not in "iu" and places.size:
            raise TypeError(f"LabelEncoder: places are {places.dtype}, expected integers")
        if places.size and not 0 <= places.min() <= places.max() < len(self.classes_):
            raise ValueError(
                f"LabelEncoder: places run from {places.min()} to {places.max()}, expected 0 to "
                f"{len(self.classes_) - 1}"
            )
        labels = self.classes_[places.astype(np.int64)]
        return labels if labels.dtype.kind in "USO" else returned(labels, X)

    def _labels(self, X: Any) -> Array:
        labels = _plain(host_array(X))
        if labels.ndim != 1:
            raise ValueError(f"LabelEncoder: labels have shape {labels.shape}, expected (N,)")
        return labels


class OneHotEncoder(Transformer):
    """Maps each column of categories to columns of 0 and 1, one for each category.

    >>> OneHotEncoder().fit_transform([["a"], ["c"], ["a"]]).tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]

    Args:
        categories: ``"auto"``, or for each column its categories, sorted.
        drop: ``"first"`` leaves out the first category of each column, ``"if_binary"`` that of
            columns with two.
        dtype: of the result; None: the default dtype.
        handle_unknown: ``"error"``, or ``"ignore"``: zeros for a category not seen before.

    Attributes:
        categories_: for each column its categories, sorted.

    Raises:
        ValueError: an unknown option; in ``transform``, an unknown category.
    """

    _learned: ClassVar[tuple[str, ...]] = ("categories_",)

    def __init__(
        self,
        *,
        categories: Any = "auto",
        drop: str | None = None,
        dtype: Any = None,
        handle_unknown: str = "error",
    ) -> None:
        """Keep the options."""
        if drop not in (None, "first", "if_binary"):
            raise ValueError(
                f"OneHotEncoder: drop is {drop!r}, expected None, 'first' or 'if_binary'"
            )
        if handle_unknown not in ("error", "ignore"):
            raise ValueError(
                f"OneHotEncoder: handle_unknown is {handle_unknown!r}, expected 'error' or 'ignore'"
            )
        self.categories = categories
        self.drop = drop
        self.dtype = None if dtype is None else as_dtype(dtype)
        self.handle_unknown = handle_unknown

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the categories of each column of (N, F)."""
        columns = table("OneHotEncoder", X)
        if isinstance(self.categories, str):
            self.categories_ = [np.unique(_plain(column)) for column in columns.T]
            return self
        given = [np.array(each) for each in self.categories]
        for each in given:
            if each.ndim != 1 or not np.array_equal(np.unique(each), each):
                raise ValueError("OneHotEncoder: categories are not sorted and different")
        self._check_features(columns, len(given))
        self.categories_ = given
        self.transform(X)
        return self

    def _dropped(self, categories: Array) -> int:
        """Return how many categories are left out at the beginning: 0 or 1."""
        return int(self.drop == "first" or (self.drop == "if_binary" and len(categories) == 2))

    def transform(self, X: Any) -> Any:
        """Return the columns of 0 and 1, of shape (N, sum of the numbers of categories)."""
        self._check_fitted()
        columns = table("OneHotEncoder", X)
        self._check_features(columns, len(self.categories_))
        parts = []
        for which, (categories, values) in enumerate(zip(self.categories_, columns.T, strict=True)):
            column = _plain(values)
            places = _places(categories, column)
            unknown = places < 0
            if unknown.any() and self.handle_unknown == "error":
                raise ValueError(
                    f"OneHotEncoder: column {which} has the unknown category "
                    f"{column[unknown].tolist()[0]!r}; handle_unknown='ignore' makes it zeros"
                )
            ones = places[:, None] == np.arange(len(categories))
            parts.append(ones[:, self._dropped(categories) :])
        return returned(np.concatenate(parts, axis=1), X, self.dtype or get_default_dtype())

    def inverse_transform(self, X: Any) -> Array:
        """Return the categories, an array (N, F); None where a row names no category."""
        self._check_fitted()
        flags = table("OneHotEncoder", X) != 0
        sizes = [len(each) - self._dropped(each) for each in self.categories_]
        self._check_features(flags, sum(sizes))
        result = np.empty((len(flags), len(sizes)), dtype=object)
        parts = np.split(flags, np.cumsum(sizes)[:-1], axis=1)
        for which, (categories, part) in enumerate(zip(self.categories_, parts, strict=True)):
            dropped = self._dropped(categories)
            if (part.sum(axis=1) > 1).any():
                raise ValueError(f"OneHotEncoder: a row names two categories of column {which}")
            places = part.argmax(axis=1) + dropped if part.shape[1] else np.zeros(len(part), int)
            nothing = ~part.any(axis=1)
            result[:, which] = categories[np.where(nothing, 0, places)]
            if not dropped:
                result[nothing, which] = None
        return result

    def get_feature_names_out(self, input_features: Any = None) -> list[str]:
        """Return a name ``<column>_<category>`` for each column of the result."""
        self._check_fitted()
        count = len(self.categories_)
        names = [f"x{i}" for i in range(count)] if input_features is None else list(input_features)
        if len(names) != count:
            raise ValueError(f"OneHotEncoder: {len(names)} input_features for {count} columns")
        return [
            f"{name}_{category}"
            for name, categories in zip(names, self.categories_, strict=True)
            for category in categories[self._dropped(categories) :]
        ]
