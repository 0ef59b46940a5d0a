# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers in the simulator that want more units or rows of the batch than the Cases have:
those of the 16-bit types on tensor cores, and weights that shared memory holds in part."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradsmith import _cpu, cudasim
from gradsmith.backend import CPU, moved
from tests.cases import SCHEDULES
from tests.simulator import (
    TOLERANCES,
    Call,
    Place,
    assert_parity,
    needs_simulator,
    on_cpu,
    on_simulator,
    simulator,
)

pytestmark = needs_simulator

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
FEATURES = 3
bfloat16 = ml_dtypes.bfloat16


class Layer:
    """A layer of random operands; in a pair its states are a half of wider rows."""

    def __init__(
        self, cell: str, sizes: tuple[int, int, int], dtype: Any, reverse: bool, pair: bool
    ) -> None:
        steps, batch, hidden = sizes
        rng = np.random.default_rng(hidden + batch)
        has_cell = cell == "lstm"

        def draw(*shape: int, scale: float = 1.0) -> np.ndarray:
            return (scale * rng.standard_normal(shape)).astype(dtype)

        self.cell, self.reverse, self.pair, self.hidden = cell, reverse, pair, hidden
        rows = GATES[cell] * hidden
        self.operands = (
            draw(steps, batch, FEATURES),
            draw(batch, hidden, scale=0.5),
            draw(batch, hidden) if has_cell else None,
            draw(rows, FEATURES),
            draw(rows, hidden, scale=hidden**-0.5),
            draw(rows) if reverse else None,
            draw(rows) if reverse else None,
        )
        wide = 2 * hidden if pair else hidden
        self.states = np.zeros((steps + 1, batch, wide), dtype)
        self.dy = draw(steps, batch, wide)
        self.dlast = (draw(batch, hidden), draw(batch, hidden) if has_cell else None)

    def own_half(self, array: Any) -> Any:
        return array[:, :, self.hidden :] if self.pair else array

    def forward(self, extension: Any, place: Place) -> tuple[Any, ...]:
        operands = [None if each is None else place(each) for each in self.operands]
        states = self.own_half(place(self.states))
        return extension.rnn_forward(self.cell, *operands, self.reverse, states)

    def saved_parts(self, extension: Any, place: Place) -> tuple[Any, ...]:
        return tuple(each for each in self.forward(extension, place) if each is not None)

    def gradients(self, extension: Any, place: Place) -> tuple[Any, ...]:
        """Return those from what the CPU's forward pass saved, as a sign may hang on one bit."""
        gates, states, *rest = self.forward(_cpu, on_cpu)
        whole = np.zeros_like(self.states)
        self.own_half(whole)[...] = states
        saved = [gates, None, *rest]
        placed = [None if each is None else place(each) for each in saved]
        placed[1] = self.own_half(place(whole))
        dlast = [None if each is None else place(each) for each in self.dlast]
        found = extension.rnn_backward(
            self.cell,
            self.own_half(place(self.dy)),
            *dlast,
            place(self.operands[4]),
            *placed,
            self.reverse,
        )
        return tuple(each for each in found if each is not None)


def layer(
    cell: str, sizes: tuple[int, int, int], dtype: Any, reverse: bool = False, pair: bool = False
) -> tuple[Call, Call]:
    """Return the calls of both passes."""
    made = Layer(cell, sizes, dtype, reverse, pair)
    return made.saved_parts, made.gradients


def assert_on_tensor_cores(calls: tuple[Call, Call], dtype: Any) -> None:
    for call, kernel in zip(calls, ("mma_forward", "mma_backward"), strict=True):
        cudasim.reset()
        assert_parity(call, 2 * TOLERANCES[dtype])
        assert any(name.startswith(kernel) for name in cudasim.report()), kernel


# Three blocks of 16, 16 and 8 units for two groups of 16 rows; two for three groups of 24; six for
# all rows in passes of 16 and of 32, the last one with few.
@pytest.mark.parametrize(("batch", "hidden"), [(27, 40), (70, 24), (34, 96), (70, 88)])
@pytest.mark.parametrize("cell", list(GATES))
def test_many_rows(cell: str, batch: int, hidden: int) -> None:
    assert_on_tensor_cores(layer(cell, (3, batch, hidden), bfloat16), bfloat16)


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_float16_with_biases_backwards(cell: str) -> None:
    assert_on_tensor_cores(layer(cell, (3, 27, 40), np.float16, reverse=True), np.float16)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", ["rnn_relu", "lstm", "gru"])
def test_half_of_wider_rows(cell: str, reverse: bool) -> None:
    assert_on_tensor_cores(layer(cell, (2, 26, 24), bfloat16, reverse, pair=True), bfloat16)


# More weights than one block holds. Depths of which a warp takes more than are under way at a time,
# in passes of 8 and of 16 rows.
@pytest.mark.parametrize(
    ("cell", "steps", "batch", "hidden"),
    [("rnn_tanh", 2, 1, 344), ("gru", 2, 9, 200), ("lstm", 2, 32, 264), ("lstm", 1, 2, 520)],
)
def test_many_units(cell: str, steps: int, batch: int, hidden: int) -> None:
    with cudasim.multiprocessors(-(-hidden // 16)):
        assert_on_tensor_cores(layer(cell, (steps, batch, hidden), bfloat16), bfloat16)


# Two blocks keep the most of each row of the weights, and read the rest from memory, for groups of
# ten rows of the batch or of four.
@pytest.mark.parametrize(
    ("cell", "batch", "hidden", "dtype"),
    [
        ("lstm", 11, 176, np.float32),
        ("lstm", 3, 184, np.float32),
        ("gru", 21, 144, np.float64),
        ("rnn_tanh", 13, 352, np.float32),
        ("lstm", 12, 264, bfloat16),
    ],
)
def test_weights_that_are_kept_in_part(cell: str, batch: int, hidden: int, dtype: Any) -> None:
    cudasim.reset()
    with cudasim.multiprocessors(2):
        for call in layer(cell, (2, batch, hidden), dtype):
            assert_parity(call, 5 * TOLERANCES[dtype])
    assert not any(name.startswith("mma_forward") for name in cudasim.report())


@pytest.mark.parametrize("dtype", [bfloat16, np.float16])
def test_a_nan_like_the_awaited_one_arrives(dtype: Any) -> None:
    batch, hidden = 25, 16
    x, h0 = np.zeros((2, batch, 1), dtype), np.zeros((batch, hidden), dtype)
    h0.view(np.uint16)[3] = 0xFFFE
    w_ih, w_hh = np.zeros((hidden, 1), dtype), np.full((hidden, hidden), 0.1, dtype)
    for name in SCHEDULES:
        with cudasim.schedule(name, 1):
            arrays = [on_simulator(each) for each in (x, h0)]
            weights = [on_simulator(each) for each in (w_ih, w_hh)]
            result = simulator().rnn_forward("rnn_tanh", *arrays, None, *weights, None, None, False)
        states = np.asarray(moved(result[1], CPU)).astype(np.float32)
        assert np.isnan(states[:, 3]).all()
        assert np.isfinite(np.delete(states, 3, axis=1)).all()


@pytest.mark.parametrize(("batch", "hidden"), [(27, 20), (3, 24), (27, 104)])
def test_what_it_declines(batch: int, hidden: int) -> None:
    """Rows of no whole 16 bytes; little to do; more units than six multiprocessors take."""
    cudasim.reset()
    for call in layer("rnn_tanh", (2, batch, hidden), bfloat16):
        assert_parity(call, 2 * TOLERANCES[bfloat16])
    assert not any(name.startswith("mma_") for name in cudasim.report())


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_relu"])
def test_weights_that_start_between_packs(cell: str) -> None:
    """They are read 16 bytes at a time, which a part of a longer array need not start at."""
    made = Layer(cell, (3, 40, 40), bfloat16, reverse=False, pair=False)

    def displaced(place: Place) -> Place:
        def put(array: Any) -> Any:
            if array is not made.operands[4]:
                return place(array)
            return place(np.append(array[:1, :1], array))[1:].reshape(array.shape)

        return put

    for method in (made.saved_parts, made.gradients):
        assert_parity(lambda e, place, m=method: m(e, displaced(place)), 2 * TOLERANCES[bfloat16])


def test_number_of_multiprocessors() -> None:
    assert simulator().multiprocessors() == 6
    with cudasim.multiprocessors(9):
        assert simulator().multiprocessors() == 9
    assert simulator().multiprocessors() == 6
    with (
        pytest.raises(ValueError, match="count is 0, expected a positive"),
        cudasim.multiprocessors(0),
    ):
        pass
