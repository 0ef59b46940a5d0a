# SPDX-License-Identifier: Apache-2.0
"""Pooling: parity, gradients, indices, NaN, shapes and errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops import pool
from gradsmith.tensor import Tensor
from tests.cases import ISAS, Case, CaseTests, isa_cap, threads
from tests.reference import pool as definition
from tests.tolerance import assert_close


def _tuple(value: Any, ndim: int) -> tuple[int, ...]:
    return (value,) * ndim if isinstance(value, int) else value


def _apart(shape: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Inputs of which no two are close, so that no maximum is near a kink."""

    def make(rng: np.random.Generator) -> tuple[Any, ...]:
        count = math.prod(shape)
        return (rng.permutation(count).reshape(shape) / 8.0 - count / 16.0,)

    return make


def _max_case(
    name: str,
    shape: tuple[int, ...],
    kernel: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Case:
    ndim = int(name[len("max_pool")])
    function = getattr(pool, f"max_pool{ndim}d")
    given = (kernel, kernel if stride is None else stride, padding, dilation)
    options = (*(_tuple(option, ndim) for option in given), ceil_mode)

    def call(x: Tensor) -> Any:
        return function(x, kernel, stride, padding, dilation, ceil_mode, True)

    def backward(dy: Any, x: Any) -> Any:
        indices = definition.max_pool(x, *options)[1]
        return definition.max_pool_backward(dy, x, indices, ndim)

    return Case(
        name=name,
        call=call,
        reference=lambda x: definition.max_pool(x, *options),
        backward=backward,
        make_inputs=_apart(shape),
    )


def _average_case(
    name: str,
    shape: tuple[int, ...],
    kernel: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Case:
    ndim = int(name[len("avg_pool")])
    function = getattr(pool, f"avg_pool{ndim}d")
    divisor = () if ndim == 1 else (divisor_override,)
    given = (kernel, kernel if stride is None else stride, padding)
    windows = tuple(_tuple(option, ndim) for option in given)
    options = (*windows, ceil_mode, count_include_pad, divisor_override)

    def call(x: Tensor) -> Any:
        return function(x, kernel, stride, padding, ceil_mode, count_include_pad, *divisor)

    return Case(
        name=name,
        call=call,
        reference=lambda x: definition.avg_pool(x, *options),
        backward=lambda dy, x: definition.avg_pool_backward(dy, x, *options),
        make_inputs=lambda rng: (rng.standard_normal(shape),),
        tolerance="reduce",
        depth=math.prod(windows[0]),
    )


def _adaptive_average_case(name: str, shape: tuple[int, ...], size: Any, want: Any) -> Case:
    ndim = int(name[len("adaptive_avg_pool")])
    function = getattr(pool, f"adaptive_avg_pool{ndim}d")
    return Case(
        name=name,
        call=lambda x: function(x, size),
        reference=lambda x: definition.adaptive_avg_pool(x, want),
        backward=lambda dy, x: definition.adaptive_avg_pool_backward(dy, x, want),
        make_inputs=lambda rng: (rng.standard_normal(shape),),
        tolerance="reduce",
        depth=math.prod(shape[-ndim:]),
    )


def _adaptive_max_case(name: str, shape: tuple[int, ...], size: Any, want: Any) -> Case:
    ndim = int(name[len("adaptive_max_pool")])
    function = getattr(pool, f"adaptive_max_pool{ndim}d")

    def backward(dy: Any, x: Any) -> Any:
        indices = definition.adaptive_max_pool(x, want)[1]
        return definition.max_pool_backward(dy, x, indices, ndim)

    return Case(
        name=name,
        call=lambda x: function(x, size, return_indices=True),
        reference=lambda x: definition.adaptive_max_pool(x, want),
        backward=backward,
        make_inputs=_apart(shape),
    )


CASES = [
    _max_case("max_pool1d", (2, 3, 7), 2),
    _max_case("max_pool1d_overlapping", (2, 2, 9), 3, 1, 1),
    _max_case("max_pool2d", (2, 2, 4, 6), 2),
    _max_case("max_pool2d_no_batch", (3, 4, 4), 2),
    _max_case("max_pool2d_overlapping", (1, 2, 7, 6), 3, 2, 1),
    _max_case("max_pool2d_dilated", (1, 2, 7, 8), 2, (1, 2), 1, (3, 2)),
    _max_case("max_pool2d_ceil", (1, 2, 6, 5), (3, 2), 2, (1, 0), 1, True),
    _max_case("max_pool1d_strides", (2, 3, 29), 4),
    _max_case("max_pool2d_strides", (1, 2, 7, 19), 3, None, 1, 1, True),
    _max_case("max_pool2d_strides_overlapping", (1, 2, 7, 19), (2, 5), (3, 4), (0, 2)),
    _max_case("max_pool3d", (1, 2, 3, 5, 4), (2, 3, 2), (1, 2, 2), (1, 1, 0), 1, True),
    _average_case("avg_pool1d", (2, 3, 7), 2),
    _average_case("avg_pool1d_ceil", (2, 2, 8), 3, 2, 1, True, False),
    _average_case("avg_pool2d", (2, 2, 4, 6), 2),
    _average_case("avg_pool2d_padded", (1, 2, 5, 6), 3, 2, 1),
    _average_case("avg_pool2d_ceil", (1, 2, 5, 6), (3, 2), 2, 1, True),
    _average_case("avg_pool2d_real_only", (1, 2, 5, 6), 3, (2, 1), 1, True, False),
    _average_case("avg_pool1d_strides", (2, 3, 29), 5),
    _average_case("avg_pool2d_strides", (1, 2, 7, 19), 3, 4, 1, True, False),
    _average_case("avg_pool2d_strides_overlapping", (1, 2, 7, 19), (2, 7), (3, 3), (1, 3)),
    _average_case("avg_pool2d_divisor", (1, 2, 5, 5), 2, 1, 0, False, True, 3),
    _average_case("avg_pool3d", (1, 2, 3, 5, 4), (2, 3, 2), (1, 2, 2), (1, 1, 0), True, False),
    _adaptive_average_case("adaptive_avg_pool1d", (2, 3, 7), 3, (3,)),
    _adaptive_average_case("adaptive_avg_pool2d", (2, 2, 7, 5), (3, None), (3, 5)),
    _adaptive_average_case("adaptive_avg_pool2d_global", (3, 4, 5, 3), 1, (1, 1)),
    _adaptive_average_case("adaptive_avg_pool2d_larger", (1, 2, 2, 3), (5, 4), (5, 4)),
    _adaptive_average_case("adaptive_avg_pool3d", (1, 2, 3, 4, 5), (2, 3, 2), (2, 3, 2)),
    _adaptive_max_case("adaptive_max_pool1d", (2, 3, 7), 3, (3,)),
    _adaptive_max_case("adaptive_max_pool2d", (1, 2, 7, 5), (None, 2), (7, 2)),
    _adaptive_max_case("adaptive_max_pool3d", (1, 2, 3, 4, 5), 2, (2, 2, 2)),
]


class TestCases(CaseTests):
    pass


def _tensor(*shape: int, requires_grad: bool = False) -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape), requires_grad=requires_grad)


def test_nan_wins_every_maximum_it_is_seen_by() -> None:
    x = np.arange(16.0).reshape(1, 4, 4)
    x[0, 1, 2] = np.nan
    y, indices = pool.max_pool2d(Tensor(x), 3, 1, return_indices=True)
    assert np.isnan(y.numpy()).all()
    assert (indices.numpy() == 6).all()
    y, _ = pool.max_pool2d(Tensor(x), 2, return_indices=True)
    np.testing.assert_array_equal(np.isnan(y.numpy()[0]), [[False, True], [False, False]])


def test_equal_maxima_give_the_first() -> None:
    x = Tensor(np.zeros((1, 4)), requires_grad=True)
    (dx,) = grad(pool.max_pool1d(x, 4).sum(), x)
    np.testing.assert_array_equal(dx.numpy(), [[1, 0, 0, 0]])


def test_minus_infinity_is_a_maximum_too() -> None:
    y, indices = pool.max_pool1d(Tensor(np.full((1, 4), -np.inf)), 2, return_indices=True)
    np.testing.assert_array_equal(y.numpy(), [[-np.inf] * 2])
    np.testing.assert_array_equal(indices.numpy(), [[0, 2]])


def test_a_dilated_window_may_miss_the_input() -> None:
    x = _tensor(1, 2, requires_grad=True)
    y, indices = pool.max_pool1d(x, 2, 1, padding=1, dilation=3, return_indices=True)
    np.testing.assert_array_equal(y.detach().numpy(), [[-np.inf]])
    np.testing.assert_array_equal(indices.numpy(), [[-1]])
    np.testing.assert_array_equal(grad(y, x, Tensor(np.ones((1, 1))))[0].numpy(), [[0, 0]])


def test_stride_defaults_to_the_window() -> None:
    x = _tensor(1, 2, 6, 6)
    want = pool.max_pool2d(x, (2, 3), (2, 3)).numpy()
    for stride in (None, []):
        np.testing.assert_array_equal(pool.max_pool2d(x, (2, 3), stride).numpy(), want)


def test_ceil_mode_takes_windows_larger_than_the_input() -> None:
    x = _tensor(1, 1, 2)
    np.testing.assert_array_equal(
        pool.max_pool1d(x, 3, ceil_mode=True).numpy(), x.numpy().max(-1, keepdims=True)
    )
    np.testing.assert_allclose(
        pool.avg_pool1d(x, 3, ceil_mode=True).numpy(), x.numpy().mean(-1, keepdims=True)
    )


def test_indices_changed_in_place_are_noticed() -> None:
    x = _tensor(1, 4, requires_grad=True)
    y, indices = pool.max_pool1d(x, 2, return_indices=True)
    indices._bump()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: pool.max_pool2d(x, 2),
        lambda x: pool.avg_pool2d(x, 2),
        lambda x: pool.adaptive_avg_pool2d(x, 2),
        lambda x: pool.adaptive_max_pool2d(x, 2),
    ],
)
def test_empty_batch(call: Callable[[Tensor], Tensor]) -> None:
    x = _tensor(0, 3, 4, 4, requires_grad=True)
    y = call(x)
    assert y.shape == (0, 3, 2, 2)
    assert grad(y.sum(), x)[0].shape == x.shape


def test_adaptive_size_zero_is_empty() -> None:
    x = _tensor(1, 2, 3, 3, requires_grad=True)
    y = pool.adaptive_avg_pool2d(x, (0, 2))
    assert y.shape == (1, 2, 0, 2)
    assert not grad(y.sum(), x)[0].numpy().any()


@pytest.mark.parametrize("index", [-2, 6, 2**62])
def test_scatter_and_gather_refuse_indices_outside(index: int) -> None:
    x, dy = _tensor(1, 6), _tensor(1, 2)
    indices = Tensor(np.array([[0, index]]))
    with pytest.raises(IndexError, match=f"max_pool_backward: index {index} is out of range"):
        pool.scatter_to_maxima(dy, indices, x.shape, pool._Maxima(1))
    with pytest.raises(IndexError, match=f"max_pool_gather: index {index} is out of range"):
        pool.gather_maxima(x, indices, pool._Maxima(1))


X = (1, 2, 5, 5)

ERRORS = [
    (ValueError, "input has shape", (5, 5), {"kernel_size": 2}),
    (ValueError, "spatial sizes of at least 1", (1, 2, 0, 5), {"kernel_size": 2, "padding": 1}),
    (ValueError, r"kernel_size is \(0, 0\)", X, {"kernel_size": 0}),
    (ValueError, r"stride is \(2, 0\)", X, {"kernel_size": 2, "stride": (2, 0)}),
    (ValueError, r"padding is \(-1, -1\)", X, {"kernel_size": 2, "padding": -1}),
    (ValueError, "at most half of kernel_size", X, {"kernel_size": 3, "padding": 2}),
    (ValueError, "does not fit into input size", X, {"kernel_size": (2, 6)}),
    (ValueError, "kernel_size has 3 values", X, {"kernel_size": (2, 2, 2)}),
    (ValueError, "kernel_size has 0 values", X, {"kernel_size": ()}),
    (TypeError, "kernel_size holds a float", X, {"kernel_size": 2.0}),
    (TypeError, "kernel_size holds a NoneType", X, {"kernel_size": None}),
    (TypeError, "padding holds a str", X, {"kernel_size": 2, "padding": "same"}),
    (ValueError, "expected values from 1 to", X, {"kernel_size": 2, "stride": 2**31}),
]


@pytest.mark.parametrize(("error", "message", "shape", "options"), ERRORS)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_errors(
    name: str, error: type[Exception], message: str, shape: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(error, match=f"^{name}: .*{message}"):
        getattr(pool, name)(_tensor(*shape), **options)


def test_errors_of_single_options() -> None:
    x = _tensor(*X)
    with pytest.raises(ValueError, match=r"max_pool2d: dilation is \(0, 0\)"):
        pool.max_pool2d(x, 2, dilation=0)
    with pytest.raises(ValueError, match="does not fit into input size"):
        pool.max_pool2d(x, 3, dilation=3)
    with pytest.raises(ValueError, match="avg_pool2d: divisor_override is 0"):
        pool.avg_pool2d(x, 2, divisor_override=0)
    with pytest.raises(TypeError, match="avg_pool2d: divisor_override holds a float"):
        pool.avg_pool2d(x, 2, divisor_override=2.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["adaptive_avg_pool2d", "adaptive_max_pool2d"])
@pytest.mark.parametrize(
    ("error", "message", "size"),
    [
        (ValueError, "output_size holds -1", -1),
        (ValueError, "output_size has 3 values", (1, 2, 3)),
        (TypeError, "output_size holds a float", (1.0, 2)),
        (TypeError, "output_size holds a str", "22"),
        (ValueError, "expected values from 0 to", 2**31),
        (MemoryError, "larger than memory", 2**31 - 1),
    ],
)
def test_adaptive_errors(name: str, error: type[Exception], message: str, size: Any) -> None:
    with pytest.raises(error, match=message):
        getattr(pool, name)(_tensor(*X), size)


def test_dtype_errors() -> None:
    with pytest.raises(TypeError, match="max_pool1d: input is int64, expected a floating dtype"):
        pool.max_pool1d(Tensor(np.ones((1, 4), np.int64)), 2)
    with pytest.raises(TypeError, match="avg_pool1d: input is a list, expected a tensor"):
        pool.avg_pool1d([1.0], 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize("width", [8, 15, 37, 75])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 1), (3, 2, 1, 2), ((3, 2), (1, 2), (0, 1), 1)],
)
def test_rows_of_several_vectors(
    kernel: Any, stride: Any, padding: Any, dilation: int, width: int, dtype: Any, isa: str
) -> None:
    """Vectors with a rest, edges, NaN and equal maxima; the definition and the same bits."""
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (2, 41, 13, width)).astype(dtype)
    x[0, 0, 3, 3:5] = np.nan
    bits = set()
    for count in (1, 2, 7):
        with threads(count), isa_cap(isa):
            y, indices = pool.max_pool2d(
                Tensor(x), kernel, stride, padding, dilation, return_indices=True
            )
            average = pool.avg_pool2d(Tensor(x), kernel, stride, padding)
            whole = pool.adaptive_avg_pool2d(Tensor(x), 1)
        bits.add(b"".join(each.numpy().tobytes() for each in (y, indices, average, whole)))
    assert len(bits) == 1
    with isa_cap("reference"):
        expected, places = pool.max_pool2d(
            Tensor(x), kernel, stride, padding, dilation, return_indices=True
        )
        plain = pool.avg_pool2d(Tensor(x), kernel, stride, padding).numpy()
        mean = pool.adaptive_avg_pool2d(Tensor(x), 1).numpy()
    np.testing.assert_array_equal(*(each.numpy().astype(np.float64) for each in (y, expected)))
    np.testing.assert_array_equal(indices.numpy(), places.numpy())
    name = np.dtype(dtype).name
    assert_close(average.numpy(), plain, name, "pointwise")
    assert_close(whole.numpy(), mean, name, "pointwise")
