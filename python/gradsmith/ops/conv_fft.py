# SPDX-License-Identifier: Apache-2.0
"""Convolution by the Fourier transform: a product per frequency in place of a sum over the filter.

The transforms are NumPy's and CuPy's; the gradients are those of the direct convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith.autograd import cast_down, record
from gradsmith.backend import (
    EXTENSIONS,
    FLOATING,
    Array,
    DType,
    compute_dtype,
    device_of,
    library_for,
    like,
)
from gradsmith.ops.conv import Options, convolution_backward
from gradsmith.ops.options import check_int, check_sizes, names_errors
from gradsmith.tensor import Tensor, array_of

Size = int | Sequence[int]
_PRIMES = (2, 3, 5)  # lengths of these factors alone transform fast


def _fast_length(length: int) -> int:
    while True:
        rest = length
        for prime in _PRIMES:
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def _check_shapes(op: str, x: Array, weight: Array, bias: Array | None, groups: int) -> None:
    for name, array in (("weight", weight), ("bias", bias)):
        if array is not None and type(array) is not type(x):
            raise TypeError(
                f"{op}: {name} is on {device_of(array)}, expected an array on {device_of(x)}"
            )
    if x.ndim not in (3, 4) or weight.ndim != 4:
        raise ValueError(
            f"{op}: input has shape {x.shape} and weight {weight.shape}, expected (N, C, H, W) and "
            "(O, C / groups, kh, kw)"
        )
    if x.dtype not in FLOATING or weight.dtype != x.dtype:
        raise TypeError(
            f"{op}: input is {x.dtype} and weight {weight.dtype}, expected one floating"
        )
    if 0 in weight.shape[2:]:
        raise ValueError(f"{op}: weight has shape {weight.shape}, expected kh and kw of at least 1")
    if groups < 1 or weight.shape[0] % groups or weight.shape[1] * groups != x.shape[-3]:
        raise ValueError(
            f"{op}: weight has shape {weight.shape} for an input of shape {x.shape} in {groups} "
            "groups, expected (O, C / groups, kh, kw) with O divisible by the groups"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"{op}: bias has shape {bias.shape}, expected {weight.shape[:1]}")


def _margins(
    op: str, padding: Size | str, extents: Sequence[int], stride: tuple[int, ...]
) -> list[tuple[int, int]]:
    """Return how many zeros to add before and behind the two dimensions."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"{op}: padding 'same' needs stride 1, got stride {stride}")
        return [((extent - 1) // 2, extent - 1 - (extent - 1) // 2) for extent in extents]
    if isinstance(padding, str):
        raise ValueError(f"{op}: padding is {padding!r}, expected ints, 'valid' or 'same'")
    return [(each, each) for each in check_sizes(op, "padding", padding, 2, 0)]


def _readable(array: Array, dtype: DType) -> tuple[Any, Any]:
    """Return the library for the transforms and the array as it takes it, in ``dtype``."""
    return library_for(EXTENSIONS[type(array)].cast(array, dtype))


def _spread_filters(library: Any, weight: Any, dilation: tuple[int, ...]) -> Any:
    """Return the filters with zeros between the elements of a dilated one."""
    if dilation == (1, 1):
        return weight
    sizes = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    spread = library.zeros((*weight.shape[:2], *sizes), weight.dtype)
    spread[:, :, :: dilation[0], :: dilation[1]] = weight
    return spread


def _correlated(library: Any, x: Any, filters: Any, groups: int) -> Any:
    """Return the correlation (N, O, ...) of x (N, C, H, W), at all offsets of whole filters."""
    size = [_fast_length(n) for n in x.shape[2:]]
    waves, filter_waves = (library.fft.rfft2(each, s=size, axes=(2, 3)) for each in (x, filters))
    batch, (rows, columns) = x.shape[0], waves.shape[2:]
    # (groups, frequency, ...): a matrix product over the channels at each frequency.
    waves = waves.reshape(batch, groups, filters.shape[1], rows * columns).transpose(1, 3, 0, 2)
    filter_waves = filter_waves.reshape(groups, -1, filters.shape[1], rows * columns)
    product = library.matmul(waves, filter_waves.conj().transpose(0, 3, 2, 1))
    product = product.transpose(2, 0, 3, 1).reshape(batch, filters.shape[0], rows, columns)
    result = library.fft.irfft2(product, s=size, axes=(2, 3))
    kept = [slice(n - k + 1) for n, k in zip(x.shape[2:], filters.shape[2:], strict=True)]
    return result[(slice(None), slice(None), *kept)]


@names_errors
def fft_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Return `conv2d`, computed by the Fourier transform; meant for filters of 30 x 30 and more.

    Rounding spreads over the whole plane: an error is about eps log2(H W) times the root mean
    square of the plane's results, whatever the size of the element itself. NaN and infinity spread
    alike. The gradients are computed directly.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (O, C / groups, kh, kw).
        bias: (O), added to every position.
        stride: step of the filter, one int or one per dimension.
        padding: zeros on both sides, ``"valid"`` or ``"same"``.
        dilation: distance between the elements that the filter meets.
        groups: blocks of channels that are convolved separately.

    Raises:
        ValueError: shapes do not match, the filter is larger than the padded input, or an option is
            out of its range.
        TypeError: the dtypes differ or are not floating, or an option is no int.
    """
    op = "fft_conv2d"
    input, weight, bias = cast_down(input, weight, bias)
    x, filters = array_of(op, input), array_of(op, weight, "weight")
    offsets = None if bias is None else array_of(op, bias, "bias")
    _check_shapes(op, x, filters, offsets, check_int(op, "groups", groups))
    steps = check_sizes(op, "stride", stride, 2)
    spacing = check_sizes(op, "dilation", dilation, 2)
    extents = [(k - 1) * d + 1 for k, d in zip(filters.shape[2:], spacing, strict=True)]
    margins = _margins(op, padding, extents, steps)
    padded = [n + sum(m) for n, m in zip(x.shape[-2:], margins, strict=True)]
    if any(n < extent for n, extent in zip(padded, extents, strict=True)):
        raise ValueError(f"{op}: a filter of extent {extents} is larger than the input {padded}")
    dtype = compute_dtype(x.dtype)
    library, image = _readable(x, dtype)
    planes = library.pad(image.reshape((1, *x.shape)[-4:]), ((0, 0), (0, 0), *margins))
    bank = _spread_filters(library, _readable(filters, dtype)[1], spacing)
    result = _correlated(library, planes, bank, groups)[:, :, :: steps[0], :: steps[1]]
    if offsets is not None:
        result = result + _readable(offsets, dtype)[1].reshape(-1, 1, 1)
    result = like(library.ascontiguousarray(result, dtype=dtype), x)
    y = EXTENSIONS[type(x)].cast(result.reshape(*x.shape[:-3], *result.shape[1:]), x.dtype)
    options = Options(op, 2, stride, padding, 0, dilation, groups)
    return record(convolution_backward, y, (input, weight, bias), (input, weight, options, x))
