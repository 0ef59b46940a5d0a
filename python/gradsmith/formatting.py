# SPDX-License-Identifier: Apache-2.0
"""How a tensor prints: its numbers as NumPy shows them, and what is not obvious from these."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradsmith import backend

if TYPE_CHECKING:
    from gradsmith.tensor import Tensor


def tensor_text(tensor: Tensor) -> str:
    """Return ``tensor(...)`` with the size of an empty one, an unusual dtype, and the tape."""
    array = backend.on_host(tensor._array)
    text = np.array2string(
        array.astype(np.float32) if array.dtype == backend.bfloat16 else array,
        separator=", ",
        precision=4,
        suppress_small=False,
        threshold=1000,
        prefix="tensor(",
    )
    if 0 in array.shape and array.ndim > 1:
        text += f", size={array.shape}"
    plain = (backend.get_default_dtype(), backend.int64, backend.bool_)
    if array.dtype not in plain or (0 in array.shape and array.dtype != plain[0]):
        text += f", dtype={array.dtype}"
    if tensor.device != backend.CPU:
        text += f", device='{tensor.device}'"
    if tensor._node is not None:
        text += f", grad_fn=<{tensor._node.name}>"
    elif tensor.requires_grad:
        text += ", requires_grad=True"
    return f"tensor({text})"
