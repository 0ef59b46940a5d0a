# SPDX-License-Identifier: Apache-2.0
"""Tensors of random numbers.

Numbers come from the default generator (`gradsmith.manual_seed`) or the one given. Results have
the default dtype unless another is asked for, and lie off the tape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import (
    EXTENSIONS,
    Array,
    Device,
    DType,
    as_device,
    as_dtype,
    extension_of,
    get_default_dtype,
    int64,
    is_array,
    on_host,
)
from gradsmith.ops.options import check_flag, check_int, check_number, names_errors
from gradsmith.ops.random_dropout import alpha_dropout as alpha_dropout
from gradsmith.ops.random_dropout import dropout as dropout
from gradsmith.ops.random_dropout import dropout1d as dropout1d
from gradsmith.ops.random_dropout import dropout2d as dropout2d
from gradsmith.ops.random_dropout import dropout3d as dropout3d
from gradsmith.ops.shape import sizes
from gradsmith.random import Generator as Generator
from gradsmith.random import default_generator
from gradsmith.tensor import Tensor, array_of, wrap


def source(op: str, generator: Generator | None) -> Generator:
    """Return the generator given, or the default one.

    Raises:
        TypeError: it is something else.
    """
    if generator is None:
        return default_generator
    if isinstance(generator, Generator):
        return generator
    raise TypeError(f"{op}: generator is a {type(generator).__name__}, expected a Generator")


def fill_uniform(
    op: str, array: Array, low: float, high: float, generator: Generator | None
) -> None:
    """Fill an array in C order with numbers uniform in [low, high)."""
    seed, offset = source(op, generator).take(array.size)
    EXTENSIONS[type(array)].random_uniform(array, seed, offset, float(low), float(high), op)


def fill_normal(
    op: str, array: Array, mean: float, std: float, generator: Generator | None
) -> None:
    """Fill an array in C order with normal numbers."""
    seed, offset = source(op, generator).take(array.size)
    EXTENSIONS[type(array)].random_normal(array, seed, offset, float(mean), float(std), op)


def _new(shape: tuple[int, ...], dtype: Any, device: Device | str | None) -> Array:
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    array: Array = extension_of(device).empty(shape, kind)
    return array


@names_errors
def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return numbers uniform in [0, 1), in steps of 2**-24, of shape ``size``.

    Raises:
        TypeError: the dtype is not floating.
        ValueError, MemoryError: a size is negative, or there are too many elements.
    """
    array = _new(sizes("rand", size), dtype, device)
    fill_uniform("rand", array, 0.0, 1.0, generator)
    return _finished(array, requires_grad)


@names_errors
def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return numbers of the standard normal distribution, of shape ``size``.

    Raises:
        TypeError: the dtype is not floating.
        ValueError, MemoryError: a size is negative, or there are too many elements.
    """
    array = _new(sizes("randn", size), dtype, device)
    fill_normal("randn", array, 0.0, 1.0, generator)
    return wrap(array).requires_grad_() if requires_grad else wrap(array)


def _like(
    op: str, input: Tensor, dtype: Any, device: Device | str | None
) -> tuple[tuple[int, ...], DType, Device]:
    """Return shape, dtype and device of a tensor like the input."""
    array = array_of(op, input)
    kind = array.dtype if dtype is None else as_dtype(dtype)
    return array.shape, kind, input.device if device is None else as_device(device)


def _finished(array: Array, requires_grad: bool) -> Tensor:
    return wrap(array).requires_grad_() if requires_grad else wrap(array)


@names_errors
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return `rand` of the input's shape, and of its dtype unless another is asked for."""
    out = _new(*_like("rand_like", input, dtype, device))
    fill_uniform("rand_like", out, 0.0, 1.0, generator)
    return _finished(out, requires_grad)


@names_errors
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return `randn` of the input's shape, and of its dtype unless another is asked for."""
    out = _new(*_like("randn_like", input, dtype, device))
    fill_normal("randn_like", out, 0.0, 1.0, generator)
    return _finished(out, requires_grad)


@names_errors
def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return integers in [low, high), int64 unless another dtype is asked for.

    ``randint(high, size)`` starts at 0.

    Raises:
        TypeError: a bound or size is no int.
        ValueError: there is no integer in the interval, or the dtype cannot hold its ends.
    """
    if size is None:
        low, high, size = 0, low, high
    for name, bound in (("low", low), ("high", high)):
        if isinstance(bound, bool) or not isinstance(bound, int):
            raise TypeError(f"randint: {name} is a {type(bound).__name__}, expected an int")
        if not -(2**63) <= bound < 2**63:
            raise ValueError(f"randint: {name} is {bound}, which does not fit in int64")
    if size is None:
        raise TypeError("randint: size is missing (expected randint(low, high, size))")
    shape = sizes("randint", (size,))
    out = integers("randint", low, high, shape, dtype, device, generator)
    return _finished(out._array, requires_grad)


def integers(
    op: str,
    low: int,
    high: int,
    shape: tuple[int, ...],
    dtype: Any,
    device: Device | str | None,
    generator: Generator | None,
) -> Tensor:
    """Return integers in [low, high)."""
    kind = int64 if dtype is None else as_dtype(dtype)
    if high > low:
        _check_fits(op, kind, low, high - 1)
    count = 1
    for each in shape:
        count *= each
    seed, offset = source(op, generator).take_integers(max(count, 0))
    extension = extension_of(device)
    array = extension.random_integers(shape, seed, offset, low, high, op)
    return wrap(array if kind == int64 else extension.cast(array, kind))


def integer_limits(dtype: DType) -> tuple[int, int]:
    """Return the smallest and the largest integer of a dtype, of int64 for floating ones."""
    limits = {"bool": (0, 1), "uint8": (0, 255), "int32": (-(2**31), 2**31 - 1)}
    return limits.get(str(dtype), (-(2**63), 2**63 - 1))


def _check_fits(op: str, dtype: DType, low: int, last: int) -> None:
    first, end = integer_limits(dtype)
    if low < first or last > end:
        raise ValueError(f"{op}: the interval [{low}, {last}] does not fit in {dtype}")


@names_errors
def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return `randint` of the input's shape and, unless others are asked for, dtype and device."""
    first, end = (0, low) if high is None else (low, high)
    check_int("randint_like", "low", first)
    check_int("randint_like", "high", end)
    place = _like("randint_like", input, dtype, device)
    return _finished(integers("randint_like", first, end, *place, generator)._array, requires_grad)


@names_errors
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the numbers 0 ... n - 1 in random order, int64 unless another dtype is asked for.

    Raises:
        TypeError: n is no int.
        ValueError: n is negative, or the dtype cannot hold n - 1.
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"randperm: n is a {type(n).__name__}, expected an int")
    if n < 0:
        raise ValueError(f"randperm: n is {n}, expected at least 0")
    kind = int64 if dtype is None else as_dtype(dtype)
    _check_fits("randperm", kind, 0, max(n - 1, 0))
    seed, offset = source("randperm", generator).take_integers(n)
    extension = extension_of(device)
    array = extension.random_permutation(n, seed, offset)
    return _finished(array if kind == int64 else extension.cast(array, kind), requires_grad)


@names_errors
def normal(
    mean: Tensor | float,
    std: Tensor | float = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return normal numbers of means and standard deviations that are tensors or numbers.

    ``size`` and what follows the generator are for two numbers; tensors broadcast.

    Raises:
        ValueError: a standard deviation is negative, or the size is missing.
    """
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        if size is not None:
            raise ValueError("normal: size goes with two numbers, the tensors give the shape here")
        return _normal_around(mean, std, generator)
    if not check_number("normal", "std", std) >= 0:
        raise ValueError(f"normal: std is {std}, expected at least 0")
    if size is None:
        raise ValueError("normal: size is missing (mean and std are numbers)")
    array = _new(sizes("normal", (size,)), dtype, device)
    fill_normal("normal", array, mean, std, generator)
    return _finished(array, requires_grad)


def _normal_around(
    mean: Tensor | float, std: Tensor | float, generator: Generator | None
) -> Tensor:
    from gradsmith.autograd import no_grad
    from gradsmith.ops.elementwise import add, mul

    tensors = [each for each in (mean, std) if isinstance(each, Tensor)]
    for name, each in (("mean", mean), ("std", std)):
        if not isinstance(each, Tensor):
            check_number("normal", name, each)
    lowest = np.min(on_host(std._array), initial=0) if isinstance(std, Tensor) else std
    if lowest < 0:
        raise ValueError(f"normal: std holds {lowest}, expected at least 0")
    try:
        shape = np.broadcast_shapes(*(each.shape for each in tensors))
    except ValueError:
        raise ValueError(
            f"normal: mean of shape {tensors[0].shape} and std of shape {tensors[1].shape} do not "
            "broadcast"
        ) from None
    noise = _new(shape, tensors[0].dtype, tensors[0].device)
    fill_normal("normal", noise, 0.0, 1.0, generator)
    with no_grad():
        return add(mul(wrap(noise), std), mean)


@names_errors
def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None
) -> Tensor:
    """Return 1 with the probability each element of ``input`` gives (or ``p``), else 0.

    Raises:
        TypeError: the input is not floating.
        ValueError: a probability lies outside [0, 1].
    """
    array = array_of("bernoulli", input)
    extension = EXTENSIONS[type(array)]
    out = extension.empty(array.shape, array.dtype)
    bernoulli_into(out, array if p is None else p, generator)
    return wrap(out)


def bernoulli_into(out: Array, p: Array | float, generator: Generator | None) -> None:
    """Fill an array in C order with 1 of probability ``p`` (one, or one per element), or 0."""
    seed, offset = source("bernoulli", generator).take(out.size)
    probability = p if is_array(p) else check_number("bernoulli", "p", p)
    EXTENSIONS[type(out)].random_bernoulli(out, probability, seed, offset)


@names_errors
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return indices drawn with the weights in the last dimension of the input (1-d or 2-d).

    Raises:
        TypeError: the input is not floating.
        ValueError: weights are negative, not finite or all 0, or fewer than ``num_samples`` while
            each may be drawn only once.
    """
    array = array_of("multinomial", input)
    if isinstance(num_samples, bool) or not isinstance(num_samples, int):
        kind = type(num_samples).__name__
        raise TypeError(f"multinomial: num_samples is a {kind}, expected an int")
    check_flag("multinomial", "replacement", replacement)
    categories = array.shape[-1] if array.ndim else 0
    rows = array.shape[0] if array.ndim == 2 else 1
    draws = rows * (max(num_samples, 0) if replacement else categories)
    seed, offset = source("multinomial", generator).take_integers(draws)
    kernel = EXTENSIONS[type(array)].random_multinomial
    return wrap(
        kernel(
            array, num_samples, check_flag("multinomial", "replacement", replacement), seed, offset
        )
    )


__all__ = [
    *("Generator", "alpha_dropout", "bernoulli", "dropout", "dropout1d", "dropout2d", "dropout3d"),
    *("multinomial", "normal", "rand", "rand_like", "randint", "randint_like", "randn"),
    *("randn_like", "randperm"),
]
