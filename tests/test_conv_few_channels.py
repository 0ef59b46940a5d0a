# SPDX-License-Identifier: Apache-2.0
"""Convolutions in C order of images with few channels, whose gradient is folded from columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith.ops import conv
from gradsmith.tensor import Tensor
from tests.cases import ISAS, isa_cap
from tests.test_conv import check_problem

# x, weight, stride, padding, dilation, groups.
PROBLEMS: dict[str, tuple[Any, ...]] = {
    "unpadded": ((3, 6, 14, 14), (16, 6, 5, 5), 1, 0, 1, 1),
    "halved": ((3, 1, 28, 28), (64, 1, 4, 4), 2, 1, 1, 1),
    "wide_rows": ((2, 3, 9, 37), (40, 3, 3, 3), 1, 1, 1, 1),
    "rows_of_one_vector": ((2, 2, 6, 16), (17, 2, 3, 3), 1, 1, 1, 1),
    "far_padding": ((2, 2, 5, 6), (18, 2, 3, 4), 1, (5, 7), 1, 1),
    "far_taps": ((1, 2, 9, 40), (20, 2, 2, 3), 1, 0, (3, 17), 1),
    "skipped_pixels": ((2, 2, 11, 23), (16, 2, 2, 2), (3, 4), 0, 1, 1),
    "strided_and_dilated": ((2, 2, 13, 29), (24, 2, 3, 3), (2, 3), (1, 4), (3, 2), 1),
    "never_met": ((2, 1, 8, 9), (16, 1, 1, 2), (1, 2), (2, 3), 2, 1),
    "many_taps": ((2, 1, 12, 15), (20, 1, 9, 7), 1, (4, 3), 1, 1),
    "grouped": ((2, 4, 9, 10), (38, 2, 3, 3), 1, 1, 1, 2),
    "one_dimension": ((2, 1, 200), (33, 1, 9), 2, 4, 1, 1),
    "three_dimensions": ((2, 2, 5, 6, 7), (18, 2, 2, 3, 3), (1, 2, 1), (1, 0, 1), (2, 1, 1), 1),
    "too_large_to_fold": ((1, 1, 130, 130), (16, 1, 3, 3), 1, 1, 1, 1),
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_results_and_gradients(name: str, dtype: str, isa: str) -> None:
    check_problem(PROBLEMS[name], dtype, isa, name, np.ascontiguousarray)


@pytest.mark.parametrize("isa", ISAS)
def test_an_infinity_reaches_only_the_pixels_that_meet_it(isa: str) -> None:
    y = np.ones((1, 32, 6, 19), np.float32)
    y[0, 7, 2, 18] = np.inf  # the last of its row, beside the first of the next
    weight = Tensor(np.ones((32, 1, 3, 3), np.float32))
    with isa_cap(isa):
        x = conv.conv_transpose2d(Tensor(y), weight, padding=1).numpy()
    assert np.isinf(x[0, 0, 1:4, 17:]).all()
    assert np.isinf(x).sum() == 6
    assert np.isfinite(x[0, 0, :, :17]).all()


@pytest.mark.parametrize("isa", ISAS)
def test_what_no_tap_meets_is_the_bias(isa: str) -> None:
    y, weight = np.ones((2, 32, 4, 5), np.float32), np.ones((32, 2, 2, 2), np.float32)
    with isa_cap(isa):
        x = conv.conv_transpose2d(Tensor(y), Tensor(weight), Tensor([3.0, -1.0]), stride=3).numpy()
    met = np.outer(np.arange(11) % 3 < 2, np.arange(14) % 3 < 2)
    np.testing.assert_array_equal(x[:, 0], np.broadcast_to(np.where(met, 35.0, 3.0), (2, 11, 14)))
    np.testing.assert_array_equal(x[:, 1], np.broadcast_to(np.where(met, 31.0, -1.0), (2, 11, 14)))
