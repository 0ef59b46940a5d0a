# SPDX-License-Identifier: Apache-2.0
"""Batch, layer, RMS, group, instance and local response normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops import norm, norm_response
from gradsmith.tensor import Tensor
from tests.cases import ISAS, REDUCED, Case, CaseTests, isa_cap
from tests.reference import norm as ref
from tests.tolerance import assert_close

RUNNING_MEAN = np.array([0.5, -1.0, 0.25, 0.0])
RUNNING_VAR = np.array([1.0, 2.0, 0.5, 3.0])


def inputs(shape: tuple[int, ...], *parameters: tuple[int, ...]) -> Callable[..., Any]:
    """x around 1, weights around 1, biases around 0."""

    def make(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        x = 1 + 2 * rng.standard_normal(shape)
        rest = [rng.standard_normal(p) + (i == 0) for i, p in enumerate(parameters)]
        return (x, *rest)

    return make


def like(x: Tensor, values: np.ndarray) -> Tensor:
    return Tensor(values.astype(x.dtype)).to(x.device)


def _train(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    return norm.batch_norm(x, None, None, weight, bias, training=True)


def _train_reference(x: np.ndarray, weight: Any = None, bias: Any = None) -> np.ndarray:
    running = np.zeros(x.shape[1])
    return ref.batch_norm_train(x, weight, bias, running, running)[0]


def _evaluate(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    mean, var = like(x, RUNNING_MEAN), like(x, RUNNING_VAR)
    return norm.batch_norm(x, mean, var, weight, bias)


def batch_case(name: str, shape: tuple[int, ...]) -> Case:
    return Case(
        f"batch_norm-{name}",
        _train,
        _train_reference,
        inputs(shape, (shape[1],), (shape[1],)),
        backward=lambda dy, x, w, b: ref.batch_norm_train_backward(dy, x, w),
        tolerance="norm",
    )


def laid_last(x: Tensor) -> Tensor:
    """Return x with its channels adjacent in memory."""
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def relu_case(name: str, shape: tuple[int, ...], residual: bool, last: bool = False) -> Case:
    def call(x: Tensor, w: Tensor, b: Tensor, r: Tensor | None = None) -> Tensor:
        x = laid_last(x) if last else x
        return norm.batch_norm_relu(x, None, None, w, b, training=True, residual=r)

    def backward(dy: np.ndarray, x: np.ndarray, w: Any, b: Any, r: Any = None) -> Any:
        return ref.batch_norm_relu_backward(dy, x, w, b, r)[: 4 if residual else 3]

    return Case(
        f"batch_norm_relu-{name}",
        call,
        lambda x, w, b, r=None: ref.batch_norm_relu(x, w, b, r),
        inputs(shape, (shape[1],), (shape[1],), *([shape] if residual else [])),
        backward=backward,
        tolerance="norm",
    )


def layer_case(name: str, shape: tuple[int, ...], last: tuple[int, ...]) -> Case:
    return Case(
        f"layer_norm-{name}",
        lambda x, w, b: norm.layer_norm(x, last, w, b),
        lambda x, w, b: ref.layer_norm(x, last, w, b),
        inputs(shape, last, last),
        backward=lambda dy, x, w, b: ref.layer_norm_backward(dy, x, last, w),
        tolerance="norm",
    )


def group_case(name: str, shape: tuple[int, ...], groups: int) -> Case:
    return Case(
        f"group_norm-{name}",
        lambda x, w, b: norm.group_norm(x, groups, w, b),
        lambda x, w, b: ref.group_norm(x, groups, w, b),
        inputs(shape, (shape[1],), (shape[1],)),
        backward=lambda dy, x, w, b: ref.group_norm_backward(dy, x, groups, w),
        tolerance="norm",
    )


def _response_case(size: int) -> Case:
    options = {"alpha": 0.5, "beta": 0.75, "k": 1.0}
    return Case(
        f"local_response_norm-{size}",
        lambda x: norm_response.local_response_norm(x, size, **options),
        lambda x: ref.local_response_norm(x, size, **options),
        inputs((2, 5, 3)),
        backward=lambda dy, x: ref.local_response_norm_backward(dy, x, size, **options),
        tolerance="norm",
    )


CASES = [
    batch_case("2d", (6, 3)),
    batch_case("3d", (2, 3, 5)),
    batch_case("4d", (2, 4, 3, 2)),
    batch_case("long", (1, 2, 40)),
    Case(
        "batch_norm-plain",
        _train,
        _train_reference,
        inputs((3, 2, 4)),
        backward=lambda dy, x: ref.batch_norm_train_backward(dy, x, None)[0],
        tolerance="norm",
    ),
    Case(
        "batch_norm-eval",
        _evaluate,
        lambda x, w, b: ref.batch_norm_eval(x, w, b, RUNNING_MEAN, RUNNING_VAR),
        inputs((2, 4, 3), (4,), (4,)),
        backward=lambda dy, x, w, b: ref.batch_norm_eval_backward(
            dy, x, w, RUNNING_MEAN, RUNNING_VAR
        ),
        tolerance="norm",
    ),
    relu_case("plain", (2, 3, 3, 2), False),
    relu_case("residual", (2, 2, 3, 3), True),
    relu_case("residual-last", (2, 3, 2, 2), True, last=True),
    layer_case("last", (3, 7), (7,)),
    layer_case("two", (2, 3, 4, 2), (4, 2)),
    layer_case("all", (3, 4), (3, 4)),
    Case(
        "layer_norm-plain",
        lambda x: norm.layer_norm(x, 5),
        lambda x: ref.layer_norm(x, (5,)),
        inputs((4, 5)),
        backward=lambda dy, x: ref.layer_norm_backward(dy, x, (5,))[0],
        tolerance="norm",
    ),
    Case(
        "rms_norm",
        lambda x, w: norm.rms_norm(x, (5,), w, eps=1e-5),
        lambda x, w: ref.rms_norm(x, (5,), w),
        inputs((2, 3, 5), (5,)),
        backward=lambda dy, x, w: ref.rms_norm_backward(dy, x, (5,), w),
        tolerance="norm",
    ),
    group_case("4d", (2, 6, 2, 2), 3),
    group_case("2d", (3, 6), 2),
    group_case("one", (2, 3, 4), 1),
    Case(
        "instance_norm",
        lambda x, w, b: norm.instance_norm(x, weight=w, bias=b),
        lambda x, w, b: ref.instance_norm(x, w, b),
        inputs((2, 3, 5), (3,), (3,)),
        backward=lambda dy, x, w, b: ref.instance_norm_backward(dy, x, w),
        tolerance="norm",
    ),
    Case(
        "instance_norm-running",
        lambda x: norm.instance_norm(
            x, like(x, RUNNING_MEAN), like(x, RUNNING_VAR), use_input_stats=False
        ),
        lambda x: ref.batch_norm_eval(x, None, None, RUNNING_MEAN, RUNNING_VAR),
        inputs((2, 4, 3)),
        tolerance="norm",
    ),
    *(_response_case(size) for size in (1, 2, 3, 4, 9)),
]


class TestCases(CaseTests):
    pass


def array(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_batch_norm_running_statistics(dtype: str) -> None:
    numpy_dtype = ml_dtypes.bfloat16 if dtype in REDUCED else np.dtype(dtype)
    x = array((3, 4, 5), numpy_dtype)
    mean, var = Tensor(RUNNING_MEAN.astype(numpy_dtype)), Tensor(RUNNING_VAR.astype(numpy_dtype))
    norm.batch_norm(Tensor(x), mean, var, training=True, momentum=0.3)
    wide = x.astype(np.float64)
    _, _, _, new_mean, new_var = ref.batch_norm_train(
        wide, None, None, RUNNING_MEAN, RUNNING_VAR, momentum=0.3
    )
    assert_close(mean.numpy(), new_mean, dtype, "norm")
    assert_close(var.numpy(), new_var, dtype, "norm")


def test_running_statistics_may_be_views_or_float32() -> None:
    table = np.zeros((4, 2), np.float32)
    x = Tensor(array((3, 4, 5), ml_dtypes.bfloat16))
    norm.batch_norm(x, Tensor(table[:, 0]), Tensor(table[:, 1]), training=True)
    wide = x.numpy().astype(np.float64)
    np.testing.assert_allclose(table[:, 0], 0.1 * wide.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(table[:, 1], 0.1 * wide.var((0, 2), ddof=1), rtol=1e-5)


def test_changed_running_statistics_are_noticed() -> None:
    running = Tensor(np.ones(4, np.float32))
    x = Tensor(array((3, 4)), requires_grad=True)
    product = x * running
    norm.batch_norm(x, running, Tensor(np.ones(4, np.float32)), training=True)
    with pytest.raises(RuntimeError, match="changed in place"):
        product.sum().backward()


def test_instance_norm_running_statistics() -> None:
    x = array((3, 4, 5), np.float64)
    mean, var = Tensor(RUNNING_MEAN.copy()), Tensor(RUNNING_VAR.copy())
    norm.instance_norm(Tensor(x), mean, var, momentum=0.3)
    new_mean, new_var = ref.instance_norm_running(x, RUNNING_MEAN, RUNNING_VAR, 0.3)
    np.testing.assert_allclose(mean.numpy(), new_mean, rtol=1e-12)
    np.testing.assert_allclose(var.numpy(), new_var, rtol=1e-12)


def test_batch_norm_keeps_channels_last() -> None:
    x = np.ascontiguousarray(array((2, 3, 4, 5)).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    plain, last = (Tensor(a, requires_grad=True) for a in (np.ascontiguousarray(x), x))
    weight = Tensor(array((3,)), requires_grad=True)
    y_plain, y_last = _train(plain, weight), _train(last, weight)
    assert y_last.stride() == last.stride()
    wide = _train_reference(x.astype(np.float64), weight.detach().numpy())
    for y in (y_plain, y_last):
        assert_close(y.detach().numpy(), wide, "float32", "norm")
    dy = Tensor(array(x.shape)[::-1].copy())
    from_plain = grad(y_plain, [plain, weight], dy)
    from_last = grad(y_last, [last, weight], dy)
    assert from_last[0].stride() == last.stride()
    for got, expected in zip(from_last, from_plain, strict=True):
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_large_mean_does_not_cancel() -> None:
    x = array((64, 3), np.float64) + 1e4
    rounded = x.astype(np.float32)
    expected = ref.layer_norm(rounded.astype(np.float64).T.copy(), (64,)).T
    got = _train(Tensor(rounded)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_parameters_of_bfloat16_input() -> None:
    x = Tensor(array((4, 6), ml_dtypes.bfloat16))
    wide = Tensor(np.ones(6, np.float32), requires_grad=True)
    narrow = Tensor(np.ones(6, ml_dtypes.bfloat16), requires_grad=True)
    y = norm.layer_norm(x, 6, wide, narrow)
    assert y.dtype == ml_dtypes.bfloat16
    dwide, dnarrow = grad(y, [wide, narrow], Tensor(array((4, 6), ml_dtypes.bfloat16)))
    assert dwide.dtype == np.float32
    assert dnarrow.dtype == ml_dtypes.bfloat16


def test_empty() -> None:
    mean, var = Tensor(np.ones(3, np.float32)), Tensor(np.ones(3, np.float32))
    x = Tensor(np.zeros((0, 3, 2), np.float32), requires_grad=True)
    weight = Tensor(np.ones(3, np.float32), requires_grad=True)
    y = norm.batch_norm(x, mean, var, weight, training=True)
    assert y.shape == (0, 3, 2)
    np.testing.assert_array_equal(mean.numpy(), np.ones(3))
    dx, dweight = grad(y, [x, weight], Tensor(np.zeros((0, 3, 2), np.float32)))
    assert dx.shape == (0, 3, 2)
    np.testing.assert_array_equal(dweight.numpy(), np.zeros(3))
    assert norm.layer_norm(Tensor(np.zeros((0, 3), np.float32)), 3).shape == (0, 3)
    assert norm.layer_norm(Tensor(np.zeros((3, 0), np.float32)), 0).shape == (3, 0)
    assert norm.group_norm(Tensor(np.zeros((0, 4, 3), np.float32)), 2).shape == (0, 4, 3)
    assert norm.instance_norm(Tensor(np.zeros((0, 4, 3), np.float32))).shape == (0, 4, 3)
    empty = Tensor(np.zeros((0, 4, 3), np.float32))
    assert norm_response.local_response_norm(empty, 2).shape == (0, 4, 3)


def test_rms_norm_default_eps() -> None:
    x = array((2, 4)) * 1e-4
    expected = ref.rms_norm(x.astype(np.float64), (4,), eps=float(np.finfo(np.float32).eps))
    np.testing.assert_allclose(norm.rms_norm(Tensor(x), 4).numpy(), expected, rtol=1e-5)


def _error_cases() -> list[tuple[str, Callable[[], Any], type[Exception], str]]:
    x = Tensor(np.zeros((2, 4, 3), np.float32))
    four, three = Tensor(np.ones(4, np.float32)), Tensor(np.ones(3, np.float32))
    integers = Tensor(np.zeros((2, 4), np.int64))
    one = Tensor(np.zeros((1, 4), np.float32))
    read_only = Tensor(np.broadcast_to(np.float32(0), (4,)))
    wide = Tensor(np.ones(4))
    bn = norm.batch_norm

    def fused(x: Tensor, residual: Tensor) -> Tensor:
        return norm.batch_norm_relu(x, None, None, training=True, residual=residual)

    return [
        ("one value", lambda: bn(one, None, None, training=True), ValueError, "one value per"),
        ("no running", lambda: bn(x, None, None), ValueError, "when not training"),
        ("half running", lambda: bn(x, four, None), ValueError, "both or none"),
        ("running shape", lambda: bn(x, three, four), ValueError, r"running_mean .*\(3,\), exp.*4"),
        ("weight", lambda: bn(x, four, four, three), ValueError, r"weight has shape \(3,\)"),
        ("bias", lambda: bn(x, four, four, four, three), ValueError, r"bias has shape \(3,\)"),
        ("dtype", lambda: bn(integers, four, four), TypeError, "input is int64"),
        ("weight dtype", lambda: bn(x, four, four, wide), TypeError, "weight is float64"),
        ("residual", lambda: fused(x, residual=four), ValueError, r"residual has shape \(4,\)"),
        ("residual dtype", lambda: fused(x, residual=x.double()), TypeError, "residual is float64"),
        ("rank", lambda: bn(four, four, four), ValueError, "2 or more dimensions"),
        ("momentum", lambda: bn(x, four, four, momentum=None), TypeError, "momentum is a NoneType"),
        ("eps", lambda: bn(x, four, four, eps=-1.0), ValueError, "eps is -1"),
        ("list", lambda: bn([1.0], four, four), TypeError, "input is a list"),
        ("read-only", lambda: bn(x, read_only, four, training=True), ValueError, "read-only"),
        ("last", lambda: norm.layer_norm(x, 4), ValueError, r"normalized_shape \(4,\)"),
        ("no shape", lambda: norm.layer_norm(x, ()), ValueError, "normalized_shape"),
        ("float shape", lambda: norm.layer_norm(x, (3.0,)), TypeError, "expected an int"),
        ("layer", lambda: norm.layer_norm(x, 3, four), ValueError, r"weight .* expected \(3,\)"),
        ("rms", lambda: norm.rms_norm(x, 5), ValueError, "rms_norm: input has shape"),
        ("groups", lambda: norm.group_norm(x, 3), ValueError, "multiple of num_groups 3"),
        ("no group", lambda: norm.group_norm(x, 0), ValueError, "num_groups is 0"),
        ("float groups", lambda: norm.group_norm(x, 2.0), TypeError, "num_groups is a float"),
        ("group of one", lambda: norm.group_norm(one, 4), ValueError, "one value per group"),
        ("pixels", lambda: norm.instance_norm(one), ValueError, "more than one value per channel"),
        ("instance", lambda: norm.instance_norm(x, three, three), ValueError, r"expected \(4,\)"),
        ("size", lambda: norm_response.local_response_norm(x, 0), ValueError, "size is 0"),
        (
            "float size",
            lambda: norm_response.local_response_norm(x, 2.5),
            TypeError,
            "size is a float",
        ),
        ("lrn rank", lambda: norm_response.local_response_norm(one, 2), ValueError, "3 or more"),
    ]


ERRORS = _error_cases()


@pytest.mark.parametrize(
    ("call", "error", "text"), [e[1:] for e in ERRORS], ids=[e[0] for e in ERRORS]
)
def test_errors(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_relu_keeps_nan() -> None:
    x = array((4, 3))
    x[1, 2] = np.nan
    y = norm.batch_norm_relu(Tensor(x), None, None, training=True).numpy()
    assert np.isnan(y[:, 2]).all()
    assert not np.isnan(y[:, :2]).any()


@pytest.mark.parametrize("isa", ISAS)
def test_variance_of_values_far_from_zero(isa: str) -> None:
    x = (1000 + array((4, 3, 200), np.float64)).astype(np.float32)
    wide = x.astype(np.float64)
    with isa_cap(isa):
        batch = _train(Tensor(x)).numpy()
        layer = norm.layer_norm(Tensor(x), 200).numpy()
    assert_close(batch, _train_reference(wide), "float32", "norm")
    assert_close(layer, ref.layer_norm(wide, (200,)), "float32", "norm")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("pixels", [2048, 2049, 6001])
def test_rows_of_several_pieces(pixels: int, isa: str) -> None:
    """Whose parts differ in mean and variance."""
    x = array((2, 4, pixels)) * np.float32([[1], [7]] * 2) + np.float32([[0], [100]] * 2)
    with isa_cap(isa):
        y = norm.group_norm(Tensor(x), 2).numpy()
    assert_close(y, ref.group_norm(x.astype(np.float64), 2), "float32", "norm")


@pytest.mark.parametrize("isa", ISAS[1:])
def test_gradients_larger_than_the_caches(isa: str) -> None:
    x, dy = array((2, 2805, 1024))
    weight = 1 + array((1024,))
    found = []
    for cap in (isa, "reference"):
        with isa_cap(cap):
            leaves = [Tensor(each, requires_grad=True) for each in (x, weight)]
            y = norm.layer_norm(leaves[0], 1024, leaves[1])
            found.append([each.numpy() for each in grad(y, leaves, Tensor(dy))])
    for got, expected in zip(*found, strict=True):
        assert_close(got, expected, "float32", "norm")
