# SPDX-License-Identifier: Apache-2.0
"""Which extension module serves which kind of array, and the names of devices and dtypes."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np

import gradsmith._cpu as _cpu

Array = np.ndarray[Any, np.dtype[Any]]
DType = np.dtype[Any]

bool_ = np.dtype(np.bool_)
uint8 = np.dtype(np.uint8)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
bfloat16 = np.dtype(ml_dtypes.bfloat16)
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)

DTYPES: tuple[DType, ...] = (bool_, uint8, int32, int64, bfloat16, float32, float64)
FLOATING: frozenset[DType] = frozenset({bfloat16, float32, float64})

# The one place that knows which module holds the kernels of which array type.
EXTENSIONS: dict[type, ModuleType] = {np.ndarray: _cpu}

_default_dtype: DType = float32


def is_channels_last(array: Array) -> bool:
    """Whether an (N, C, *spatial) array lies in the C order of (N, *spatial, C), not in its own."""
    if array.ndim < 3 or array.flags.c_contiguous or array.strides[1] != array.itemsize:
        return False
    return bool(array.transpose(0, *range(2, array.ndim), 1).flags.c_contiguous)


class Device:
    """Where a tensor's memory is: a type (``"cpu"``) and, for GPUs, an index."""

    __slots__ = ("index", "type")

    def __init__(self, type: str, index: int | None = None) -> None:
        """Name a device as ``Device("cpu")`` or ``Device("cuda", 0)``."""
        self.type = type
        self.index = index

    def __repr__(self) -> str:
        return f"device(type={self.type!r})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Device, str)) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


CPU = Device("cpu")


def as_device(device: Device | str | None) -> Device:
    """Return the device named, after checking that it can be used here.

    Raises:
        ValueError: the name is unknown.
        RuntimeError: the device needs something that this machine or build lacks.
    """
    name = "cpu" if device is None else str(device)
    if name in ("cpu", "cpu:0"):
        return CPU
    kind = name.partition(":")[0]
    if kind == "cuda":
        raise RuntimeError(
            "device 'cuda': this build of gradsmith has no CUDA extension (_cuda). It needs an "
            "NVIDIA GPU with its driver, the package cupy-cuda13x (pip install "
            "'gradsmith[cuda13]') and a build where nvcc is found."
        )
    if kind == "cudasim":
        raise RuntimeError("device 'cudasim': this build of gradsmith has no simulator (_cudasim)")
    raise ValueError(f"device {name!r} is unknown (expected 'cpu', 'cuda' or 'cudasim')")


def as_dtype(dtype: Any) -> DType:
    """Return the dtype named by a NumPy dtype, a scalar type or a string.

    Raises:
        TypeError: gradsmith has no such dtype.
    """
    if dtype is float:
        return _default_dtype
    try:
        result = bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    except TypeError:
        result = None
    if result is None or result not in DTYPES:
        names = ", ".join(str(known) for known in DTYPES)
        raise TypeError(f"dtype {dtype!r} is unknown (expected one of {names})")
    return DTYPES[DTYPES.index(result)]


def get_default_dtype() -> DType:
    """Return the dtype that Python floats become (float32 unless changed)."""
    return _default_dtype


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype that Python floats become.

    Raises:
        TypeError: the dtype is not a floating one.
    """
    global _default_dtype
    new = as_dtype(dtype)
    if new not in FLOATING:
        raise TypeError(f"set_default_dtype: got {new}, expected a floating dtype")
    _default_dtype = new
    for extension in EXTENSIONS.values():
        extension.set_default_floating(new)
