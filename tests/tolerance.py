# SPDX-License-Identifier: Apache-2.0
"""The one table of tolerances: |got - expected| <= k * eps(dtype) * scale, per class of op.

scale is max(|expected|, root mean square of expected), so that a sum that cancels is judged by the
size of what was added. k grows with the square root of the number of terms (``depth``): rounding
errors add up like a random walk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

EPS = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-7, "float16": 2.0**-10}

# class: k for depth 1
TABLE = {
    "exact": 0.0,
    "pointwise": 4.0,
    "transcendental": 16.0,
    "reduce": 8.0,
    "matmul": 8.0,
    "winograd": 16.0,
    "norm": 32.0,
    "softmax": 32.0,
    "attention": 64.0,
    "recurrent": 64.0,
}


def assert_close(
    got: Any, expected: Any, dtype: str, tolerance: str, depth: int = 1, label: str = ""
) -> None:
    """Compare an array with its definition; the message names the worst element."""
    got = np.asarray(got).astype(np.float64)
    expected = np.asarray(expected, dtype=np.float64)
    assert got.shape == expected.shape, f"{label}: shape {got.shape}, expected {expected.shape}"
    if expected.size == 0:
        return
    same_nan = np.isnan(got) == np.isnan(expected)
    assert same_nan.all(), f"{label}: NaN at other places than expected"
    infinite = np.isinf(expected)
    assert (got[infinite] == expected[infinite]).all(), f"{label}: infinities differ"
    finite = np.isfinite(expected)
    if not finite.any():
        return
    got, expected = got[finite], expected[finite]
    scale = np.maximum(np.abs(expected), np.sqrt(np.mean(expected**2)))
    limit = TABLE[tolerance] * np.sqrt(depth) * EPS[dtype] * scale
    error = np.abs(got - expected)
    worst = int(np.argmax(error - limit))
    assert (error <= limit).all(), (
        f"{label}: {int((error > limit).sum())} of {error.size} elements are off; worst: got "
        f"{got[worst]:.9g}, expected {expected[worst]:.9g}, error {error[worst]:.3g}, allowed "
        f"{limit[worst]:.3g} ({tolerance}, {dtype}, depth {depth})"
    )
