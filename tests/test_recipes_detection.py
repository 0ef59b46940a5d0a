# SPDX-License-Identifier: Apache-2.0
"""Detection recipes: anchors, decoding, suppression and windows have exact answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import models, nn
from gradsmith.recipes.detection import sliding_window, ssd
from gradsmith.recipes.detection.boxes import anchors_of, centred_iou, chosen


def test_overlap_of_boxes_with_one_centre() -> None:
    got = centred_iou(np.array([[2.0, 2.0], [1.0, 4.0]]), np.array([[2.0, 2.0], [1.0, 1.0]]))
    np.testing.assert_allclose(got, [[1.0, 0.25], [2 / 6, 0.25]])


def test_anchors_are_the_centres_of_clusters() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0.1, 0.1], [0.1, 0.4], [0.5, 0.2], [0.3, 0.3], [0.8, 0.8]])
    sizes = np.repeat(centres, 40, axis=0) * rng.uniform(0.97, 1.03, (200, 2))
    # Starts with one box of each cluster find it; a start may also join two clusters.
    best = max(
        (anchors_of(sizes, 5, seed) for seed in range(20)),
        key=lambda anchors: centred_iou(sizes, anchors).max(1).mean(),
    )
    np.testing.assert_allclose(best, centres[centres.prod(1).argsort(kind="stable")], atol=0.02)


def test_yolo_boxes_by_hand() -> None:
    anchors = np.array([[0.5, 0.25], [0.2, 0.2]])
    numbers = np.zeros((1, 2, 7, 2, 2), np.float32)
    # Second anchor, row 1, column 0: in the middle of its cell, twice as wide, rather sure.
    numbers[0, 1, :, 1, 0] = [0, 0, math.log(2), 0, 2, 1, 3]
    boxes, sure, classes = F.yolo_boxes(gs.tensor(numbers.reshape(1, 14, 2, 2)), anchors)
    assert (boxes.shape, sure.shape, classes.shape) == ((1, 8, 4), (1, 8), (1, 8, 2))
    np.testing.assert_allclose(boxes[0, 6].numpy(), [0.05, 0.65, 0.45, 0.85], rtol=1e-6)
    np.testing.assert_allclose(boxes[0, 0].numpy(), [0.0, 0.125, 0.5, 0.375], atol=1e-7)
    assert sure[0, 6].item() == pytest.approx(1 / (1 + math.exp(-2)))
    assert classes[0, 6, 1].item() == pytest.approx(1 / (1 + math.exp(-2)))


@pytest.mark.parametrize(
    ("shape", "anchors", "message"),
    [
        ((1, 14, 2, 3), [[0.5, 0.5]] * 2, "expected a square grid"),
        ((14, 2, 2), [[0.5, 0.5]] * 2, r"expected \(N, A \(5 \+ C\), S, S\)"),
        ((1, 14, 2, 2), [[0.5, 0.5]] * 3, "14 channels"),
        ((1, 14, 2, 2), [[0.5, -0.5]] * 2, "expected positive widths"),
    ],
)
def test_yolo_boxes_refusals(shape: Any, anchors: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"yolo_boxes: .*{message}"):
        F.yolo_boxes(gs.zeros(*shape), np.array(anchors))


def test_chosen_suppresses_within_a_class_only() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [1.0, 0, 11, 10], [30.0, 30, 40, 40]])
    scores = np.array([[0.9, 0.3], [0.8, 0.001], [0.0, 0.5]])
    found = chosen(boxes, scores, 38)
    np.testing.assert_allclose(found["scores"], [0.9, 0.5, 0.3])
    assert found["labels"].tolist() == [0, 1, 1]
    np.testing.assert_array_equal(found["boxes"], boxes[[0, 2, 0]].clip(0, 38))


def test_map_of_windows_is_the_windows_one_by_one() -> None:
    model = sliding_window.network()
    model.eval()
    sheet = gs.randn(1, 1, 28, 24)
    with gs.no_grad():
        maps = model(sheet)
        assert maps.shape == (1, 11, 4, 3)
        for row, column in ((0, 0), (2, 1), (3, 2)):
            top, left = row * sliding_window.STRIDE, column * sliding_window.STRIDE
            side = sliding_window.WINDOW
            window = sheet[:, :, top : top + side, left : left + side].contiguous()
            expected = model(window)[0, :, 0, 0].numpy()
            np.testing.assert_allclose(maps[0, :, row, column].numpy(), expected, atol=1e-4)


def test_windows_become_boxes_and_heaps_one() -> None:
    scores = np.full((11, 3, 3), 0.01, np.float32)
    scores[sliding_window.NOTHING] = 0.9
    scores[:, 0, 0], scores[:, 0, 1] = 0.0, 0.0
    scores[4, 0, 0], scores[7, 0, 1] = 0.8, 0.95
    found = sliding_window.found_on(scores)
    assert found["labels"].tolist() == [7]
    np.testing.assert_array_equal(found["boxes"], [[4, 0, 20, 16]])


def test_default_boxes_row_by_row() -> None:
    boxes = models.default_boxes((2, 1), (0.2, 0.5), (1.0, 4.0))
    assert boxes.shape == (10, 4)
    np.testing.assert_allclose(boxes[0], [0.25, 0.25, 0.2, 0.2], rtol=1e-6)
    np.testing.assert_allclose(boxes[3], [0.75, 0.25, 0.4, 0.1], rtol=1e-6)
    np.testing.assert_allclose(boxes[9], [0.5, 0.5, 1.0, 0.25], rtol=1e-6)
    with pytest.raises(ValueError, match="a scale per grid"):
        models.default_boxes((2,), (0.2, 0.5))


def test_boxes_survive_encoding() -> None:
    rng = np.random.default_rng(0)
    defaults, boxes = rng.uniform(0.2, 0.5, (2, 6, 4))
    got = models.decode_boxes(models.encode_boxes(boxes, defaults), defaults)
    np.testing.assert_allclose(got, ssd.corners_of(boxes), atol=1e-12)
    # An offset of 1 moves by a tenth of the size and stretches by exp(0.2).
    moved = models.decode_boxes(np.ones((1, 4)), np.array([[0.5, 0.5, 0.2, 0.4]]))
    halves = np.array([0.1, 0.2]) * math.exp(0.2)
    np.testing.assert_allclose(moved[0, :2], np.array([0.52, 0.54]) - halves)


def test_matching_gives_each_object_its_best_box() -> None:
    defaults = np.array([[0.25, 0.25, 0.5, 0.5], [0.75, 0.75, 0.5, 0.5], [0.25, 0.3, 0.5, 0.5]])
    objects = np.array([[2, 0.25, 0.25, 0.5, 0.5], [0, 0.8, 0.8, 0.1, 0.1]])
    labels, offsets = ssd.matched(objects, defaults)
    # The second object fits no box by half, the third box overlaps the first object by 0.82.
    assert labels.tolist() == [3, 1, 3]
    np.testing.assert_allclose(offsets[0], 0.0, atol=1e-6)
    np.testing.assert_allclose(offsets[2], [0.0, -1.0, 0.0, 0.0], atol=1e-5)


def test_multibox_loss_counts_the_hardest_backgrounds() -> None:
    scores = np.zeros((1, 8, 2), np.float32)
    scores[0, 1:, 1] = np.arange(7)  # the higher the more wrongly an object
    labels = gs.tensor(np.array([[1, 0, 0, 0, 0, 0, 0, 0]]))
    offsets = gs.zeros(1, 8, 4)
    wanted = gs.ones(1, 8, 4)
    got = ssd.multibox_loss(gs.tensor(scores), offsets, labels, wanted).item()
    hard = sum(math.log1p(math.exp(each)) for each in (4, 5, 6))
    assert got == pytest.approx(math.log(2) + hard + 4 * 0.5, rel=1e-6)


def test_heads_of_several_scales_stand_in_the_order_of_default_boxes() -> None:
    head = models.MultiScaleHead((4, 5), 2, ratios=3)
    scores, offsets = head([gs.randn(2, 4, 4, 4), gs.randn(2, 5, 2, 2)])
    count = len(models.default_boxes((4, 2), (0.2, 0.5)))
    assert (scores.shape, offsets.shape) == ((2, count, 3), (2, count, 4))
    model = models.SSD(3)
    scores, offsets = model(gs.randn(2, 3, 64, 64))
    assert scores.shape[1] == len(models.default_boxes(ssd.GRIDS, ssd.SCALES))
    with pytest.raises(ValueError, match="SSD: scales is 6, expected 1 to 5"):
        models.SSD(3, scales=6)
    with pytest.raises(ValueError, match="MultiScaleHead: widths and ratios"):
        models.MultiScaleHead((), 2)


@pytest.mark.parametrize("align", [True, False])
def test_fast_rcnn_sends_gradients_into_the_body(align: bool) -> None:
    body = nn.Conv2d(3, 5, 3, stride=2, padding=1)
    model = models.FastRCNN(body, 5, 2, stride=2, align=align)
    boxes = np.array([[0, 0.0, 0.0, 9.0, 9.0], [1, 4.0, 2.0, 12.0, 15.0], [1, 0, 0, 15, 15]])
    scores, offsets = model(gs.randn(2, 3, 16, 16), boxes)
    assert (scores.shape, offsets.shape) == ((3, 3), (3, 8))
    (scores.sum() + offsets.sum()).backward()
    assert body.weight.grad is not None
    assert abs(body.weight.grad.numpy()).max() > 0
    with pytest.raises(ValueError, match="FastRCNN: width, stride, size, hidden are 5, 0"):
        models.FastRCNN(body, 5, 2, stride=0)
