# SPDX-License-Identifier: Apache-2.0
"""Splits into training and test samples, with scikit-learn's names and, for a given int as
``random_state``, its results.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradsmith.backend import Array, is_array, on_host
from gradsmith.data.dataset import Dataset, IterableDataset, Subset, dataset_length, rows_at
from gradsmith.data.keyed_random import as_seed
from gradsmith.ops.options import check_flag, check_int
from gradsmith.tensor import Tensor


def length_of(op: str, samples: Any) -> int:
    """Return the number of samples of a tensor, array, list or dataset."""
    if isinstance(samples, IterableDataset):
        raise TypeError(f"{op}: an IterableDataset has no indices")
    return dataset_length(op, samples)


def samples_at(samples: Any, indices: Array) -> Any:
    """Return the samples at indices: a tensor, an array, a list, or a `Subset` of a dataset."""
    if isinstance(samples, Tensor):
        return rows_at(samples, indices)
    if is_array(samples):
        return samples[indices]
    if isinstance(samples, Dataset):
        return Subset(samples, indices)
    return [samples[index] for index in indices]


def class_of_each(op: str, labels: Any, length: int) -> tuple[Array, Array]:
    """Return the sorted different labels, and for each sample the place of its own among them.

    Raises:
        ValueError: there is not one label for each sample.
    """
    values = on_host(labels._array) if isinstance(labels, Tensor) else np.asarray(labels)
    if values.shape == (length, 1):
        values = values[:, 0]
    if values.shape != (length,):
        raise ValueError(
            f"{op}: labels have shape {values.shape}, expected ({length},), one for each sample"
        )
    classes, places = np.unique(values, return_inverse=True)
    return classes, places


def random_state_of(op: str, source: Any) -> np.random.RandomState:
    """Return NumPy's generator for an int, a generator, or None (the library's generator)."""
    if isinstance(source, np.random.RandomState):
        return source
    seed = as_seed(op, source)
    if isinstance(source, (int, np.integer)) and seed >= 2**32:
        raise ValueError(f"{op}: random_state is {seed}, expected 0 <= random_state < 2**32")
    return np.random.RandomState(seed % 2**32)


def _sizes(op: str, total: int, test_size: Any, train_size: Any) -> tuple[int, int]:
    """Return the number of training and test samples."""
    given = {"test_size": test_size, "train_size": train_size}
    counts: dict[str, int | None] = {"test_size": None, "train_size": None}
    for (name, size), rounded in zip(given.items(), (math.ceil, math.floor), strict=True):
        if size is None:
            continue
        if isinstance(size, (float, np.floating)):
            if not 0 < size < 1:
                raise ValueError(f"{op}: {name} is {size}, expected 0 < it < 1, or an int")
            counts[name] = rounded(size * total)
        else:
            counts[name] = check_int(op, name, size)
    test, train = counts["test_size"], counts["train_size"]
    if test is None and train is None:
        test = math.ceil(0.25 * total)
    if train is None:
        train = total - int(test or 0)
    if test is None:
        test = total - train
    if train < 1 or test < 1 or train + test > total:
        raise ValueError(
            f"{op}: test_size={test_size} and train_size={train_size} make {train} training and "
            f"{test} test samples of {total}"
        )
    return train, test


def train_test_split(
    *arrays: Any,
    test_size: float | None = None,
    train_size: float | None = None,
    random_state: Any = None,
    shuffle: bool = True,
    stratify: Any = None,
) -> list[Any]:
    """Split each of the arrays into training and test samples, at the same places.

    >>> train, test = train_test_split(list(range(8)), random_state=0)
    >>> train, test
    ([1, 7, 3, 0, 5, 4], [6, 2])

    Args:
        *arrays: tensors, arrays, lists or datasets of the same length.
        test_size: a share or a number of samples; None: what ``train_size`` leaves, else 0.25.
        train_size: a share or a number of samples; None: what ``test_size`` leaves.
        random_state: an int, a generator, or None for the library's generator.
        shuffle: draw the samples; otherwise the first ones are for training.
        stratify: labels (N,), whose shares both parts keep.

    Returns:
        [train, test] of the first array, then of the next; a dataset gives two `Subset`.

    Raises:
        ValueError: lengths differ, a part would be empty or too large, or a class has fewer than 2
            samples.
    """
    op = "train_test_split"
    if not arrays:
        raise ValueError(f"{op}: got no arrays, expected at least one")
    lengths = [length_of(op, samples) for samples in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"{op}: the arrays have {lengths} samples, expected equal numbers")
    train_count, test_count = _sizes(op, lengths[0], test_size, train_size)
    if not check_flag(op, "shuffle", shuffle):
        if stratify is not None:
            raise ValueError(f"{op}: stratify needs shuffle=True")
        order = np.arange(lengths[0])
        train, test = order[:train_count], order[train_count : train_count + test_count]
    elif stratify is None:
        order = random_state_of(op, random_state).permutation(lengths[0])
        test, train = order[:test_count], order[test_count : test_count + train_count]
    else:
        classes, places = class_of_each(op, stratify, lengths[0])
        random = random_state_of(op, random_state)
        train, test = _stratified(op, classes, places, train_count, test_count, random)
    return [samples_at(samples, part) for samples in arrays for part in (train, test)]


def _stratified(
    op: str,
    classes: Array,
    places: Array,
    train_count: int,
    test_count: int,
    random: np.random.RandomState,
) -> tuple[Array, Array]:
    counts = np.bincount(places)
    if counts.min() < 2:
        rare = classes[counts.argmin()]
        raise ValueError(f"{op}: class {rare!s} has 1 sample, stratify needs 2 of each")
    if min(train_count, test_count) < len(classes):
        raise ValueError(
            f"{op}: {train_count} training and {test_count} test samples for {len(classes)} "
            "classes; stratify needs one of each class in both"
        )
    for_train = _dealt_out(counts, train_count, random)
    for_test = _dealt_out(counts - for_train, test_count, random)
    train, test = [], []
    for which, members in enumerate(np.split(np.argsort(places, kind="stable"), counts.cumsum())):
        if which == len(counts):
            break  # what np.split leaves after the last class
        drawn = members[random.permutation(counts[which])]
        train.append(drawn[: for_train[which]])
        test.append(drawn[for_train[which] : for_train[which] + for_test[which]])
    return random.permutation(np.concatenate(train)), random.permutation(np.concatenate(test))


def _dealt_out(counts: Array, total: int, random: np.random.RandomState) -> Array:
    """Share ``total`` draws among classes in proportion to their counts.

    What rounding down leaves goes to the largest remainders; equal ones are drawn from.
    """
    exact = counts / counts.sum() * total
    shares = np.floor(exact)
    remainders = exact - shares
    left = int(total - shares.sum())
    for value in np.unique(remainders)[::-1]:
        if left <= 0:
            break
        equal = np.flatnonzero(remainders == value)
        chosen = random.choice(equal, size=min(len(equal), left), replace=False)
        shares[chosen] += 1
        left -= len(chosen)
    whole: Array = shares.astype(np.int64)
    return whole


class KFold:
    """Splits samples into ``n_splits`` folds, each of which is once the test set.

    >>> [test.tolist() for _, test in KFold(3).split(range(7))]
    [[0, 1, 2], [3, 4], [5, 6]]

    Args:
        n_splits: number of folds, at least 2.
        shuffle: draw the folds; otherwise they are consecutive.
        random_state: an int, a generator, or None for the library's generator.

    Raises:
        ValueError: there are fewer than 2 folds, or ``random_state`` is without effect.
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, random_state: Any = None
    ) -> None:
        """Keep the options."""
        self._op = type(self).__name__
        if check_int(self._op, "n_splits", n_splits) < 2:
            raise ValueError(f"{self._op}: n_splits is {n_splits}, expected at least 2")
        if not check_flag(self._op, "shuffle", shuffle) and random_state is not None:
            raise ValueError(f"{self._op}: random_state needs shuffle=True")
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        """Yield the training and test indices of each fold, sorted int64.

        Args:
            X: tensor, array, list or dataset; its length counts.
            y: the labels (N,), for `StratifiedKFold`.
            groups: accepted for compatibility, without effect.
        """
        length = length_of(self._op, X)
        if length < self.n_splits:
            raise ValueError(f"{self._op}: {length} samples for {self.n_splits} folds")
        fold_of_each = self._folds(length, y)
        for fold in range(self.n_splits):
            yield np.flatnonzero(fold_of_each != fold), np.flatnonzero(fold_of_each == fold)

    def _folds(self, length: int, y: Any) -> Array:
        """Return which fold each sample is in."""
        order = np.arange(length)
        if self.shuffle:
            random_state_of(self._op, self.random_state).shuffle(order)
        folds = np.empty(length, dtype=np.int64)
        for fold, members in enumerate(np.array_split(order, self.n_splits)):
            folds[members] = fold
        return folds


class StratifiedKFold(KFold):
    """A `KFold` whose folds hold the classes of ``y`` in the same shares.

    Raises:
        ValueError: as `KFold`; in ``split``, ``y`` is missing or every class has fewer samples than
            there are folds.
    """

    def _folds(self, length: int, y: Any) -> Array:
        if y is None:
            raise ValueError(f"{self._op}: split needs y, the labels")
        _, places = class_of_each(self._op, y, length)
        counts = np.bincount(places)
        if counts.max() < self.n_splits:
            raise ValueError(f"{self._op}: no class has {self.n_splits} samples, one for each fold")
        if counts.min() < self.n_splits:
            warnings.warn(
                f"{self._op}: a class has {counts.min()} samples, fewer than the "
                f"{self.n_splits} folds",
                stacklevel=3,
            )
        random = random_state_of(self._op, self.random_state) if self.shuffle else None
        # Classes in the order in which they appear, then dealt out in turn: fold f takes every
        # n_splits-th of the labels sorted by class, from the f-th on.
        _, first = np.unique(places, return_index=True)
        in_order = np.argsort(first)
        sorted_ranks = np.repeat(np.arange(len(counts)), counts[in_order])
        folds = np.empty(length, dtype=np.int64)
        for rank, which in enumerate(in_order):
            sizes = [
                int((sorted_ranks[fold :: self.n_splits] == rank).sum())
                for fold in range(self.n_splits)
            ]
            own = np.repeat(np.arange(self.n_splits), sizes)
            if random is not None:
                random.shuffle(own)
            folds[places == which] = own
        return folds
