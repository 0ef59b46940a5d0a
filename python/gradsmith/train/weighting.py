# SPDX-License-Identifier: Apache-2.0
"""Weights of samples and classes in the loss: mean over the samples of weight times loss."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradsmith.backend import FLOATING, Array, like, on_host
from gradsmith.nn import Module
from gradsmith.ops.options import check_number
from gradsmith.tensor import Tensor, wrap


def _losses(loss: Any, output: Any, target: Any) -> Any:
    """Return the loss without its reduction, if it has one."""
    if isinstance(loss, Module) and hasattr(loss, "reduction"):
        separate = copy.copy(loss)
        separate.reduction = "none"
        return separate(output, target)
    if not isinstance(loss, Module) and "reduction" in inspect.signature(loss).parameters:
        return loss(output, target, reduction="none")
    return loss(output, target)


def per_sample(op: str, loss: Any, output: Any, target: Any, samples: int) -> Tensor:
    """Return the loss of each sample (N,), the mean over its positions.

    Raises:
        ValueError: the loss gives one number for the whole batch.
    """
    values = _losses(loss, output, target)
    if not isinstance(values, Tensor) or values.ndim == 0 or values.shape[0] != samples:
        got = f"shape {values.shape}" if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(
            f"{op}: weights of samples need a loss with the option reduction, or one that returns "
            f"({samples}, ...); got {got}"
        )
    return values if values.ndim == 1 else values.reshape((samples, -1)).mean(1)


def weighted_loss(op: str, loss: Any, output: Any, target: Any, weights: Tensor) -> Tensor:
    """Return the mean over the samples of weight times loss; ValueError unless both are (N,)."""
    losses = per_sample(op, loss, output, target, weights.shape[0])
    return (losses * weights.to(losses.dtype)).mean()


def _class_table(class_weight: Any) -> dict[int, float]:
    given = class_weight if isinstance(class_weight, Mapping) else dict(enumerate(class_weight))
    table = {}
    for key, value in given.items():
        if isinstance(key, bool) or not isinstance(key, (int, np.integer)):
            raise TypeError(f"fit: class_weight has the key {key!r}, expected classes as ints")
        if not check_number("fit", f"class_weight[{key}]", value) >= 0:
            raise ValueError(f"fit: class_weight[{key}] is {value}, expected a number >= 0")
        table[int(key)] = float(value)
    return table


def _classes(target: Any) -> Array:
    """Return the class of each sample, for a target (N,), (N, 1) or one-hot (N, C)."""
    if not isinstance(target, Tensor) or target.ndim not in (1, 2):
        got = target.shape if isinstance(target, Tensor) else type(target).__name__
        raise ValueError(f"fit: class_weight needs a target (N,), (N, 1) or (N, C), got {got}")
    array = on_host(target._array)
    if array.ndim == 2 and array.shape[1] > 1:
        return np.asarray(array.argmax(1))
    array = array.reshape(-1)
    if array.dtype in FLOATING and (array != np.floor(array)).any():
        raise ValueError("fit: class_weight needs classes as target, got fractions")
    return array.astype(np.int64)


def class_weights(target: Any, class_weight: Any) -> Tensor:
    """Return the weight of each sample's class (N,), float32; classes without a weight have 1.

    Raises:
        TypeError, ValueError: the table or the target is no such thing.
    """
    table = _class_table(class_weight)
    weights = [table.get(int(each), 1.0) for each in _classes(target)]
    return wrap(like(np.array(weights, dtype=np.float32), target._array))
