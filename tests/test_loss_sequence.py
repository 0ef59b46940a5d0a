# SPDX-License-Identifier: Apache-2.0
"""Cross-entropy over each sequence's own steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from tests.cases import Case, CaseTests
from tests.reference import loss as reference

LENGTHS = np.array([2, 0, 3])
TARGET = np.array([[1, 0, 9], [9, 9, 9], [3, 2, 1]])  # 9 is no class: it is not looked at


def sequence_case(reduction: str) -> Case:
    return Case(
        f"sequence_cross_entropy_{reduction}",
        lambda x, target, lengths: F.sequence_cross_entropy(
            x, target, lengths, ignore_index=2, reduction=reduction
        ),
        lambda x, target, lengths: reference.sequence_cross_entropy(
            x, target, lengths, None, 2, reduction
        ),
        lambda rng: (rng.standard_normal((3, 3, 4)), TARGET, LENGTHS),
        tolerance="softmax",
        depth=9,
        layouts=False,  # classes and lengths keep their places
    )


CASES = [*map(sequence_case, ("mean", "sum", "none"))]


class TestCases(CaseTests):
    pass


def test_all_steps_count_without_lengths() -> None:
    x, target = gs.randn(2, 3, 4), gs.tensor([[1, 0, 2], [3, 3, 1]])
    weight = gs.tensor([0.5, 1.0, 2.0, 1.0])
    options: dict[str, Any] = {"weight": weight, "label_smoothing": 0.1}
    got = F.sequence_cross_entropy(x, target, **options)
    want = F.cross_entropy(x.transpose(1, 2), target, **options)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5)


def test_padding_is_not_read() -> None:
    x = gs.tensor([[[1.0, 2.0], [math.nan, math.inf]]], requires_grad=True)
    loss = F.sequence_cross_entropy(x, gs.tensor([[0, -7]]), gs.tensor([1]))
    np.testing.assert_allclose(loss.item(), math.log1p(math.e), rtol=1e-6)
    loss.backward()
    assert x.grad is not None
    assert x.grad[0, 1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.sequence_cross_entropy(gs.ones(2, 3), gs.zeros(2, dtype=gs.int64)),
            ValueError,
            r"input has shape \(2, 3\) and target \(2,\), expected \(N, T, C\)",
        ),
        (
            lambda: F.sequence_cross_entropy(gs.ones(2, 3, 4), gs.zeros(2, 1, dtype=gs.int64)),
            ValueError,
            r"target \(2, 1\)",
        ),
        (
            lambda: F.sequence_cross_entropy(gs.ones(1, 2, 3), gs.zeros(1, 2)),
            TypeError,
            "target",
        ),
        (
            lambda: F.sequence_cross_entropy(
                gs.ones(1, 2, 3), gs.zeros(1, 2, dtype=gs.int64), gs.tensor([3])
            ),
            ValueError,
            "lengths holds 3, expected at most the 2 steps",
        ),
        (
            lambda: F.sequence_cross_entropy(gs.ones(1, 1, 3), gs.tensor([[3]])),
            IndexError,
            "sequence_cross_entropy: .*3",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
