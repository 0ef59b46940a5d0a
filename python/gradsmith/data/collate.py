# SPDX-License-Identifier: Apache-2.0
"""The default way from a list of samples to a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradsmith.backend import is_array
from gradsmith.ops.joining import stack
from gradsmith.tensor import Tensor, as_array, wrap


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack samples along a new first dimension.

    Tensors, arrays and numbers become a tensor of shape (B, ...); tuples and lists a list with one
    entry per field (named tuples keep their type), mappings a dict; texts stay a list.

    Raises:
        ValueError: there are no samples, or their shapes, lengths or keys differ.
        TypeError: a sample is of a type that cannot be stacked.
    """
    if not batch:
        raise ValueError("default_collate: got no samples")
    first = batch[0]
    if isinstance(first, (Tensor, np.generic)) or is_array(first):
        return _stack([as_array(sample) for sample in batch])
    if isinstance(first, (bool, int, float)):
        return wrap(as_array(list(batch)))
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        for sample in batch:
            if sample.keys() != first.keys():
                raise ValueError(
                    f"default_collate: samples have the keys {list(first)} and {list(sample)}"
                )
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, Sequence):
        for sample in batch:
            if len(sample) != len(first):
                raise ValueError(
                    f"default_collate: samples have {len(first)} and {len(sample)} fields"
                )
        fields = [default_collate(field) for field in zip(*batch, strict=True)]
        return type(first)(*fields) if hasattr(first, "_fields") else fields
    raise TypeError(
        f"default_collate: a sample is a {type(first).__name__}, expected tensors, arrays, "
        "numbers, texts, tuples, lists or mappings of them; give DataLoader a collate_fn"
    )


def _stack(arrays: list[Any]) -> Tensor:
    for array in arrays:
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"default_collate: samples have the shapes {arrays[0].shape} and {array.shape}, "
                "expected equal ones; give DataLoader a collate_fn that pads"
            )
    if type(arrays[0]) is np.ndarray:
        return wrap(np.stack(arrays))
    return stack([wrap(array) for array in arrays])


def default_convert(sample: Any) -> Any:
    """Return a sample with its arrays and NumPy numbers as tensors; used without batches."""
    if isinstance(sample, np.generic) or is_array(sample):
        return wrap(as_array(sample))
    if isinstance(sample, Mapping):
        return {key: default_convert(value) for key, value in sample.items()}
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return type(sample)(*(default_convert(value) for value in sample))
    if isinstance(sample, (tuple, list)):
        return [default_convert(value) for value in sample]
    return sample
