# SPDX-License-Identifier: Apache-2.0
"""The parts of the recipes that learn from few samples."""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import models
from gradsmith.recipes.few_shot import fine_tuning, maml, prototypical, siamese, tasks


def test_samples_of_each_digit() -> None:
    images, labels = fine_tuning.digits_of("train", range(7, 10), slice(2, 4))
    assert images.shape == (6, 1, 32, 32)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    others, _ = fine_tuning.digits_of("train", range(7, 10), slice(0, 2))
    assert not any((images[row] == others[row]).all() for row in range(6))
    _, everything = fine_tuning.digits_of("test", range(7))
    assert sorted(set(everything.tolist())) == list(range(7))


def test_a_new_head_stands_on_frozen_features() -> None:
    base = models.lenet5(7)
    model = fine_tuning.with_new_head(base, 3)
    for name, value in base.features.state_dict().items():
        np.testing.assert_array_equal(model.features.state_dict()[name].numpy(), value.numpy())
    assert all(not each.requires_grad for each in model.features.parameters())
    assert all(each.requires_grad for each in model.classifier.parameters())
    assert model(gs.zeros(2, 1, 32, 32)).shape == (2, 3)


def test_prototypes_are_means_of_the_shots() -> None:
    points = gs.tensor([[0.0, 0.0], [2.0, 0.0], [4.0, 4.0], [4.0, 6.0]])
    means = prototypical.prototypes(points, 2)
    np.testing.assert_allclose(means.numpy(), [[1.0, 0.0], [4.0, 5.0]])


def test_tasks_hold_each_class_as_often() -> None:
    groups = tasks.digits_of(tasks.KNOWN)
    assert len(groups) == 7
    assert sum(map(len, groups)) + sum(map(len, tasks.digits_of(tasks.UNSEEN))) == 1797
    task = tasks.draw(groups, 4, 2, 3, np.random.default_rng(0), script=True)
    np.testing.assert_array_equal(task.support_labels.numpy(), [0, 0, 1, 1, 2, 2, 3, 3])
    assert task.support.shape == (8, 1, 8, 8)
    assert task.queries.shape == (12, 1, 8, 8)


def test_images_are_warped_by_their_own_maps() -> None:
    image = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    shapes = np.array([np.eye(2), np.diag([-1, 1]), [[0, -1], [1, 0]], np.eye(2)])
    moves = np.array([[0, 0], [0, 0], [0, 0], [0.5, 0]])
    found = tasks.warped(np.repeat(image, 4, 0), shapes, moves).numpy()[:, 0]
    np.testing.assert_allclose(found[0], image[0, 0], atol=1e-5)
    np.testing.assert_allclose(found[1], image[0, 0, :, ::-1], atol=1e-5)
    np.testing.assert_allclose(found[2], np.rot90(image[0, 0]), atol=1e-5)
    np.testing.assert_allclose(found[3][:, :3], image[0, 0, :, 1:], atol=1e-5)


def test_nearest_pixels_answers_with_the_closest_sample() -> None:
    support = gs.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    queries = gs.tensor([0.1, 0.8, 0.9, 0.2]).reshape(4, 1, 1, 1)
    task = tasks.Task(support, gs.tensor([0, 1]), queries, gs.tensor([0, 0, 1, 1]))
    assert tasks.nearest_pixels(task) == 0.5


def test_half_of_the_pairs_are_of_a_kind() -> None:
    groups = [np.full((20, 1, 8, 8), kind, np.float32) for kind in (1, 2, 3)]
    one, other, same = siamese.pairs(groups, 4, np.random.default_rng(0), script=False)
    brightest = [each.numpy().max((1, 2, 3)).round() for each in (one, other)]
    np.testing.assert_array_equal(brightest[0] == brightest[1], same.numpy() == 1)
    assert same.sum().item() == len(one) / 2 == 12


def test_a_step_of_adaptation_is_one_of_gradient_descent() -> None:
    net = maml.Learner(4)
    task = tasks.draw(tasks.digits_of(tasks.KNOWN), 3, 2, 2, np.random.default_rng(0))
    weights = list(net.parameters())
    gs.nn.functional.cross_entropy(net(task.support), task.support_labels).backward()
    for given, found, rate in zip(
        weights, maml.stepped(net, task, weights), maml.RATES, strict=True
    ):
        wanted = (given - rate * given.grad).detach().numpy()
        np.testing.assert_allclose(found.detach().numpy(), wanted, atol=1e-6)
