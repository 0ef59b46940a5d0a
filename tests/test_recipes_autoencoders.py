# SPDX-License-Identifier: Apache-2.0
"""The functions of the recipes of auto-encoders and energy models that have exact answers."""

from __future__ import annotations

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import models
from gradsmith.recipes.autoencoders import compression, denoising, pretraining, undercomplete
from gradsmith.recipes.autoencoders.neighbours import distances, nearest, precision
from gradsmith.recipes.autoencoders.principal import principal_plane
from gradsmith.recipes.energy import recommender, wake_sleep
from gradsmith.recipes.energy.data import bars_and_stripes


def test_neighbours() -> None:
    codes = gs.tensor([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0]])
    got = distances(codes[:1], codes)
    np.testing.assert_allclose(got.numpy(), [[0, 5, 1]], atol=1e-6)
    found = nearest(codes, codes, 2)
    assert found.tolist() == [[0, 2], [1, 2], [2, 0]]
    assert precision(gs.tensor([[1, 2], [3, 3]]), gs.tensor([1, 3])) == 0.75


def test_errors_of_planes_are_those_of_projections() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((30, 1, 2, 3)).astype(np.float32)
    flat = images.reshape(30, 6) - images.reshape(30, 6).mean(0)
    directions = np.linalg.eigh(flat.T @ flat)[1][:, ::-1]
    expected = [
        float(np.square(flat - flat @ directions[:, :k] @ directions[:, :k].T).mean())
        for k in (1, 4)
    ]
    got = undercomplete.principal_errors(gs.tensor(images), (1, 4))
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_rounding_keeps_extremes() -> None:
    known = gs.tensor([[0.0, -1.0], [3.0, 1.0]])
    codes = gs.tensor([[0.4, 0.1], [2.6, -0.9], [9.0, 2.0]])
    got = compression.rounded(codes, known, 2)
    np.testing.assert_allclose(got.numpy(), [[0, 1 / 3], [3, -1], [3, 1]], atol=1e-6)


def test_damage() -> None:
    gs.manual_seed(0)
    images = gs.ones(40, 1, 20, 20)
    masked = denoising.damaged(images, "masking", 0.25).numpy()
    assert set(np.unique(masked)) == {0.0, 1.0}
    assert masked.mean() == pytest.approx(0.75, abs=0.02)
    noise = denoising.damaged(images, "gaussian", 0.5).numpy() - 1
    assert noise.std() == pytest.approx(0.5, rel=0.02)
    with pytest.raises(ValueError, match="expected gaussian or masking"):
        denoising.damaged(images, "salt", 0.5)


def test_few_of_each() -> None:
    labels = gs.tensor([1, 0, 0, 1, 0, 1, 1])
    assert pretraining.few_of_each(labels, 2).tolist() == [1, 4, 0, 6]


@pytest.mark.parametrize("side", [2, 4])
def test_bars_and_stripes(side: int) -> None:
    images = bars_and_stripes(side).numpy().reshape(-1, side, side)
    assert len(images) == 2 ** (side + 1) - 2
    for image in images:
        assert (image == image[:1]).all() or (image == image[:, :1]).all()


def test_made_up_ratings() -> None:
    grades, genres = recommender.made_up_ratings(300, 0)
    assert grades.shape == (300, recommender.FILMS)
    assert (grades.min(), grades.max()) == (1, 5)
    assert (genres.sum(1) >= 1).all()
    same = recommender.made_up_ratings(300, 0)[0]
    np.testing.assert_array_equal(same, grades)


def test_wake_sleep_rule_of_the_generation_bias() -> None:
    gs.manual_seed(0)
    network = models.DBN((6, 5, 4), num_classes=wake_sleep.CLASSES)
    visible = gs.rand(8, 6).bernoulli()
    labels = gs.eye(wake_sleep.CLASSES)[:8]
    wake_sleep.wake_sleep_loss(network, visible, labels, 1).backward()
    gs.manual_seed(0)
    network_again = models.DBN((6, 5, 4), num_classes=wake_sleep.CLASSES)
    gs.rand(8, 6).bernoulli()
    awake = network_again.sample_up(visible)
    guess = network_again.generation[0](awake[1]).sigmoid()
    expected = (guess - visible).mean(0).detach().numpy()
    bias = network.generation[0].bias.grad
    assert bias is not None
    np.testing.assert_allclose(bias.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_plane_restores_what_lies_on_it() -> None:
    line = gs.tensor([[0.2, 0.4], [0.4, 0.5], [0.6, 0.6]]).reshape(3, 1, 1, 2)
    plane = principal_plane(line, 1)
    codes = plane.encode(line)
    assert codes.shape == (3, 1)
    np.testing.assert_allclose(plane.decode(codes, line).numpy(), line.numpy(), atol=1e-6)
