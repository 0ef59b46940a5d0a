# SPDX-License-Identifier: Apache-2.0
"""Running extremes and logarithms of sums, differences, gradients of samples, trapezoids."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from tests.cases import HAS_SIMULATOR, ISAS, Case, CaseTests, backend, threads, to_array
from tests.test_reduce import distinct

INF, NAN = math.inf, math.nan
PLACES = np.array([0.0, 0.5, 2.0, 2.25])
HEIGHTS = np.array([1.0, 2.0, 4.0])


def running(better: Any, x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The definition: the last of equal elements counts; each NaN does, and no number after it."""
    values = better.accumulate(x, axis)
    shape = [-1 if d == axis % x.ndim else 1 for d in range(x.ndim)]
    hits = (x == values) | (x != x)
    indices = np.where(hits, np.arange(x.shape[axis]).reshape(shape), 0)
    return values, np.maximum.accumulate(indices, axis)


def tensors(x: Any, *arrays: np.ndarray) -> list[Any]:
    return [gs.tensor(a, dtype=x.dtype, device=x.device) for a in arrays]


def plain(name: str, call: Callable[..., Any], definition: Callable[..., Any], **kw: Any) -> Case:
    return Case(name, call, definition, distinct, **{"tolerance": "reduce", "depth": 4, **kw})


CASES = [
    plain("cummax", lambda x: tuple(x.cummax(1)), lambda x: running(np.maximum, x, 1), depth=1),
    plain(
        "cummin", lambda x: tuple(gs.cummin(x, -1)), lambda x: running(np.minimum, x, -1), depth=1
    ),
    Case(
        "cummax-columns",
        lambda x: tuple(x.cummax(0)),
        lambda x: running(np.maximum, x, 0),
        lambda rng: (rng.permutation(630).reshape(9, 70).astype(np.float64),),
        tolerance="exact",
        dtypes=("float32", "float64", "float16"),
        second_order=False,
    ),
    Case(
        "cummin-rows",
        lambda x: tuple(x.cummin(-1)),
        lambda x: running(np.minimum, x, -1),
        lambda rng: (rng.permutation(222).reshape(3, 2, 37).astype(np.float64),),
        tolerance="exact",
        dtypes=("float32", "float64", "float16"),
        second_order=False,
    ),
    *(
        plain(
            f"logcumsumexp-{axis}",
            lambda x, axis=axis: gs.logcumsumexp(x, axis),
            lambda x, axis=axis: np.logaddexp.accumulate(x, axis),
            tolerance="transcendental",
        )
        for axis in (0, 1, -1)
    ),
    plain("diff", lambda x: gs.diff(x), lambda x: np.diff(x)),
    plain(
        "diff-twice",
        lambda x: x.diff(2, 1, prepend=x[:, :1], append=x),
        lambda x: np.diff(x, 2, 1, prepend=x[:, :1], append=x),
    ),
    plain(
        "gradient",
        lambda x: gs.gradient(x, spacing=0.5, dim=(1, 2)),
        lambda x: np.gradient(x, 0.5, axis=(1, 2)),
    ),
    plain(
        "gradient-second-order-edges",
        lambda x: gs.gradient(x, spacing=tensors(x, PLACES), dim=2, edge_order=2),
        lambda x: np.gradient(x, PLACES, axis=2, edge_order=2),
        tolerance="norm",
    ),
    plain("trapezoid", lambda x: gs.trapezoid(x, dx=0.5), lambda x: np.trapezoid(x, dx=0.5)),
    plain(
        "trapezoid-places",
        lambda x: gs.trapezoid(x, *tensors(x, HEIGHTS), dim=1),
        lambda x: np.trapezoid(x, HEIGHTS, axis=1),
    ),
    plain(
        "cumulative_trapezoid",
        lambda x: gs.cumulative_trapezoid(x, *tensors(x, PLACES)),
        lambda x: np.cumsum((x[..., 1:] + x[..., :-1]) / 2 * np.diff(PLACES), -1),
    ),
    plain(
        "trapezoid-places-of-all",
        lambda x: gs.trapezoid(x, x * x, dim=0),
        lambda x: np.trapezoid(x, x * x, axis=0),
    ),
]


class TestCases(CaseTests):
    pass


DRAWN: dict[str, Callable[[np.random.Generator, Any], np.ndarray]] = {
    "few values": lambda rng, shape: rng.integers(0, 3, shape),
    "noise": lambda rng, shape: rng.integers(0, 200, shape),
    "rising": lambda rng, shape: np.sort(rng.integers(0, 200, shape), -1),
}
SIMULATED = ["cudasim:sm80"] if HAS_SIMULATOR else []


@pytest.mark.parametrize("isa", [*ISAS, *SIMULATED])
@pytest.mark.parametrize("drawn", DRAWN)
@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.float16, np.int64, np.int32, np.uint8]
)
def test_running_extremes_of_every_dtype(dtype: Any, drawn: str, isa: str) -> None:
    """Rows and columns of whole pieces and with a rest, ties, and NaN now and then."""
    rng = np.random.default_rng(0)
    shapes = [((3, 83), 1), ((2, 64), 1), ((70, 5), 0), ((2, 19, 131), 1), ((1, 9, 64), 1)]
    for shape, axis in shapes:
        x = DRAWN[drawn](rng, shape).astype(dtype)
        if dtype not in (np.int64, np.int32, np.uint8):
            x[rng.random(shape) < 0.02] = NAN
        for name, better in (("cummax", np.maximum), ("cummin", np.minimum)):
            with backend(isa) as device:
                values, indices = getattr(gs, name)(gs.tensor(x, device=device), axis)
            with np.errstate(invalid="ignore"):
                want, places = running(better, x.astype(np.float64), axis)
            np.testing.assert_array_equal(to_array(values).astype(np.float64), want)
            np.testing.assert_array_equal(to_array(indices), places)
            assert to_array(values).dtype == dtype


@pytest.mark.parametrize("count", [1, 2, 7])
def test_running_extremes_of_any_thread_count(count: int) -> None:
    x = gs.from_numpy(np.random.default_rng(0).standard_normal((64, 30, 70)).astype(np.float32))
    for axis in range(3):
        want, places = running(np.maximum, x.numpy(), axis)
        with threads(count):
            values, indices = gs.cummax(x, axis)
        np.testing.assert_array_equal(values.numpy(), want)
        np.testing.assert_array_equal(indices.numpy(), places)


def test_running_extremes_of_ties_and_nan() -> None:
    x = gs.tensor([1.0, 3, 3, 2, NAN, 1, NAN, 9])
    values, indices = gs.cummax(x, 0)
    np.testing.assert_array_equal(values.numpy(), [1, 3, 3, 3, NAN, NAN, NAN, NAN])
    assert indices.tolist() == [0, 1, 2, 2, 4, 4, 6, 6]
    assert gs.cummin(gs.tensor([2, 2, 3, 1]), 0).indices.tolist() == [0, 1, 1, 3]
    assert gs.cummax(gs.tensor([False, True, False]), 0).values.tolist() == [False, True, True]
    assert [each.tolist() for each in gs.cummax(gs.tensor(3.0), 0)] == [3.0, 0]
    for shape in ((2, 0), (0, 2), (3, 0, 2)):
        assert gs.cummax(gs.zeros(shape), 1).indices.shape == shape
    assert gs.cummin(gs.tensor([0.0, -0.0, 0.0]), 0).indices.tolist() == [0, 1, 2]
    tied = gs.ones(3, requires_grad=True)
    gs.cummax(tied, 0).values.sum().backward()
    assert tied.grad is not None
    assert tied.grad.tolist() == [1, 1, 1]


def test_logcumsumexp_of_infinities_and_large_numbers() -> None:
    x = gs.tensor([-INF, -INF, 1000.0, 1000.0, -1000.0], requires_grad=True)
    y = gs.logcumsumexp(x, 0)
    np.testing.assert_allclose(y.tolist(), [-INF, -INF, 1000, 1000 + math.log(2), 1000.6931])
    y[2:].sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.tolist(), [0, 0, 2, 1, 0], atol=1e-6)
    assert gs.logcumsumexp(gs.tensor([0, 0]), 0).dtype == gs.float32
    assert gs.logcumsumexp(gs.tensor(2.0), 0).item() == 2
    assert gs.logcumsumexp(gs.zeros(0), 0).shape == (0,)


def test_differences_of_bools_and_of_nothing() -> None:
    assert gs.diff(gs.tensor([True, False, False])).tolist() == [True, False]
    assert gs.diff(gs.tensor([1, 4, 9]), n=0).tolist() == [1, 4, 9]
    assert gs.diff(gs.tensor([1, 4]), n=7).shape == (0,)
    assert gs.diff(gs.zeros(0, 3), dim=0).shape == (0, 3)


def test_gradient_of_integers_and_pairs() -> None:
    (slope,) = gs.gradient(gs.tensor([1, 4]))
    assert slope.tolist() == [3.0, 3.0]
    both = gs.gradient(gs.tensor([[1.0, 2], [4, 8]]), spacing=[1.0, 2.0])
    assert [each.tolist() for each in both] == [[[3, 6], [3, 6]], [[0.5, 0.5], [2, 2]]]


def test_trapezoids_of_few_samples() -> None:
    assert gs.trapezoid(gs.tensor([3.0])).item() == 0
    assert gs.cumulative_trapezoid(gs.tensor([3.0])).shape == (0,)
    assert gs.trapezoid(gs.tensor([1, 2, 3])).item() == 4
    assert gs.trapezoid(gs.zeros(0)).item() == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.cummax(gs.ones(2), 1), IndexError, "cummax: dim 1 is out of range"),
        (lambda: gs.cummin(2.0, 0), TypeError, "cummin: input is a float"),
        (lambda: gs.logcumsumexp(gs.ones(2), 3), IndexError, "logcumsumexp: dim 3"),
        (lambda: gs.diff(gs.ones(2), -1), ValueError, "diff: n is -1"),
        (lambda: gs.diff(gs.tensor(1.0)), ValueError, "diff: the tensor has no dimension"),
        (lambda: gs.diff(gs.ones(2), prepend=gs.ones(1, 2)), ValueError, "diff: "),
        (lambda: gs.gradient(gs.ones(3), edge_order=3), ValueError, "gradient: edge_order is 3"),
        (lambda: gs.gradient(gs.tensor(1.0)), ValueError, "gradient: the tensor has no"),
        (lambda: gs.gradient(gs.ones(1)), ValueError, "gradient: dim 0 has 1 samples"),
        (
            lambda: gs.gradient(gs.ones(3, 3), spacing=[1.0]),
            ValueError,
            "gradient: spacing has 1 entries",
        ),
        (
            lambda: gs.gradient(gs.ones(3), spacing=(gs.ones(2),)),
            ValueError,
            "gradient: spacing has 2 coordinates, expected 3",
        ),
        (lambda: gs.gradient(gs.ones(3), spacing="a"), TypeError, "gradient: spacing is a str"),
        (lambda: gs.trapezoid(gs.ones(3), gs.ones(2)), ValueError, "trapezoid: x has 2 places"),
        (lambda: gs.trapezoid(gs.ones(3), gs.ones(3), dx=1.0), ValueError, "got both x and dx"),
        (lambda: gs.trapezoid(gs.tensor(1.0)), ValueError, "trapezoid: the tensor has no dim"),
        (lambda: gs.cumulative_trapezoid(gs.ones(3), dim=1), IndexError, "cumulative_trapezoid:"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
