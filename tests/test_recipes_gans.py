# SPDX-License-Identifier: Apache-2.0
"""Parts of the recipes of GANs and few-shot learning with exact answers."""

from __future__ import annotations

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import models
from gradsmith.models.capsule import squash
from gradsmith.recipes.few_shot import graph, spiking, style_transfer
from gradsmith.recipes.gans import cyclegan, domains, infogan, mode_collapse, pix2pix


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
