# SPDX-License-Identifier: Apache-2.0
"""Sets the functions of `ops` as methods and operators of `Tensor`.

Each becomes the method of its name, with the tensor as first argument; tensor_methods*.pyi
declare them for type checkers.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from gradsmith.autograd import tensor_hooks
from gradsmith.backend import (
    Device,
    as_device,
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int32,
    int64,
    uint8,
)
from gradsmith.backend import bool_ as bool_dtype
from gradsmith.ops import (
    creation_queries,
    diagonal,
    distance,
    elementwise,
    elementwise_activation,
    elementwise_bessel,
    elementwise_combine,
    elementwise_compare,
    elementwise_gates,
    elementwise_math,
    elementwise_parts,
    elementwise_round,
    elementwise_special,
    gemm,
    gemm_products,
    indexing,
    indexing_mask,
    indexing_reduce,
    indexing_write,
    inplace,
    inplace_indexing,
    inplace_math,
    inplace_products,
    inplace_random,
    inplace_shape,
    interchange,
    linalg_factor,
    linalg_older,
    linalg_power,
    linalg_solve,
    methods_new,
    operators,
    random,
    reduce,
    reduce_moments,
    reduce_scan,
    shape,
    shape_copy,
    shape_pieces,
    shape_strided,
    softmax,
    sorting,
    sorting_counts,
    sorting_quantile,
    sorting_search,
    statistics,
)
from gradsmith.tensor import Tensor, array_of

# Module: the functions whose first argument is the tensor itself.
METHODS: tuple[tuple[ModuleType, str], ...] = (
    (tensor_hooks, "backward register_hook register_post_accumulate_grad_hook retain_grad detach_"),
    (
        elementwise,
        "add sub mul div floor_divide remainder fmod pow atan2 maximum minimum eq ne lt le gt ge "
        "logical_and logical_or logical_xor logical_not isnan isinf isfinite neg negative subtract "
        "multiply divide true_divide arctan2",
    ),
    (
        elementwise_compare,
        "not_equal less less_equal greater greater_equal isposinf isneginf isreal bitwise_and "
        "bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift gcd",
    ),
    (
        elementwise_math,
        "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square sin cos tan asin acos "
        "atan sinh cosh tanh asinh acosh atanh sigmoid erf arcsin arccos arctan arcsinh arccosh "
        "arctanh deg2rad rad2deg",
    ),
    (
        elementwise_round,
        "abs absolute sign sgn floor ceil trunc fix frac round clamp clip clamp_min clamp_max "
        "positive",
    ),
    (
        elementwise_combine,
        "lerp addcmul addcdiv hypot logaddexp logaddexp2 fmax fmin heaviside float_power "
        "nan_to_num isclose allclose equal",
    ),
    (elementwise_parts, "signbit copysign nextafter ldexp frexp lcm bitwise_not"),
    (
        elementwise_special,
        "erfc erfinv lgamma digamma mvlgamma xlogy logit sinc igamma igammac",
    ),
    (elementwise_activation, "relu hardshrink"),
    (elementwise_gates, "prelu"),
    (elementwise_bessel, "i0"),
    (
        reduce,
        "sum mean prod amax amin max min argmax argmin any all cumsum cumprod count_nonzero "
        "aminmax nansum nanmean",
    ),
    (reduce_moments, "var std"),
    (sorting, "sort argsort msort topk median nanmedian kthvalue mode"),
    (sorting_quantile, "quantile nanquantile"),
    (reduce_scan, "cummax cummin logcumsumexp diff"),
    (sorting_search, "unique unique_consecutive nonzero argwhere"),
    (sorting_counts, "bincount histc histogram"),
    (statistics, "cov corrcoef renorm"),
    (distance, "dist"),
    (gemm, "matmul mm bmm mv dot outer addmm baddbmm"),
    (gemm_products, "vdot inner ger addmv addbmm addr kron cross"),
    (diagonal, "diagonal diag diag_embed diagflat diagonal_scatter trace tril triu"),
    (linalg_factor, "cholesky"),
    (linalg_older, "norm inverse pinverse qr svd lu lu_solve"),
    (linalg_power, "matrix_exp matrix_power"),
    (linalg_solve, "det inv slogdet logdet cholesky_solve cholesky_inverse"),
    (
        shape,
        "reshape view permute transpose expand unsqueeze squeeze flatten movedim moveaxis "
        "swapaxes swapdims t unflatten broadcast_to expand_as view_as reshape_as adjoint ravel",
    ),
    (shape_pieces, "split chunk unbind narrow select tensor_split hsplit vsplit dsplit"),
    (shape_copy, "clone contiguous flip fliplr flipud roll rot90 repeat tile repeat_interleave"),
    (shape_strided, "as_strided unfold"),
    (softmax, "softmax log_softmax logsumexp"),
    (
        indexing,
        "gather scatter scatter_add take_along_dim index_select take index_add",
    ),
    (indexing_mask, "masked_fill masked_select masked_scatter"),
    (indexing_reduce, "index_reduce scatter_reduce"),
    (
        indexing_write,
        "index_copy index_fill index_put put select_scatter slice_scatter",
    ),
    (
        inplace,
        "add_ sub_ mul_ div_ subtract_ multiply_ divide_ true_divide_ pow_ copy_ fill_ zero_ "
        "masked_fill_ index_add_ scatter_ scatter_add_ normal_ uniform_ bernoulli_",
    ),
    (
        inplace_math,
        "neg_ negative_ floor_divide_ remainder_ fmod_ atan2_ arctan2_ exp_ exp2_ expm1_ log_ "
        "log2_ log10_ log1p_ sqrt_ rsqrt_ reciprocal_ square_ sin_ cos_ tan_ asin_ arcsin_ acos_ "
        "arccos_ atan_ arctan_ sinh_ cosh_ tanh_ asinh_ arcsinh_ acosh_ arccosh_ atanh_ arctanh_ "
        "sigmoid_ erf_ deg2rad_ rad2deg_ abs_ absolute_ sign_ sgn_ floor_ ceil_ trunc_ fix_ round_ "
        "frac_ clamp_ clip_ clamp_min_ clamp_max_ relu_ addcmul_ addcdiv_ lerp_ hypot_ "
        "nan_to_num_ copysign_ nextafter_ ldexp_ erfc_ erfinv_ lgamma_ digamma_ i0_ logit_ sinc_ "
        "xlogy_ tril_ triu_ renorm_ logical_and_ logical_or_ logical_xor_ logical_not_ "
        "bitwise_and_ bitwise_or_ bitwise_xor_ bitwise_not_ bitwise_left_shift_ "
        "bitwise_right_shift_ gcd_ lcm_ heaviside_ float_power_ mvlgamma_ igamma_ igammac_ cumsum_ "
        "cumprod_",
    ),
    (inplace_shape, "unsqueeze_ squeeze_ t_ transpose_ swapaxes_ swapdims_ fill_diagonal_"),
    (
        inplace_indexing,
        "index_put_ put_ index_fill_ index_copy_ masked_scatter_ scatter_reduce_ index_reduce_",
    ),
    (inplace_products, "addmm_ addmv_ addr_ addbmm_ baddbmm_"),
    (creation_queries, "is_complex is_nonzero is_signed is_same_size get_device"),
    (random, "bernoulli multinomial"),
    (inplace_random, "exponential_ geometric_ cauchy_ log_normal_ random_"),
)


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


def _type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """Return the tensor converted to a dtype, or without one the name of its own."""
    return str(self.dtype) if dtype is None else elementwise.to(self, dtype)


def _type_as(self: Tensor, other: Tensor) -> Tensor:
    """Return the tensor converted to the dtype of another."""
    return elementwise.to(self, array_of("type_as", other, "other").dtype)


def _cpu(self: Tensor) -> Tensor:
    """Return the tensor on the CPU."""
    return _to(self, device="cpu")


def _cuda(self: Tensor, device: int | None = None, non_blocking: bool = False) -> Tensor:
    """Return the tensor on a GPU (RuntimeError where there is none that can be used)."""
    return _to(self, device="cuda" if device is None else f"cuda:{device}")


def _conversion(name: str, dtype: Any) -> Any:
    wanted = as_dtype(dtype)

    def method(self: Tensor) -> Tensor:
        return elementwise.to(self, wanted)

    method.__name__ = name
    method.__doc__ = f"Return the tensor converted to {wanted}."
    return method


# ---- transposed ---------------------------------------------------------------------------------


def _transposed(self: Tensor) -> Tensor:
    """The view with all dimensions in reverse order."""
    ndim = self._array.ndim
    return shape.t(self) if ndim <= 2 else shape.permute(self, tuple(range(ndim))[::-1])


def _matrices_transposed(self: Tensor) -> Tensor:
    """The view with the last two dimensions exchanged."""
    if self.ndim < 2:
        raise ValueError(f"mT: got shape {self.shape}, expected 2 dimensions or more")
    return shape.transpose(self, -1, -2)


def _conjugate(self: Tensor) -> Tensor:
    """The view of a matrix with its dimensions exchanged (numbers here are real)."""
    return shape.t(self)


# ---- methods that need more than the function ---------------------------------------------------


def _sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """Return the tensor summed to a shape that broadcasts to its own."""
    wanted = shape.sizes("sum_to_size", size)
    given = self.shape[len(self.shape) - len(wanted) :]
    fits = len(wanted) == len(given) and all(
        one in (1, whole) for one, whole in zip(wanted, given, strict=True)
    )
    if not fits:
        raise ValueError(f"sum_to_size: size {wanted} does not broadcast to {self.shape}")
    return reduce.sum_to(self, wanted) if wanted else reduce.sum(self)


def _is_on(kind: str) -> property:
    def is_there(self: Tensor) -> bool:
        return self.device.type == kind

    is_there.__doc__ = f"Whether the memory is on device ``{kind}``."
    return property(is_there)


def _where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """Return the tensor where ``condition``, else ``other`` (see `ops.elementwise.where`)."""
    return elementwise.where(condition, self, other)


def _polygamma(self: Tensor, n: int) -> Tensor:
    """Return the derivative of order ``n`` of `digamma` (see `ops.elementwise_special`)."""
    return elementwise_special.polygamma(n, self)


SPECIAL: dict[str, Any] = {
    "is_cpu": _is_on("cpu"),
    "is_cuda": _is_on("cuda"),
    "polygamma": _polygamma,
    "sum_to_size": _sum_to_size,
    "where": _where,
    "to": _to,
    "type_as": _type_as,
    "type": _type,
    "cpu": _cpu,
    "cuda": _cuda,
    "T": property(_transposed),
    "mT": property(_matrices_transposed),
    "H": property(_conjugate),
    "mH": property(_matrices_transposed),
}


def bind() -> None:
    """Set all methods and operators on `Tensor`."""
    for module, names in METHODS:
        for name in names.split():
            setattr(Tensor, name, getattr(module, name))
    for name, function in {
        **operators.OPERATORS,
        **SPECIAL,
        **interchange.METHODS,
        **methods_new.METHODS,
    }.items():
        setattr(Tensor, name, function)
    for name, dtype in (
        ("float", float32),
        ("double", float64),
        ("bfloat16", bfloat16),
        ("half", float16),
        ("int", int32),
        ("long", int64),
        ("bool", bool_dtype),
        ("byte", uint8),
    ):
        setattr(Tensor, name, _conversion(name, dtype))
