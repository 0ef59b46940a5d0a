# SPDX-License-Identifier: Apache-2.0
"""Tables of numbers with named columns, and their reader for CSV files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.dataset import TensorDataset
from gradsmith.ops.options import check_flag

Column = str | int

_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "None", "?")


class TableDataset(TensorDataset):
    """Rows of named features, with or without a target.

    Sample i is (features float32 (F,), target), or (features,) alone.

    Attributes:
        feature_names: the F names.
        classes: what the class indices stand for, or None.
    """

    def __init__(
        self,
        features: Any,
        targets: Any = None,
        feature_names: Sequence[str] | None = None,
        classes: Sequence[Any] | None = None,
    ) -> None:
        """Keep features of shape (N, F) and targets of shape (N, ...)."""
        super().__init__(features, *([] if targets is None else [targets]))
        if self.tensors[0].ndim != 2:
            raise ValueError(
                f"TableDataset: features have shape {self.tensors[0].shape}, expected (N, F)"
            )
        count = self.tensors[0].shape[1]
        names = [str(i) for i in range(count)] if feature_names is None else list(feature_names)
        if len(names) != count:
            raise ValueError(f"TableDataset: {len(names)} feature_names for {count} features")
        self.feature_names = names
        self.classes = None if classes is None else list(classes)


class CSVDataset(TableDataset):
    """The rows of a CSV file.

    Columns of numbers become float32 features, missing values NaN (see `SimpleImputer`). Columns
    of text have to be named in ``categorical``; they hold the place of the text among the sorted
    different ones (see `OneHotEncoder`), which ``categories`` lists. Nothing else is guessed: a
    number that cannot be read raises an error with its line and column.

    Args:
        path: the file.
        target: the column to predict; None: there is none. Text becomes a class index, int64 of no
            dimensions; numbers become float32 of shape (1,), unless ``classification``.
        columns: the features, by name or by place; None: all columns but the target.
        categorical: those of them that are text.
        classification: the target is a class even where it is a number.
        header: the first line holds the names; otherwise they are "0", "1", ...
        delimiter: what separates fields.
        quotechar: what encloses fields that hold delimiters, line ends or doubled quotes.
        missing: texts that stand for a missing value.
        encoding: of the file; a byte-order mark of UTF-8 is dropped.

    Attributes:
        categories: for each categorical feature the texts behind its numbers.

    Raises:
        OSError: the file cannot be read.
        ValueError: a column does not exist, lines differ in length, a value is no number, a target
            is missing, or there are no rows.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        target: Column | None = None,
        *,
        columns: Sequence[Column] | None = None,
        categorical: Sequence[Column] = (),
        classification: bool = False,
        header: bool = True,
        delimiter: str = ",",
        quotechar: str = '"',
        missing: Sequence[str] = _MISSING,
        encoding: str = "utf-8-sig",
    ) -> None:
        """Read the file."""
        check_flag("CSVDataset", "header", header)
        check_flag("CSVDataset", "classification", classification)
        self.path = os.fspath(path)
        self._missing = frozenset(missing)
        lines, rows = _read(self.path, delimiter, quotechar, encoding)
        self.column_names = rows.pop(0) if header else [str(i) for i in range(len(rows[0]))]
        self._lines = lines[1:] if header else lines
        if not rows:
            raise ValueError(f"CSVDataset: {self.path} has no rows")
        chosen_target = None if target is None else self._place(target)
        every = [i for i in range(len(self.column_names)) if i != chosen_target]
        chosen = every if columns is None else [self._place(column) for column in columns]
        texts = {self._place(column) for column in categorical}
        self.categories: dict[str, list[str]] = {}
        features = np.empty((len(rows), len(chosen)), dtype=np.float32)
        for where, place in enumerate(chosen):
            values = [row[place].strip() for row in rows]
            if place in texts:
                features[:, where] = self._codes(place, values)
            else:
                features[:, where] = self._numbers(place, values)
        targets, classes = None, None
        if chosen_target is not None:
            values = [row[chosen_target].strip() for row in rows]
            targets, classes = self._targets(chosen_target, values, classification)
        names = [self.column_names[place] for place in chosen]
        super().__init__(features, targets, names, classes)

    def _place(self, column: Column) -> int:
        names = self.column_names
        if isinstance(column, int):
            if 0 <= column < len(names):
                return column
        elif names.count(column) == 1:
            return names.index(column)
        count = names.count(str(column))
        raise ValueError(
            f"CSVDataset: {self.path} has {count or 'no'} columns {column!r}; columns are {names}"
        )

    def _codes(self, place: int, values: list[str]) -> Array:
        known = sorted(set(values) - self._missing)
        self.categories[self.column_names[place]] = known
        code = {text: float(i) for i, text in enumerate(known)}
        return np.array([code.get(value, np.nan) for value in values])

    def _numbers(self, place: int, values: list[str]) -> Array:
        numbers = np.empty(len(values))
        for i, value in enumerate(values):
            number = np.nan if value in self._missing else _number(value)
            if number is None:
                raise ValueError(
                    f"CSVDataset: {self.path}, line {self._lines[i]}, column "
                    f"{self.column_names[place]!r} is {value!r}, expected a number (list the "
                    "column in categorical if it is text, or the value in missing)"
                )
            numbers[i] = number
        return numbers

    def _targets(
        self, place: int, values: list[str], classification: bool
    ) -> tuple[Array, list[Any] | None]:
        for i, value in enumerate(values):
            if value in self._missing:
                raise ValueError(
                    f"CSVDataset: {self.path}, line {self._lines[i]} lacks the target "
                    f"{self.column_names[place]!r}"
                )
        numbers = [_number(value) for value in values]
        is_text = any(number is None for number in numbers)
        if not is_text and not classification:
            return np.array(numbers, dtype=np.float32)[:, None], None
        classes, indices = np.unique(np.array(values if is_text else numbers), return_inverse=True)
        return indices.astype(np.int64), classes.tolist()


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _read(
    path: str, delimiter: str, quotechar: str, encoding: str
) -> tuple[list[int], list[list[str]]]:
    """Return the number of the line on which each row ends, and the rows, blank ones left out."""
    import csv  # costs a tenth of the package's own imports

    lines, rows = [], []
    try:
        with open(path, newline="", encoding=encoding) as file:
            reader = csv.reader(file, delimiter=delimiter, quotechar=quotechar, strict=True)
            for row in reader:
                if row:
                    lines.append(reader.line_num)
                    rows.append(row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"CSVDataset: {path} cannot be read: {error}") from None
    if not rows:
        raise ValueError(f"CSVDataset: {path} has no rows")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"CSVDataset: {path}, line {line} has {len(row)} fields, the first row has "
                f"{len(rows[0])}"
            )
    return lines, rows
