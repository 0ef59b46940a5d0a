# SPDX-License-Identifier: Apache-2.0
"""Random numbers on the simulator are the CPU's to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.simulator import DTYPES, assert_parity, assert_same_refusal, needs_simulator

pytestmark = needs_simulator

COUNT = 1003


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0, 1, 6, 2**34 - 9])
def test_streams(offset: int, dtype: Any) -> None:
    x = np.random.default_rng(0).random(COUNT).astype(dtype)

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        outputs = []
        for low, high in ((0.0, 1.0), (-3.0, -2.9), (2.0, 2.0)):
            outputs.append(place(x))
            m.random_uniform(outputs[-1], 7, offset, low, high, "rand")
        for probability in (0.37, place(x)):
            outputs.append(place(x))
            m.random_bernoulli(outputs[-1], probability, 7, offset)
        outputs.append(place(x))
        m.random_normal(outputs[-1], 7, offset, 1.0, 2.0, "randn")
        outputs += [m.dropout(place(x), p, 1, 7, offset, "dropout") for p in (0.25, 0.3, 1.0)]
        outputs += [m.dropout(place(x[:960]), 0.3, g, 7, offset, "dropout") for g in (3, 8)]
        outputs.append(m.random_integers((COUNT,), 7, offset, -5, 2**40, "randint"))
        return tuple(outputs)

    assert_parity(call)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5000])
def test_permutations(count: int) -> None:
    assert_parity(lambda m, place: (m.random_permutation(count, 4, 8),))


# The last sorts in global memory.
@pytest.mark.parametrize(
    ("categories", "rows", "samples"), [(3, 2, 3), (100, 7, 50), (1000, 2, 999), (16500, 1, 30)]
)
def test_categories(categories: int, rows: int, samples: int) -> None:
    weights = np.random.default_rng(0).random((rows, categories)) + 0.1
    weights[:, 1] = weights[:, 1] if samples == categories else 0
    for dtype in DTYPES:
        for replacement in (False, True):
            assert_parity(
                lambda m, place, dtype=dtype, replacement=replacement: (
                    m.random_multinomial(place(weights.astype(dtype)), samples, replacement, 5, 8),
                )
            )


@pytest.mark.parametrize(
    ("weights", "replacement"),
    [([[1.0, 2], [-1, 3]], True), ([[1.0, 2], [0, 0]], True), ([[1.0, 0], [0, 1]], False)],
)
def test_wrong_weights(weights: list[list[float]], replacement: bool) -> None:
    assert_same_refusal(
        lambda m, place: m.random_multinomial(place(np.array(weights)), 2, replacement, 1, 0)
    )


def test_wrong_probabilities() -> None:
    wrong = np.array([0.1, 2, 0.3, -1])
    assert_same_refusal(lambda m, place: m.random_bernoulli(place(np.zeros(4)), place(wrong), 1, 0))
