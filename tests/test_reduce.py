# SPDX-License-Identifier: Apache-2.0
"""Reductions, scans, moments, norms; distinct elements, counts, where elements are not 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, NUMPY_DTYPES, Case, CaseTests, isa_cap, threads
from tests.reference import reduce as reference
from tests.tolerance import assert_close

AXES: list[Any] = [None, 0, -1, (0, 2), (0, 1, 2)]


def distinct(rng: np.random.Generator) -> tuple[Any, ...]:
    """Elements at least 0.1 apart, so that small steps change no order."""
    return ((rng.permutation(24).reshape(2, 3, 4) - 11.5) / 8,)


def with_zeros(rng: np.random.Generator) -> tuple[Any, ...]:
    x = rng.uniform(0.5, 1.5, (3, 4, 2))
    x[0, 1, 0] = x[1, 0, 1] = x[1, 2, 1] = 0
    return (x,)


def without_zeros(rng: np.random.Generator) -> tuple[Any, ...]:
    return (rng.uniform(0.5, 1.5, (2, 3, 4)) * rng.choice([-1, 1], (2, 3, 4)),)


def reduction(name: str, axis: Any, keepdim: bool = False, make: Any = distinct) -> Case:
    definition = getattr(reference, name)
    slope = getattr(reference, f"{name}_backward")
    return Case(
        f"{name}-{axis}-{keepdim}-{make.__name__}",
        lambda x: getattr(gs, name)(x, dim=axis, keepdim=keepdim),
        lambda x: definition(x, axis, keepdims=keepdim),
        make,
        backward=lambda dy, x: slope(dy, x, axis, keepdims=keepdim),
        tolerance="reduce",
        depth=24,
    )


def scan(name: str, axis: int, make: Any) -> Case:
    return Case(
        f"{name}-{axis}-{make.__name__}",
        lambda x: getattr(gs, name)(x, axis),
        lambda x: getattr(reference, name)(x, axis),
        make,
        backward=lambda dy, x: getattr(reference, f"{name}_backward")(dy, x, axis),
        tolerance="reduce",
        depth=24,
    )


def norm(p: float, axis: Any, make: Any = without_zeros) -> Case:
    return Case(
        f"norm-{p}-{axis}-{make.__name__}",
        lambda x: gs.norm(x, p, axis),
        lambda x: reference.norm(x, p, axis),
        make,
        backward=lambda dy, x: reference.norm_backward(dy, x, p, axis),
        tolerance="norm",
        depth=24,
        differentiable=p != 0,
    )


def moment(name: str, correction: float) -> Case:
    return Case(
        f"{name}-correction-{correction}",
        lambda x: getattr(gs, name)(x, (0, 2), correction=correction),
        lambda x: getattr(reference, name)(x, (0, 2), correction),
        distinct,
        backward=lambda dy, x: getattr(reference, f"{name}_backward")(dy, x, (0, 2), correction),
        tolerance="reduce",
        depth=24,
    )


def chosen(name: str, axis: int, keepdim: bool) -> Case:
    return Case(
        f"{name}-with-indices-{axis}-{keepdim}",
        lambda x: tuple(getattr(gs, name)(x, axis, keepdim)),
        lambda x: getattr(reference, name)(x, axis, keepdim),
        distinct,
        backward=lambda dy, x: getattr(reference, f"{name}_backward")(dy, x, axis, keepdim),
        tolerance="exact",
    )


CASES = [
    *(
        reduction(name, axis, keepdim)
        for name in ("sum", "mean", "amax", "amin")
        for axis in AXES
        for keepdim in (False, True)
    ),
    *(reduction(name, axis) for name in ("var", "std") for axis in AXES),
    moment("var", 0),
    moment("std", 2),
    *(
        reduction("prod", axis, keepdim, make)
        for make in (without_zeros, with_zeros)
        for axis, keepdim in ((None, False), (1, False), ((0, 2), True))
    ),
    *(scan("cumsum", axis, distinct) for axis in (0, 1, -1)),
    *(scan("cumprod", axis, make) for make in (without_zeros, with_zeros) for axis in (0, 1, -1)),
    *(norm(p, axis) for p in (1, 2, 3, 1.5, math.inf, -math.inf) for axis in (None, 1)),
    norm(0, 1, with_zeros),
    *(
        chosen(name, axis, keep)
        for name in ("max", "min")
        for axis, keep in ((0, True), (2, False))
    ),
]


class TestCases(CaseTests):
    pass


def test_gradients_of_zero_vectors_are_zero() -> None:
    x = gs.zeros(2, 3, requires_grad=True)
    for function in (lambda t: gs.norm(t, dim=1), lambda t: gs.norm(t, 3, 1), lambda t: t.std(1)):
        (dx,) = gs.autograd.grad(function(x).sum(), x)
        assert dx.tolist() == [[0.0] * 3] * 2


def test_ties() -> None:
    x = gs.tensor([[2.0, 2.0, 1.0]], requires_grad=True)
    (shared,) = gs.autograd.grad(x.amax(1).sum(), x)
    (chosen_one,) = gs.autograd.grad(x.max(1).values.sum(), x)
    (whole,) = gs.autograd.grad(x.max(), x)
    assert shared.tolist() == [[0.5, 0.5, 0.0]]
    assert chosen_one.tolist() == [[1.0, 0.0, 0.0]]
    assert whole.tolist() == [[0.5, 0.5, 0.0]]


def test_max_of_pairs_and_named_results() -> None:
    a, b = gs.tensor([1.0, 5.0]), gs.tensor([2.0, 3.0])
    assert a.max(b).tolist() == [2.0, 5.0]
    assert gs.min(a, b).tolist() == [1.0, 3.0]
    values, indices = gs.tensor([[1, 3], [4, 2]]).max(dim=1)
    assert (values.tolist(), indices.tolist()) == ([3, 4], [1, 0])
    assert gs.sort(a).indices.dtype == gs.int64


def test_integers_and_bool() -> None:
    x = gs.tensor([[1, 0], [3, 4]], dtype=gs.int32)
    assert x.sum().dtype == gs.int64
    assert x.prod(0).tolist() == [3, 0]
    assert x.cumsum(1).tolist() == [[1, 1], [3, 7]]
    assert x.any(1).tolist() == [True, True]
    assert x.all(1).tolist() == [False, True]
    assert (x > 0).sum().item() == 3
    assert gs.count_nonzero(x, 0).tolist() == [2, 1]
    assert x.sum(dtype=gs.float64).dtype == gs.float64
    assert x.argmax().item() == 3
    assert x.argmin(1).tolist() == [1, 0]


def test_nan_propagates() -> None:
    x = gs.tensor([1.0, math.nan, 3.0])
    assert all(math.isnan(f(x).item()) for f in (gs.sum, gs.amax, gs.min, gs.median))
    assert gs.sort(x).indices.tolist() == [0, 2, 1]
    assert gs.argsort(x, descending=True).tolist() == [1, 2, 0]


def test_variance_conventions() -> None:
    x = gs.tensor([1.0, 2.0, 4.0])
    assert x.var().item() == pytest.approx(7 / 3)
    assert x.var(unbiased=False).item() == pytest.approx(14 / 9)
    assert gs.var(x, False).item() == pytest.approx(14 / 9)
    assert x.std(correction=0).item() == pytest.approx(math.sqrt(14 / 9))
    variance, mean = gs.var_mean(x)
    assert (variance.item(), mean.item()) == pytest.approx((7 / 3, 7 / 3))
    deviation, mean = gs.std_mean(x, 0, keepdim=True)
    assert deviation.shape == mean.shape == (1,)
    assert math.isnan(gs.tensor([1.0]).var().item())


def test_unique_and_bincount() -> None:
    x = gs.tensor([[3, 1], [1, 2]])
    values, inverse, counts = gs.unique(x, return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 2, 3]
    assert inverse.tolist() == [[2, 0], [0, 1]]
    assert counts.tolist() == [2, 1, 1]
    rows = gs.unique(gs.tensor([[1, 2], [0, 1], [1, 2]]), dim=0)
    assert rows.tolist() == [[0, 1], [1, 2]]
    assert gs.bincount(gs.tensor([1, 1, 3]), minlength=5).tolist() == [0, 2, 0, 1, 0]
    weights = gs.tensor([0.5, 1.0, 2.0])
    assert gs.bincount(gs.tensor([1, 1, 3]), weights).tolist() == [0.0, 1.5, 0.0, 2.0]


def test_unique_has_one_nan_and_one_zero() -> None:
    x = gs.tensor([[math.nan, 1.0, -0.0], [0.0, math.nan, 1.0]])
    for dtype in (gs.float32, gs.float64, gs.bfloat16, gs.float16):
        values, inverse, counts = gs.unique(x.to(dtype), True, True, True)
        np.testing.assert_array_equal(values.float().numpy(), [0, 1, math.nan])
        assert values.dtype == dtype
        assert inverse.tolist() == [[2, 1, 0], [0, 2, 1]]
        assert counts.tolist() == [2, 2, 2]
    assert gs.unique(gs.zeros(0)).shape == (0,)
    assert gs.unique(gs.tensor(3)).tolist() == [3]


def test_nonzero() -> None:
    x = gs.tensor([[0, 2], [3, 0]])
    assert gs.nonzero(x).tolist() == [[0, 1], [1, 0]]
    assert [each.tolist() for each in gs.nonzero(x, as_tuple=True)] == [[0, 1], [1, 0]]
    assert gs.nonzero(gs.tensor(5.0)).shape == (1, 0)
    assert gs.nonzero(gs.zeros(2, 0, 3)).shape == (0, 3)
    wide = np.random.default_rng(0).integers(0, 2, (3, 4, 5)).astype(np.float32)
    for dtype in (gs.float32, gs.bfloat16, gs.int64, gs.bool):
        places = gs.nonzero(gs.from_numpy(wide).to(dtype))
        np.testing.assert_array_equal(places.numpy(), np.argwhere(wide))


def test_empty_and_scalar_tensors() -> None:
    empty = gs.zeros(0, 3)
    assert empty.sum().item() == 0.0
    assert empty.prod(0).tolist() == [1.0] * 3
    assert math.isnan(empty.mean().item())
    assert empty.cumsum(0).shape == (0, 3)
    scalar = gs.tensor(3.0, requires_grad=True)
    for function in (gs.sum, gs.prod, lambda t: t.cumprod(0), lambda t: t.max(0).values):
        (grad,) = gs.autograd.grad(function(scalar), scalar)
        assert grad.item() == 1.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.ones(2, 3).sum(2), IndexError, "sum: dim 2 is out of range"),
        (lambda: gs.ones(2, 3).sum((0, -2)), ValueError, "sum: dim 0 appears twice"),
        (lambda: gs.ones(2, 3).sum("a"), TypeError, "sum: dim"),
        (lambda: gs.sum([1.0]), TypeError, "sum: input is a list"),
        (lambda: gs.tensor([1, 2]).mean(), TypeError, "mean: got int64"),
        (lambda: gs.zeros(0).amax(), ValueError, "amax"),
        (lambda: gs.ones(2).cumsum(1), IndexError, "cumsum: dim 1"),
        (lambda: gs.ones(3).topk(4), ValueError, "topk: k is 4"),
        (lambda: gs.ones(3).quantile(1.5), ValueError, "quantile: q is 1.5"),
        (lambda: gs.zeros(0).median(), ValueError, "median"),
        (lambda: gs.bincount(gs.tensor([-1])), ValueError, "bincount"),
        (lambda: gs.bincount(gs.ones(2)), TypeError, "bincount: got float32"),
        (lambda: gs.ones(2).norm("nuc"), ValueError, "norm: dim is None"),
        (lambda: gs.ones(3).var(unbiased=True, correction=2), ValueError, "var: got both"),
        (lambda: gs.ones(2, 2).argmax(5), IndexError, "argmax: dim 5"),
        (lambda: gs.ones(2, 2).sort(3), IndexError, "sort: dim 3"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((37, 1003), 1), ((1003, 301), 0), ((70001,), None), ((3, 40001), 1), ((4, 5, 67), (0, 1))],
)
def test_many_blocks(shape: Any, axis: Any, name: str, dtype: str, isa: str) -> None:
    """Several blocks with a rest, on several threads: the definition and the same bits."""
    case = Case(
        "blocks",
        lambda x: getattr(gs, name)(x, dim=axis) if axis is not None else getattr(gs, name)(x),
        lambda x: getattr(reference, name)(x, axis),
        lambda rng: (rng.standard_normal(shape) + 0.5,),
    )
    arrays = case.inputs(dtype)
    bits = set()
    for count in (1, 2, 7):
        with threads(count), isa_cap(isa):
            y = case.call(gs.Tensor(arrays[0])).numpy()
        bits.add(y.tobytes())
    assert len(bits) == 1
    terms = arrays[0].size // y.size
    assert_close(y, case.expected(arrays)[0], dtype, "reduce", terms, name)


# Shape in memory, the order its dimensions are given in, the dimensions reduced then.
ARRANGEMENTS: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
    ((5, 37, 9, 11), (0, 1, 2, 3), (0, 2, 3)),
    ((5, 37, 9, 11), (0, 1, 2, 3), (0, 2)),
    ((5, 37, 9, 11), (0, 1, 2, 3), (1, 3)),
    ((5, 9, 11, 37), (0, 3, 1, 2), (0, 2, 3)),
    ((5, 9, 11, 37), (0, 3, 1, 2), (2, 3)),
    ((5, 9, 11, 37), (0, 3, 1, 2), (0, 3)),
    ((5, 9, 11, 37), (0, 3, 1, 2), (1,)),
    ((5, 9, 11, 37), (3, 2, 1, 0), (1,)),
    ((3, 2, 20011), (0, 1, 2), (0, 2)),
    ((150, 2501), (0, 1), (0,)),
    ((700, 3, 50), (0, 1, 2), (0, 1)),
    ((6, 5, 4, 3), (2, 0, 3, 1), (0, 1, 2, 3)),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize(
    ("name", "memory", "order", "axes"),
    [
        (name, *arrangement)
        for name in ("sum", "mean", "amax", "amin", "prod")
        for arrangement in ARRANGEMENTS
        if name != "prod" or len(arrangement[2]) == 1  # prod takes one dimension
    ],
)
def test_dimensions_that_do_not_merge(
    name: str, memory: Any, order: Any, axes: Any, dtype: str, isa: str
) -> None:
    numpy_dtype = NUMPY_DTYPES[dtype]
    noise = np.random.default_rng(0).standard_normal(memory)
    x = (1 + noise / 64 if name == "prod" else noise + 0.5).astype(numpy_dtype).transpose(order)
    dim = axes if name != "prod" else axes[0]
    expected = getattr(reference, name)(x.astype(np.float64), dim)
    bits = set()
    for count in (1, 2, 7):
        with threads(count), isa_cap(isa):
            y = getattr(gs, name)(gs.Tensor(x), dim=dim).numpy()
        bits.add(y.tobytes())
    assert len(bits) == 1
    assert_close(y, expected, dtype, "reduce", x.size // y.size, name)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_long_scans(name: str, axis: int, dtype: str, isa: str) -> None:
    x = 1 + np.random.default_rng(0).standard_normal((9, 75, 67)) / 64
    x = x.astype(NUMPY_DTYPES[dtype])
    expected = getattr(reference, name)(x.astype(np.float64), axis)
    bits = set()
    for count in (1, 2, 7):
        with threads(count), isa_cap(isa):
            y = getattr(gs, name)(gs.Tensor(x), axis).numpy()
        bits.add(y.tobytes())
    assert len(bits) == 1
    assert_close(y, expected, dtype, "reduce", x.shape[axis], name)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("axis", [0, 1])
def test_nan_beats_every_number(axis: int, isa: str) -> None:
    x = np.random.default_rng(0).standard_normal((67, 67)).astype(np.float32)
    x[3, 66] = x[66, 20] = np.nan
    with isa_cap(isa):
        largest, least = gs.amax(gs.tensor(x), axis), gs.amin(gs.tensor(x), axis)
    np.testing.assert_array_equal(largest.numpy(), np.max(x, axis))
    np.testing.assert_array_equal(least.numpy(), np.min(x, axis))


@pytest.mark.parametrize("isa", ISAS)
def test_products_of_long_rows_have_the_range_of_double(isa: str) -> None:
    x = np.random.default_rng(0).uniform(0.8, 1.2, (9, 2100)).astype(np.float32)
    x[1, :512:64] *= 1e19
    x[1, 1024:1536:64] *= 1e-19  # beyond float on the way, back within it at the end
    x[2] *= np.where(np.arange(2100) // 64 % 2, 1e-30, 1e30)
    x[3, 77] = 0
    x[4, 1999] = -np.inf
    x[5, 3], x[5, 900] = np.inf, 0
    x[6, 1200] = np.nan
    x[7, 5:9] = -1e30
    x[8, :128:64] *= 1e-21  # a denormal, which has few digits, on the way
    x[8, 128:256:64] *= 1e21
    with np.errstate(all="ignore"), isa_cap(isa):
        expected = x.astype(np.float64).prod(1).astype(np.float32)
        got = gs.tensor(x).prod(1).numpy()
    np.testing.assert_allclose(got, expected, rtol=2e-5)
