# SPDX-License-Identifier: Apache-2.0
"""Convolutional recipes: scenes, codes of digits, and each small network runs."""

from __future__ import annotations

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import models
from gradsmith.recipes import shapes
from gradsmith.recipes.convolution import cifar_nets, cnn1d, edge_pipeline
from gradsmith.recipes.convolution.small_networks import NETWORKS, helped_cross_entropy


@pytest.mark.parametrize("name", NETWORKS)
def test_small_networks_give_scores_and_gradients(name: str) -> None:
    network = NETWORKS[name]
    model = network.make()
    side = network.size + 2 * network.border
    images = gs.randn(2, network.channels, side, side)
    helped_cross_entropy(model(images), gs.tensor([1, 7])).backward()
    assert all(each.grad is not None for each in model.parameters())
    model.eval()
    assert model(images).shape == (2, 10)


@pytest.mark.parametrize("name", cifar_nets.MODELS)
def test_cifar_nets_give_scores(name: str) -> None:
    assert cifar_nets.MODELS[name](7)(gs.randn(2, 3, 32, 32)).shape == (2, 7)


def test_lenet_of_1998_has_its_parameters_and_distances() -> None:
    model = models.lenet5_1998()
    trained = [each for each in model.parameters() if each.requires_grad]
    assert sum(each.numel() for each in trained) == 60_000
    codes = models.digit_codes()
    assert set(np.unique(codes)) == {-1.0, 1.0}
    assert len(np.unique(codes, axis=0)) == 10
    images = gs.randn(3, 1, 32, 32)
    drawn = model.drawings(images).detach().numpy()
    expected = ((drawn[:, None] - codes) ** 2).sum(-1)
    np.testing.assert_allclose(model(images).detach().numpy(), expected, rtol=1e-4)


def test_labeller_repeats_one_network() -> None:
    model = models.RecurrentLabeller(4, rounds=3)
    found = model.labellings(gs.randn(2, 3, 8, 9))
    assert [each.shape for each in found] == [(2, 4, 8, 9)] * 3
    with pytest.raises(ValueError, match=r"RecurrentLabeller: .*expected >= 1 and an odd"):
        models.RecurrentLabeller(4, rounds=0)


def test_scenes_have_boxes_that_just_hold_their_shapes() -> None:
    made = shapes.scenes(6, 40, 3)
    again = shapes.scenes(6, 40, 3)
    np.testing.assert_array_equal(made.images, again.images)
    for number, mask in enumerate(made.masks):
        truth = made.boxes(number)
        assert len(truth["labels"])
        for (left, top, right, bottom), label in zip(
            truth["boxes"].round().astype(int), truth["labels"], strict=True
        ):
            rows, columns = np.nonzero(mask[top:bottom, left:right] == label + 1)
            assert (rows.min(), columns.min()) == (0, 0)
            assert (rows.max(), columns.max()) == (bottom - top - 1, right - left - 1)


@pytest.mark.parametrize(
    ("kind", "share"), [("disc", np.pi / 4), ("rectangle", 1.0), ("triangle", 0.5)]
)
def test_outlines_have_the_areas_of_their_shapes(kind: str, share: float) -> None:
    rows, columns = np.meshgrid(*[(np.arange(200) + 0.5) / 100 - 1] * 2, indexing="ij")
    found = shapes.outline(shapes.KINDS.index(kind), rows, columns).mean()
    assert abs(found - share) < 0.01


def test_waves_have_their_periods() -> None:
    turns = np.linspace(0, 3, 301)[:-1] + 0.001
    for kind in range(3):
        values = cnn1d.wave(kind, turns)
        np.testing.assert_allclose(values[:200], values[100:], atol=1e-9)
        assert abs(values.mean()) < 0.02
        assert 0.98 < abs(values).max() <= 1


def test_frozen_convolutions_are_the_filters() -> None:
    image = np.random.default_rng(0).random((20, 24)).astype(np.float32)
    got = edge_pipeline.Edges()(gs.tensor(image[None, None])).numpy()[0, 0]
    np.testing.assert_allclose(got, edge_pipeline.filtered(image), atol=1e-5)
