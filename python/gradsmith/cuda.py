# SPDX-License-Identifier: Apache-2.0
"""The GPU of device ``cuda``: whether it is there, what it holds, and waiting for it.

Kernels run on CuPy's current stream: ``with cupy.cuda.Stream(): ...`` gives another one. Nothing
here imports CuPy before it is asked.
"""

from __future__ import annotations

import importlib
from typing import Any

from gradsmith import backend


def _extension() -> Any:
    return backend.extension_of("cuda")


def _pool() -> Any:
    return importlib.import_module("cupy").get_default_memory_pool()


def is_available() -> bool:
    """Whether tensors can be on ``cuda`` here; ``as_device("cuda")`` says why not."""
    try:
        backend.as_device("cuda")
    except RuntimeError:
        return False
    return True


def device_count() -> int:
    """Return how many GPUs the driver sees, 0 where the device cannot be used."""
    return int(_extension().device_count()) if is_available() else 0


def current_device() -> int:
    """Return the index of the GPU in use.

    Raises:
        RuntimeError: the device cannot be used here.
    """
    return int(_extension().current_device())


def get_device_name(device: int | None = None) -> str:
    """Return the name of a GPU, by default of the one in use.

    Raises:
        RuntimeError: the device cannot be used here, or there is none of that index.
    """
    return str(_extension().device_name(current_device() if device is None else device))


def get_device_capability() -> tuple[int, int]:
    """Return the compute capability of the GPU in use, such as (9, 0).

    Raises:
        RuntimeError: the device cannot be used here.
    """
    return divmod(int(_extension().compute_capability()), 10)


def synchronize() -> None:
    """Wait until the GPU has done everything it was given.

    Raises:
        RuntimeError: the device cannot be used here, or a kernel failed.
    """
    _extension().synchronize()


def memory_stats() -> dict[str, int]:
    """Return bytes ``in_use`` and ``cached`` by us, and ``free`` and ``total`` of the GPU.

    Tensors are in CuPy's memory pool, which all users of CuPy share; a kernel's scratch memory is
    in a pool of ours.

    Raises:
        RuntimeError: the device cannot be used here.
    """
    workspaces = _extension().memory_stats()
    pool = _pool()
    free, total = importlib.import_module("cupy").cuda.runtime.memGetInfo()
    return {
        "in_use": pool.used_bytes() + workspaces["in_use"],
        "cached": pool.free_bytes() + workspaces["cached"],
        "free": free,
        "total": total,
    }


def empty_cache() -> None:
    """Give memory that is kept for reuse back to the driver.

    Raises:
        RuntimeError: the device cannot be used here.
    """
    _extension().empty_cache()
    _pool().free_all_blocks()


def mem_get_info() -> tuple[int, int]:
    """Return the bytes of the GPU that are free, and all there are.

    Raises:
        RuntimeError: the device cannot be used here.
    """
    stats = memory_stats()
    return stats["free"], stats["total"]


def memory_allocated() -> int:
    """Return the bytes in use by tensors and kernels.

    Raises:
        RuntimeError: the device cannot be used here.
    """
    return memory_stats()["in_use"]


def memory_reserved() -> int:
    """Return the bytes taken from the driver: in use, or kept for reuse.

    Raises:
        RuntimeError: the device cannot be used here.
    """
    stats = memory_stats()
    return stats["in_use"] + stats["cached"]


def is_bf16_supported() -> bool:
    """Whether kernels take bfloat16: on every GPU that can be used."""
    return is_available()
