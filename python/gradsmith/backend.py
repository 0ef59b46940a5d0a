# SPDX-License-Identifier: Apache-2.0
"""Which extension module serves which kind of array, and the names of devices and dtypes."""

from __future__ import annotations

import importlib
import importlib.util
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
float16 = np.dtype(np.float16)
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)

DTYPES: tuple[DType, ...] = (bool_, uint8, int32, int64, bfloat16, float16, float32, float64)
FLOATING: frozenset[DType] = frozenset({bfloat16, float16, float32, float64})
_KNOWN = {dtype: dtype for dtype in DTYPES}

# The one place that knows which module holds the kernels of which array type. Those of other
# devices enter when the device is first asked for.
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
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = Device(*_parts(other))
        if not isinstance(other, Device):
            return False
        return self.type == other.type and (self.index or 0) == (other.index or 0)

    def __hash__(self) -> int:
        return hash((self.type, self.index or 0))


def _parts(name: str) -> tuple[str, int | None]:
    """Split ``"cuda:0"`` into its type and index."""
    kind, _, index = name.partition(":")
    return (kind, int(index)) if index.isascii() and index.isdigit() else (name, None)


CPU = Device("cpu")
CUDASIM = Device("cudasim")
CUDA = Device("cuda", 0)
_DEVICES: dict[type, Device] = {np.ndarray: CPU}


class SimulatedArray(np.ndarray[Any, np.dtype[Any]]):
    """An array of device ``cudasim``: views are NumPy's, everything else needs our kernels.

    NumPy could read its memory, which is the host's, but not that of a GPU; so what would fail on
    ``cuda`` is refused here too.
    """

    __array_ufunc__ = None  # type: ignore[assignment]  # arithmetic raises a TypeError

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(f"numpy.{func.__name__} got an array on cudasim, expected one on cpu")

    def __repr__(self) -> str:
        return f"SimulatedArray({on_host(self)})"


def as_device(device: Device | str | None) -> Device:
    """Return the device named, after checking that it can be used here.

    Raises:
        ValueError: the name is unknown.
        RuntimeError: the device needs something that this machine or build lacks.
    """
    if device is None or device is CPU:
        return CPU
    if isinstance(device, Device):
        kind, index = device.type, device.index
    else:
        kind, index = _parts(str(device))
    known = {"cpu": CPU, "cudasim": CUDASIM, "cuda": CUDA}.get(kind)
    if known is None:
        raise ValueError(f"device '{device}' is unknown (expected 'cpu', 'cuda' or 'cudasim')")
    if known is not CPU and known not in _DEVICES.values():
        array_type, extension = _LOADERS[kind]()
        _register(array_type, extension, known)
    if index:
        raise ValueError(f"device '{device}': gradsmith uses one device of a kind, index 0")
    return known


def _register(array_type: type, extension: ModuleType, device: Device) -> None:
    """Enter a device, with the switches as they are set for the CPU."""
    extension.set_default_floating(_default_dtype)
    extension.set_verbosity(_cpu.verbosity())
    extension.set_winograd(_cpu.winograd())
    extension.set_float32_matmul_precision(_cpu.float32_matmul_precision())
    EXTENSIONS[array_type] = extension
    _DEVICES[array_type] = device


def _load_simulator() -> tuple[type, ModuleType]:
    try:
        simulator = importlib.import_module("gradsmith._cudasim")
    except ModuleNotFoundError:
        raise RuntimeError(
            "device 'cudasim': this build of gradsmith has no simulator (_cudasim)"
        ) from None
    simulator.set_array_type(SimulatedArray)
    return SimulatedArray, simulator


def _load_cuda() -> tuple[type, ModuleType]:
    if importlib.util.find_spec("gradsmith._cuda") is None:
        raise RuntimeError(
            "device 'cuda': this build of gradsmith has no CUDA extension (_cuda). Build it where "
            "nvcc is found (the CUDA toolkit of https://developer.nvidia.com/cuda-downloads); it "
            "also needs an NVIDIA GPU with its driver and the package cupy-cuda13x (pip install "
            "'gradsmith[cuda13]')"
        )
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise RuntimeError(
            f"device 'cuda': CuPy cannot be imported ({error}); install the package cupy-cuda13x "
            "with pip install 'gradsmith[cuda13]'"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(
            f"device 'cuda': the CUDA driver does not answer ({error}); install NVIDIA's driver, "
            "and look with nvidia-smi whether it sees the GPU"
        ) from error
    if count == 0:
        raise RuntimeError("device 'cuda': the CUDA driver sees no GPU (look with nvidia-smi)")
    return cupy.ndarray, importlib.import_module("gradsmith._cuda")


_LOADERS = {"cudasim": _load_simulator, "cuda": _load_cuda}


def is_array(x: Any) -> bool:
    """Whether ``x`` is an array of some device, and no tensor."""
    return type(x) in EXTENSIONS or isinstance(x, np.ndarray) or _is_unseen_cupy_array(x)


def _is_unseen_cupy_array(x: Any) -> bool:
    """Whether CuPy made it before anybody asked us for the device; enters the device."""
    if type(x).__module__ != "cupy" or type(x).__name__ != "ndarray":
        return False
    as_device(CUDA)
    return True


def device_of(array: Array) -> Device:
    """Return the device of an array."""
    return _DEVICES[type(array)]


def extension_of(device: Device | str | None) -> Any:
    """Return the module with the kernels of a device."""
    if device is None:
        return _cpu
    device = as_device(device)
    return next(EXTENSIONS[kind] for kind, its_device in _DEVICES.items() if its_device is device)


def moved(array: Array, device: Device) -> Array:
    """Return a copy on a device, with its elements in the same order in memory.

    On the array's own device it returns the array itself.
    """
    if device_of(array) is device:
        return array
    # Memory moves in C order: other orders are that of a permuted array.
    order = sorted(range(array.ndim), key=lambda d: -abs(array.strides[d]))
    permuted = array if array.flags.c_contiguous else array.transpose(order)
    here = _to_host(permuted)
    there = here if device is CPU else _from_host(here, device)
    if permuted is array:
        return there
    return there.transpose([order.index(d) for d in range(array.ndim)])


def _to_host(array: Array) -> Array:
    device = device_of(array)
    if device is CPU:
        return array
    if device is CUDASIM:
        return np.array(array, order="C", subok=False)
    result: Array = importlib.import_module("cupy").asnumpy(array)
    return result


def _from_host(array: Array, device: Device) -> Array:
    if device is CUDA:
        result: Array = importlib.import_module("cupy").asarray(array)
        return result
    copy: Array = extension_of(device).empty(array.shape, array.dtype)
    copy.view(np.ndarray)[...] = array
    return copy


def on_host(array: Array) -> Array:
    """Return an array as NumPy can read it: itself on the CPU, else a copy."""
    return array if type(array) is np.ndarray else moved(array, CPU)


def like(values: Any, array: Array) -> Array:
    """Return the values, an array of the host or of that device, on the device of ``array``."""
    if type(values) is type(array):
        return values
    return moved(np.asarray(values), device_of(array))


def broadcast_to(array: Array, shape: tuple[int, ...]) -> Array:
    """Return a read-only view of a larger shape (ValueError where it does not broadcast)."""
    extra = len(shape) - array.ndim
    wide = array.reshape((1,) * extra + array.shape) if extra > 0 else array
    axes = tuple([d for d, (a, b) in enumerate(zip(wide.shape, shape, strict=False)) if a != b])
    if extra < 0 or any(wide.shape[d] != 1 for d in axes):
        raise ValueError(f"an array of shape {array.shape} does not broadcast to {shape}")
    result: Array = EXTENSIONS[type(array)].spread(wide, shape, axes)
    return result


def address_of(array: Array) -> int:
    """Return the address of the first element, in the memory of the array's device."""
    if device_of(array) is CUDA:
        return int(array.data.ptr)  # type: ignore[attr-defined]
    return int(array.__array_interface__["data"][0])


def may_share_memory(a: Array, b: Array) -> bool:
    """Whether two arrays may have elements in common."""
    if type(a) is not type(b):
        return False
    if device_of(a) is CUDA:
        return bool(importlib.import_module("cupy").may_share_memory(a, b))
    return np.may_share_memory(a.view(np.ndarray), b.view(np.ndarray))


def library_for(array: Array) -> tuple[Any, Array]:
    """Return the library for what has no kernel (sorting, LAPACK), and the array as it takes it.

    NumPy, or CuPy with NumPy's functions; results come back to the device through `like`.
    """
    if device_of(array) is CUDA:
        return importlib.import_module("cupy"), array
    return np, on_host(array)


def as_dtype(dtype: Any) -> DType:
    """Return the dtype named by a NumPy dtype, a scalar type or a string.

    Raises:
        TypeError: gradsmith has no such dtype.
    """
    if isinstance(dtype, np.dtype) and dtype in _KNOWN:
        return _KNOWN[dtype]
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


def compute_dtype(dtype: DType) -> DType:
    """Return the dtype of sums, states and factorisations: float32 for bfloat16 and float16."""
    return float32 if dtype in (bfloat16, float16) else dtype


def check_fits(array: Array, dtype: DType) -> None:
    """Refuse numbers that an integer dtype would wrap around.

    Raises:
        ValueError: there is one.
    """
    info = np.iinfo(dtype)
    fits = (array >= info.min) & (array <= info.max)
    if not fits.all():
        raise ValueError(f"tensor: {array[~fits].flat[0]} does not fit in {dtype}")


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
