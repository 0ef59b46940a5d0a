# SPDX-License-Identifier: Apache-2.0
"""Gather and scatter_add along rows that lie far apart, which are copied into tiles."""

from __future__ import annotations

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, NUMPY_DTYPES, isa_cap, threads
from tests.reference import indexing as ref


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("shape", [(2100, 70), (2, 1100, 128), (700, 400)], ids=str)
def test_rows_far_apart(shape: tuple[int, ...], dtype: str, isa: str) -> None:
    """Columns enough for several copies that stay near, the last one narrower or not."""
    rng = np.random.default_rng(0)
    axis = len(shape) - 2
    x = rng.integers(-8, 8, shape).astype(NUMPY_DTYPES[dtype])
    size = (*shape[:axis], shape[axis] - 5, shape[-1] - 1)
    index = rng.integers(0, shape[axis], size)
    src = rng.integers(-8, 8, size).astype(x.dtype)
    tensor, ids = gs.from_numpy(x), gs.from_numpy(index)
    for count in (1, 2, 7):
        with isa_cap(isa), threads(count):
            picked = tensor.gather(axis, ids).numpy()
            added = tensor.scatter_add(axis, ids, gs.from_numpy(src)).numpy()
            turned = tensor.transpose(-1, axis).gather(-1, ids.transpose(-1, axis)).numpy()
        np.testing.assert_array_equal(picked, ref.gather(x, axis, index))
        np.testing.assert_array_equal(turned, picked.swapaxes(-1, axis))
        expected = ref.scatter_add(x.astype(np.float64), axis, index, src.astype(np.float64))
        np.testing.assert_array_equal(added.astype(np.float64), expected)


def test_a_wrong_index_far_down_a_column() -> None:
    x = gs.zeros(1500, 64)
    index = gs.zeros(1500, 64, dtype=gs.int64)
    index[1400, 50] = 1500
    for call in (lambda: x.gather(0, index), lambda: x.scatter_add(0, index, x + 1)):
        with pytest.raises(IndexError, match=r"index 1500 .* size 1500"):
            call()
    assert not x.numpy().any()
