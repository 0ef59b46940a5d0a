# SPDX-License-Identifier: Apache-2.0
"""Quantiles, medians without NaN, k-th and most frequent elements, sums without NaN, search in
sorted numbers and sets, histograms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from tests.cases import Case, CaseTests
from tests.test_reduce import distinct

INF, NAN = math.inf, math.nan
SHARES = np.array([0.1, 0.5, 0.85])
HOLES = np.array([[1.0, NAN, 3, -2], [NAN] * 4, [4, 2, 7, NAN]])


def shares(x: Any) -> Any:
    return gs.tensor(SHARES, device=x.device)


def case(name: str, call: Callable[..., Any], definition: Callable[..., Any], **kw: Any) -> Case:
    return Case(name, call, definition, distinct, tolerance="reduce", depth=4, **kw)


CASES = [
    *(
        case(
            f"quantile-{interpolation}",
            lambda x, how=interpolation: gs.quantile(x, shares(x), 1, interpolation=how),
            lambda x, how=interpolation: np.quantile(x, SHARES, 1, method=how),
        )
        for interpolation in ("linear", "lower", "higher", "midpoint", "nearest")
    ),
    case(
        "quantile-of-all",
        lambda x: x.quantile(shares(x), keepdim=True),
        lambda x: np.quantile(x, SHARES, keepdims=True),
    ),
    case(
        "nanquantile",
        lambda x: gs.nanquantile(x, 0.3, -1, True),
        lambda x: np.nanquantile(x, 0.3, -1, keepdims=True),
    ),
    case("quantile-along", lambda x: gs.quantile(x, 0.3, 1), lambda x: np.quantile(x, 0.3, 1)),
    case(
        "aminmax",
        lambda x: tuple(gs.aminmax(x, dim=1, keepdim=True)),
        lambda x: (x.min(1, keepdims=True), x.max(1, keepdims=True)),
    ),
    case("nansum", lambda x: x.nansum((0, 2)), lambda x: np.nansum(x, (0, 2))),
    case("nanmean", lambda x: gs.nanmean(x, 1, True), lambda x: np.nanmean(x, 1, keepdims=True)),
]


class TestCases(CaseTests):
    pass


# ---- what is not a number ------------------------------------------------------------------------


def test_nan_is_left_out() -> None:
    x = gs.tensor(HOLES, requires_grad=True)
    np.testing.assert_allclose(gs.nansum(x, 1).tolist(), [2, 0, 13])
    np.testing.assert_allclose(gs.nanmean(x, 1).tolist(), [2 / 3, NAN, 13 / 3])
    np.testing.assert_array_equal(gs.nanmedian(x, 1).values.tolist(), [1, NAN, 4])
    assert gs.nanmedian(x, 1).indices.tolist()[::2] == [0, 0]
    np.testing.assert_allclose(gs.nanquantile(x, 0.25, 1).tolist(), [-0.5, NAN, 3])
    assert gs.nanmedian(x).item() == 2
    gs.nansum(x).backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), ~np.isnan(HOLES))


def test_nan_spoils_a_quantile() -> None:
    got = gs.quantile(gs.tensor(HOLES), gs.tensor([0.0, 1.0]), 1)
    assert np.isnan(got.numpy()).all()
    assert gs.quantile(gs.tensor([2, 4]), 0.5).item() == 3
    assert gs.quantile(gs.tensor(5.0), 0.2).item() == 5
    assert gs.quantile(gs.tensor(5.0), gs.tensor([0.2, 0.3]), 0, True).shape == (2,)


def test_share_takes_part_in_the_gradient() -> None:
    x = gs.tensor([1.0, 2.0, 4.0], dtype=gs.float64)
    q = gs.tensor([0.2, 0.7], dtype=gs.float64, requires_grad=True)
    assert gs.autograd.gradcheck(lambda share: gs.quantile(x, share), [q])


def test_most_frequent() -> None:
    values, indices = gs.mode(gs.tensor([[1, 2, 2, 1, 3], [5, 5, 4, 4, 4]]))
    assert (values.tolist(), indices.tolist()) == ([1, 4], [3, 4])
    assert gs.mode(gs.tensor([[1, 0], [1, 2]]), 0, True).values.tolist() == [[1, 0]]
    assert gs.mode(gs.tensor([NAN, NAN, 1, 1])).values.item() == 1
    assert gs.mode(gs.tensor([1.0, 1.0, 2.0], dtype=gs.bfloat16)).values.item() == 1
    assert gs.mode(gs.tensor(7)).indices.item() == 0


def test_extremes_of_all() -> None:
    smallest, largest = gs.aminmax(gs.tensor([[3, 1], [2, 5]]))
    assert (smallest.item(), largest.item()) == (1, 5)
    assert gs.nansum(gs.tensor([[1, 2]]), 0, dtype=gs.float64).dtype == gs.float64
    assert gs.nansum(gs.tensor([True, True])).item() == 2


# ---- search --------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, ml_dtypes.bfloat16])
def test_places_in_sorted_rows(dtype: Any, right: bool) -> None:
    rng = np.random.default_rng(0)
    rows = np.sort(rng.integers(0, 9, (2, 3, 6)), -1).astype(dtype)
    wanted = rng.integers(-1, 10, (2, 3, 4)).astype(dtype)
    got = gs.searchsorted(gs.from_numpy(rows), gs.from_numpy(wanted), right=right)
    compare = np.less_equal if right else np.less
    np.testing.assert_array_equal(
        got.numpy(), compare(rows[..., None, :], wanted[..., None]).sum(-1)
    )


def test_places_of_other_shapes() -> None:
    edges = gs.tensor([1.0, 3.0, 3.0, 5.0])
    assert gs.searchsorted(edges, 3).item() == 1
    assert gs.searchsorted(edges, 3, side="right").item() == 3
    assert gs.searchsorted(edges, gs.tensor([[0.0], [9.0]])).tolist() == [[0], [4]]
    assert gs.searchsorted(edges, gs.ones(0), out_int32=True).dtype == gs.int32
    shuffled = gs.tensor([5.0, 1.0, 3.0])
    assert gs.searchsorted(shuffled, 4.0, sorter=shuffled.argsort()).item() == 2
    assert gs.bucketize(gs.tensor([3.0, 4.0]), edges).tolist() == [1, 3]
    assert gs.bucketize(3, edges, right=True).item() == 3


def test_places_of_many_values() -> None:
    rng = np.random.default_rng(0)
    edges = np.sort(rng.standard_normal(50)).astype(np.float32)
    wanted = rng.choice(np.append(rng.standard_normal(90).astype(np.float32), edges), (40, 30))
    wanted[3, 4] = NAN
    for side in ("left", "right"):
        got = gs.searchsorted(gs.from_numpy(edges), gs.from_numpy(wanted.T), side=side)
        np.testing.assert_array_equal(got.numpy(), np.searchsorted(edges, wanted.T, side))


def test_membership() -> None:
    x = gs.tensor([[1, 2], [3, 4]])
    assert gs.isin(x, gs.tensor([2, 3])).tolist() == [[False, True], [True, False]]
    assert gs.isin(x, 4, invert=True).tolist() == [[True, True], [True, False]]
    assert gs.isin(4, x).item() is True
    assert gs.isin(gs.tensor([0.5], dtype=gs.bfloat16), 0.5).tolist() == [True]


def test_runs() -> None:
    x = gs.tensor([1, 1, 2, 2, 1])
    values, inverse, counts = gs.unique_consecutive(x, True, True)
    assert values.tolist() == [1, 2, 1]
    assert inverse.tolist() == [0, 0, 1, 1, 2]
    assert counts.tolist() == [2, 2, 1]
    matrix = gs.tensor([[1, 1, 2], [1, 1, 2]])
    kept, counts = gs.unique_consecutive(matrix, return_counts=True, dim=1)
    assert (kept.tolist(), counts.tolist()) == ([[1, 2], [1, 2]], [2, 1])
    assert matrix.unique_consecutive(dim=0).tolist() == [[1, 1, 2]]
    _, inverse = matrix.unique_consecutive(return_inverse=True)
    assert inverse.tolist() == [[0, 0, 1], [2, 2, 3]]
    assert gs.unique_consecutive(gs.zeros(0)).shape == (0,)
    assert gs.unique_consecutive(gs.zeros(2, 0), dim=1).shape == (2, 0)


# ---- histograms ----------------------------------------------------------------------------------


def test_counts_in_bins() -> None:
    x = gs.tensor([1.0, 2, 1, 5, -3])
    assert gs.histc(x, 4, 1, 5).tolist() == [2, 1, 0, 1]
    assert gs.histc(x, 2).tolist() == [1, 4]
    assert gs.histc(gs.ones(3), 3).tolist() == [0, 3, 0]
    assert gs.histc(gs.ones(2, dtype=gs.float64)).dtype == gs.float64
    assert gs.histc(gs.zeros(0), 2).tolist() == [0, 0]
    hist, edges = x.histogram(2, range=(0.0, 4.0))
    assert (hist.tolist(), edges.tolist()) == ([2, 1], [0, 2, 4])
    weight = gs.tensor([1.0, 2, 3, 4, 5])
    hist, edges = gs.histogram(x, gs.tensor([0.0, 2.0, 6.0]), weight=weight, density=True)
    np.testing.assert_allclose(hist.tolist(), [0.2, 0.15], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.quantile(gs.ones(2), 1.5), ValueError, "quantile: q is 1.5"),
        (lambda: gs.quantile(gs.ones(2), gs.tensor([[0.5]])), ValueError, "quantile: q is float32"),
        (lambda: gs.quantile(gs.ones(2), [0.5]), TypeError, "quantile: q is a list"),
        (
            lambda: gs.quantile(gs.ones(2), 0.5, interpolation="up"),
            ValueError,
            "quantile: interpolation is 'up', expected one of 'linear'",
        ),
        (lambda: gs.nanquantile(gs.ones(2, 0), 0.5, 1), ValueError, "nanquantile: dim 1 of shape"),
        (lambda: gs.quantile(gs.ones(2), 0.5, 1), IndexError, "quantile: dim 1"),
        (lambda: gs.nanmedian(gs.ones(0)), ValueError, "nanmedian: dim 0 of shape"),
        (lambda: gs.kthvalue(gs.ones(2), 3), ValueError, "kthvalue: k is 3, expected 1 to 2"),
        (lambda: gs.kthvalue(gs.ones(2), 0), ValueError, "kthvalue: k is 0"),
        (lambda: gs.mode(gs.ones(2, 0)), ValueError, "mode: dim -1 of shape"),
        (lambda: gs.nanmean(gs.tensor([1])), TypeError, "nanmean: got int64"),
        (lambda: gs.nanmean(2.0), TypeError, "nanmean: input is a float"),
        (lambda: gs.nansum(2.0), TypeError, "nansum: .*float"),
        (lambda: gs.aminmax(gs.ones(0)), ValueError, "aminmax: "),
        (lambda: gs.searchsorted(gs.tensor(1.0), 2.0), ValueError, "searchsorted: sorted_sequence"),
        (
            lambda: gs.searchsorted(gs.ones(2, 3), gs.ones(3)),
            ValueError,
            r"searchsorted: input has shape \(3,\), expected \(2,\) and one",
        ),
        (
            lambda: gs.searchsorted(gs.ones(2), 1.0, side="middle"),
            ValueError,
            "searchsorted: side is 'middle'",
        ),
        (
            lambda: gs.searchsorted(gs.ones(2), 1.0, right=True, side="left"),
            ValueError,
            "searchsorted: side is 'left' and right is True",
        ),
        (
            lambda: gs.searchsorted(gs.ones(2), 1.0, sorter=gs.tensor([0])),
            ValueError,
            "searchsorted: sorter has shape",
        ),
        (lambda: gs.bucketize(1.0, gs.ones(2, 2)), ValueError, "bucketize: boundaries has shape"),
        (lambda: gs.isin(1, 2), TypeError, "isin: other is a int"),
        (lambda: gs.unique_consecutive(gs.ones(2), dim=1), IndexError, "unique_consecutive: dim 1"),
        (lambda: gs.histc(gs.tensor([1])), TypeError, "histc: got int64"),
        (lambda: gs.histc(gs.ones(2), 0), ValueError, "histc: bins is 0"),
        (lambda: gs.histc(gs.ones(2), 3, 2, 1), ValueError, "histc: min is 2.0 and max 1.0"),
        (lambda: gs.histc(gs.tensor([NAN])), ValueError, "histc: "),
        (
            lambda: gs.histogram(gs.ones(2), 3, weight=gs.ones(3)),
            ValueError,
            "histogram: weight has shape",
        ),
        (lambda: gs.histogram(gs.ones(2), gs.ones(1)), ValueError, "histogram: bins has shape"),
        (lambda: gs.histogram(gs.ones(2), 1.5), TypeError, "histogram: bins is a float"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
