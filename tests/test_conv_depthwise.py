# SPDX-License-Identifier: Apache-2.0
"""Depthwise convolution of channels-last images: bands of every height, pixels at every edge."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases import ISAS, NUMPY_DTYPES
from tests.test_conv import check_problem


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
@pytest.mark.parametrize("padding", [0, 1, 2, 4])
def test_three_by_three(padding: int, dtype: str, isa: str) -> None:
    rng = np.random.default_rng(padding)
    for rows in range(3, 15):
        columns, channels = int(rng.integers(3, 13)), int(rng.integers(16, 50))
        shapes = (2, channels, rows, columns), (channels, 1, 3, 3)
        name = f"{rows} x {columns} of {channels} channels, padded by {padding}"
        check_problem((*shapes, 1, padding, 1, channels), dtype, isa, name)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("padding", [(0, 3, 1), (0, 0, 2)])
def test_images_of_a_volume(padding: tuple[int, int, int], isa: str) -> None:
    shapes = (2, 20, 3, 9, 6), (20, 1, 1, 3, 3)
    check_problem((*shapes, 1, padding, 1, 20), "float32", isa, f"padded by {padding}")
