# SPDX-License-Identifier: Apache-2.0
"""Convolutions and transposed convolutions: parity, gradients, shapes and errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops import conv
from gradsmith.tensor import Tensor
from tests.cases import ISAS, NUMPY_DTYPES, Case, CaseTests, isa_cap, threads
from tests.reference import conv as definition
from tests.tolerance import assert_close


def _tuple(value: Any, ndim: int) -> tuple[int, ...]:
    return (value,) * ndim if isinstance(value, int) else value


def _case(
    name: str,
    x: tuple[int, ...],
    weight: tuple[int, ...],
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    bias: bool = True,
) -> Case:
    ndim = len(weight) - 2
    function = getattr(conv, f"conv{ndim}d")
    options = [_tuple(option, ndim) for option in (stride, padding, dilation)]

    def call(x: Tensor, w: Tensor, *b: Tensor) -> Tensor:
        return function(x, w, *(b or (None,)), stride, padding, dilation, groups)

    def reference(x: Any, w: Any, *b: Any) -> Any:
        return definition.conv_forward(x, w, *(b or (None,)), *options, groups)

    def backward(dy: Any, x: Any, w: Any, *b: Any) -> Any:
        gradients = definition.conv_backward(dy, x, w, *options, groups)
        return gradients if b else gradients[:2]

    shapes = [x, weight, *([(weight[0],)] if bias else [])]
    depth = math.prod(weight[1:])
    return _make(name, call, reference, backward, shapes, depth)


def _transposed_case(
    name: str,
    x: tuple[int, ...],
    weight: tuple[int, ...],
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Case:
    ndim = len(weight) - 2
    function = getattr(conv, f"conv_transpose{ndim}d")
    s, p, extra, d = (_tuple(o, ndim) for o in (stride, padding, output_padding, dilation))

    def call(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return function(x, w, b, stride, padding, output_padding, groups, dilation)

    def reference(x: Any, w: Any, b: Any) -> Any:
        return definition.conv_transpose_forward(x, w, b, s, p, extra, d, groups)

    def backward(dy: Any, x: Any, w: Any, b: Any) -> Any:
        return definition.conv_transpose_backward(dy, x, w, s, p, d, groups)

    shapes = [x, weight, (weight[1] * groups,)]
    return _make(name, call, reference, backward, shapes, weight[0] * math.prod(weight[2:]))


def _make(
    name: str,
    call: Callable[..., Any],
    reference: Callable[..., Any],
    backward: Callable[..., Any],
    shapes: list[tuple[int, ...]],
    depth: int,
) -> Case:
    return Case(
        name=name,
        call=call,
        reference=reference,
        backward=backward,
        make_inputs=lambda rng: tuple(rng.standard_normal(shape) for shape in shapes),
        tolerance="matmul",
        depth=depth,
    )


CASES = [
    _case("conv1d", (2, 3, 9), (4, 3, 3), padding=1),
    _case("conv1d_strided_dilated", (1, 2, 14), (3, 2, 3), stride=3, padding=2, dilation=2),
    _case("conv1d_wide_dilation", (2, 1, 9), (1, 1, 2), dilation=7),
    _case("conv2d", (2, 2, 5, 6), (5, 2, 3, 3)),
    _case("conv2d_no_bias", (2, 2, 5, 4), (3, 2, 2, 3), padding=(1, 0), bias=False),
    _case("conv2d_pointwise", (2, 5, 3, 3), (6, 5, 1, 1)),
    _case("conv2d_pointwise_strided", (1, 2, 5, 5), (2, 2, 1, 1), stride=2),
    _case("conv2d_uneven", (1, 2, 7, 6), (2, 2, 3, 2), (2, 1), (2, 1), (1, 3)),
    _case("conv2d_skips_pixels", (1, 1, 9, 9), (2, 1, 2, 2), stride=4, padding=1),
    _case("conv2d_patches", (2, 3, 4, 4), (5, 3, 2, 2), stride=2),
    _case("conv2d_whole_image", (3, 2, 4, 3), (6, 2, 4, 3)),
    _case("conv2d_grouped", (2, 4, 4, 4), (6, 2, 3, 3), padding=1, groups=2),
    _case("conv2d_depthwise", (2, 3, 5, 5), (6, 1, 3, 3), stride=2, padding=1, groups=3),
    _case("conv2d_channels_last", (2, 2, 4, 3), (17, 2, 3, 3), padding=1),
    _case("conv2d_channels_last_grouped", (1, 4, 3, 3), (32, 2, 2, 2), stride=2, groups=2),
    _case("conv3d", (1, 2, 3, 4, 4), (2, 2, 2, 3, 2), padding=(1, 1, 0)),
    _case("conv3d_strided", (1, 2, 5, 4, 5), (2, 1, 2, 2, 3), (2, 1, 2), 1, (2, 1, 1), groups=2),
    _transposed_case("conv_transpose1d", (2, 3, 4), (3, 2, 3), 2, 1, 1),
    _transposed_case("conv_transpose2d", (2, 2, 3, 3), (2, 3, 3, 3)),
    _transposed_case("conv_transpose2d_strided", (1, 2, 3, 4), (2, 2, 3, 2), (2, 3), 1, (1, 2)),
    _transposed_case("conv_transpose2d_grouped", (1, 4, 3, 2), (4, 2, 2, 2), 2, 0, 0, 2),
    _transposed_case("conv_transpose2d_long_padding", (1, 2, 3, 3), (2, 1, 2, 2), 1, 0, 2, 1, 3),
    _transposed_case("conv_transpose2d_channels_last", (1, 2, 3, 2), (2, 16, 3, 2), 2, 1, (1, 0)),
    _transposed_case("conv_transpose3d", (1, 2, 2, 3, 2), (2, 2, 2, 2, 3), 2, 1, (1, 0, 1)),
]


class TestCases(CaseTests):
    pass


# Large enough to reach every way the channels-last kernels go: x, weight, stride, padding,
# dilation, groups.
LARGE: dict[str, tuple[Any, ...]] = {
    "panels": ((2, 96, 5, 6), (128, 96, 3, 3), 1, 1, 1, 1),
    "panels_grouped": ((1, 68, 7, 5), (132, 34, 5, 7), (2, 1), 2, 1, 2),
    "bands": ((2, 16, 70, 70), (18, 16, 3, 3), 1, 1, 1, 1),
    "bands_of_many_rows": ((2, 28, 44, 40), (20, 28, 3, 3), 1, 1, 1, 1),
    "phases": ((2, 18, 15, 14), (33, 18, 3, 3), 2, 1, 1, 1),
    "phases_without_taps": ((2, 17, 11, 10), (19, 17, 2, 1), 3, 0, 1, 1),
    "dilated": ((1, 16, 13, 17), (49, 16, 3, 3), 1, (2, 3), (2, 3), 1),
    "many_groups": ((3, 60, 8, 7), (36, 5, 3, 3), (1, 2), (1, 0), 1, 12),
    "grouped": ((2, 34, 9, 9), (36, 17, 3, 3), 1, 1, 1, 2),
    "pointwise": ((3, 40, 7, 7), (50, 40, 1, 1), 1, 0, 1, 1),
    "pointwise_deep": ((2, 40, 19, 23), (70, 40, 1, 1), 1, 0, 1, 1),
    "pointwise_strided": ((2, 33, 9, 8), (65, 33, 1, 1), 2, 0, 1, 1),
    "first_layer": ((2, 3, 33, 31), (32, 3, 7, 7), 2, 3, 1, 1),
    "sliding": ((2, 16, 12, 19), (16, 16, 3, 3), 1, 1, 1, 1),
    "sliding_by_five": ((3, 16, 14, 26), (16, 16, 5, 5), 1, 2, 1, 1),
    "sliding_partial": ((2, 13, 9, 12), (13, 13, 3, 3), 1, 1, 1, 1),
    "depthwise": ((2, 37, 9, 11), (37, 1, 3, 3), 1, 1, 1, 37),
    "depthwise_strided": ((3, 64, 11, 8), (64, 1, 3, 3), 2, 1, 1, 64),
    "depthwise_by_five": ((1, 130, 13, 12), (130, 1, 5, 5), (1, 2), 2, 1, 130),
    "depthwise_dilated": ((2, 24, 12, 9), (24, 1, 3, 2), 1, (2, 1), (2, 3), 24),
    "depthwise_1d": ((2, 40, 33), (40, 1, 4), 1, 1, 1, 40),
    "depthwise_3d": ((1, 24, 4, 6, 5), (24, 1, 3, 3, 3), (1, 2, 1), 1, 1, 24),
    "1d": ((3, 20, 150), (24, 20, 5), 1, 2, 1, 1),
    "3d": ((2, 6, 4, 5, 9), (18, 6, 2, 3, 3), 1, (1, 0, 1), 1, 1),
    "3d_wide": ((2, 16, 3, 7, 6), (40, 16, 3, 2, 3), (2, 1, 1), 1, (1, 2, 1), 1),
    "3d_strided": ((1, 18, 5, 6, 7), (17, 18, 3, 3, 2), (2, 1, 2), 1, 1, 1),
}


def _channels_last(array: np.ndarray) -> np.ndarray:
    """Return the same elements in the order of (N, *spatial, C)."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def check_problem(problem: Any, dtype: str, isa: str, name: str, lay: Any = _channels_last) -> None:
    """Check a convolution with bias and its gradients on 1, 2 and 7 threads; `lay` lays images."""
    x_shape, weight_shape, *options = problem
    ndim = len(weight_shape) - 2
    stride, padding, dilation = (_tuple(option, ndim) for option in options[:3])
    groups = options[3]
    rng = np.random.default_rng(0)
    number = NUMPY_DTYPES[dtype]
    x, weight = (rng.standard_normal(s).astype(number) for s in (x_shape, weight_shape))
    bias = rng.standard_normal(weight_shape[0]).astype(number)
    wide = [each.astype(np.float64) for each in (x, weight, bias)]
    y = definition.conv_forward(*wide, stride, padding, dilation, groups)
    dy = rng.standard_normal(y.shape).astype(number)
    expected = definition.conv_backward(
        dy.astype(np.float64), *wide[:2], stride, padding, dilation, groups
    )
    depths = (
        math.prod(weight_shape[1:]),
        weight_shape[0] // groups * math.prod(weight_shape[2:]),
        y.size // y.shape[1],
    )
    runs = []
    for count in (1, 2, 7):
        tensors = [Tensor(a, requires_grad=True) for a in (lay(x), weight, bias)]
        with isa_cap(isa), threads(count):
            got = getattr(conv, f"conv{ndim}d")(*tensors, stride, padding, dilation, groups)
            gradients = grad(got, tensors, Tensor(lay(dy)))
        runs.append([each.detach().numpy() for each in (got, *gradients[:2])])
    for array, want, depth in zip(runs[0], (y, *expected[:2]), depths, strict=True):
        assert_close(array, want, dtype, "matmul", 4 * depth, name)
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            assert first.tobytes() == second.tobytes(), f"{name}: bits differ by threads"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
@pytest.mark.parametrize("name", LARGE)
def test_large_problems(name: str, dtype: str, isa: str) -> None:
    check_problem(LARGE[name], dtype, isa, name)


def test_wide_convolutions_hand_on_channels_last() -> None:
    x = Tensor(np.ones((2, 3, 8, 8), np.float32), requires_grad=True)
    y = conv.conv2d(x, Tensor(np.ones((16, 3, 3, 3), np.float32)))
    assert y.stride() == (576, 1, 96, 16)
    narrow = conv.conv2d(x, Tensor(np.ones((4, 3, 3, 3), np.float32)))
    assert narrow.is_contiguous()
    assert not conv.conv2d(y.detach(), Tensor(np.ones((8, 16, 1, 1), np.float32))).is_contiguous()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 16, 16), (3, 17, 4, 9), (2, 40, 33), (5, 7)])
def test_copies_between_layouts(shape: tuple[int, ...], dtype: Any, isa: str) -> None:
    values = np.arange(math.prod(shape)).astype(dtype).reshape(shape)
    with isa_cap(isa):
        for rearranged in (_channels_last(values), np.asfortranarray(values)):
            copy = Tensor(rearranged).contiguous().numpy()
            assert copy.flags.c_contiguous
            np.testing.assert_array_equal(copy, values)


def _tensor(*shape: int, dtype: Any = np.float64, requires_grad: bool = False) -> Tensor:
    values = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    return Tensor(values, requires_grad=requires_grad)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_same_padding_keeps_the_size_and_puts_the_odd_zero_behind(
    kernel: int, dilation: int
) -> None:
    x, weight = _tensor(1, 2, 6, 7), _tensor(3, 2, kernel, 3)
    y = conv.conv2d(x, weight, None, 1, "same", dilation)
    assert y.shape == (1, 3, 6, 7)
    rows, columns = dilation * (kernel - 1), dilation * 2
    margins = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), *margins))
    want = definition.conv_forward(padded, weight.numpy(), None, (1, 1), (0, 0), (dilation,) * 2)
    assert_close(y.numpy(), want, "float64", "matmul", 6 * kernel)


def test_same_padding_gradient() -> None:
    x = _tensor(2, 2, 5, requires_grad=True)
    weight = _tensor(3, 2, 4, requires_grad=True)
    (dx, dweight) = grad(conv.conv1d(x, weight, padding="same").sum(), (x, weight))
    padded = np.pad(x.detach().numpy(), ((0, 0), (0, 0), (1, 2)))
    ones = np.ones((2, 3, 5))
    want = definition.conv_backward(ones, padded, weight.detach().numpy(), (1,), (0,), (1,))
    assert_close(dx.numpy(), want[0][:, :, 1:-2], "float64", "matmul", 12)
    assert_close(dweight.numpy(), want[1], "float64", "matmul", 12)


def test_valid_padding_is_none() -> None:
    x, weight = _tensor(1, 1, 5), _tensor(1, 1, 3)
    valid = conv.conv1d(x, weight, padding="valid")
    np.testing.assert_array_equal(valid.numpy(), conv.conv1d(x, weight).numpy())


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_batch_dimension_may_be_left_out(ndim: int) -> None:
    x, weight = _tensor(2, *(4,) * ndim, requires_grad=True), _tensor(2, 2, *(3,) * ndim)
    for name in (f"conv{ndim}d", f"conv_transpose{ndim}d"):
        function = getattr(conv, name)
        y = function(x, weight)
        batched = function(Tensor(x.detach().numpy()[None]), weight)
        np.testing.assert_array_equal(y.detach().numpy(), batched.numpy()[0])
        (dx,) = grad(y.sum(), x)
        assert dx.shape == x.shape


@pytest.mark.parametrize("function", [conv.conv2d, conv.conv_transpose2d])
def test_empty_batch(function: Callable[..., Tensor]) -> None:
    x = _tensor(0, 3, 5, 5, requires_grad=True)
    weight, bias = _tensor(3, 3, 3, 3, requires_grad=True), _tensor(3, requires_grad=True)
    y = function(x, weight, bias, stride=2, padding=1)
    assert y.shape[:2] == (0, 3)
    dx, dweight, dbias = grad(y.sum(), (x, weight, bias))
    assert dx.shape == x.shape
    assert not dweight.numpy().any()
    assert not dbias.numpy().any()


def test_no_channels_leave_the_bias() -> None:
    weight = _tensor(2, 0, 3, 3, requires_grad=True)
    y = conv.conv2d(_tensor(1, 0, 5, 5), weight, Tensor(np.array([1.5, -2.0])))
    np.testing.assert_array_equal(y.detach().numpy(), [[[[1.5] * 3] * 3, [[-2.0] * 3] * 3]])
    assert grad(y.sum(), weight)[0].shape == (2, 0, 3, 3)


def test_nan_reaches_what_sees_it_and_nothing_else() -> None:
    x = np.ones((1, 1, 4, 4))
    x[0, 0, 0, 0] = np.nan
    tensor, weight = Tensor(x, requires_grad=True), _tensor(1, 1, 2, 2, requires_grad=True)
    y = conv.conv2d(tensor, weight)
    seen = np.zeros((3, 3), dtype=bool)
    seen[0, 0] = True
    np.testing.assert_array_equal(np.isnan(y.detach().numpy()[0, 0]), seen)
    dx, dweight = grad(y, (tensor, weight), _tensor(1, 1, 3, 3))
    assert not np.isnan(dx.numpy()).any()
    np.testing.assert_array_equal(np.isnan(dweight.numpy()[0, 0]), [[True, False], [False, False]])


def test_far_apart_taps_need_no_memory_for_what_lies_between() -> None:
    x, weight, bias = _tensor(1, 1, 2), _tensor(1, 1, 2), _tensor(1)
    y = conv.conv1d(x, weight, bias, padding=2**30, dilation=2**31 - 1)
    np.testing.assert_array_equal(y.numpy(), np.full((1, 1, 3), bias.numpy()[0]))


def test_float32_accumulates_within_its_class() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 64, 12, 12)), rng.standard_normal((8, 64, 5, 5))
    x, weight = x.astype(np.float32), weight.astype(np.float32)
    y = conv.conv2d(Tensor(x), Tensor(weight))
    want = definition.conv_forward(
        x.astype(np.float64), weight.astype(np.float64), None, (1, 1), (0, 0), (1, 1)
    )
    assert_close(y.numpy(), want, "float32", "matmul", 64 * 25)


X, W = (1, 2, 5, 5), (3, 2, 3, 3)

ERRORS = [
    (ValueError, "input has shape", (5, 5), W, {}),
    (ValueError, "weight has shape", X, (3, 2, 3), {}),
    (ValueError, "input has 2 channels, expected 4", X, (3, 4, 3, 3), {}),
    (ValueError, "input has 2 channels, expected 4", X, W, {"groups": 2}),
    (ValueError, "multiple of groups", (1, 4, 5, 5), W, {"groups": 2}),
    (ValueError, "multiple of groups", X, (0, 2, 3, 3), {}),
    (ValueError, "groups is 0", X, W, {"groups": 0}),
    (TypeError, "groups holds a float", X, W, {"groups": 1.0}),
    (ValueError, r"kernel size \(3, 3\)", (1, 2, 2, 5), W, {}),
    (ValueError, "does not fit", X, W, {"dilation": 3}),
    (ValueError, "kernel sizes of at least 1", X, (3, 2, 0, 3), {}),
    (ValueError, "spatial sizes of at least 1", (1, 2, 0, 5), W, {"padding": 3}),
    (ValueError, r"stride is \(0, 0\)", X, W, {"stride": 0}),
    (ValueError, r"stride is \(1, -2\)", X, W, {"stride": (1, -2)}),
    (ValueError, r"padding is \(-1, -1\)", X, W, {"padding": -1}),
    (ValueError, r"dilation is \(0, 1\)", X, W, {"dilation": (0, 1)}),
    (ValueError, "stride has 3 values", X, W, {"stride": (1, 1, 1)}),
    (ValueError, "does not fit in 64 bits", X, W, {"stride": 2**70}),
    (ValueError, "expected values from 0", X, W, {"padding": 2**31}),
    (MemoryError, "memory", X, W, {"padding": 2**31 - 1}),
    (TypeError, "stride holds a float", X, W, {"stride": 1.5}),
    (TypeError, "stride holds a bool", X, W, {"stride": True}),
    (ValueError, "padding is 'full'", X, W, {"padding": "full"}),
    (ValueError, "padding='same' with stride", X, W, {"padding": "same", "stride": 2}),
    (ValueError, r"bias has shape \(2,\), expected \(3,\)", X, W, {"bias": _tensor(2)}),
    (TypeError, "bias is float32", X, W, {"bias": _tensor(3, dtype=np.float32)}),
    (TypeError, "bias is a list", X, W, {"bias": [0, 0, 0]}),
]


@pytest.mark.parametrize(("error", "message", "x", "weight", "options"), ERRORS)
def test_conv_errors(
    error: type[Exception], message: str, x: Any, weight: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(error, match=f"^conv2d: .*{message}|^a tensor.*{message}"):
        conv.conv2d(_tensor(*x), _tensor(*weight), **options)


TRANSPOSED_ERRORS = [
    (ValueError, "input has 3 channels, expected 2", (1, 3, 4), (2, 3, 3), {}),
    (ValueError, "multiple of groups", (1, 3, 4), (3, 3, 3), {"groups": 2}),
    (ValueError, "leaves no output", (1, 2, 1), (2, 3, 2), {"padding": 1}),
    (ValueError, "spatial sizes of at least 1", (1, 2, 0), (2, 3, 2), {}),
    (ValueError, "output_padding is", (1, 2, 4), (2, 3, 3), {"output_padding": 1}),
    (ValueError, "output_padding is", (1, 2, 4), (2, 3, 3), {"output_padding": 2, "stride": 2}),
    (ValueError, "padding is 'same'", (1, 2, 4), (2, 3, 3), {"padding": "same"}),
    (ValueError, r"bias has shape \(2,\), expected \(3,\)", (1, 2, 4), (2, 3, 3), {"bias": 2}),
    (MemoryError, "memory", (1, 1, 2**12), (1, 2**20, 1), {"stride": 2**31 - 1}),
]


@pytest.mark.parametrize(("error", "message", "x", "weight", "options"), TRANSPOSED_ERRORS)
def test_conv_transpose_errors(
    error: type[Exception], message: str, x: Any, weight: Any, options: dict[str, Any]
) -> None:
    if "bias" in options:
        options = {"bias": _tensor(options["bias"])}
    with pytest.raises(error, match=f"conv_transpose1d: .*{message}|^a tensor.*{message}"):
        conv.conv_transpose1d(_tensor(*x), _tensor(*weight), **options)


def test_dtype_errors() -> None:
    with pytest.raises(TypeError, match="weight is float64, expected float32"):
        conv.conv1d(_tensor(1, 1, 4, dtype=np.float32), _tensor(1, 1, 2))
    with pytest.raises(TypeError, match="input is int64, expected a floating dtype"):
        conv.conv1d(Tensor(np.ones((1, 1, 4), np.int64)), Tensor(np.ones((1, 1, 2), np.int64)))
    with pytest.raises(TypeError, match="conv1d: input is a ndarray, expected a tensor"):
        conv.conv1d(np.ones((1, 1, 4)), _tensor(1, 1, 2))  # type: ignore[arg-type]
