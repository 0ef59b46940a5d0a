# SPDX-License-Identifier: Apache-2.0
"""Datasets: things with samples at indices, or streams of samples."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.keyed_random import SPLIT, as_seed, permutation
from gradsmith.ops.options import check_number
from gradsmith.tensor import Tensor, as_array, wrap

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Samples at the indices 0 ... len - 1; subclasses define ``__getitem__`` and ``__len__``.

    A dataset that can read many samples at once may define ``take(indices) -> batch`` (indices: an
    int64 array); a DataLoader with the default collate function then calls it once per batch.
    """

    def __getitem__(self, index: int) -> T_co:
        """Return the sample at ``index``."""
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset[Any]:
        """Return the samples of both, one after the other."""
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """A stream of samples; subclasses define ``__iter__``.

    A DataLoader reads it from one thread whatever ``num_workers`` is, so no sample comes twice.
    """

    def __iter__(self) -> Iterator[T_co]:
        """Return an iterator over the samples."""
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


def dataset_length(op: str, dataset: Any) -> int:
    """Return ``len(dataset)``, or raise a TypeError that names the class."""
    try:
        return len(dataset)
    except TypeError:
        raise TypeError(
            f"{op}: {type(dataset).__name__} has no __len__, which indexing by position needs"
        ) from None


def position(op: str, index: int, length: int) -> int:
    """Return ``index`` in [0, length), counting negative ones from the end.

    Raises:
        IndexError: it is out of range.
    """
    if not hasattr(index, "__index__"):
        raise TypeError(f"{op}: the index is a {type(index).__name__}, expected an int")
    if not -length <= index < length:
        raise IndexError(f"{op}: index {index} is out of range for {length} samples")
    return index + length if index < 0 else index


def rows_at(tensor: Tensor, where: Any) -> Tensor:
    """Return the rows at an index, a slice or an array of indices, off the tape.

    On the CPU NumPy picks them, which copies no index.
    """
    array = tensor._array
    return wrap(np.asarray(array[where])) if type(array) is np.ndarray else tensor.detach()[where]


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample i is ``(tensors[0][i], tensors[1][i], ...)``; arrays are taken as tensors.

    Raises:
        ValueError: there is no tensor, one has no dimensions, or first dimensions differ.
    """

    def __init__(self, *tensors: Any) -> None:
        """Keep the tensors, each of shape (N, ...)."""
        if not tensors:
            raise ValueError("TensorDataset: got no tensors, expected at least one")
        self.tensors = tuple(x if isinstance(x, Tensor) else wrap(as_array(x)) for x in tensors)
        for which, tensor in enumerate(self.tensors):
            if tensor.ndim == 0:
                raise ValueError(
                    f"TensorDataset: tensor {which} has no dimensions, expected (N, ...)"
                )
            if tensor.shape[0] != self.tensors[0].shape[0]:
                raise ValueError(
                    f"TensorDataset: tensor {which} has {tensor.shape[0]} samples, tensor 0 has "
                    f"{self.tensors[0].shape[0]}"
                )

    def __getitem__(self, index: int | slice) -> tuple[Tensor, ...]:
        """Return the sample at ``index``, or those of a slice: views off the tape."""
        where: Any = index
        if not isinstance(index, slice):
            where = position("TensorDataset", index, len(self))
        return tuple(rows_at(tensor, where) for tensor in self.tensors)

    def __len__(self) -> int:
        """Return N."""
        return self.tensors[0].shape[0]

    def take(self, indices: Array) -> list[Tensor]:
        """Return the batch of the samples at ``indices``, shape (B,): tensors of (B, ...)."""
        check_indices("TensorDataset", indices, len(self))
        return [rows_at(tensor, indices) for tensor in self.tensors]


class ConcatDataset(Dataset[T_co]):
    """The samples of several datasets, one dataset after the other.

    Raises:
        ValueError: there is no dataset.
        TypeError: one is an IterableDataset, which has no indices.
    """

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        """Keep the datasets and the position where each one ends."""
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: got no datasets, expected at least one")
        for which, dataset in enumerate(self.datasets):
            if isinstance(dataset, IterableDataset):
                raise TypeError(f"ConcatDataset: dataset {which} is an IterableDataset")
        sizes = (dataset_length("ConcatDataset", dataset) for dataset in self.datasets)
        self.cumulative_sizes = list(itertools.accumulate(sizes))

    def __len__(self) -> int:
        """Return the sum of the lengths."""
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        """Return the sample at ``index`` of all samples."""
        where = position("ConcatDataset", index, len(self))
        which = bisect.bisect_right(self.cumulative_sizes, where)
        start = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][where - start]


class ChainDataset(IterableDataset[T_co]):
    """The streams of several datasets, one after the other.

    Raises:
        TypeError: one is no IterableDataset.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        """Keep the datasets."""
        self.datasets = list(datasets)
        for which, dataset in enumerate(self.datasets):
            if not isinstance(dataset, IterableDataset):
                raise TypeError(
                    f"ChainDataset: dataset {which} is a {type(dataset).__name__}, expected an "
                    "IterableDataset"
                )

    def __iter__(self) -> Iterator[T_co]:
        """Return an iterator over the samples of all."""
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        """Return the sum of the lengths (TypeError where one has none)."""
        return sum(dataset_length("ChainDataset", dataset) for dataset in self.datasets)


class StackDataset(Dataset[Any]):
    """Samples of several datasets side by side: tuples of them, or dicts if given by name.

    Raises:
        ValueError: there is no dataset, some come by name and some without, or lengths differ.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Keep the datasets."""
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: expected datasets, either all by name or none")
        self.datasets: Any = kwargs or args
        lengths = [dataset_length("StackDataset", each) for each in self._parts()]
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: the datasets have {lengths} samples, expected as many")
        self._length = lengths[0]

    def _parts(self) -> list[Any]:
        held = self.datasets
        return list(held.values() if isinstance(held, dict) else held)

    def __len__(self) -> int:
        """Return the number of samples."""
        return self._length

    def __getitem__(self, index: int) -> Any:
        """Return the samples at ``index``."""
        where = position("StackDataset", index, self._length)
        if isinstance(self.datasets, dict):
            return {name: each[where] for name, each in self.datasets.items()}
        return tuple(each[where] for each in self.datasets)


class Subset(Dataset[T_co]):
    """The samples of a dataset at the given indices.

    Raises:
        IndexError: an index is out of range.
    """

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int] | Array) -> None:
        """Keep the dataset and the indices (copied as int64)."""
        self.dataset = dataset
        self.indices = index_array("Subset", indices)
        check_indices("Subset", self.indices, dataset_length("Subset", dataset))

    def __len__(self) -> int:
        """Return the number of indices."""
        return len(self.indices)

    def __getitem__(self, index: int) -> T_co:
        """Return the sample of the dataset at ``indices[index]``."""
        return self.dataset[int(self.indices[position("Subset", index, len(self))])]


def check_indices(op: str, indices: Array, length: int) -> None:
    """Raise IndexError unless an array of indices is in range."""
    if len(indices):
        position(op, int(indices.min()), length)
        position(op, int(indices.max()), length)


def index_array(op: str, indices: Any) -> Array:
    """Return indices as an int64 array of shape (B,).

    Raises:
        TypeError: they are no integers.
        ValueError: they are not in one row.
    """
    array = np.asarray(list(indices) if isinstance(indices, (range, Iterator)) else indices)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1:
        raise ValueError(f"{op}: indices have shape {array.shape}, expected one dimension")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: indices are {array.dtype}, expected integers")
    return array.astype(np.int64)


class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images kept as bytes; a sample is (image, class).

    Sample i is ``(data[i] / scale, targets[i])``: float32 of shape (C, H, W), int64 of no
    dimensions. A ``transform`` maps a float32 array (C, H, W) to another.

    Attributes:
        data: uint8 array of shape (N, C, H, W).
        targets: int64 array of shape (N,).
        classes: the names of the classes.
    """

    def __init__(
        self,
        data: Array,
        targets: Array,
        classes: Sequence[str],
        scale: float = 255.0,
        transform: Callable[[Array], Array] | None = None,
    ) -> None:
        """Keep the arrays; ValueError when their lengths differ, TypeError for what is none."""
        for name, given in (("data", data), ("targets", targets)):
            if not isinstance(given, np.ndarray):
                kind = type(given).__name__
                raise TypeError(f"ImageDataset: {name} is a {kind}, expected an array")
        if len(data) != len(targets):
            raise ValueError(f"ImageDataset: {len(data)} images, but {len(targets)} targets")
        self.data = data
        self.targets = targets.astype(np.int64)
        self.classes = list(classes)
        self.scale = scale
        self.transform = transform

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.data)

    def _scaled(self, images: Array) -> Array:
        return images.astype(np.float32) / np.float32(self.scale)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return image and class at ``index``."""
        where = position("ImageDataset", index, len(self))
        image = self._scaled(self.data[where])
        if self.transform is not None:
            image = self.transform(image)
        return wrap(as_array(image)), wrap(np.asarray(self.targets[where]))

    def take(self, indices: Array) -> list[Tensor] | None:
        """Return the batch at ``indices``, or None when each sample needs its transform."""
        if self.transform is not None:
            return None
        check_indices("ImageDataset", indices, len(self))
        return [wrap(self._scaled(self.data[indices])), wrap(self.targets[indices])]


def _lengths_of_fractions(fractions: Sequence[float], total: int) -> list[int]:
    lengths = [math.floor(total * fraction) for fraction in fractions]
    for extra in range(total - sum(lengths)):
        lengths[extra % len(lengths)] += 1
    return lengths


def random_split(
    dataset: Dataset[T_co],
    lengths: Sequence[int | float],
    generator: Any = None,
    *,
    seed: Any = None,
) -> list[Subset[T_co]]:
    """Split a dataset into parts that share no sample.

    Args:
        dataset: what to split; it needs a length.
        lengths: samples per part, which add up to all; or fractions that add up to 1, where what
            rounding down leaves is dealt out one by one from the first part on.
        generator: an int or a Generator that fixes the split; None: the library's generator.
        seed: another name for ``generator``.

    Raises:
        TypeError: a length is no number.
        ValueError: the lengths are negative or add up to something else.
    """
    total = dataset_length("random_split", dataset)
    for length in lengths if isinstance(lengths, Sequence) else [lengths]:
        check_number("random_split", "lengths", length)
    if not isinstance(lengths, Sequence):
        raise TypeError("random_split: lengths is a number, expected a list of them")
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths are {list(lengths)}, expected none below 0")
    if (
        math.isclose(sum(lengths), 1)
        and sum(lengths) <= total
        and any(isinstance(length, float) for length in lengths)
    ):
        sizes = _lengths_of_fractions(lengths, total)
    elif all(isinstance(length, (int, np.integer)) for length in lengths):
        sizes = [int(length) for length in lengths]
    else:
        raise ValueError(f"random_split: fractions {list(lengths)} do not add up to 1")
    if sum(sizes) != total:
        raise ValueError(
            f"random_split: lengths {list(lengths)} add up to {sum(sizes)}, but the dataset has "
            f"{total} samples"
        )
    source = generator if seed is None else seed
    order = permutation(total, as_seed("random_split", source), 0, SPLIT)
    ends = list(itertools.accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
