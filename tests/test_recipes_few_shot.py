# SPDX-License-Identifier: Apache-2.0
"""The parts of the fine-tuning recipe."""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import models
from gradsmith.recipes.few_shot import fine_tuning


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
