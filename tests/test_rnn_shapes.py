# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers in sizes that reach every branch of the kernels, on every ISA."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.tensor import Tensor
from tests.cases import ISAS, NUMPY_DTYPES, isa_cap, threads
from tests.test_rnn import GATES, define, define_backward, run_layer
from tests.tolerance import assert_close

# (steps, batch, hidden): one row, whole and partial vectors of units; a few rows in partial tiles;
# several depth blocks; more row tiles than go together, whose threads share rows or units.
SHAPES = [(3, 1, 5), (3, 1, 40), (2, 1, 131), (3, 2, 16), (2, 7, 37), (2, 9, 210), (2, 61, 101)]


def arrays_of_shape(cell: str, shape: tuple[int, int, int], features: int = 3) -> list[np.ndarray]:
    """Return the operands and then the gradients of the outputs."""
    steps, batch, hidden = shape
    rng = np.random.default_rng(hidden)
    rows = GATES[cell] * hidden
    states = 2 if cell == "lstm" else 1
    shapes = [(steps, batch, features), *[(batch, hidden)] * states]
    shapes += [(rows, features), (rows, hidden)]
    scales = [1.0] * (1 + states) + [max(features / 3, 1.0) ** -0.5, hidden**-0.5]
    arrays = [s * rng.standard_normal(each) for each, s in zip(shapes, scales, strict=True)]
    arrays += [rng.standard_normal(rows) for _ in range(2)]
    return arrays + [
        rng.standard_normal(each) for each in [(steps, batch, hidden), *[(batch, hidden)] * states]
    ]


def outputs_and_gradients(
    cell: str, reverse: bool, operand: list[np.ndarray], dys: list[np.ndarray]
) -> list[np.ndarray]:
    tensors = [Tensor(each, requires_grad=True) for each in operand]
    outputs = run_layer(cell, True, reverse, *tensors)
    gradients = grad(outputs, tensors, [Tensor(each) for each in dys])
    return [each.detach().numpy() for each in (*outputs, *gradients)]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "t{}b{}h{}".format(*s))
@pytest.mark.parametrize("cell", list(GATES))
def test_shapes(cell: str, shape: tuple[int, int, int], dtype: str, isa: str) -> None:
    reverse = shape[2] % 2 == 1
    arrays = [each.astype(dtype) for each in arrays_of_shape(cell, shape)]
    outputs = 3 if cell == "lstm" else 2
    operand, dys = arrays[:-outputs], arrays[-outputs:]
    with isa_cap(isa):
        got = outputs_and_gradients(cell, reverse, operand, dys)
    wide = [each.astype(np.float64) for each in operand]
    want = [
        *define(cell, True, reverse, *wide),
        *define_backward(cell, True, reverse, *(each.astype(np.float64) for each in dys), *wide),
    ]
    for number, (one, other) in enumerate(zip(got, want, strict=True)):
        assert_close(one, other, dtype, "recurrent", 4 * shape[0], f"{cell} array {number}")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "t{}b{}h{}".format(*s))
@pytest.mark.parametrize("cell", list(GATES))
def test_bfloat16_shapes(cell: str, shape: tuple[int, int, int], isa: str) -> None:
    arrays = [each.astype(ml_dtypes.bfloat16) for each in arrays_of_shape(cell, shape)]
    operand = arrays[: -(3 if cell == "lstm" else 2)]
    with isa_cap(isa):
        got = run_layer(cell, True, False, *(Tensor(each) for each in operand))
    want = define(cell, True, False, *(each.astype(np.float64) for each in operand))
    for one, other in zip(got, want, strict=True):
        assert_close(one.numpy(), other, "bfloat16", "recurrent", shape[0], cell)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "t{}b{}h{}".format(*s))
@pytest.mark.parametrize("cell", list(GATES))
def test_bfloat16_gradients(cell: str, shape: tuple[int, int, int], isa: str) -> None:
    """Against the reference kernel, which rounds at the same places."""
    arrays = [each.astype(ml_dtypes.bfloat16) for each in arrays_of_shape(cell, shape)]
    outputs = 3 if cell == "lstm" else 2
    results = []
    for each in (isa, "reference"):
        with isa_cap(each):
            results.append(outputs_and_gradients(cell, False, arrays[:-outputs], arrays[-outputs:]))
    for number, (one, other) in enumerate(zip(*results, strict=True)):
        assert_close(one, other, "bfloat16", "recurrent", shape[0], f"{cell} array {number}")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "t{}b{}h{}".format(*s))
@pytest.mark.parametrize("cell", list(GATES))
def test_shapes_give_the_same_bits_for_any_thread_count(
    cell: str, shape: tuple[int, int, int], dtype: str
) -> None:
    arrays = [each.astype(NUMPY_DTYPES[dtype]) for each in arrays_of_shape(cell, shape)]
    outputs = 3 if cell == "lstm" else 2
    runs = []
    for count in (1, 2, 7):
        with threads(count):
            runs.append(outputs_and_gradients(cell, False, arrays[:-outputs], arrays[-outputs:]))
    for other in runs[1:]:
        for one, another in zip(runs[0], other, strict=True):
            assert one.tobytes() == another.tobytes()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("features", [0, 1, 410])
@pytest.mark.parametrize("cell", list(GATES))
def test_inputs_of_any_width_with_and_without_gradients(cell: str, features: int, isa: str) -> None:
    """Of a batch large enough for the kernel to multiply inputs and states side by side."""
    reverse = features == 1
    arrays = arrays_of_shape(cell, (3, 37, 20), features)[: -(3 if cell == "lstm" else 2)]
    operand = [each.astype(np.float32) for each in arrays]
    with isa_cap(isa):
        got = run_layer(cell, True, reverse, *(Tensor(each) for each in operand))
        saving = run_layer(
            cell, True, reverse, *(Tensor(each, requires_grad=True) for each in operand)
        )
    want = define(cell, True, reverse, *(each.astype(np.float64) for each in operand))
    for one, same, other in zip(got, saving, want, strict=True):
        assert one.numpy().tobytes() == same.detach().numpy().tobytes()
        assert_close(one.numpy(), other, "float32", "recurrent", 4 * 3, cell)
