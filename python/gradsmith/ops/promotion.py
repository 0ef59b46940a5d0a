# SPDX-License-Identifier: Apache-2.0
"""Type promotion as the kernels do it, and the limits of the dtypes.

The one table is `promote_operands` of csrc/ops/elementwise.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from gradsmith.backend import (
    EXTENSIONS,
    FLOATING,
    DType,
    as_dtype,
    bool_,
    extension_of,
    get_default_dtype,
)
from gradsmith.ops.elementwise_compare import constant_of
from gradsmith.ops.options import names_errors
from gradsmith.tensor import Tensor


def _operand(x: Any) -> Any:
    return x._array if isinstance(x, Tensor) else constant_of("result_type", x)


@names_errors
def result_type(tensor1: Any, tensor2: Any) -> DType:
    """Return the dtype of a sum of two operands, tensors or Python numbers.

    A number yields to a tensor, and a 0-d tensor to one with dimensions, of the same or a higher
    kind (bool < integer < floating).

    Raises:
        TypeError: an operand is neither tensor nor number.

    >>> import gradsmith as gs
    >>> gs.result_type(gs.tensor([1, 2]), 1.5)
    dtype('float32')
    """
    left, right = _operand(tensor1), _operand(tensor2)
    extension = EXTENSIONS.get(type(left)) or EXTENSIONS.get(type(right)) or extension_of("cpu")
    return as_dtype(extension.result_type(left, right))


@names_errors
def promote_types(type1: Any, type2: Any) -> DType:
    """Return the smallest dtype of the kind of the higher of two that both convert to.

    Raises:
        TypeError: a dtype is unknown.
    """
    first, second = (extension_of("cpu").empty((1,), as_dtype(each)) for each in (type1, type2))
    return as_dtype(extension_of("cpu").result_type(first, second))


def _kind(dtype: DType) -> int:
    return 2 if dtype in FLOATING else int(dtype != bool_)


@names_errors
def can_cast(from_: Any, to: Any) -> bool:
    """Return whether a conversion keeps the kind or raises it (bool < integer < floating).

    Raises:
        TypeError: a dtype is unknown.
    """
    return _kind(as_dtype(from_)) <= _kind(as_dtype(to))


@dataclass(frozen=True)
class FloatInfo:
    """Limits of a floating dtype.

    Attributes:
        bits: size of an element.
        eps: distance of 1 to the next larger number.
        max: the largest finite number.
        min: the smallest, ``-max``.
        tiny: the smallest positive number of full precision.
        resolution: 10 to the minus number of decimal digits that are kept.
        dtype: its name.
    """

    bits: int
    eps: float
    max: float
    min: float
    tiny: float
    resolution: float
    dtype: str

    @property
    def smallest_normal(self) -> float:
        """The same as ``tiny``."""
        return self.tiny


@dataclass(frozen=True)
class IntegerInfo:
    """Limits of an integer dtype: ``bits`` of an element, ``min``, ``max``, the name ``dtype``."""

    bits: int
    max: int
    min: int
    dtype: str


@names_errors
def finfo(type: Any = None) -> FloatInfo:
    """Return the limits of a floating dtype (the default one if none is given).

    Raises:
        TypeError: the dtype is not floating.

    >>> import gradsmith as gs
    >>> gs.finfo(gs.float32).eps
    1.1920928955078125e-07
    """
    dtype = get_default_dtype() if type is None else as_dtype(type)
    if dtype not in FLOATING:
        raise TypeError(f"finfo: got {dtype}, expected a floating dtype")
    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    names = ("eps", "max", "min", "tiny", "resolution")
    numbers = {name: float(getattr(info, name)) for name in names}
    return FloatInfo(bits=int(info.bits), dtype=str(dtype), **numbers)


@names_errors
def iinfo(type: Any) -> IntegerInfo:
    """Return the limits of an integer dtype.

    Raises:
        TypeError: the dtype holds no integers.
    """
    dtype = as_dtype(type)
    if dtype.kind not in "iu":
        raise TypeError(f"iinfo: got {dtype}, expected an integer dtype")
    info = np.iinfo(dtype)
    return IntegerInfo(info.bits, int(info.max), int(info.min), str(dtype))
