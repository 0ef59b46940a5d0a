# SPDX-License-Identifier: Apache-2.0
"""Parts of the recipes of GANs and few-shot learning with exact answers."""

from __future__ import annotations

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import models, nn
from gradsmith.models.capsule import squash
from gradsmith.recipes.few_shot import graph, spiking, style_transfer
from gradsmith.recipes.gans import (
    conditional,
    cyclegan,
    dcgan,
    digits,
    domains,
    infogan,
    mode_collapse,
    pix2pix,
    stylegan,
)


def test_shares_count_points_at_each_centre() -> None:
    centres = mode_collapse.ring()
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 2)
    points = np.concatenate([centres[:1] + 0.05, centres[:1], centres[3:4], np.zeros((1, 2))])
    np.testing.assert_allclose(mode_collapse.shares(points), [0.5, 0, 0, 0.25, 0, 0, 0, 0])


def test_purity_is_the_share_of_the_commonest_class() -> None:
    codes, classes = gs.tensor([0, 0, 0, 1, 1]), gs.tensor([4, 4, 5, 4, 4])
    assert infogan.purity(codes, classes) == pytest.approx(0.8)


def test_pool_fills_then_mixes() -> None:
    pool = cyclegan.ImagePool(size=3, seed=0)
    first = gs.arange(3).reshape(3, 1)
    np.testing.assert_array_equal(pool.query(first).numpy(), first.numpy())
    later = [pool.query(gs.full((1, 1), n)).item() for n in range(10, 60)]
    new = sum(value == n for value, n in zip(later, range(10, 60), strict=True))
    assert 10 < new < 40
    assert len(pool.kept) == 3


def test_kinds_differ_inside_the_shapes_only() -> None:
    shapes = domains.masks(6, seed=1)
    plain, striped = (domains.painted(shapes, kind, seed=2) for kind in (False, True))
    away = np.broadcast_to(~shapes[:, None], plain.shape)
    np.testing.assert_array_equal(plain[away], striped[away])
    assert np.abs(plain - striped)[~away].mean() > 0.5


def test_outline_of_a_square() -> None:
    shape = np.zeros((1, 16, 16), bool)
    shape[0, 4:8, 4:8] = True
    outline = pix2pix.outlines(shape)[0, 0]
    assert (outline == 1).sum() == 12
    assert outline[5, 5] == -1


def test_normalized_adjacency() -> None:
    pair = gs.tensor([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(graph.normalized(pair).numpy(), [[0.5, 0.5], [0.5, 0.5]])


def test_messages_of_a_path() -> None:
    path = gs.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    layer = graph.MessagePassing(path, 1, 1)
    with gs.no_grad():
        for each, values in zip(
            layer.parameters(), ([[0.0, 1.0]], [0.0], [[0.0, 1.0]], [0.0]), strict=True
        ):
            each.copy_(gs.tensor(values))
    # Each node gets the mean of its neighbours.
    out = layer(gs.tensor([[1.0], [2.0], [5.0]]))
    np.testing.assert_allclose(out.detach().numpy(), [[2.0], [3.0], [2.0]])


def test_spike_has_the_slope_that_stands_in() -> None:
    above = gs.tensor([-0.2, 0.0, 0.2], requires_grad=True)
    fired = spiking.Spike.apply(above)
    fired.sum().backward()
    np.testing.assert_array_equal(fired.detach().numpy(), [0, 0, 1])
    np.testing.assert_allclose(above.grad.numpy(), [0.25, 1, 0.25], rtol=1e-6)


def test_gram_matrix() -> None:
    maps = gs.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    np.testing.assert_allclose(style_transfer.gram(maps).numpy(), [[2.5, 5.5], [5.5, 12.5]])


def test_squash_keeps_the_direction() -> None:
    np.testing.assert_allclose(squash(gs.tensor([3.0, 4.0])).numpy(), [15 / 26, 20 / 26], rtol=1e-6)


def test_growing_nets_fade_between_two_sizes() -> None:
    gs.manual_seed(0)
    maker = models.ProgressiveGenerator(4, 1, 16, 2, 4).eval()
    critic = models.ProgressiveDiscriminator(1, 16, 2, 4).eval()
    noise = gs.randn(2, 4)
    images = {}
    for alpha in (0.0, 0.25, 1.0):
        maker.grow(1, alpha)
        critic.grow(1, alpha)
        with gs.no_grad():
            images[alpha] = maker(noise)
            assert critic(images[alpha]).shape == (2, 1)
    mixed = 0.75 * images[0.0] + 0.25 * images[1.0]
    np.testing.assert_allclose(images[0.25].numpy(), mixed.numpy(), atol=1e-6)
    maker.grow(0)
    with gs.no_grad():
        coarse = maker(noise)
    doubled = gs.nn.functional.interpolate(coarse, scale_factor=2)
    np.testing.assert_allclose(images[0.0].numpy(), doubled.numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="level is 3"):
        maker.grow(3)


def test_one_style_in_all_levels_mixes_to_itself() -> None:
    gs.manual_seed(0)
    maker = models.StyleGANGenerator(4, 1, 8, 2, 4, mapping_layers=2).eval()
    with gs.no_grad():
        style = maker.mapping(gs.randn(2, 4))
        alone = maker.synthesize(style)
        np.testing.assert_array_equal(maker.synthesize(style, style).numpy(), alone.numpy())
        assert not np.allclose(maker.synthesize(style, -style).numpy(), alone.numpy())


def test_normal_draws_have_mean_and_covariance() -> None:
    gs.manual_seed(0)
    images = gs.rand(30, 1, 1, 2) * gs.tensor([0.5, 0.2])
    drawn = digits.normal_draws(images, 20_000).reshape(-1, 2).numpy()
    known = images.reshape(-1, 2).numpy()
    np.testing.assert_allclose(drawn.mean(0), known.mean(0), atol=0.01)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(known.T, ddof=0), atol=1e-3)


def test_clusters_are_those_of_separate_clouds() -> None:
    rng = np.random.default_rng(0)
    kinds = np.arange(60) % 3
    clouds = np.eye(3)[kinds] + rng.normal(0, 0.05, (60, 3))
    found = dcgan.clustered(gs.tensor(clouds.astype(np.float32)), 3).numpy()
    assert len({(kind, cluster) for kind, cluster in zip(kinds, found, strict=True)}) == 3
    assert len(set(found)) == 3


def test_requests_name_kinds_as_often_as_given() -> None:
    gs.manual_seed(0)
    draw = conditional.requests_like(gs.tensor([0, 2, 2, 2]), 3)
    asked = draw(4000)[:, conditional.LATENT :].numpy()
    np.testing.assert_array_equal(asked.sum(1), 1)
    np.testing.assert_allclose(asked.mean(0), [0.25, 0, 0.75], atol=0.03)
    images = conditional.beside(gs.ones(2, 1, 4, 4), gs.tensor([[0.0, 1.0], [1.0, 0.0]]))
    np.testing.assert_array_equal(images[:, :, 0, 0].numpy(), [[1, 0, 1], [1, 1, 0]])


def test_sheet_enlarges_small_samples() -> None:
    assert digits.sheet(gs.zeros(6, 1, 8, 8), 3).shape == (66, 100, 3)
    assert (digits.sheet(gs.full((1, 1, 32, 32), 7.0), 1) == 255).all()


def test_slope_penalty_of_a_linear_critic() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(2, 1))
    with gs.no_grad():
        critic[1].weight.copy_(gs.tensor([[3.0, 4.0]]))
    found = stylegan.slope_penalty(critic, gs.ones(5, 1, 1, 2), gs.zeros(5, 1, 1, 2))
    assert found.item() == pytest.approx(stylegan.SLOPE / 2 * 25)
    found.backward()
    np.testing.assert_allclose(critic[1].weight.grad.numpy(), [[0.3, 0.4]], rtol=1e-5)
