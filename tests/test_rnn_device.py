# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers of the 16-bit types whose weights one multiprocessor of no GPU keeps alone, so
that their blocks hand the states to each other."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest

from gradsmith import cudasim
from gradsmith.autograd import grad
from gradsmith.backend import CUDASIM, Device, moved
from gradsmith.ops import rnn
from gradsmith.tensor import Tensor, wrap
from tests.cases import NUMPY_DTYPES, backend, to_array
from tests.test_rnn import define, define_backward
from tests.tolerance import assert_close

STEPS, BATCH, FEATURES = 4, 21, 8
# Beyond 227 KB of weights, and no multiple of a block's 16 units.
HIDDEN = {"lstm": 184, "gru": 200, "rnn_tanh": 344}
MULTIPROCESSORS = 44  # of the simulator: two groups of rows


def operands(cell: str, dtype: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return x, the first states, the weights and biases, and what comes back for each result."""
    rng = np.random.default_rng(0)
    hidden = HIDDEN[cell]
    rows = rnn.GATES[cell] * hidden
    states = [(BATCH, hidden)] * (2 if cell == "lstm" else 1)
    weights = [(rows, FEATURES), (rows, hidden), (rows,), (rows,)]
    scales = [1.0, *(1.0 for _ in states), 0.3, hidden**-0.5, 0.3, 0.3]
    shapes = [(STEPS, BATCH, FEATURES), *states, *weights]
    given = [s * rng.standard_normal(shape) for s, shape in zip(scales, shapes, strict=True)]
    slopes = [rng.standard_normal(shape) for shape in [(STEPS, BATCH, hidden), *states]]
    cast = NUMPY_DTYPES[dtype]
    return [each.astype(cast) for each in given], [each.astype(cast) for each in slopes]


def on_a_gpu_of_many(device: Device) -> AbstractContextManager[None]:
    return cudasim.multiprocessors(MULTIPROCESSORS) if device is CUDASIM else nullcontext()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("cell", list(HIDDEN))
def test_blocks_that_hand_states_over(
    cell: str, dtype: str, reverse: bool, device_isa: str
) -> None:
    given, slopes = operands(cell, dtype)
    wide = [each.astype(np.float64) for each in given]
    expected = define(cell, True, reverse, *wide)
    expected_gradients = define_backward(
        cell, True, reverse, *(each.astype(np.float64) for each in slopes), *wide
    )
    with backend(device_isa) as device, on_a_gpu_of_many(device):
        tensors: list[Any] = [Tensor(moved(each, device), requires_grad=True) for each in given]
        x, h0, *rest = tensors
        c0 = rest.pop(0) if cell == "lstm" else None
        results = rnn.recurrent_layer(cell, x, h0, c0, *rest, reverse)
        gradients = grad(list(results), tensors, [wrap(moved(each, device)) for each in slopes])
        got = [to_array(each) for each in (*results, *gradients)]
    for one, want in zip(got, (*expected, *expected_gradients), strict=True):
        assert_close(one, want, dtype, "recurrent", STEPS)
