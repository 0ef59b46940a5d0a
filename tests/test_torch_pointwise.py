# SPDX-License-Identifier: Apache-2.0
"""Tensor functions compute what PyTorch's do: expressions evaluated in either library.

Values, dtypes and shapes have to agree, and gradients for those under ``GRADIENTS``;
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import gradsmith as gs

pytestmark = pytest.mark.torch
if find_spec("torch") is not None:
    import torch

INF, NAN = math.inf, math.nan
RNG = np.random.default_rng(0)

# What the expressions name; each library makes tensors of them.
ARRAYS: dict[str, np.ndarray] = {
    "x": RNG.standard_normal((3, 4)).astype(np.float32),
    "y": RNG.standard_normal((3, 4)).astype(np.float32),
    "row": RNG.standard_normal(4).astype(np.float32),
    "u": RNG.uniform(0.1, 0.9, (3, 4)).astype(np.float32),
    "cube": RNG.standard_normal((2, 3, 4)).astype(np.float32),
    "big": RNG.uniform(5, 60, (3, 4)),
    "holes": np.array([[1, NAN, 3, -2], [NAN, NAN, NAN, NAN], [4, 2, 2, NAN]], np.float32),
    "ends": np.array([0.0, -0.0, 1, -1, INF, -INF, NAN, 0.5, 2], np.float32),
    "small": np.array([1e-40, -1e-45, 3e38, 1e-38, 0.1, -7], np.float32),
    "i": np.array([[3, 1, 1, 3], [-7, 5, 5, -7], [2, 2, 0, 9]]),
    "j": np.array([[2, -3, 4, 1], [6, 1, 3, 2], [1, 2, 5, 3]]),
    "bytes": np.array([0, 1, 7, 200, 255], np.uint8),
    "b": np.array([[True, False, True, True]]),
    "ascending": np.array([0.5, 1.0, 1.0, 2.5], np.float32),
    "w": np.array([0.5, 1.0, 2.0, 0.25], np.float32),
    "twice": np.array([1, 2, 0, 3]),
    "rows": RNG.standard_normal((30, 5)).astype(np.float32),
    "unit": np.array(1.0, np.float32),
    "shares": np.array([0.1, 0.5, 0.9], np.float32),
    "tall": np.zeros((7, 3), np.float32),
}


def listed(table: str) -> list[str]:
    return [each.strip() for line in table.split("\n") for each in line.split(" | ") if each]


# ``@`` stands for the operator that separates them.
VALUES = """
x.heaviside(row) | ends.heaviside(lib.tensor(0.5)) | lib.isin(i, lib.tensor([1, 3, 9]))
lib.isin(i, 5, invert=True) | lib.isin(1, i) | x.clamp_min(0.1) | x.clamp_max(row)
ends.clamp_min(0) | x.aminmax() | x.aminmax(dim=1, keepdim=True) | holes.nansum()
holes.nansum(1, keepdim=True) | holes.nanmean(1) | holes.nanmean((0, 1)) | i.nansum(0) | i.mode()
i.mode(0, keepdim=True) | lib.tensor([3, 1, 1, 3]).mode() | lib.dist(x, y) | lib.dist(x, row, 1)
lib.dist(x, y, 0) | lib.dist(x, y, float("inf")) | holes.cummax(1) | holes.cummin(0) | i.cummax(1)
i.cummin(-1) | x.logcumsumexp(1) | ends.logcumsumexp(0)[:3]
lib.tensor([-float("inf")] * 2).logcumsumexp(0) | x.diff() | x.diff(2, 0)
x.diff(prepend=x[:, :1], append=y) | i.diff(n=9) | b.diff() | bytes.diff() | lib.gradient(x)
lib.gradient(x, spacing=0.5, dim=1, edge_order=2) | lib.gradient(cube, dim=(0, 2))
lib.gradient(x, spacing=[2.0, 3.0])
lib.gradient(x[0], spacing=(ascending.cumsum(0),), edge_order=2)
lib.gradient(x, spacing=(ascending[:3].cumsum(0), ascending.cumsum(0))) | lib.gradient(x[:2, :2])
lib.trapezoid(x) | lib.trapezoid(x, dx=0.1, dim=0) | lib.trapezoid(x, ascending) | lib.trapz(x, y)
lib.trapezoid(cube, x) | lib.cumulative_trapezoid(x)
lib.cumulative_trapezoid(x, ascending[:3], dim=0) | lib.trapezoid(i) | holes.nanmedian()
holes[::2].nanmedian(1) | holes.nanmedian(0, True) | i.nanmedian() | x.quantile(0.3)
x.quantile(shares, 1, keepdim=True) | x.quantile(shares, keepdim=True) | holes.quantile(0.5, 1)
holes.nanquantile(0.3, 1) | holes.nanquantile(shares, 0, True)
x.quantile(shares, 0, interpolation="lower") | x.quantile(shares, 0, interpolation="higher")
x.quantile(shares, 1, interpolation="midpoint") | x.quantile(shares, 1, interpolation="nearest")
x.kthvalue(2) | x.kthvalue(3, 0, True) | unit.kthvalue(1) | unit.quantile(0.5) | unit.mode()
lib.msort(x) | i.unique_consecutive() | i[0].unique_consecutive(True, True)
i.unique_consecutive(return_inverse=True, return_counts=True, dim=1)
i[:, :0].unique_consecutive() | lib.searchsorted(ascending, x)
lib.searchsorted(ascending, 1.0, right=True) | lib.searchsorted(x.sort(1).values, y, side="right")
lib.searchsorted(x, y, sorter=x.argsort(1))
lib.searchsorted(ascending, lib.tensor([1, 2]), out_int32=True) | lib.bucketize(x, ascending)
lib.bucketize(1.0, ascending, right=True) | lib.histc(x, 5) | lib.histc(x, 4, -1, 1)
lib.histc(lib.ones(3), 3) | lib.histogram(x, 4) | lib.histogram(x, ascending, weight=y)
lib.histogram(x, 3, range=(-1.0, 2.0), density=True) | lib.subtract(x, y, alpha=2)
lib.multiply(x, row) | lib.divide(i, 2, rounding_mode="trunc") | lib.true_divide(i, j)
lib.rsub(x, 3, alpha=2) | lib.negative(x) | lib.positive(x) | lib.absolute(i) | i.float_power(2)
lib.float_power(2, x) | ends.sgn() | ends.signbit() | i.signbit() | ends.frac()
ends.copysign(-1.0) | x.copysign(row) | i.copysign(x) | lib.copysign(x, ends[1]) | x.fix()
lib.fmax(holes, row) | lib.fmin(row, holes) | i.gcd(j) | i.lcm(j) | bytes.gcd(bytes.flip(0))
lib.gcd(lib.tensor([0, 0]), lib.tensor([0, -5])) | x.ldexp(twice) | small.frexp() | ends.frexp()
x.double().frexp() | lib.nextafter(small, lib.zeros(6)) | lib.nextafter(ends, lib.ones(9))
lib.nextafter(x.double(), y.double()) | lib.nextafter(x.bfloat16(), y.bfloat16())
lib.nextafter(x.half(), y.half())
lib.logaddexp2(x, row) | lib.logaddexp2(ends, ends) | u.logit() | ends.logit()
ends.logit(eps=0.1) | x.erfc() | ends.erfc() | u.erfinv() | ends.erfinv() | u.lgamma()
big.lgamma() | ends.lgamma() | x.digamma() | ends.digamma() | big.digamma() | x.polygamma(1)
lib.polygamma(3, u) | big.polygamma(2) | lib.polygamma(0, x) | (x - 30).polygamma(2)
big.mvlgamma(3) | x.i0() | big.i0() | ends[:4].i0() | lib.special.i0e(big) | lib.special.i1(x)
lib.special.i1e(-big) | x.sinc() | ends[:4].sinc() | lib.xlogy(x, u) | lib.xlogy(ends, ends)
lib.xlogy(0.0, ends) | lib.xlogy(i, 2.0) | x.deg2rad() | i.rad2deg() | lib.special.expit(x)
lib.special.entr(ends) | lib.special.ndtr(ends) | lib.special.ndtri(u) | lib.special.ndtri(ends)
lib.special.gammaln(u) | lib.special.psi(u) | lib.special.xlog1py(x, u)
lib.special.xlog1py(ends, ends) | lib.special.log_ndtr(x * 20) | lib.special.log_ndtr(ends)
lib.special.erfcx(x) | lib.special.erfcx(big) | lib.special.erfcx(-big)
lib.special.multigammaln(big, 2) | lib.special.exp2(x) | lib.special.round(x, decimals=1)
lib.less(x, row) | lib.greater_equal(i, j) | lib.not_equal(x, 0) | ends.isposinf()
ends.isneginf() | i.isposinf() | x.isreal() | i & j | i @ 5 | i ^ j | ~i | ~b | ~bytes | b & b
b ^ True | i << 2 | i >> j | 2 << j | bytes << 3 | lib.bitwise_left_shift(i, 70)
lib.bitwise_right_shift(i, 70) | bytes @ 8 | i.bitwise_and(j) | lib.bitwise_not(i) | x.cov()
x.cov(correction=0) | row.cov() | i.cov() | x.cov(fweights=twice) | x.cov(aweights=w)
x.cov(fweights=twice, aweights=w, correction=0) | x.corrcoef() | row.corrcoef() | lib.cdist(x, y)
lib.cdist(x, y, 1.0) | lib.cdist(cube, x, 3.0) | lib.cdist(rows, rows[:7] * 2)
lib.cdist(x, y, float("inf")) | lib.cdist(x, y, 0.0) | x.renorm(2, 0, 1.0)
lib.cdist(rows, rows[:7], compute_mode="donot_use_mm_for_euclid_dist") | cube.renorm(1, 2, 0.5)
lib.where(x > 0) | x.type_as(big) | x.clone().round_(decimals=1) | x.clone().clamp_min_(0)
x.clone().clamp_max_(row) | x.clone().addcmul_(y, u, value=2) | x.clone().addcdiv_(y, u)
x.clone().lerp_(y, 0.3) | x.clone().tril_(1) | x.clone().triu_() | x.clone().fill_diagonal_(3)
tall.clone().fill_diagonal_(1, wrap=True) | tall.clone().fill_diagonal_(1)
x.clone().unsqueeze_(1) | cube[:, :1].clone().squeeze_() | cube.clone().squeeze_(0)
x.clone().t_() | cube.clone().transpose_(0, 2) | tall.new_zeros(3, 3, 3).fill_diagonal_(2)
u.clone().log_() | x.clone().abs_() | x.clone().floor_() | x.clone().ceil_()
x.clone().reciprocal_() | x.clone().square_() | i.clone().remainder_(3)
lib.logcumsumexp(unit, 0) | lib.cummax(unit, 0) | lib.fmod(i, 3) | i.sum(dtype=lib.float64)
x.var(0, correction=2) | x.std(dim=(0, 1)) | x.all((0, 1)) | cube.any((0, 2), keepdim=True)
cube.logsumexp((0, 2)) | x.count_nonzero((0, 1)) | x.prod(1, dtype=lib.float64)
"""
EXPRESSIONS = listed(VALUES)

GRADIENTS = """
x.clamp_min(0.1) | x.aminmax().max + x.aminmax().min | x.nansum() | x.nanmean(1) | x.mode().values
x.cummax(1).values | x.cummin(0).values | x.logcumsumexp(1) | x.diff(2, 1) | lib.gradient(x)[1]
lib.trapezoid(x, row) | lib.cumulative_trapezoid(x) | x.nanmedian(1).values
x.quantile(shares, 1) | x.nanquantile(0.3, 0) | x.kthvalue(2).values | x.msort() | x.copysign(row)
lib.fmax(x, row) | lib.fmin(x, row) | x.frac() | x.float_power(2) | x.frexp().mantissa
lib.logaddexp2(x, row) | u.logit() | u.logit(0.3) | x.erfc() | u.erfinv() | u.lgamma()
x.digamma() | x.polygamma(1) | big.mvlgamma(2) | x.i0() | lib.special.i0e(x) | lib.special.i1(x)
x.sinc() | lib.xlogy(x, u) | lib.special.entr(u) | lib.special.ndtr(x) | lib.special.ndtri(u)
lib.special.log_ndtr(x * 5) | lib.special.erfcx(x) | x.deg2rad() | x.cov() | x.corrcoef()
lib.cdist(x, y, 1.0) | lib.cdist(x, x) | lib.cdist(rows, rows[:7] * 2) | x.renorm(2, 0, 0.5)
lib.dist(x, row, 3) | x.clamp_max(0.0) | x.positive() | lib.cdist(x, y, 1.5)
lib.cdist(x.round(), y.round(), float("inf")) | lib.nn.functional.pdist(x.round(), float("inf"))
lib.nn.functional.pdist(x, 1.0) | lib.nn.functional.pdist(x) | lib.nn.functional.pdist(x, 0.5)
"""
DIFFERENTIABLE = listed(GRADIENTS)


def namespace(library: Any, requires_grad: bool) -> dict[str, Any]:
    make = gs.from_numpy if library is gs else torch.from_numpy
    names: dict[str, Any] = {"lib": library, "float": float}
    for name, array in ARRAYS.items():
        names[name] = make(np.array(array))
        if requires_grad and array.dtype.kind == "f":
            names[name].requires_grad_()
    return names


def parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def as_numpy(tensor: Any) -> np.ndarray:
    if str(tensor.dtype).endswith("bfloat16"):
        tensor = tensor.float()
    return tensor.detach().numpy()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_values(expression: str) -> None:
    expression = expression.replace("@", "|")
    got, expected = (parts(eval(expression, namespace(lib, False))) for lib in (gs, torch))
    assert len(got) == len(expected)
    for mine, theirs in zip(got, expected, strict=True):
        assert str(mine.dtype) == str(theirs.dtype).removeprefix("torch.")
        ours, want = as_numpy(mine), as_numpy(theirs)
        assert ours.shape == want.shape
        np.testing.assert_allclose(ours, want, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("expression", DIFFERENTIABLE)
def test_gradients(expression: str) -> None:
    gradients: list[dict[str, np.ndarray]] = []
    for lib in (gs, torch):
        names = namespace(lib, True)
        out = eval(expression, names)
        (out * out).sum().backward()
        leaves = {name: names[name].grad for name in ARRAYS if hasattr(names[name], "grad")}
        gradients.append({n: as_numpy(g) for n, g in leaves.items() if g is not None})
    ours, theirs = gradients
    assert ours
    for name, want in theirs.items():
        got = ours.get(name, np.zeros_like(want))
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5, err_msg=name)
