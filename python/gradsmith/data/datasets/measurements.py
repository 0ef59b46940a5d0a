# SPDX-License-Identifier: Apache-2.0
"""Small tables of measurements, from the files that come with scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.data.datasets.splits import check_split, is_fifth_of_its_class
from gradsmith.data.tables import TableDataset


def _table(name: str, split: str | None) -> TableDataset:
    if split is not None:
        check_split(name, split)
    try:
        from sklearn import datasets as sklearn_datasets
    except ImportError:
        raise ImportError(
            f"{name}: the data come with scikit-learn: pip install 'gradsmith[data]'"
        ) from None
    bunch: Any = getattr(sklearn_datasets, f"load_{name}")()
    is_classes = hasattr(bunch, "target_names")
    labels = bunch.target if is_classes else np.zeros(len(bunch.target))
    held_out = is_fifth_of_its_class(labels)
    chosen = held_out == (split == "test") if split else np.ones(len(labels), dtype=bool)
    inputs = bunch.data[chosen].astype(np.float32)
    names = [str(each) for each in bunch.feature_names]
    if is_classes:
        targets = bunch.target[chosen].astype(np.int64)
        return TableDataset(inputs, targets, names, [str(each) for each in bunch.target_names])
    return TableDataset(inputs, bunch.target[chosen, None].astype(np.float32), names)


def iris(split: str | None = None) -> TableDataset:
    """Return Fisher's iris data (1936): 150 flowers, 4 lengths in cm, 3 species.

    A sample is (inputs float32 (4,), class int64). ``split``: None for all samples; ``"test"`` for
    every fifth of each class in file order, ``"train"`` for the others.

    Raises:
        ImportError: scikit-learn, which brings the file, is missing.
        ValueError: an unknown split.
    """
    return _table("iris", split)


def wine(split: str | None = None) -> TableDataset:
    """Return the UCI wine data: 178 wines, 13 chemical measurements, 3 growers; as `iris`."""
    return _table("wine", split)


def breast_cancer(split: str | None = None) -> TableDataset:
    """Return the Wisconsin breast cancer data (1995): 569 tumours, 30 measurements; as `iris`.

    Class 0 is malignant, 1 benign.
    """
    return _table("breast_cancer", split)


def diabetes(split: str | None = None) -> TableDataset:
    """Return the diabetes data of Efron et al. (2004): 442 patients, 10 standardised measurements.

    A sample is (inputs float32 (10,), progression of the disease after a year float32 (1,)), for a
    regression. ``split`` and errors as `iris`; the test split is every fifth patient.
    """
    return _table("diabetes", split)
