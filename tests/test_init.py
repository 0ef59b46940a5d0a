# SPDX-License-Identifier: Apache-2.0
"""nn.init: distributions, structure, gains, errors, reproducibility."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.nn import init

DRAWS: dict[str, Any] = {
    "uniform_": lambda w: init.uniform_(w, -2, 3),
    "normal_": lambda w: init.normal_(w, 1.0, 2.0),
    "trunc_normal_": lambda w: init.trunc_normal_(w, 0.5, 1.0, -1.0, 1.5),
    "xavier_uniform_": lambda w: init.xavier_uniform_(w, 2.0),
    "xavier_normal_": init.xavier_normal_,
    "kaiming_uniform_": lambda w: init.kaiming_uniform_(w, nonlinearity="relu"),
    "kaiming_normal_": lambda w: init.kaiming_normal_(w, mode="fan_out"),
    "orthogonal_": init.orthogonal_,
    "sparse_": lambda w: init.sparse_(w, 0.3),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    gs.manual_seed(0)


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_draws_follow_the_seed_and_stay_off_the_tape(name: str, dtype: str) -> None:
    results = []
    for _ in range(2):
        gs.manual_seed(7)
        weight = nn.Parameter(gs.zeros(6, 5, dtype=dtype))
        assert DRAWS[name](weight) is weight
        assert weight.is_leaf
        assert weight.requires_grad
        results.append(weight.tolist())
    assert results[0] == results[1]
    gs.manual_seed(8)
    assert DRAWS[name](gs.zeros(6, 5, dtype=dtype)).tolist() != results[0]


@pytest.mark.parametrize(
    ("draw", "mean", "std"),
    [
        (lambda w: init.uniform_(w, -2, 3), 0.5, 5 / math.sqrt(12)),
        (lambda w: init.normal_(w, 1.0, 2.0), 1.0, 2.0),
        # fan_in 4 * 9 = 36, fan_out 100 * 9 = 900
        (lambda w: init.xavier_uniform_(w, 2.0), 0.0, 2 * math.sqrt(2 / 936)),
        (lambda w: init.xavier_normal_(w), 0.0, math.sqrt(2 / 936)),
        (lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), 0.0, math.sqrt(2 / 36)),
        (lambda w: init.kaiming_uniform_(w, a=math.sqrt(5)), 0.0, math.sqrt(1 / 3 / 36)),
        (lambda w: init.kaiming_normal_(w, 0.2, "fan_out"), 0.0, math.sqrt(2 / 1.04 / 900)),
    ],
)
def test_moments(draw: Any, mean: float, std: float) -> None:
    values = draw(gs.zeros(100, 4, 3, 3)).numpy()
    error = std / math.sqrt(values.size)
    assert abs(values.mean() - mean) < 5 * error
    assert abs(values.std() / std - 1) < 0.05


def test_uniform_bounds() -> None:
    values = init.kaiming_uniform_(gs.zeros(50, 20), a=math.sqrt(5)).numpy()
    bound = 1 / math.sqrt(20)
    assert abs(values).max() <= bound
    assert abs(values).max() > 0.98 * bound


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0, 1, -2, 2), (0.5, 0.1, 0.4, 0.7), (0, 1, -0.01, 0.01), (0, 1, 5, 50), (3, 2, -9, -8)],
)
def test_trunc_normal(mean: float, std: float, a: float, b: float) -> None:
    values = init.trunc_normal_(gs.zeros(40_000), mean, std, a, b).numpy().astype(np.float64)
    assert values.min() >= a - 1e-6
    assert values.max() <= b + 1e-6
    # The moments of the density on a fine grid (its peak scaled to 1) are the definition.
    grid = np.linspace(a, min(b, a + 12 * std), 200_001)
    log_density = -(((grid - mean) / std) ** 2) / 2
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    expected = float((grid * density).sum())
    spread = float(np.sqrt(((grid - expected) ** 2 * density).sum()))
    assert abs(values.mean() - expected) < 5 * spread / math.sqrt(values.size)
    assert abs(values.std() / spread - 1) < 0.05


def test_fixed_values() -> None:
    assert init.constant_(gs.zeros(2), 3.5).tolist() == [3.5, 3.5]
    assert init.ones_(gs.zeros(2)).tolist() == [1.0, 1.0]
    assert init.zeros_(gs.ones(2)).tolist() == [0.0, 0.0]
    assert init.eye_(gs.ones(2, 3)).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("shape", [(4, 3, 3), (4, 3, 3, 3), (4, 3, 1, 3, 3)])
def test_dirac_passes_channels_through(shape: tuple[int, ...]) -> None:
    weight = init.dirac_(gs.ones(*shape)).numpy()
    centre = tuple(size // 2 for size in shape[2:])
    expected = np.zeros(shape)
    for channel in range(3):
        expected[(channel, channel, *centre)] = 1
    assert np.array_equal(weight, expected)
    grouped = init.dirac_(gs.ones(*shape), groups=2).numpy()
    assert grouped.sum() == 4
    assert grouped[(2, 0, *centre)] == 1


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    weight = init.orthogonal_(gs.zeros(*shape, dtype=gs.float64), gain=2.0).numpy()
    matrix = weight.reshape(shape[0], -1) / 2.0
    product = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    assert np.allclose(product, np.eye(len(product)), atol=1e-12)
    assert init.orthogonal_(gs.zeros(0, 3)).shape == (0, 3)


def test_sparse() -> None:
    weight = init.sparse_(gs.zeros(10, 6), 0.35, std=0.5).numpy()
    assert ((weight == 0).sum(axis=0) == 4).all()


def test_gains() -> None:
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("leaky_relu", 2) == math.sqrt(2 / 5)
    assert init.calculate_gain("conv2d") == 1
    with pytest.raises(ValueError, match="'rilu' is unknown"):
        init.calculate_gain("rilu")
    with pytest.raises(ValueError, match="slope is 'a'"):
        init.calculate_gain("leaky_relu", "a")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.kaiming_uniform_(gs.zeros(3)), "at least 2 dimensions"),
        (lambda: init.xavier_normal_(gs.zeros(3)), r"xavier_normal_: the tensor has shape \(3,\)"),
        (lambda: init.kaiming_normal_(gs.zeros(3, 3), mode="fan"), "mode is 'fan'"),
        (lambda: init.orthogonal_(gs.zeros(3)), "at least 2"),
        (lambda: init.eye_(gs.zeros(3)), "expected 2 dimensions"),
        (lambda: init.sparse_(gs.zeros(3, 3), 1.5), "sparsity is 1.5"),
        (lambda: init.dirac_(gs.zeros(3, 3)), "3 to 5 dimensions"),
        (lambda: init.dirac_(gs.zeros(3, 3, 3), groups=2), "groups is 2"),
        (lambda: init.trunc_normal_(gs.zeros(3), a=2, b=1), r"\[2, 1\] is empty"),
        (lambda: init.trunc_normal_(gs.zeros(3), std=0), "std is 0"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_generator_of_its_own() -> None:
    generator = gs.Generator().manual_seed(3)
    first = init.normal_(gs.zeros(4), generator=generator).tolist()
    generator.manual_seed(3)
    gs.manual_seed(99)
    assert init.normal_(gs.zeros(4), generator=generator).tolist() == first


def test_layers_start_as_in_pytorch() -> None:
    linear = nn.Linear(25, 400)
    assert abs(linear.weight.detach().numpy()).max() <= 0.2
    assert abs(linear.bias.detach().numpy()).max() <= 0.2
    assert linear.bias.detach().numpy().std() == pytest.approx(0.2 / math.sqrt(3), rel=0.1)
    conv = nn.Conv2d(8, 64, 3, groups=2)
    bound = 1 / math.sqrt(4 * 9)
    for values in (conv.weight.detach().numpy(), conv.bias.detach().numpy()):
        assert abs(values).max() <= bound
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.2)
    table = nn.Embedding(200, 30, padding_idx=3).weight.detach().numpy()
    assert table.std() == pytest.approx(1, rel=0.1)
    assert (table[3] == 0).all()
    assert nn.Linear(0, 3).bias.tolist() == [0.0, 0.0, 0.0]
