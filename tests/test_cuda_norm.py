# SPDX-License-Identifier: Apache-2.0
"""Gradients of row norms on the simulator: rows of a block, of clusters and beyond."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradsmith import cudasim
from tests.cases import backend
from tests.simulator import (
    DTYPES,
    assert_parity,
    needs_simulator,
    on_simulator,
    simulator,
)

pytestmark = needs_simulator

REDUCED = (ml_dtypes.bfloat16, np.float16)
TOLERANCES = {np.float32: 2e-4, np.float64: 1e-11, ml_dtypes.bfloat16: 3e-2, np.float16: 4e-3}


def arguments(rows: int, length: int, dtype: Any, op: str) -> tuple[Any, ...]:
    """Return x, dy, weight, and the mean and rstd that fit x."""
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((rows, length)).astype(dtype) for _ in range(2))
    kept = np.float32 if dtype in REDUCED else dtype
    weight = rng.standard_normal(length).astype(kept)
    wide = x.astype(np.float64)
    mean = wide.mean(1) if op == "layer_norm" else np.zeros(rows)
    rstd = 1 / np.sqrt(((wide - mean[:, None]) ** 2).mean(1) + 1e-5)
    return x, dy, weight, mean.astype(kept), rstd.astype(kept)


def gradients(op: str, given: tuple[Any, ...], wanted: tuple[bool, bool, bool]) -> Any:
    x, dy, weight, mean, rstd = given

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        center = place(mean) if op == "layer_norm" else None
        found = m.row_norm_backward(
            op, place(x), place(dy), (x.shape[1],), place(weight), center, place(rstd), *wanted
        )
        return tuple(each for each in found if each is not None)

    return call


# Rows of one block, of two, four and eight with ends within a pack or not, and of more.
LENGTHS = (8200, 16384, 24001, 65536, 66000)


@pytest.mark.parametrize("op", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_gradients_of_long_rows(length: int, dtype: Any, op: str) -> None:
    given = arguments(5, length, dtype, op)
    assert_parity(
        gradients(op, given, (True, op == "layer_norm", op == "layer_norm")), TOLERANCES[dtype]
    )


@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, True), (True, True, False)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_some_gradients_of_long_rows(dtype: Any, wanted: tuple[bool, bool, bool]) -> None:
    given = arguments(9, 20000, dtype, "layer_norm")
    assert_parity(gradients("layer_norm", given, wanted), TOLERANCES[dtype])


def test_which_kernels_take_long_rows() -> None:
    call = gradients("layer_norm", arguments(3, 20000, np.float32, "layer_norm"), (True,) * 3)
    for cap, kernel in (("sm80", "row_norm_dx_by_block"), ("sm90", "row_norm_backward_resident")):
        cudasim.reset()
        with backend(f"cudasim:{cap}"):
            call(simulator(), on_simulator)
        assert kernel in " ".join(cudasim.report())
