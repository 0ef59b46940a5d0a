# SPDX-License-Identifier: Apache-2.0
"""Sets the functions of `ops` as methods and operators of `Tensor`.

Each becomes the method of its name, with the tensor as first argument; tensor_methods.pyi declares
them for type checkers.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from gradsmith.backend import (
    Device,
    as_device,
    as_dtype,
    bfloat16,
    float32,
    float64,
    int32,
    int64,
    is_array,
    library_for,
    like,
)
from gradsmith.backend import bool_ as bool_dtype
from gradsmith.ops import (
    creation,
    elementwise,
    elementwise_activation,
    elementwise_combine,
    elementwise_math,
    elementwise_round,
    gemm,
    indexing,
    indexing_items,
    inplace,
    interchange,
    linalg,
    reduce,
    reduce_moments,
    reduce_order,
    shape,
    shape_copy,
    shape_pieces,
    softmax,
)
from gradsmith.tensor import Tensor, wrap

# Module: the functions whose first argument is the tensor itself.
METHODS: tuple[tuple[ModuleType, str], ...] = (
    (
        elementwise,
        "add sub mul div floor_divide remainder fmod pow atan2 maximum minimum eq ne lt le gt ge "
        "logical_and logical_or logical_xor logical_not isnan isinf isfinite neg",
    ),
    (
        elementwise_math,
        "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square sin cos tan asin acos "
        "atan sinh cosh tanh asinh acosh atanh sigmoid erf",
    ),
    (elementwise_round, "abs sign floor ceil trunc round clamp clip"),
    (
        elementwise_combine,
        "lerp addcmul addcdiv hypot logaddexp nan_to_num isclose allclose equal",
    ),
    (elementwise_activation, "relu prelu hardshrink"),
    (
        reduce,
        "sum mean prod amax amin max min argmax argmin any all cumsum cumprod count_nonzero",
    ),
    (reduce_moments, "var std"),
    (reduce_order, "sort argsort topk median quantile unique bincount nonzero"),
    (gemm, "matmul mm bmm mv dot outer addmm baddbmm"),
    (linalg, "norm diagonal diag diag_embed trace tril triu det inv slogdet cholesky"),
    (
        shape,
        "reshape view permute transpose expand unsqueeze squeeze flatten movedim moveaxis "
        "swapaxes swapdims t unflatten broadcast_to expand_as view_as reshape_as",
    ),
    (shape_pieces, "split chunk unbind narrow select"),
    (shape_copy, "clone contiguous flip roll rot90 repeat tile repeat_interleave"),
    (softmax, "softmax log_softmax logsumexp"),
    (
        indexing,
        "gather scatter scatter_add take_along_dim index_select take index_add masked_fill "
        "masked_select",
    ),
    (
        inplace,
        "add_ sub_ mul_ div_ pow_ neg_ exp_ sqrt_ sigmoid_ tanh_ relu_ clamp_ copy_ fill_ zero_ "
        "masked_fill_ index_add_ scatter_ scatter_add_ normal_ uniform_ bernoulli_",
    ),
)

# Python's operator: the function it calls.
OPERATORS: dict[str, Any] = {
    "__add__": elementwise.add,
    "__radd__": elementwise.add,
    "__sub__": elementwise.sub,
    "__rsub__": elementwise.rsub,
    "__mul__": elementwise.mul,
    "__rmul__": elementwise.mul,
    "__truediv__": elementwise.div,
    "__rtruediv__": elementwise.rdiv,
    "__floordiv__": elementwise.floor_divide,
    "__mod__": elementwise.remainder,
    "__pow__": elementwise.pow,
    "__rpow__": elementwise.rpow,
    "__lt__": elementwise.lt,
    "__le__": elementwise.le,
    "__gt__": elementwise.gt,
    "__ge__": elementwise.ge,
    "__matmul__": gemm.matmul,
    "__neg__": elementwise.neg,
    "__abs__": elementwise_round.abs,
    "__getitem__": indexing_items.getitem,
    "__setitem__": indexing_items.setitem,
    "__iadd__": inplace.add_,
    "__isub__": inplace.sub_,
    "__imul__": inplace.mul_,
    "__itruediv__": inplace.div_,
    "__ipow__": inplace.pow_,
}


# ---- operators that need more than the function --------------------------------------------------


def _is_operand(x: Any) -> bool:
    return isinstance(x, (Tensor, int, float, np.generic)) or is_array(x)


def _eq(self: Tensor, other: Any) -> Any:
    """Elementwise for numbers and tensors; others, such as None, differ."""
    return elementwise.eq(self, other) if _is_operand(other) else NotImplemented


def _ne(self: Tensor, other: Any) -> Any:
    return elementwise.ne(self, other) if _is_operand(other) else NotImplemented


def _rfloordiv(self: Tensor, other: Any) -> Tensor:
    return elementwise.floor_divide(other, self)


def _rmod(self: Tensor, other: Any) -> Tensor:
    return elementwise.remainder(other, self)


def _rmatmul(self: Tensor, other: Any) -> Tensor:
    return gemm.matmul(creation.as_tensor(other), self)


def _pos(self: Tensor) -> Tensor:
    return self


def _bitwise(name: str, symbol: str, logical: Any) -> Any:
    """Return the operator: logic on bool, bits on integers (by NumPy or CuPy)."""

    def operator(self: Tensor, other: Any) -> Tensor:
        right = (
            other if isinstance(other, Tensor) else creation.as_tensor(other, device=self.device)
        )
        for operand in (self, right):
            if operand.is_floating_point():
                raise TypeError(f"{symbol}: got {operand.dtype}, expected bool or integers")
        if self.dtype == right.dtype == bool_dtype:
            return logical(self, right)  # type: ignore[no-any-return]
        library, left_array = library_for(self._array)
        bits = getattr(library, name)(left_array, library_for(right._array)[1])
        return wrap(like(library.asarray(bits), self._array))

    operator.__name__ = name
    operator.__doc__ = f"Return ``input {symbol} other`` of bool or integer tensors."
    return operator


def _invert(self: Tensor) -> Tensor:
    if self.dtype == bool_dtype:
        return elementwise.logical_not(self)
    if self.is_floating_point():
        raise TypeError(f"~: got {self.dtype}, expected bool or integers")
    library, array = library_for(self._array)
    return wrap(like(library.asarray(library.invert(array)), self._array))


# ---- conversion ----------------------------------------------------------------------------------


def _to(
    self: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
) -> Tensor:
    """Return the tensor with a dtype and on a device: ``to(dtype)``, ``to(device)``,
    ``to(device, dtype)`` or ``to(other)``; itself where nothing changes and ``copy`` is False.

    Raises:
        TypeError: the dtype is unknown.
        ValueError: the device is unknown.
        RuntimeError: the device cannot be used here.
    """
    for arg in args:
        if isinstance(arg, Tensor):
            dtype, device = arg.dtype, arg.device
        elif arg is None or isinstance(arg, bool):
            continue
        elif isinstance(arg, Device) or (isinstance(arg, str) and _names_device(arg)):
            device = arg
        else:
            dtype = arg
    out = self if dtype is None else elementwise.to(self, dtype)
    if device is not None:
        out = shape_copy.to_device(out, as_device(device))
    return shape_copy.clone(out) if copy and out is self else out


def _names_device(text: str) -> bool:
    return text.partition(":")[0] in ("cpu", "cuda", "cudasim")


def _type(self: Tensor, dtype: Any = None) -> Any:
    """Return the tensor converted to a dtype, or without one the name of its own."""
    return str(self.dtype) if dtype is None else elementwise.to(self, dtype)


def _cpu(self: Tensor) -> Tensor:
    """Return the tensor on the CPU."""
    return _to(self, device="cpu")


def _cuda(self: Tensor, device: int | None = None) -> Tensor:
    """Return the tensor on a GPU (RuntimeError where there is none that can be used)."""
    return _to(self, device="cuda" if device is None else f"cuda:{device}")


def _conversion(name: str, dtype: Any) -> Any:
    wanted = as_dtype(dtype)

    def method(self: Tensor) -> Tensor:
        return elementwise.to(self, wanted)

    method.__name__ = name
    method.__doc__ = f"Return the tensor converted to {wanted}."
    return method


# ---- new tensors of the same kind ----------------------------------------------------------------


def _place(self: Tensor, dtype: Any, device: Any) -> dict[str, Any]:
    return {
        "dtype": self.dtype if dtype is None else dtype,
        "device": self.device if device is None else device,
    }


def _creator(name: str) -> Any:
    create = getattr(creation, name)

    def method(
        self: Tensor,
        *size: Any,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:
        options = {"requires_grad": requires_grad, **_place(self, dtype, device)}
        return create(*size, **options)  # type: ignore[no-any-return]

    method.__name__ = f"new_{name}"
    method.__doc__ = f"As `{name}`, with dtype and device of this tensor by default."
    return method


def _new_full(
    self: Tensor,
    size: Any,
    fill_value: float,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """As `full`, with dtype and device of this tensor by default."""
    place = _place(self, dtype, device)
    return creation.full(size, fill_value, requires_grad=requires_grad, **place)


def _new_tensor(
    self: Tensor, data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """As `tensor`, with dtype and device of this tensor by default."""
    return creation.tensor(data, requires_grad=requires_grad, **_place(self, dtype, device))


def _transposed(self: Tensor) -> Tensor:
    """The view with all dimensions in reverse order."""
    return shape.permute(self, tuple(range(self.ndim))[::-1])


def _matrices_transposed(self: Tensor) -> Tensor:
    """The view with the last two dimensions exchanged."""
    if self.ndim < 2:
        raise ValueError(f"mT: got shape {self.shape}, expected 2 dimensions or more")
    return shape.transpose(self, -1, -2)


SPECIAL: dict[str, Any] = {
    "__eq__": _eq,
    "__ne__": _ne,
    "__rfloordiv__": _rfloordiv,
    "__rmod__": _rmod,
    "__rmatmul__": _rmatmul,
    "__pos__": _pos,
    "__invert__": _invert,
    "to": _to,
    "type": _type,
    "cpu": _cpu,
    "cuda": _cuda,
    "new_full": _new_full,
    "new_tensor": _new_tensor,
    "T": property(_transposed),
    "mT": property(_matrices_transposed),
}


def bind() -> None:
    """Set all methods and operators on `Tensor`."""
    for module, names in METHODS:
        for name in names.split():
            setattr(Tensor, name, getattr(module, name))
    for name, function in {**OPERATORS, **SPECIAL, **interchange.METHODS}.items():
        setattr(Tensor, name, function)
    for name, symbol, logical in (
        ("and", "&", elementwise.logical_and),
        ("or", "|", elementwise.logical_or),
        ("xor", "^", elementwise.logical_xor),
    ):
        operator = _bitwise(f"bitwise_{name}", symbol, logical)
        setattr(Tensor, f"__{name}__", operator)
        setattr(Tensor, f"__r{name}__", operator)
    for name in ("zeros", "ones", "empty"):
        setattr(Tensor, f"new_{name}", _creator(name))
    for name, dtype in (
        ("float", float32),
        ("double", float64),
        ("bfloat16", bfloat16),
        ("int", int32),
        ("long", int64),
        ("bool", bool_dtype),
    ):
        setattr(Tensor, name, _conversion(name, dtype))
