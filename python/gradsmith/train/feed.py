# SPDX-License-Identifier: Apache-2.0
"""From what `fit` accepts (arrays, tensors, datasets, loaders) to batches on the model's device."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradsmith.backend import FLOATING, Array, Device, DType, get_default_dtype, is_array
from gradsmith.data import DataLoader, Dataset, IterableDataset, Subset
from gradsmith.data.dataset import check_indices, position, rows_at
from gradsmith.nn import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.ops.options import check_number
from gradsmith.tensor import Tensor, as_array, wrap


class ArrayDataset(Dataset[Any]):
    """Sample i of arrays (N, ...), or of a list or dict of them; or pairs (input, target).

    With weights (N,) samples are (input, target, weight).
    """

    def __init__(
        self, inputs: Any, targets: Any = None, *, paired: bool = False, weights: Any = None
    ) -> None:
        """Keep the tensors; ``paired``: samples have targets."""
        self.inputs = inputs
        self.targets = targets
        self.paired = paired
        self.weights = weights

    def __len__(self) -> int:
        """Return N."""
        return length_of(self.inputs)

    def __getitem__(self, index: int) -> Any:
        """Return the sample at ``index``."""
        where = position("ArrayDataset", index, len(self))
        return self._at(where)

    def take(self, indices: Array) -> Any:
        """Return the batch at ``indices``."""
        check_indices("ArrayDataset", indices, len(self))
        return self._at(indices)

    def _at(self, where: Any) -> Any:
        inputs = _rows(self.inputs, where)
        if not self.paired:
            return inputs
        pair = (inputs, _rows(self.targets, where))
        return pair if self.weights is None else (*pair, _rows(self.weights, where))

    def whole(self) -> Any:
        """Return all samples as one batch."""
        return self._at(slice(None))

    def part(self, start: int, stop: int) -> ArrayDataset:
        """Return the samples ``start`` to ``stop``, sharing memory."""
        chosen = slice(start, stop)
        targets = _rows(self.targets, chosen) if self.paired else None
        weights = None if self.weights is None else _rows(self.weights, chosen)
        inputs = _rows(self.inputs, chosen)
        return ArrayDataset(inputs, targets, paired=self.paired, weights=weights)


def _map(function: Any, tree: Any) -> Any:
    """Apply a function to a tensor, or to each one in a list or dict."""
    if isinstance(tree, Mapping):
        return {key: _map(function, value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)) and not _is_one(tree):
        return [_map(function, value) for value in tree]
    return function(tree)


def _is_one(value: Any) -> bool:
    """Whether a tuple with names, as a `PackedSequence`, is one input."""
    return hasattr(value, "_fields")


def _rows(tree: Any, where: Any) -> Any:
    return _map(lambda tensor: rows_at(tensor, where), tree)


def _first(tree: Any) -> Any:
    while isinstance(tree, (Mapping, list, tuple)):
        if not tree:
            raise ValueError("expected tensors, got an empty list or dict")
        tree = next(iter(tree.values() if isinstance(tree, Mapping) else tree))
    return tree


def length_of(tree: Any) -> int:
    """Return the size of the first dimension of a tensor, or of the first in a list or dict."""
    first = _first(tree)
    return int(first.shape[0]) if isinstance(first, Tensor) and first.ndim else 1


def parameter_dtype(model: Module) -> DType:
    """Return the dtype of the first floating parameter, to which float arrays are cast."""
    for parameter in model.parameters():
        if parameter.dtype in FLOATING:
            return parameter.dtype
    return get_default_dtype()


def device_type(model: Module) -> str:
    """Return the kind of device that the model's parameters are on."""
    device = _parameter_device(model)
    return "cpu" if device is None else device.type


def _parameter_device(model: Module) -> Device | None:
    for parameter in model.parameters():
        return parameter.device
    return None


def _to_tensors(op: str, name: str, data: Any, dtype: DType) -> Any:
    """Return data as tensors: float arrays in ``dtype``, integer ones but bytes in int64."""
    if isinstance(data, Mapping):
        return {key: _to_tensors(op, f"{name}[{key!r}]", data[key], dtype) for key in data}
    several = isinstance(data, (list, tuple)) and any(
        (isinstance(each, Tensor) or is_array(each)) and each.ndim for each in data
    )
    if several:
        return [_to_tensors(op, f"{name}[{i}]", each, dtype) for i, each in enumerate(data)]
    if isinstance(data, Tensor):
        tensor = data.detach()
    else:
        array = as_array(data)
        if array.dtype in FLOATING:
            array = as_array(array, dtype)
        elif array.dtype.kind in "iu" and (array.dtype != np.uint8 or name.startswith("y")):
            array = as_array(array, np.dtype(np.int64))
        tensor = wrap(array)
    if tensor.ndim == 0:
        raise ValueError(f"{op}: {name} is a single number, expected samples in dimension 0")
    return tensor


def _check_lengths(op: str, name: str, tree: Any, expected: int) -> None:
    def check(tensor: Tensor) -> None:
        if tensor.shape[0] != expected:
            raise ValueError(
                f"{op}: {name} has {tensor.shape[0]} samples, but x has {expected} (first "
                "dimensions must be equal)"
            )

    _map(check, tree)


def array_dataset(op: str, x: Any, y: Any, dtype: DType, sample_weight: Any = None) -> ArrayDataset:
    """Return arrays or tensors as a dataset, after checking that their lengths agree."""
    inputs = _to_tensors(op, "x", x, dtype)
    expected = length_of(inputs)
    _check_lengths(op, "x", inputs, expected)
    if y is None:
        if sample_weight is not None:
            raise ValueError(f"{op}: sample_weight is given without y")
        return ArrayDataset(inputs)
    targets = _to_tensors(op, "y", y, dtype)
    _check_lengths(op, "y", targets, expected)
    weights = None if sample_weight is None else _weights(op, sample_weight, expected, dtype)
    return ArrayDataset(inputs, targets, paired=True, weights=weights)


def _weights(op: str, sample_weight: Any, expected: int, dtype: DType) -> Tensor:
    weights = wrap(as_array(sample_weight, dtype))
    if weights.shape != (expected,):
        raise ValueError(
            f"{op}: sample_weight has shape {weights.shape}, expected ({expected},), a number per "
            "sample"
        )
    return weights


def is_dataset(x: Any) -> bool:
    """Whether ``x`` yields samples by itself, rather than being arrays of them."""
    if isinstance(x, (DataLoader, Dataset)):
        return True
    arrays = (Tensor, Sequence, Mapping)
    if isinstance(x, arrays) or is_array(x):
        return False
    return hasattr(x, "__getitem__") and hasattr(x, "__len__")


def loader_for(
    op: str,
    model: Module,
    x: Any,
    y: Any,
    batch_size: int,
    shuffle: bool = False,
    seed: Any = None,
    sample_weight: Any = None,
) -> DataLoader:
    """Return the loader of ``x`` and ``y``; a DataLoader is used as it is.

    Raises:
        TypeError: the model is no module.
        ValueError: lengths differ, there are no samples, or ``y`` comes with a dataset.
    """
    check_module(op, "model", model)
    if is_dataset(x):
        if sample_weight is not None:
            raise ValueError(
                f"{op}: sample_weight must be None when x is a {type(x).__name__}, whose batches "
                "may have weights as third entry"
            )
        if y is not None:
            raise ValueError(f"{op}: y must be None when x is a {type(x).__name__}, which has both")
        if isinstance(x, DataLoader):
            return x
        shuffle = shuffle and not isinstance(x, IterableDataset)
        return DataLoader(x, batch_size, shuffle=shuffle, seed=seed)
    dataset = array_dataset(op, x, y, parameter_dtype(model), sample_weight)
    if len(dataset) == 0:
        raise ValueError(f"{op}: x has no samples")
    return DataLoader(dataset, batch_size, shuffle=shuffle, seed=seed)


def batches_of(loader: DataLoader) -> int | None:
    """Return the number of batches of an epoch, or None for a stream that does not know."""
    try:
        return len(loader)
    except TypeError:
        return None


def check_enough(op: str, argument: str, loader: DataLoader, steps: int | None) -> None:
    """Check that a loader of a known length has that many batches; ValueError if not."""
    there = batches_of(loader)
    if steps is not None and there is not None and steps > there:
        raise ValueError(f"{op}: {argument} is {steps}, expected at most {there}, all batches")


def check_taken(op: str, batches: int, steps: int | None) -> None:
    """Check that a pass gave the batches that were asked for; ValueError if not."""
    if batches == 0:
        raise ValueError(f"{op}: the data gave no batch")
    if steps is not None and batches < steps:
        raise ValueError(f"{op}: the data gave {batches} batches, expected {steps}")


def split_validation(
    x: Any, y: Any, fraction: float, dtype: DType, sample_weight: Any = None
) -> tuple[Dataset[Any], Dataset[Any]]:
    """Return the first samples and the last ``fraction`` of them, before any shuffling.

    Raises:
        ValueError: x is a loader or a stream, y comes with a dataset, the fraction is not in
            (0, 1), or a part would be empty.
    """
    if isinstance(x, (DataLoader, IterableDataset)):
        raise ValueError(
            "fit: validation_split needs arrays or a dataset with a length; give validation_data "
            f"with a {type(x).__name__}"
        )
    if not 0 < check_number("fit", "validation_split", fraction) < 1:
        raise ValueError(f"fit: validation_split is {fraction}, expected 0 <= it < 1")
    samples = x
    if not is_dataset(x):
        samples = array_dataset("fit", x, y, dtype, sample_weight)
    elif y is not None or sample_weight is not None:
        raise ValueError(
            f"fit: y and sample_weight must be None when x is a {type(x).__name__}, which has both"
        )
    cut = math.floor(len(samples) * (1 - fraction))
    if not 0 < cut < len(samples):
        raise ValueError(
            f"fit: validation_split={fraction} of {len(samples)} samples leaves a part empty"
        )
    if isinstance(samples, ArrayDataset):
        return samples.part(0, cut), samples.part(cut, len(samples))
    return Subset(samples, range(cut)), Subset(samples, range(cut, len(samples)))


def split_batch(op: str, batch: Any) -> tuple[Any, Any, Any]:
    """Return inputs, targets and weights (or None) of a batch; TypeError if it is no pair."""
    if not isinstance(batch, (list, tuple)) or len(batch) not in (2, 3):
        got = f"{len(batch)} entries" if isinstance(batch, (list, tuple)) else type(batch).__name__
        raise TypeError(
            f"{op}: a batch is {got}, expected the pair (inputs, targets), or (inputs, targets, "
            "weights)"
        )
    return batch[0], batch[1], batch[2] if len(batch) == 3 else None


def to_device(model: Module, tree: Any) -> Any:
    """Return tensors on the device of the model's parameters."""
    device = _parameter_device(model)

    def move(tensor: Any) -> Any:
        if isinstance(tensor, Tensor) and device is not None and tensor.device != device:
            return tensor.to(device)
        return tensor.to(device) if _is_one(tensor) and hasattr(tensor, "to") else tensor

    return _map(move, tree)


def call(model: Module, inputs: Any) -> Any:
    """Call the model with one input, a list of them, or a dict of named ones."""
    if isinstance(inputs, (list, tuple)) and not _is_one(inputs):
        return model(*inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(inputs)
