# SPDX-License-Identifier: Apache-2.0
"""RoI pooling and RoI align: the definitions, torchvision's conventions, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from tests.cases import Case, CaseTests
from tests.reference import pool_regions as reference

# Within, over an edge, thin, and far outside.
BOXES = np.array(
    [
        [1, 1.0, 2.0, 9.0, 7.5],
        [0, -3.0, 4.0, 6.0, 14.0],
        [1, 5.0, 5.0, 5.2, 5.1],
        [0, 40.0, 40.0, 44.0, 44.0],
    ]
)


def _distinct(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return maps whose largest values are not nearly equal."""
    return (rng.permutation(120).reshape(2, 2, 5, 6) / 10 - 5.0,)


def _aligned(ratio: int, aligned: bool) -> Case:
    return Case(
        f"roi_align-{ratio}-{aligned}",
        lambda x: F.roi_align(x, BOXES, (2, 3), 0.5, ratio, aligned),
        lambda x: reference.roi_align(x, BOXES, (2, 3), 0.5, ratio, aligned),
        lambda rng: (rng.standard_normal((2, 2, 5, 6)),),
        tolerance="reduce",
        depth=40,
    )


CASES = [
    *(_aligned(ratio, aligned) for ratio, aligned in ((2, False), (-1, True))),
    Case(
        "roi_pool",
        lambda x: F.roi_pool(x, BOXES, (2, 3), 0.5),
        lambda x: reference.roi_pool(x, BOXES, (2, 3), 0.5),
        _distinct,
        tolerance="exact",
    ),
]


class TestCases(CaseTests):
    pass


@pytest.mark.parametrize("function", [F.roi_align, F.roi_pool])
def test_boxes_of_each_image(function: Any) -> None:
    x = gs.randn(3, 2, 6, 6)
    parts = [np.array([[0.0, 0.0, 3.0, 3.0]]), [], gs.tensor([[1.0, 1.0, 4.0, 5.0]])]
    table = np.array([[0, 0.0, 0.0, 3.0, 3.0], [2, 1.0, 1.0, 4.0, 5.0]])
    np.testing.assert_array_equal(function(x, parts, 2).numpy(), function(x, table, 2).numpy())
    assert function(x, [[], [], []], (2, 3)).shape == (0, 2, 2, 3)


def test_aligned_region_of_whole_pixels_is_the_map() -> None:
    x = gs.arange(12.0).reshape(1, 1, 3, 4)
    box = [[0.0, 0.0, 0.0, 4.0, 3.0]]
    got = F.roi_align(x, np.array(box), (3, 4), 1.0, 1, aligned=True)
    np.testing.assert_array_equal(got.numpy(), x.numpy())


@pytest.mark.parametrize("function", [F.roi_align, F.roi_pool])
@pytest.mark.parametrize(
    ("boxes", "size", "error", "message"),
    [
        (np.zeros((1, 4)), 2, ValueError, r"boxes have shape \(1, 4\), expected \(K, 5\)"),
        (np.array([[2, 0, 0, 1, 1]]), 2, IndexError, "out of range for 1"),
        (np.array([[0, 0, 0, np.nan, 1]]), 2, ValueError, "not finite"),
        ([[], []], 2, ValueError, "boxes are 2 of shapes"),
        (np.zeros((1, 5)), 0, ValueError, "output_size is .*expected at least 1"),
        (np.zeros((1, 5)), (1, 2, 3), ValueError, "output_size"),
    ],
)
def test_refusals(
    function: Any, boxes: Any, size: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"{function.__name__}: .*{message}"):
        function(gs.zeros(1, 1, 4, 4), boxes, size)


def test_refuses_other_inputs() -> None:
    with pytest.raises(ValueError, match=r"roi_pool: input has shape \(4, 4\)"):
        F.roi_pool(gs.zeros(4, 4), np.zeros((1, 5)), 2)
    with pytest.raises(TypeError, match="roi_align: input"):
        F.roi_align(gs.zeros(1, 1, 4, 4, dtype=gs.int64), np.zeros((1, 5)), 2)
