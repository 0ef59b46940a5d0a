# SPDX-License-Identifier: Apache-2.0
"""Reductions along rows: short ones of every length, products whose chains leave float's range."""

from __future__ import annotations

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, NUMPY_DTYPES, isa_cap, threads
from tests.tolerance import assert_close


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_lengths_of_rows(dtype: str, isa: str) -> None:
    for length in [*range(1, 140), 255, 256, 257, 300]:
        x = np.random.default_rng(length).standard_normal((33, length)).astype(NUMPY_DTYPES[dtype])
        runs = []
        for count in (1, 2, 7):
            with threads(count), isa_cap(isa):
                given = gs.from_numpy(x)
                runs.append([each.numpy() for each in (given.sum(1), given.norm(2, 1))])
        wide = x.astype(np.float64)
        expected = [wide.sum(1), np.sqrt((wide * wide).sum(1))]
        for array, want in zip(runs[0], expected, strict=True):
            assert_close(array, want, dtype, "reduce", length, str(length))
        for other in runs[1:]:
            for first, second in zip(runs[0], other, strict=True):
                assert first.tobytes() == second.tobytes(), "bits differ by threads"


@pytest.mark.parametrize("isa", ISAS)
def test_short_rows_keep_what_is_not_finite(isa: str) -> None:
    x = np.ones((49, 49), np.float32)
    x[np.arange(49), np.arange(49)] = [np.inf, np.nan, -np.inf] * 16 + [np.nan]
    with isa_cap(isa):
        got = gs.from_numpy(x).sum(1).numpy()
    np.testing.assert_array_equal(got, x.sum(1))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("scale", "length", "runs"), [(1, 1024, (256,)), (6, 320, (8, 16, 32))])
def test_products_of_chains_that_leave_float(
    scale: int, length: int, runs: tuple[int, ...], isa: str
) -> None:
    """Large and small numbers, of which each row has as many, in runs and in any order."""
    rng = np.random.default_rng(scale)
    in_runs = [np.tile(np.repeat([1, -1], run), length // run // 2) for run in runs]
    signs = np.stack([*in_runs, *(rng.permutation(in_runs[0]) for _ in range(20))])
    x = (rng.uniform(0.9, 1.1, signs.shape) * 10.0 ** (scale * signs)).astype(np.float32)
    with isa_cap(isa):
        got = gs.from_numpy(x).prod(1).numpy()
    np.testing.assert_allclose(got, np.exp(np.log(x.astype(np.float64)).sum(1)), rtol=1e-5)
