# SPDX-License-Identifier: Apache-2.0
"""Memory shared with other libraries through DLPack, and the tensor to Python and NumPy."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from gradsmith import backend
from gradsmith.backend import CUDA, CUDASIM, EXTENSIONS, Array
from gradsmith.ops import elementwise, reduce, shape
from gradsmith.tensor import Tensor, wrap

# Device types of DLPack.
_HOST = 1
_CUDA = 2
_PINNED_HOST = 3


def shared_array(tensor: Tensor) -> Array:
    """Return the array of a tensor that others may have.

    Raises:
        BufferError: the tensor requires a gradient, or is in the simulator.
    """
    if tensor.requires_grad:
        raise BufferError(
            "the tensor requires a gradient, which other libraries would lose; use x.detach()"
        )
    if tensor.device is CUDASIM:
        raise BufferError(
            "the tensor is on cudasim, which other libraries do not know; use x.cpu()"
        )
    return tensor._array


def _dlpack(
    self: Tensor,
    *,
    stream: Any = None,
    max_version: Any = None,
    dl_device: Any = None,
    copy: bool | None = None,
) -> Any:
    """Return the capsule by which another library shares the memory (`from_dlpack`).

    Raises:
        BufferError: the tensor requires a gradient, or is in the simulator.
    """
    options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
    # Those of older array libraries have fewer arguments.
    given = {name: value for name, value in options.items() if value is not None}
    return shared_array(self).__dlpack__(**given)


def _dlpack_device(self: Tensor) -> tuple[int, int]:
    device: tuple[int, int] = shared_array(self).__dlpack_device__()
    return device


def _cuda_array_interface(self: Tensor) -> dict[str, Any]:
    """What Numba, CuPy and PyTorch read of GPU memory; only tensors on ``cuda`` have it."""
    if self.device is not CUDA:
        raise AttributeError(f"__cuda_array_interface__: the tensor is on {self.device}")
    interface: dict[str, Any] = shared_array(self).__cuda_array_interface__  # type: ignore[attr-defined]
    return interface


# ---- Python and NumPy ----------------------------------------------------------------------------


def _array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Array:
    """Return what ``numpy.asarray(x)`` and NumPy's functions take of a tensor."""
    return np.array(self.numpy(), dtype=dtype, copy=copy)


def _contains(self: Tensor, element: Any) -> bool:
    """Whether any element equals a number or tensor."""
    if not isinstance(element, (Tensor, int, float, np.generic)):
        raise TypeError(f"in: element is a {type(element).__name__}, expected a number or a tensor")
    return bool(reduce.any(elementwise.eq(self, element)).item())


def _format(self: Tensor, format_spec: str) -> str:
    """Format a 0-d tensor as its number; others take no specification."""
    if self.ndim == 0:
        return format(self.item(), format_spec)
    if format_spec:
        raise TypeError(
            f"format: the tensor has shape {self.shape}, expected a 0-d one for {format_spec!r}"
        )
    return str(self)


def _copy(self: Tensor) -> Tensor:
    """Return another tensor of the same memory, for copy.copy()."""
    if self._node is not None:
        return shape.reshape(self, self.shape)
    copy = _same_kind(self, self._array)
    copy._version = self._shared_version()
    copy.grad = self.grad
    return copy


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    if self._node is not None:
        raise RuntimeError("deepcopy: only leaf tensors can be copied; detach it first")
    copy = _same_kind(self, EXTENSIONS[type(self._array)].copy_of(self._array))
    memo[id(self)] = copy
    copy.grad = None if self.grad is None else _deepcopy(self.grad.detach(), memo)
    return copy


def _same_kind(tensor: Tensor, array: Array) -> Tensor:
    copy = type(tensor).__new__(type(tensor))
    copy._array = array
    copy.requires_grad = tensor.requires_grad
    return copy


METHODS: dict[str, Any] = {
    "__array__": _array,
    "__contains__": _contains,
    "__format__": _format,
    "__copy__": _copy,
    "__deepcopy__": _deepcopy,
    "__dlpack__": _dlpack,
    "__dlpack_device__": _dlpack_device,
    "__cuda_array_interface__": property(_cuda_array_interface),
}


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """Return a tensor that shares the memory of another library's.

    Args:
        ext_tensor: an object with the methods ``__dlpack__`` and ``__dlpack_device__``: a tensor
            of PyTorch, an array of JAX, CuPy or NumPy.
        device: where to put it (default: it stays where it is).
        copy: True copies the memory, False refuses to.

    Raises:
        TypeError: it is no such object, or has a dtype gradsmith lacks.
        ValueError: its memory is on a device that gradsmith does not have, or it would have to be
            copied and ``copy`` is False.
        RuntimeError: it is on a GPU and device ``cuda`` cannot be used here.
        BufferError: it cannot be shared, as a tensor that requires a gradient.
    """
    if not hasattr(ext_tensor, "__dlpack__") or not hasattr(ext_tensor, "__dlpack_device__"):
        raise TypeError(
            f"from_dlpack: got a {type(ext_tensor).__name__}, expected an object with __dlpack__"
        )
    kind = int(ext_tensor.__dlpack_device__()[0])
    if kind == _CUDA:
        backend.as_device("cuda")
        array = importlib.import_module("cupy").from_dlpack(ext_tensor)
    elif kind in (_HOST, _PINNED_HOST):
        array = np.from_dlpack(ext_tensor)
    else:
        raise ValueError(f"from_dlpack: device type {kind} of DLPack is none of gradsmith's")
    backend.as_dtype(array.dtype)
    there = array if device is None else backend.moved(array, backend.as_device(device))
    if there is not array and copy is False:
        raise ValueError(f"from_dlpack: copy is False, but the memory is not on {device}")
    return wrap(EXTENSIONS[type(array)].copy_of(array) if there is array and copy else there)
