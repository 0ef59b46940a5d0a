# SPDX-License-Identifier: Apache-2.0
"""Noise in training: moments, repeatability, gradients, and what evaluation gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from tests.cases import HAS_SIMULATOR, to_array

Noise = Callable[[gs.Tensor, bool], gs.Tensor]
NOISES: dict[str, Noise] = {
    "gaussian_noise": lambda x, training: F.gaussian_noise(x, 0.5, training),
    "gaussian_dropout": lambda x, training: F.gaussian_dropout(x, 0.2, training),
    "rrelu": lambda x, training: F.rrelu(x, 0.1, 0.3, training),
    "feature_alpha_dropout": lambda x, training: F.feature_alpha_dropout(x, 0.25, training),
}
# Mean and standard deviation of the result for ones, minus ones for rrelu.
MOMENTS = {
    "gaussian_noise": (1.0, 0.5),
    "gaussian_dropout": (1.0, 0.5),
    "rrelu": (-0.2, 0.2 / 12**0.5),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_moments(name: str) -> None:
    gs.manual_seed(0)
    y = NOISES[name](gs.full((300, 300), -1.0 if name == "rrelu" else 1.0), True).numpy()
    mean, std = MOMENTS[name]
    assert y.mean() == pytest.approx(mean, abs=0.01)
    assert y.std() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("name", NOISES)
def test_draws_repeat_and_rest_in_evaluation(name: str, dtype: str) -> None:
    x = gs.tensor(np.random.default_rng(0).standard_normal((4, 6, 5)), dtype=dtype)
    gs.manual_seed(1)
    first, second = NOISES[name](x, True), NOISES[name](x, True)
    gs.manual_seed(1)
    assert first.dtype == x.dtype
    assert gs.equal(NOISES[name](x, True), first)
    assert not gs.equal(first, second)
    resting = F.leaky_relu(x, 0.2) if name == "rrelu" else x
    assert gs.equal(NOISES[name](x, False), resting)


@pytest.mark.parametrize("name", NOISES)
def test_gradients_are_those_of_the_draw(name: str) -> None:
    """Every noise here is affine in the input, or linear on each side of 0."""
    x = gs.tensor(np.random.default_rng(0).standard_normal((4, 6, 5)), requires_grad=True)
    gs.manual_seed(1)
    y = NOISES[name](x, True)
    y.sum().backward()
    gs.manual_seed(1)
    moved = NOISES[name](x.detach() * (1 + 1e-6), True)
    slope = (moved - y.detach()) / (x.detach() * 1e-6)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), slope.numpy(), atol=1e-6)


@pytest.mark.skipif(not HAS_SIMULATOR, reason="this build has no simulator (_cudasim)")
@pytest.mark.parametrize("name", [*NOISES, "gumbel_softmax"])
def test_draws_are_the_same_on_a_device(name: str) -> None:
    noise = NOISES.get(name, lambda x, training: F.gumbel_softmax(x))
    x = gs.tensor(np.random.default_rng(0).standard_normal((4, 6, 5)))
    results = []
    for device in ("cpu", "cudasim"):
        gs.manual_seed(1)
        results.append(to_array(noise(x.to(device), True)))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-12)


def test_feature_alpha_dropout_drops_whole_channels() -> None:
    gs.manual_seed(0)
    x = gs.randn(64, 32, 6)
    y = F.feature_alpha_dropout(x, 0.25, True).numpy()
    dropped = (y == y[:, :, :1]).all(2)
    assert dropped.mean() == pytest.approx(0.25, abs=0.03)
    assert len(np.unique(y[dropped])) == 1
    assert abs(y.mean()) < 0.1
    assert y.std() == pytest.approx(1, abs=0.1)
    assert F.feature_alpha_dropout(x, 1.0, True).tolist() == (x * 0).tolist()


ONES = gs.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.gaussian_noise(ONES, -1), ValueError, "gaussian_noise: stddev is -1"),
        (lambda: F.gaussian_noise(ONES, float("inf")), ValueError, "stddev is inf"),
        (lambda: F.gaussian_noise(ONES.long(), 1.0), TypeError, "gaussian_noise: "),
        (lambda: F.gaussian_noise(ONES, 1.0, 1), TypeError, "training is a int"),
        (lambda: F.gaussian_dropout(ONES, 1.0), ValueError, "gaussian_dropout: rate is 1.0"),
        (lambda: F.gaussian_dropout(ONES, "a"), TypeError, "rate is a str"),
        (lambda: F.rrelu(ONES, 0.5, 0.25), ValueError, "rrelu: lower is 0.5, expected at most"),
        (lambda: F.rrelu(3.0), TypeError, "rrelu: input is a float"),
        (lambda: F.feature_alpha_dropout(ONES, 2.0, True), ValueError, "p is 2.0"),
        (lambda: F.feature_alpha_dropout(gs.ones(3), 0.5, True), ValueError, "at least 2 dim"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
