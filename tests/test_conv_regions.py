# SPDX-License-Identifier: Apache-2.0
"""Channels-last convolutions: padding that is left out, passes of weights, sliding kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith.ops import conv
from gradsmith.tensor import Tensor
from tests.cases import ISAS, NUMPY_DTYPES, isa_cap
from tests.test_conv import check_problem

# x, weight, stride, padding, dilation, groups.
PROBLEMS: dict[str, tuple[Any, ...]] = {
    "edges": ((2, 17, 19, 23), (20, 17, 3, 3), 1, 1, 1, 1),
    "edges_by_five": ((3, 32, 17, 13), (33, 32, 5, 5), (1, 1), (2, 2), (1, 1), 1),
    "edges_dilated": ((2, 16, 18, 21), (40, 16, 3, 3), (1, 1), (2, 3), (2, 3), 1),
    "rows_that_meet": ((1, 16, 8, 3), (16, 16, 2, 2), (1, 1), (0, 0), (1, 2), 1),
    "rows_that_meet_padded": ((2, 16, 8, 5), (16, 16, 3, 3), (1, 1), (1, 2), (1, 2), 1),
    "rows_that_meet_in_dy": ((2, 16, 8, 5), (16, 16, 2, 2), (1, 1), (0, 0), (1, 2), 1),
    "rows_that_meet_3d": ((1, 17, 4, 5, 1), (18, 17, 2, 3, 1), (1, 1, 1), (0, 0, 0), (1, 2, 1), 1),
    "edges_strided": ((2, 18, 25, 22), (34, 18, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    "edges_of_phases": ((2, 20, 26, 31), (24, 20, 5, 4), (3, 2), (2, 1), (1, 1), 1),
    "edges_3d": ((2, 18, 7, 9, 12), (17, 18, 3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
    "edges_1d": ((2, 24, 200), (31, 24, 7), (1,), (3,), (1,), 1),
    "edges_grouped": ((2, 36, 15, 17), (32, 18, 3, 3), 1, 1, 1, 2),
    "far_padding": ((2, 16, 14, 9), (18, 16, 3, 3), (1, 1), (6, 5), (1, 1), 1),
    "most_is_padding": ((1, 16, 3, 4), (17, 16, 5, 5), (1, 1), (4, 4), (1, 1), 1),
    "passes_of_columns": ((2, 130, 6, 5), (230, 130, 3, 3), 1, 1, 1, 1),
    "passes_of_phases": ((1, 180, 9, 8), (170, 180, 4, 4), (2, 2), (1, 1), (1, 1), 1),
    "passes_of_groups": ((1, 260, 5, 6), (264, 130, 3, 3), 1, 1, 1, 2),
    "passes_of_a_pointwise": ((1, 520, 5, 7), (330, 520, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "sliding_3d": ((2, 19, 4, 9, 12), (16, 19, 3, 3, 3), 1, 1, 1, 1),
    "sliding_wide_padding": ((2, 21, 9, 11), (14, 21, 3, 5), 1, (1, 4), 1, 1),
    "sliding_inside": ((2, 16, 12, 19), (16, 16, 3, 3), 1, 0, 1, 1),
    "sliding_strided_rows": ((2, 17, 13, 18), (16, 17, 3, 3), (2, 1), 1, 1, 1),
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
@pytest.mark.parametrize("name", PROBLEMS)
def test_results_and_gradients(name: str, dtype: str, isa: str) -> None:
    check_problem(PROBLEMS[name], dtype, isa, name)


@pytest.mark.parametrize("isa", ISAS)
def test_a_pixel_that_sees_only_padding_is_the_bias(isa: str) -> None:
    x = Tensor(np.moveaxis(np.ones((1, 20, 20, 16), np.float32), -1, 1))
    weight, bias = np.ones((16, 16, 3, 3), np.float32), np.arange(16, dtype=np.float32)
    with isa_cap(isa):
        y = conv.conv2d(x, Tensor(weight), Tensor(bias), padding=3).numpy()
    np.testing.assert_array_equal(y[0, :, 0, 5], bias)
    np.testing.assert_array_equal(y[0, :, 12, 23], bias)
    np.testing.assert_array_equal(y[0, :, 1, 1], bias + 16)


@pytest.mark.parametrize("isa", ISAS)
def test_an_infinity_reaches_only_the_weights_that_meet_it(isa: str) -> None:
    x = np.moveaxis(np.ones((1, 20, 20, 16), np.float32), -1, 1)
    x[0, 3, 5, 0] = np.inf  # in the first column, which no product of the last tap reads
    weight = Tensor(np.ones((16, 16, 3, 3), np.float32), requires_grad=True)
    with isa_cap(isa):
        conv.conv2d(Tensor(x), weight, padding=1).backward(Tensor(np.ones((1, 16, 20, 20), "f")))
    gradient = weight.grad.numpy()
    np.testing.assert_array_equal(np.isinf(gradient[:, 3]).any((0, 1)), [True, True, False])
    assert np.isfinite(gradient[:, 3, :, 2]).all()
