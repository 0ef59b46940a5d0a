# SPDX-License-Identifier: Apache-2.0
"""Vectors of unit length, features with the statistics of others, responses across maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import nn
from tests.cases import Case, CaseTests
from tests.reference import norm as reference

CASES = [
    Case(
        "normalize",
        lambda x: F.normalize(x),
        lambda x: reference.normalize(x, 2, 1, 1e-12),
        lambda rng: (rng.standard_normal((3, 5, 2)),),
        tolerance="norm",
        depth=5,
    ),
    Case(
        "normalize_p3",
        lambda x: F.normalize(x, 3.0, -1, 0.5),
        lambda x: reference.normalize(x, 3, -1, 0.5),
        lambda rng: (rng.standard_normal((4, 3)) * np.array([[0.1], [1], [2], [3]]),),
        tolerance="norm",
        depth=5,
    ),
    Case(
        "adain",
        lambda content, style: F.adain(content, style, 1e-3),
        lambda content, style: reference.adain(content, style, 1e-3),
        lambda rng: (rng.standard_normal((2, 3, 2, 3)), rng.standard_normal((2, 3, 5)) * 2 + 1),
        tolerance="norm",
        depth=6,
    ),
    Case(
        "cross_map_lrn2d",
        lambda x: F.cross_map_lrn2d(x, 4, 0.3, 0.7, 1.5),
        lambda x: reference.cross_map_lrn2d(x, 4, 0.3, 0.7, 1.5),
        lambda rng: (rng.standard_normal((2, 5, 2, 2)),),
        tolerance="norm",
        depth=4,
    ),
]


class TestCases(CaseTests):
    pass


def test_a_zero_vector_stays_zero() -> None:
    assert F.normalize(gs.zeros(2, 3)).tolist() == [[0.0] * 3] * 2
    assert F.normalize(gs.zeros(0, 3)).shape == (0, 3)


def test_odd_sizes_are_the_local_response_norm() -> None:
    x = gs.randn(2, 6, 3, 3)
    same = nn.LocalResponseNorm(3, 0.2, 0.6, 2.0)(x)
    assert gs.allclose(nn.CrossMapLRN2d(3, 0.2, 0.6, 2.0)(x), same)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.normalize(gs.ones(3), dim=1), IndexError, "normalize: "),
        (lambda: F.normalize(gs.ones(3, 2), eps="a"), TypeError, "normalize: eps is a str"),
        (lambda: F.adain(gs.ones(2, 3), gs.ones(2, 3, 4)), ValueError, r"content has shape \(2, 3"),
        (lambda: F.adain(gs.ones(2, 3, 4), gs.ones(2, 3)), ValueError, r"style has shape \(2, 3\)"),
        (
            lambda: nn.AdaIN()(gs.ones(2, 3, 4), gs.ones(2, 1, 4)),
            ValueError,
            r"AdaIN: style has shape \(2, 1, 4\), expected \(2, 3\)",
        ),
        (lambda: nn.CrossMapLRN2d(0), ValueError, "CrossMapLRN2d: size is 0"),
        (lambda: F.cross_map_lrn2d(gs.ones(2, 3, 4), 3), ValueError, r"expected \(N, C, H, W\)"),
        (lambda: F.cross_map_lrn2d(gs.ones(1, 3, 4, 4), 0), ValueError, "size is 0"),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# ---- SyncBatchNorm -------------------------------------------------------------------------------


def test_sync_batch_norm_takes_the_place_of_batch_norms() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, momentum=0.3), nn.BatchNorm2d(4))
    net[1].eval()
    before = dict(net.named_parameters())
    x = gs.randn(2, 3, 5, 5)
    net(x)
    expected = net(x).tolist()
    keys = list(net.state_dict())
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert [type(each) for each in converted] == [nn.Conv2d, nn.SyncBatchNorm, nn.SyncBatchNorm]
    assert converted[1].momentum == 0.3
    assert [each.training for each in converted] == [True, False, True]
    assert all(parameter is before[name] for name, parameter in converted.named_parameters())
    assert list(converted.state_dict()) == keys
    assert converted(x).tolist() == expected
    assert nn.SyncBatchNorm.convert_sync_batchnorm(converted)[1] is converted[1]
    single = nn.SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm1d(3, affine=False))
    assert single(gs.randn(4, 3)).shape == (4, 3)
    with pytest.raises(ValueError, match="process_group is given"):
        nn.SyncBatchNorm(3, process_group=1)
