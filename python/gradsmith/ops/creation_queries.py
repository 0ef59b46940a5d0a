# SPDX-License-Identifier: Apache-2.0
"""What tensors are made of, and other objects as tensors."""

from __future__ import annotations

from typing import Any

from gradsmith.backend import FLOATING
from gradsmith.ops.creation import as_tensor, tensor
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.tensor import Tensor, array_of


def is_tensor(obj: Any) -> bool:
    """Return whether an object is a tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Return whether the dtype of a tensor is a floating one."""
    return array_of("is_floating_point", input).dtype in FLOATING


def numel(input: Tensor) -> int:
    """Return the number of elements."""
    return array_of("numel", input).size


def is_complex(input: Tensor) -> bool:
    """Return False: there are no complex dtypes."""
    array_of("is_complex", input)
    return False


def is_nonzero(input: Tensor) -> bool:
    """Return whether a single number is not 0.

    Raises:
        ValueError: the tensor has more elements, or none.
    """
    if array_of("is_nonzero", input).size != 1:
        raise ValueError(f"is_nonzero: input has shape {input.shape}, expected one element")
    return bool(input.item() != 0)


def is_signed(input: Tensor) -> bool:
    """Return whether the dtype of a tensor has negative numbers."""
    return array_of("is_signed", input).dtype.kind not in "ub"


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same shape."""
    first = array_of("is_same_size", input)
    return bool(first.shape == array_of("is_same_size", other, "other").shape)


def get_device(input: Tensor) -> int:
    """Return the index of the GPU that holds a tensor, -1 on the CPU."""
    array_of("get_device", input)
    return -1 if input.device.type == "cpu" else input.device.index or 0


@names_errors
def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return an object as a tensor, which shares its memory where it can unless ``copy``.

    Args:
        obj: number, nested lists, array or tensor.
        dtype: convert to this dtype.
        device: where to put it.
        copy: True copies, False refuses to, None copies where dtype or device differ.
        requires_grad: whether ops on it are recorded; a tensor keeps its history.

    Raises:
        TypeError: the data is no number, or the dtype is unknown.
        ValueError: ``copy`` is False and it cannot be done without.
    """
    if copy is not None and check_flag("asarray", "copy", copy):
        out = obj.clone().to(device=device, dtype=dtype) if isinstance(obj, Tensor) else None
        out = tensor(obj, dtype, device) if out is None else out
    else:
        out = as_tensor(obj, dtype, device)
        if copy is False and _memory_of(obj) != _memory_of(out):
            raise ValueError("asarray: copy is False, but the data has to be copied")
    return out.requires_grad_() if requires_grad else out


def _memory_of(obj: Any) -> Any:
    """Return what tells memory apart; None for objects that have none to share."""
    interface = getattr(obj, "__array_interface__", None)
    if isinstance(obj, Tensor):
        return obj.data_ptr()
    return None if interface is None else interface["data"][0]
