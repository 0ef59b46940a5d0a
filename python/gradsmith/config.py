# SPDX-License-Identifier: Apache-2.0
"""What this build is and what it found on this machine; threads and ISA at run time."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

import gradsmith._cpu as _cpu
from gradsmith.backend import EXTENSIONS

_MOST_THREADS = 1024


def get_num_threads() -> int:
    """Return how many threads a kernel may use."""
    return _cpu.thread_count()


def set_num_threads(count: int) -> None:
    """Set how many threads a kernel may use; results do not depend on it.

    Raises:
        TypeError: the count is no int.
        ValueError: the count is below 1 or above what a pool can hold.
    """
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"set_num_threads: count is a {type(count).__name__}, expected an int")
    if not 1 <= count <= _MOST_THREADS:
        raise ValueError(f"set_num_threads: count is {count}, expected 1 to {_MOST_THREADS}")
    _cpu.set_thread_count(count)


def get_isa() -> str:
    """Return the instruction set kernels are capped at.

    It is reference, avx2, avx512, avx512_bf16 or amx_bf16.
    """
    return _cpu.isa()


@contextmanager
def isa(name: str) -> Iterator[None]:
    """Run the block with kernels of this instruction set or below.

    Raises:
        ValueError: the name is unknown, or this machine lacks it.
    """
    before = _cpu.isa()
    _cpu.set_isa(name)
    try:
        yield
    finally:
        _cpu.set_isa(before)


def get_winograd() -> str:
    """Return the tile of Winograd's algorithm that 3 x 3 convolutions may use: off, 2x2 or 4x4."""
    return _cpu.winograd()


@contextmanager
def winograd(tile: str) -> Iterator[None]:
    """Run the block with Winograd's algorithm in 3 x 3 convolutions and their gradients.

    It multiplies less than a direct convolution, 2.25 times with tiles of 2x2 and 4 times with
    4x4, and rounds differently: for normal numbers and 32 to 130 channels the root mean square
    error against float64 is 0.4 to 0.7 times that of a direct convolution with 2x2, and 1.1 to 2
    times with 4x4; single elements are off by up to four times as much. Gradients of weights have
    0.8 to 1.7 times that error with 2x2 and 1.7 to 4.5 times with 4x4. A NaN or an infinity spreads
    over its tile, and over all taps of a weight's gradient.

    It serves float32, stride 1, dilation 1, one group, 16 (24 with 2x2) or more channels on both
    sides and more than a few tiles. All other convolutions stay as they are. A backward pass takes
    what holds when it runs. ``GRADSMITH_WINOGRAD`` sets the tile for a whole process.

    Args:
        tile: "off", "2x2" or "4x4".

    Raises:
        ValueError: the tile is none of these.
    """
    before = _cpu.winograd()
    _set_winograd(tile)
    try:
        yield
    finally:
        _set_winograd(before)


def _set_winograd(tile: str) -> None:
    for extension in EXTENSIONS.values():
        extension.set_winograd(tile)


def get_float32_matmul_precision() -> str:
    """Return how exact products of float32 matrices are: highest, high or medium."""
    return _cpu.float32_matmul_precision()


def set_float32_matmul_precision(precision: str) -> None:
    """Set how exact products of float32 matrices have to be, for the whole process.

    It concerns matrix products and linear layers on devices with matrix units for less (``cuda``
    and its simulator), forward and backward, where rows start at multiples of 16 bytes; the CPU
    computes in float32 always. With two numbers of TF32 for one of float32 a sum of k products of
    numbers around 1 is off by about 1e-6 sqrt(k), an infinite element gives NaN (Ootomo and Yokota,
    2022).

    Args:
        precision: "highest", float32 throughout; "high", three products of TF32 for each; "medium",
            one, with 11 significant bits.

    Raises:
        TypeError: the precision is no str.
        ValueError: the precision is none of these.
    """
    if not isinstance(precision, str):
        raise TypeError(
            f"set_float32_matmul_precision: precision is a {type(precision).__name__}, expected "
            "a str"
        )
    for extension in EXTENSIONS.values():
        extension.set_float32_matmul_precision(precision)


def implementations() -> dict[str, list[str]]:
    """Return the kernels of every slot, in the order in which they are asked."""
    return _cpu.implementations()


def _cuda_state() -> str:
    if importlib.util.find_spec("gradsmith._cuda") is not None:
        return "yes"
    nvcc = "found" if shutil.which("nvcc") else "not found"
    cupy = "installed" if importlib.util.find_spec("cupy") else "not installed"
    return f"no: this build has no extension _cuda (nvcc {nvcc}, CuPy {cupy})"


def _version() -> str:
    # Imported here because it takes longer than the rest of this module.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gradsmith")
    except PackageNotFoundError:
        return "not installed (run from a source tree)"


def config() -> dict[str, str]:
    """Return what `show_config` prints, as a dictionary."""
    return {
        "gradsmith": _version(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "compiler": _cpu.compiler(),
        "cpu": _cpu.cpu_name(),
        "isa": f"{_cpu.isa()} (this machine has {_cpu.highest_isa()})",
        "winograd": _cpu.winograd(),
        "float32_matmul_precision": _cpu.float32_matmul_precision(),
        "threads": str(_cpu.thread_count()),
        "cuda": _cuda_state(),
    }


def show_config() -> None:
    """Print compiler, instruction set, threads, and whether CUDA is there or why not."""
    for name, value in config().items():
        print(f"{name:10} {value}")
