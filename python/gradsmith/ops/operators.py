# SPDX-License-Identifier: Apache-2.0
"""Python's operators of tensors: a table of the functions they call."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import is_array
from gradsmith.ops import (
    creation,
    elementwise,
    elementwise_compare,
    elementwise_parts,
    elementwise_round,
    gemm,
    indexing_items,
    inplace,
    inplace_math,
)
from gradsmith.tensor import Tensor


def _reflected(function: Any) -> Any:
    """Return the operator of a tensor on the right."""

    def operator(self: Tensor, other: Any) -> Tensor:
        return function(other, self)  # type: ignore[no-any-return]

    operator.__doc__ = function.__doc__
    return operator


def _is_operand(x: Any) -> bool:
    return isinstance(x, (Tensor, int, float, np.generic)) or is_array(x)


def _eq(self: Tensor, other: Any) -> Any:
    """Elementwise for numbers and tensors; others, such as None, differ."""
    return elementwise.eq(self, other) if _is_operand(other) else NotImplemented


def _ne(self: Tensor, other: Any) -> Any:
    return elementwise.ne(self, other) if _is_operand(other) else NotImplemented


def _rmatmul(self: Tensor, other: Any) -> Tensor:
    return gemm.matmul(creation.as_tensor(other), self)


def _pos(self: Tensor) -> Tensor:
    return self


# Python's operator: the function it calls.
OPERATORS: dict[str, Any] = {
    "__add__": elementwise.add,
    "__radd__": elementwise.add,
    "__sub__": elementwise.sub,
    "__rsub__": elementwise.rsub,
    "__mul__": elementwise.mul,
    "__rmul__": elementwise.mul,
    "__truediv__": elementwise.div,
    "__rtruediv__": _reflected(elementwise.div),
    "__floordiv__": elementwise.floor_divide,
    "__rfloordiv__": _reflected(elementwise.floor_divide),
    "__mod__": elementwise.remainder,
    "__rmod__": _reflected(elementwise.remainder),
    "__pow__": elementwise.pow,
    "__rpow__": _reflected(elementwise.pow),
    "__lt__": elementwise.lt,
    "__le__": elementwise.le,
    "__gt__": elementwise.gt,
    "__ge__": elementwise.ge,
    "__matmul__": gemm.matmul,
    "__neg__": elementwise.neg,
    "__invert__": elementwise_parts.bitwise_not,
    "__and__": elementwise_compare.bitwise_and,
    "__rand__": elementwise_compare.bitwise_and,
    "__or__": elementwise_compare.bitwise_or,
    "__ror__": elementwise_compare.bitwise_or,
    "__xor__": elementwise_compare.bitwise_xor,
    "__rxor__": elementwise_compare.bitwise_xor,
    "__lshift__": elementwise_compare.bitwise_left_shift,
    "__rlshift__": _reflected(elementwise_compare.bitwise_left_shift),
    "__rshift__": elementwise_compare.bitwise_right_shift,
    "__rrshift__": _reflected(elementwise_compare.bitwise_right_shift),
    "__abs__": elementwise_round.abs,
    "__getitem__": indexing_items.getitem,
    "__setitem__": indexing_items.setitem,
    "__iadd__": inplace.add_,
    "__isub__": inplace.sub_,
    "__imul__": inplace.mul_,
    "__itruediv__": inplace.div_,
    "__ipow__": inplace.pow_,
    "__ifloordiv__": inplace_math.floor_divide_,
    "__imod__": inplace_math.remainder_,
    "__iand__": inplace_math.bitwise_and_,
    "__ior__": inplace_math.bitwise_or_,
    "__ixor__": inplace_math.bitwise_xor_,
    "__ilshift__": inplace_math.bitwise_left_shift_,
    "__irshift__": inplace_math.bitwise_right_shift_,
    "__eq__": _eq,
    "__ne__": _ne,
    "__rmatmul__": _rmatmul,
    "__pos__": _pos,
}
