# SPDX-License-Identifier: Apache-2.0
"""Operands of the functions that are built from several kernels, in one floating dtype."""

from __future__ import annotations

from typing import Any

from gradsmith.backend import FLOATING, get_default_dtype
from gradsmith.ops.elementwise import to
from gradsmith.ops.elementwise_compare import operands
from gradsmith.ops.promotion import result_type
from gradsmith.tensor import Tensor


def floating_operands(op: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Return two operands in the dtype of their quotient.

    Raises:
        TypeError: neither is a tensor, or one is no number.
    """
    left, right = operands(op, a, b)
    dtype = result_type(a, b)
    dtype = dtype if dtype in FLOATING else get_default_dtype()
    return to(left, dtype), to(right, dtype)
