# SPDX-License-Identifier: Apache-2.0
"""Other distributions: moments and probabilities, the same numbers everywhere, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import HAS_SIMULATOR, threads

COUNT = 40_000


def drawn(fill: Callable[[gs.Tensor], gs.Tensor], dtype: Any = gs.float32) -> np.ndarray:
    gs.manual_seed(3)
    return fill(gs.empty(COUNT, dtype=dtype)).numpy().astype(np.float64)


def assert_distribution(values: np.ndarray, cumulative: Callable[[np.ndarray], np.ndarray]) -> None:
    """Kolmogorov's test at a level of one in a million (of discrete ones a bound)."""
    points = np.unique(values)
    below = np.searchsorted(np.sort(values), points, side="right") / values.size
    assert np.abs(below - cumulative(points)).max() < 2.7 / math.sqrt(values.size)


def test_exponential() -> None:
    values = drawn(lambda x: x.exponential_(2.5))
    assert values.min() > 0
    assert_distribution(values, lambda x: 1 - np.exp(-2.5 * x))


def test_geometric() -> None:
    values = drawn(lambda x: x.geometric_(0.2), gs.int64)
    assert values.min() == 1
    assert_distribution(values, lambda k: 1 - 0.8**k)


def test_cauchy() -> None:
    values = drawn(lambda x: x.cauchy_(1.0, 3.0))
    assert_distribution(values, lambda x: np.arctan((x - 1) / 3) / np.pi + 0.5)


def test_log_normal() -> None:
    values = np.log(drawn(lambda x: x.log_normal_(-1.0, 0.5)))
    normal = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))
    assert_distribution(values, lambda x: normal((x + 1) / 0.5))


def poisson_cumulative(rate: float, counts: np.ndarray) -> np.ndarray:
    numbers = np.arange(counts.max() + 1)
    logs = numbers * math.log(rate) - rate - np.array([math.lgamma(k + 1) for k in numbers])
    return np.exp(logs).cumsum()[counts.astype(int)]


@pytest.mark.parametrize("rate", [0.01, 0.7, 4.0, 9.9, 10.0, 12.5, 60.0, 900.0])
def test_poisson(rate: float) -> None:
    gs.manual_seed(3)
    values = gs.poisson(gs.full((COUNT,), rate, dtype=gs.float64)).numpy()
    assert_distribution(values, lambda k: poisson_cumulative(rate, k))


def test_poisson_of_many_rates() -> None:
    rates = gs.tensor([[0.0, 3.0, 1e7], [1e-9, 20.0, 5.0]])
    counts = gs.poisson(rates, generator=gs.Generator().manual_seed(1))
    assert counts.shape == (2, 3)
    assert counts.dtype == gs.float32
    assert counts[0, 0].item() == 0
    assert abs(counts[0, 2].item() - 1e7) < 2e4
    assert gs.equal(counts, gs.poisson(rates, generator=gs.Generator().manual_seed(1)))
    assert gs.poisson(gs.ones(0)).shape == (0,)
    assert not gs.poisson(gs.ones(2, requires_grad=True)).requires_grad


def test_integers() -> None:
    gs.manual_seed(0)
    assert set(gs.empty(200).random_(5).tolist()) == {0, 1, 2, 3, 4}
    assert set(gs.empty(200, dtype=gs.int32).random_(-2, 1).tolist()) == {-2, -1, 0}
    assert gs.empty(1000, dtype=gs.uint8).random_().max().item() > 200
    assert set(gs.empty(100, dtype=gs.bool).random_().tolist()) == {True, False}
    assert gs.empty(100, dtype=gs.int64).random_().max().item() > 2**62
    values = gs.empty(1000).random_()
    assert 2**23 < values.max().item() <= 2**24
    assert gs.equal(values, values.round())


FILLS: dict[str, Callable[[gs.Tensor], gs.Tensor]] = {
    "exponential_": lambda x: x.exponential_(2),
    "geometric_": lambda x: x.geometric_(0.1),
    "cauchy_": lambda x: x.cauchy_(),
    "log_normal_": lambda x: x.log_normal_(),
    "random_": lambda x: x.random_(10),
    "poisson": lambda x: gs.poisson(x.fill_(11.0)),
    "poisson-small": lambda x: gs.poisson(x.fill_(2.0)),
}


@pytest.mark.parametrize("name", FILLS)
def test_the_same_numbers_everywhere(name: str) -> None:
    """On every device, for every number of threads, in memory of any order."""
    runs = []
    places = ["cpu", "cpu", *(["cudasim"] if HAS_SIMULATOR else [])]
    for count, place in zip((1, 7, 1), places, strict=False):
        with threads(count):
            gs.manual_seed(5)
            runs.append(FILLS[name](gs.empty(50, 40, device=place)).tolist())
    gs.manual_seed(5)
    runs.append(FILLS[name](gs.empty(40, 50).T).tolist())
    assert all(run == runs[0] for run in runs)


def test_like_and_options() -> None:
    x = gs.ones(2, 3)
    assert gs.rand_like(x, dtype=gs.float64, requires_grad=True).requires_grad
    assert gs.randn_like(x, device="cpu").dtype == gs.float32
    assert gs.randint_like(x, 5, dtype=gs.int64).dtype == gs.int64
    assert gs.randint(3, (2,), dtype=gs.float32, requires_grad=True).requires_grad
    assert gs.randperm(3, dtype=gs.float32, requires_grad=True).requires_grad
    assert gs.normal(0.0, 1.0, (2,), requires_grad=True).requires_grad
    assert gs.tril_indices(2, 2, dtype=gs.int32).dtype == gs.int32


LONG = gs.empty(2, dtype=gs.int64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LONG.exponential_(), TypeError, "exponential_: the tensor is int64"),
        (lambda: LONG.cauchy_(), TypeError, "cauchy_: the tensor is int64"),
        (lambda: LONG.log_normal_(), TypeError, "log_normal_: the tensor is int64"),
        (lambda: gs.ones(1).exponential_(0), ValueError, "exponential_: lambd is 0"),
        (lambda: gs.ones(1).geometric_(1.0), ValueError, "geometric_: p is 1.0"),
        (lambda: gs.ones(1).cauchy_(0, -1), ValueError, "cauchy_: sigma is -1"),
        (lambda: gs.ones(1).log_normal_(0, 0), ValueError, "log_normal_: std is 0"),
        (lambda: gs.ones(1).exponential_("a"), TypeError, "exponential_: lambd is a str"),
        (lambda: gs.ones(1).random_(0.5), TypeError, "random_: to is a float"),
        (lambda: gs.ones(1).random_(3, 3), ValueError, "random_: "),
        (lambda: gs.ones(1).bool().random_(3), ValueError, "random_: the interval"),
        (lambda: gs.poisson(LONG), TypeError, "poisson: the tensor is int64"),
        (lambda: gs.poisson(-gs.ones(2)), ValueError, "poisson: input holds -1"),
        (lambda: gs.poisson(gs.tensor([math.nan])), ValueError, "poisson: input holds nan"),
        (lambda: gs.poisson(gs.ones(1), generator=3), TypeError, "poisson: generator is a int"),
        (
            lambda: gs.ones(1, requires_grad=True).exponential_(),
            RuntimeError,
            "exponential_: the tensor is a leaf",
        ),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
