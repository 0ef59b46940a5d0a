# SPDX-License-Identifier: Apache-2.0
"""Reductions over rows of columns, from a few of them to many, in the caches and from memory."""

from __future__ import annotations

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, NUMPY_DTYPES, isa_cap, threads
from tests.tolerance import assert_close

FAR = [(6011, 64), (4099, 100), (9001, 31), (30_001, 10), (803, 512), (1501, 301)]
NEAR = [(17, 64), (45, 3), (129, 128), (257, 33), (8, 200), (2, 2100), (7, 33), (3, 5)]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
@pytest.mark.parametrize("shape", FAR + NEAR)
def test_columns(shape: tuple[int, int], dtype: str, isa: str) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(NUMPY_DTYPES[dtype])
    wide = x.astype(np.float64)
    runs = []
    for count in (1, 2, 7):
        with threads(count), isa_cap(isa):
            given = gs.from_numpy(x)
            got = [given.sum(0), given.amax(0), given.mean(0), (given * given).sum(0)]
        runs.append([each.numpy() for each in got])
    squares = (x * x).astype(np.float64)
    expected = [wide.sum(0), wide.max(0), wide.mean(0), squares.sum(0)]
    for array, want in zip(runs[0], expected, strict=True):
        assert_close(array, want, dtype, "reduce", shape[0], str(shape))
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            assert first.tobytes() == second.tobytes(), "bits differ by threads"


@pytest.mark.parametrize("isa", ISAS)
def test_middle_dimension_of_a_view(isa: str) -> None:
    x = np.random.default_rng(1).standard_normal((9, 130, 2, 300)).astype(np.float32)[..., 1:257]
    with isa_cap(isa):
        got = gs.from_numpy(x).sum(1).numpy()
    assert_close(got, x.astype(np.float64).sum(1), "float32", "reduce", 130, "middle")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rows", [2, 7, 8, 9])
def test_few_rows_of_columns_in_another_order(rows: int, isa: str) -> None:
    """Columns whose results do not lie side by side; NaN, infinities and negative zeros."""
    x = np.random.default_rng(rows).standard_normal((5, rows, 6, 90)).astype(np.float32)
    x[0, 0, 0, :9], x[1, :, 1, :9], x[2, 1, 2, :9] = np.nan, -np.inf, np.inf
    x[3] = -0.0
    given = x.transpose(0, 3, 1, 2)
    with isa_cap(isa):
        plain = gs.from_numpy(x).permute(0, 3, 1, 2)
        got = [plain.sum(2), plain.mean(2), plain.amax(2), plain.amin(2)]
    wide = given.astype(np.float64)
    expected = [wide.sum(2), wide.mean(2), wide.max(2), wide.min(2)]
    for array, want in zip(got, expected, strict=True):
        np.testing.assert_allclose(array.numpy(), want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
@pytest.mark.parametrize("shape", FAR[3:] + NEAR)
def test_products_of_columns(shape: tuple[int, int], dtype: str, isa: str) -> None:
    noise = np.random.default_rng(0).standard_normal(shape)
    x = np.exp(noise / np.sqrt(shape[0])).astype(NUMPY_DTYPES[dtype])
    runs = []
    for count in (1, 2, 7):
        with threads(count), isa_cap(isa):
            runs.append(gs.from_numpy(x).prod(0).numpy())
    assert_close(runs[0], x.astype(np.float64).prod(0), dtype, "reduce", shape[0], str(shape))
    assert runs[0].tobytes() == runs[1].tobytes() == runs[2].tobytes()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rows", [3, 8, 100])
def test_products_of_columns_have_the_range_of_double(rows: int, isa: str) -> None:
    """Chains of rows that leave the range of float on the way, next to ones that do not."""
    rng = np.random.default_rng(rows)
    x = rng.uniform(0.5, 2, (rows, 70)).astype(np.float32)
    x[0, ::3], x[1, ::3], x[2, ::3] = 1e30, 1e30, 1e-30
    x[0, 1::9], x[1, 1::9], x[2, 1::9] = 1e-30, 1e-30, 1e38
    x[rows // 2, 4], x[rows // 2, 5], x[0, 6], x[1, 6] = 0, np.nan, np.inf, 0
    with isa_cap(isa), np.errstate(all="ignore"):
        expected = x.astype(np.float64).prod(0).astype(np.float32)
        got = gs.from_numpy(x).prod(0).numpy()
    normal = np.where(np.abs(expected) < np.finfo(np.float32).tiny, 0, expected)
    flushed = np.where(np.abs(got) < np.finfo(np.float32).tiny, 0, got)
    np.testing.assert_allclose(flushed, normal, rtol=1e-5)
