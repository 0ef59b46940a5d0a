# SPDX-License-Identifier: Apache-2.0
"""Memory shared with other libraries through DLPack, on the CPU and on GPUs."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from gradsmith import backend
from gradsmith.backend import CUDA, CUDASIM, Array
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


METHODS: dict[str, Any] = {
    "__dlpack__": _dlpack,
    "__dlpack_device__": _dlpack_device,
    "__cuda_array_interface__": property(_cuda_array_interface),
}


def from_dlpack(ext_tensor: Any) -> Tensor:
    """Return a tensor that shares the memory of another library's.

    Args:
        ext_tensor: an object with the methods ``__dlpack__`` and ``__dlpack_device__``: a tensor
            of PyTorch, an array of JAX, CuPy or NumPy.

    Raises:
        TypeError: it is no such object, or has a dtype gradsmith lacks.
        ValueError: its memory is on a device that gradsmith does not have.
        RuntimeError: it is on a GPU and device ``cuda`` cannot be used here.
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
    return wrap(array)
