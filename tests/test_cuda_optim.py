# SPDX-License-Identifier: Apache-2.0
"""Optimiser steps on the simulator: tables of every size, memory that is not aligned to packs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.simulator import DTYPES, TOLERANCES, assert_parity, needs_simulator

pytestmark = needs_simulator

# Options of the kernels, and which states they use.
STEPS: list[tuple[str, tuple[Any, ...], tuple[bool, bool, bool]]] = [
    ("sgd_step", (0.05, 0, 0, 0, False, True), (False, False, False)),
    ("sgd_step", (0.05, 0.9, 0.3, 0.1, False, False), (True, False, False)),
    ("sgd_step", (0.05, 0.9, 0, 0.1, True, False), (True, False, False)),
    ("adagrad_step", (0.05, 0.1, 0.1, 1e-10, False), (True, False, False)),
    ("adadelta_step", (1.0, 0.9, 1e-6, 0.1, True), (True, True, False)),
    ("rmsprop_step", (0.01, 0.99, 1e-8, 0.1, 0, False, False), (True, False, False)),
    ("rmsprop_step", (0.01, 0.99, 1e-8, 0, 0.9, True, False), (True, True, True)),
    ("adam_step", (0.01, 0.9, 0.999, 1e-8, 0.1, False, False, True), (True, True, False)),
    ("adam_step", (0.01, 0.9, 0.999, 1e-8, 0.1, True, True, False), (True, True, True)),
    ("adamax_step", (0.01, 0.9, 0.999, 1e-8, 0.1, True), (True, True, False)),
    ("nadam_step", (0.01, 0.9, 0.999, 1e-8, 0.1, False, True), (True, True, False)),
    ("nadam_step", (0.01, 0.9, 0.999, 1e-8, 0.1, True, False), (True, True, False)),
    ("radam_step", (0.01, 0.9, 0.9, 1e-8, 0.1, False, True), (True, True, False)),
    ("radam_step", (0.01, 0.9, 0.9, 1e-8, 0.1, True, False), (True, True, False)),
    ("rprop_step", (0.5, 1.2, 0.01, 0.9, True), (True, True, False)),
    ("asgd_step", (0.1, 0.1, True), (True, False, False)),
    ("lion_step", (0.01, 0.9, 0.99, 0.1, True), (True, False, False)),
]
SHAPES: list[tuple[int, ...]] = [(3, 4), (), (5,), (0, 3), (4100,)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("copies", [0, 60, 230])
@pytest.mark.parametrize(("op", "options", "used"), STEPS)
def test_steps(
    op: str, options: tuple[Any, ...], used: tuple[bool, ...], copies: int, dtype: Any
) -> None:
    if copies > 0 and op != "adam_step":
        return
    rng = np.random.default_rng(0)
    kept = dtype if dtype in (np.float32, np.float64) else np.float32
    shapes = SHAPES + [(17,)] * copies
    params = [np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in shapes]
    grads = [np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in shapes]
    # A mean gradient below the root of the mean square, as it would be.
    states = [
        [np.asarray(rng.random(shape) * scale + 0.01).astype(kept) for scale in (1, 1, 0.01)]
        for shape in shapes
    ]

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        def shifted(array: np.ndarray) -> Any:
            if array.shape != (5,):
                return place(array)
            return place(np.concatenate([array[:1], array]))[1:]

        own = [shifted(each) for each in params]
        held = [
            tuple(shifted(each) if use else None for each, use in zip(state, used, strict=True))
            for state in states
        ]
        numbers = [(0.5, 1.0 if i % 2 else 0.4) for i in range(len(own))]
        group = m.optim_group(op, own, held)
        for step in (1, 8):
            steps = [float(step + i % 2) for i in range(len(own))]
            slopes = [shifted(each) for each in grads]
            tensors = m.optim_tensors(group, slopes, steps, numbers)
            getattr(m, op)(tensors, *options)
        return *own, *(each for state in held for each in state if each is not None)

    assert_parity(call, 20 * TOLERANCES[dtype])
