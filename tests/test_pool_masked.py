# SPDX-License-Identifier: Apache-2.0
"""Pooling over each sequence's own steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import nn
from tests.cases import Case, CaseTests
from tests.reference import pool as reference

LENGTHS = np.array([2, 0, 4])


def pool_case(name: str, call: Any, reduce: Any) -> Case:
    return Case(
        name,
        call,
        lambda x: reference.masked_pool(x, LENGTHS, reduce),
        lambda rng: (rng.standard_normal((3, 4, 2)),),
        tolerance="reduce",
        depth=4,
    )


CASES = [
    pool_case("masked_mean", lambda x: F.masked_mean(x, gs.tensor(LENGTHS)), np.mean),
    pool_case("masked_max", lambda x: F.masked_max(x, gs.tensor(LENGTHS)), np.max),
]


class TestCases(CaseTests):
    pass


@pytest.mark.parametrize("kind", [nn.MaskedMeanPool, nn.MaskedMaxPool])
def test_padding_is_not_read(kind: Any) -> None:
    x = gs.tensor([[1.0, 1.0, math.nan], [2.0, math.inf, 7.0]], requires_grad=True)
    y = kind()(x, gs.tensor([2, 1]))
    assert y.tolist() == [1.0, 2.0]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad[:, 2].tolist() == [0.0, 0.0]
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("function", [F.masked_mean, F.masked_max])
@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([1], ValueError, r"lengths has shape \(1,\), expected \(2,\)"),
        ([1, 4], ValueError, "lengths holds 4, expected at most the 3 steps of input"),
        ([-1, 1], ValueError, "lengths holds -1, expected at least 0"),
        ([[1, 1]], ValueError, r"lengths has shape \(1, 2\)"),
        ([1.0, 2.0], TypeError, "lengths"),
    ],
)
def test_wrong_lengths(function: Any, lengths: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=f"{function.__name__}: {message}"):
        function(gs.ones(2, 3), gs.tensor(lengths))
    with pytest.raises(ValueError, match=r"input has shape \(3,\), expected \(N, T, ...\)"):
        function(gs.ones(3), gs.tensor([1, 2, 3]))
