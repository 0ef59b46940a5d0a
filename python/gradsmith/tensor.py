# SPDX-License-Identifier: Apache-2.0
"""The tensor: one array, its place on the tape, and the bookkeeping of in-place changes.

Its arithmetic lives in `gradsmith.ops`, whose functions are set as methods by `ops.methods`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsmith import backend
from gradsmith.backend import EXTENSIONS, FLOATING, Array, Device, DType
from gradsmith.formatting import tensor_text

if TYPE_CHECKING:
    from gradsmith.autograd import Node
    from gradsmith.tensor_methods import TensorMethods
else:
    TensorMethods = object


class Version:
    """Counts the in-place changes of a piece of memory; views of it share the counter.

    ``rebased`` counts those of them that were recorded on the tape.
    """

    __slots__ = ("number", "rebased")

    def __init__(self) -> None:
        """Start at zero changes."""
        self.number = 0
        self.rebased = 0


class Tensor(TensorMethods):
    """An array on the tape, made by `gradsmith.tensor` and by every op.

    Attributes:
        requires_grad: whether ops on it are recorded.
        grad: after a backward pass, the gradient of a leaf (a tensor of the same shape) or None.
    """

    # Defaults live on the class, so that making a tensor writes one attribute only.
    _array: Array
    requires_grad: bool = False
    grad: Tensor | None = None
    _node: Node | None = None
    _index: int = 0
    _version: Version | None = None  # made when somebody saves or shares the memory
    _view_of: int | None = None  # Version.rebased at the time this view was made
    _hooks: list[Callable[[Tensor], Tensor | None]] | None = None
    _post_hooks: list[Callable[[Tensor], Any]] | None = None  # once a leaf's gradient is stored
    __hash__ = object.__hash__  # beside an elementwise ==
    __array_ufunc__ = None  # NumPy's operators leave `array + tensor` to the tensor

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        """Make a tensor that shares the memory of an array, or copies a nested list."""
        self._array = as_array(data)
        if requires_grad:
            self.requires_grad_()

    # ---- what it is ------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        shape: tuple[int, ...] = self._array.shape
        return shape

    @property
    def dtype(self) -> DType:
        """Element type, a NumPy dtype."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self._array.ndim

    @property
    def device(self) -> Device:
        """Where the memory is."""
        return backend.device_of(self._array)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self._array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._array.nbytes

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op made it; gradients accumulate in leaves."""
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        """The node that made it, or None for a leaf."""
        return self._node

    @property
    def data(self) -> Tensor:
        """The same memory off the tape; changes through it are not checked (see `detach`)."""
        return wrap(self._array)

    @data.setter
    def data(self, value: Tensor) -> None:
        array_of("data", value, "value")
        if value.dtype not in FLOATING and self.requires_grad:
            raise TypeError(f"data: got {value.dtype}, expected a floating dtype")
        self._array = value._array

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self._array.ndim

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or one of its sizes (IndexError if there is no such dimension)."""
        if dim is None:
            return self._array.shape
        if not -self.ndim <= dim < self.ndim:
            raise IndexError(f"size: dim {dim} is out of range for shape {self.shape}")
        return self._array.shape[dim]

    def numel(self) -> int:
        """Return the number of elements."""
        return self._array.size

    ndimension, nelement = dim, numel

    def element_size(self) -> int:
        """Return the bytes of an element."""
        return self._array.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Return the strides in elements, or one (IndexError if there is no such dimension)."""
        strides = tuple(step // self._array.itemsize for step in self._array.strides)
        if dim is None:
            return strides
        if not -self.ndim <= dim < self.ndim:
            raise IndexError(f"stride: dim {dim} is out of range for shape {self.shape}")
        return strides[dim]

    def is_contiguous(self) -> bool:
        """Whether the memory is in C order."""
        return bool(self._array.flags.c_contiguous)

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating one."""
        return self._array.dtype in FLOATING

    def data_ptr(self) -> int:
        """Return the address of the first element, in the memory of the device."""
        return backend.address_of(self._array)

    # ---- to Python and NumPy ---------------------------------------------------------------------

    def numpy(self, *, force: bool = False) -> Array:
        """Return the array itself; changes to it are seen by the tensor.

        With ``force``, that of ``detach().cpu()``, which may be a copy.

        Raises:
            TypeError: the tensor is not on the CPU (use ``cpu().numpy()``).
            RuntimeError: the tensor requires a gradient (use ``detach().numpy()``).
        """
        if force:
            return backend.on_host(self._array)
        if type(self._array) is not np.ndarray:
            raise TypeError(f"numpy: the tensor is on {self.device}; use x.cpu().numpy()")
        if self.requires_grad:
            raise RuntimeError(
                "numpy: the tensor requires a gradient, which NumPy would lose; use "
                "x.detach().numpy()"
            )
        return self._array

    def item(self) -> Any:
        """Return the only element as a Python number (ValueError if there are others)."""
        if self._array.size != 1:
            raise ValueError(f"item: the tensor has shape {self.shape}, expected one element")
        array = self._array
        value = (array if type(array) is np.ndarray else backend.on_host(array)).item()
        return value if isinstance(value, (bool, int, float)) else float(value)

    def tolist(self) -> Any:
        """Return nested lists of Python numbers."""
        array = backend.on_host(self._array)
        return (array.astype(np.float32) if array.dtype == backend.bfloat16 else array).tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self._array.dtype in FLOATING:
            raise TypeError(f"a {self.dtype} tensor cannot be an index (expected integers)")
        return int(self.item())

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {self.shape} is ambiguous; use any() or all()"
            )
        return bool(self.item())

    def __len__(self) -> int:
        """Return the size of dimension 0 (TypeError without dimensions)."""
        if self.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return int(self._array.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        """Return the parts along dimension 0 in turn (TypeError without dimensions)."""
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self._array.shape[0]))

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("tensors are not pickled; write them with gradsmith.save")

    def __repr__(self) -> str:
        return tensor_text(self)

    # ---- the tape --------------------------------------------------------------------------------

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switch the recording of ops on this leaf on or off, and return it.

        Raises:
            TypeError: the dtype is not floating.
            RuntimeError: switched off on a tensor that a recorded op made.
        """
        if not isinstance(requires_grad, (bool, np.bool_)):
            kind = type(requires_grad).__name__
            raise TypeError(f"requires_grad_: requires_grad is a {kind}, expected a bool")
        if requires_grad and self._array.dtype not in FLOATING:
            raise TypeError(f"requires_grad: got {self.dtype}, expected a floating dtype")
        if not requires_grad and self._node is not None:
            raise RuntimeError("requires_grad_: only leaves can be switched off; use x.detach()")
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """Return the same memory off the tape; in-place changes of it are still noticed."""
        out = wrap(self._array)
        out._version = self._shared_version()
        return out

    # ---- in-place bookkeeping --------------------------------------------------------------------

    def _bump(self) -> None:
        """Note an in-place change; nobody can have seen the memory without a version."""
        if self._version is not None:
            self._version.number += 1

    def _shared_version(self) -> Version:
        version = self._version
        if version is None:
            version = self._version = Version()
        return version

    def _check_view(self) -> None:
        """Refuse a recorded view whose base was changed by a recorded in-place op since."""
        if self._version is not None and self._version.rebased != self._view_of:
            raise RuntimeError(
                "a view is used after the tensor it was taken from was changed in place on the "
                "tape; take the view again after the change"
            )


_new = Tensor.__new__


def wrap(array: Array) -> Tensor:
    """Return a tensor of a kernel's result, off the tape."""
    tensor = _new(Tensor)
    tensor._array = array
    return tensor


def wrap_each(arrays: Iterable[Array | None]) -> tuple[Tensor | None, ...]:
    """Return a tensor for each array, None for None."""
    return tuple([None if array is None else wrap(array) for array in arrays])


def array_of(op: str, x: Any, argument: str = "input") -> Array:
    """Return the array of a tensor given to ``op``.

    Raises:
        TypeError: it is no tensor.
    """
    if isinstance(x, Tensor):
        return x._array
    raise TypeError(f"{op}: {argument} is a {type(x).__name__}, expected a tensor")


def constant_array_of(op: str, x: Any, argument: str) -> Array:
    """Return the array of a tensor that ``op`` has no gradient for.

    Raises:
        TypeError: it is no tensor.
        ValueError: it requires a gradient.
    """
    array = array_of(op, x, argument)
    if x.requires_grad:
        raise ValueError(
            f"{op}: {argument} requires a gradient, which it does not get here (give "
            f"{argument.replace(' ', '_')}.detach())"
        )
    return array


def as_array(data: Any, dtype: DType | None = None, device: Device | None = None) -> Array:
    """Return ``data`` as an array of a dtype gradsmith has, copying only where it must.

    Python floats become the default dtype, ints int64; arrays keep their dtype and, unless one is
    given, their device. Anything else comes to the CPU.

    Raises:
        TypeError: the data is no number, or has a dtype gradsmith lacks.
        ValueError: nested lists are ragged.
    """
    if isinstance(data, Tensor):
        array = data._array
    elif backend.is_array(data):
        array = data
    elif isinstance(data, np.generic):
        array = np.asarray(data)
    else:
        array = _array_of_sequence(data)
        if dtype is not None and dtype.kind in "iu":
            backend.check_fits(array, dtype)
        if dtype is None and array.dtype == np.float64:
            dtype = backend.get_default_dtype()
    if array.dtype.kind in "iu" and array.dtype not in backend.DTYPES:
        if array.dtype == np.uint64 and array.size and array.max() >= 2**63:
            raise ValueError(f"tensor: {array.max()} does not fit in int64")
        array = array.astype(np.int64)
    if dtype is None:
        dtype = backend.as_dtype(array.dtype)
    elif array.dtype not in backend.DTYPES:
        backend.as_dtype(array.dtype)
    if type(array) not in EXTENSIONS:
        array = np.asarray(array, order="C").view(np.ndarray)
    if array.dtype != dtype:
        if type(array) is np.ndarray:
            array = np.asarray(array, order="C")
        array = EXTENSIONS[type(array)].cast(array, dtype)
    return array if device is None else backend.moved(array, device)


def _array_of_sequence(data: Any) -> Array:
    if isinstance(data, (list, tuple)) and any(isinstance(each, Tensor) for each in data):
        data = [each.tolist() if isinstance(each, Tensor) else each for each in data]
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"tensor: the nested sequence is ragged: {error}") from None
    if array.dtype == object or array.dtype.kind in "USOM":
        raise TypeError(f"tensor: got {type(data).__name__} data, expected numbers")
    if array.size == 0 and not isinstance(data, np.ndarray):
        array = array.astype(np.float64)
    return array
