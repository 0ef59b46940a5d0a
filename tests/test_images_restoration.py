# SPDX-License-Identifier: Apache-2.0
"""Noise and how to be rid of it, boxes and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import images
from gradsmith.backend import Array

RANDOM = np.random.default_rng(2)


def scene(size: int = 32) -> Array:
    """A bright square and a slope."""
    image = np.linspace(0.2, 0.5, size)[None].repeat(size, axis=0)
    image[size // 4 : size // 2, size // 4 : 3 * size // 4] = 0.9
    return image


# ---- noise ---------------------------------------------------------------------------------------


def test_gaussian_noise() -> None:
    plain = np.full((100, 100), 0.5)
    noisy = images.add_gaussian_noise(plain, 0.1, seed=3)
    np.testing.assert_array_equal(noisy, images.add_gaussian_noise(plain, 0.1, seed=3))
    assert abs((noisy - plain).std() - 0.1) < 0.003
    assert abs((noisy - plain).mean()) < 0.003
    grey = images.add_gaussian_noise(np.full((50, 50), 250, np.uint8), 0.1, seed=3)
    assert (grey.dtype, grey.max()) == (np.uint8, 255)
    gs.manual_seed(1)
    first = images.add_gaussian_noise(plain, 0.1)
    assert (images.add_gaussian_noise(plain, 0.1) != first).any()
    gs.manual_seed(1)
    np.testing.assert_array_equal(images.add_gaussian_noise(plain, 0.1), first)
    with pytest.raises(ValueError, match="std is -1"):
        images.add_gaussian_noise(plain, -1)


def test_salt_and_pepper() -> None:
    plain = np.full((100, 100, 3), 7, np.uint8)
    noisy = images.add_salt_and_pepper(plain, 0.2, salt=0.25, seed=0)
    white, black = (noisy == 255).all(axis=2), (noisy == 0).all(axis=2)
    assert ((noisy == 7).all(axis=2) | white | black).all()
    assert abs(white.mean() - 0.05) < 0.01
    assert abs(black.mean() - 0.15) < 0.01
    assert (
        images.add_salt_and_pepper(np.full((2, 2), 0.5), 1, salt=1, seed=0).tolist() == [[1, 1]] * 2
    )
    with pytest.raises(ValueError, match="amount is 2"):
        images.add_salt_and_pepper(plain, 2)
    cleaned = images.median_filter(noisy, 5)
    assert (cleaned == 7).mean() > 0.99


# ---- restoration ---------------------------------------------------------------------------------


def test_wiener_undoes_a_known_blur() -> None:
    image = np.stack([scene(), scene().T], axis=2)
    kernel = np.array([[0.02, 0.1, 0.02], [0.1, 0.5, 0.1], [0.0, 0.14, 0.02]])
    blurred = images.convolve(image, kernel, mode="wrap")
    np.testing.assert_allclose(images.wiener_deconvolution(blurred, kernel, 0), image, atol=1e-9)
    wide = np.ones((1, 7)) / 7
    noisy = images.convolve(image, wide, mode="wrap") + RANDOM.normal(0, 0.01, image.shape)
    restored = images.wiener_deconvolution(noisy, wide, 0.005)
    inverse = images.wiener_deconvolution(noisy, wide, 0)
    error = [np.square(each - image).mean() for each in (restored, noisy, inverse)]
    assert error[0] < 0.7 * min(error[1:])
    as_bytes = (blurred * 255).round().astype(np.uint8)
    result = images.wiener_deconvolution(as_bytes, kernel, 1e-4)
    assert np.abs(result / 255 - image).max() < 0.03


def test_wiener_refuses() -> None:
    for kernel in (np.ones((2, 3)), np.ones(3), np.ones((35, 1))):
        with pytest.raises(ValueError, match="expected \\(odd, odd\\) within"):
            images.wiener_deconvolution(scene(), kernel)
    with pytest.raises(ValueError, match="noise is -1"):
        images.wiener_deconvolution(scene(), np.ones((1, 1)), -1)


def energy(u: Array, image: Array, weight: float) -> float:
    down, right = np.zeros_like(u), np.zeros_like(u)
    down[:-1], right[:, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
    return float(np.square(u - image).sum() / (2 * weight) + np.hypot(down, right).sum())


def test_total_variation_finds_the_smallest_energy() -> None:
    noisy = scene(16) + RANDOM.normal(0, 0.1, (16, 16))
    result = images.denoise_total_variation(noisy, 0.1, max_iter=20_000, tolerance=0)
    least = energy(result, noisy, 0.1)
    for _ in range(50):
        other = result + RANDOM.normal(0, RANDOM.choice([1e-2, 1e-3]), result.shape)
        assert energy(other, noisy, 0.1) > least
    for other in (noisy, scene(16), images.gaussian_blur(noisy, 1), result + 1e-3, result * 0.99):
        assert energy(other, noisy, 0.1) > least
    np.testing.assert_allclose(result.mean(), noisy.mean())  # the mean is kept


def test_total_variation_lowers_noise() -> None:
    image = np.stack([scene(), scene().T, scene()[::-1]], axis=2)
    noisy = images.add_gaussian_noise(image, 0.1, seed=0)
    result = images.denoise_total_variation(noisy, 0.12)
    assert np.square(result - image).mean() < 0.2 * np.square(noisy - image).mean()
    as_bytes = (noisy * 255).round().astype(np.uint8)
    assert np.abs(images.denoise_total_variation(as_bytes, 0.12) / 255 - result).max() < 0.02
    with pytest.raises(ValueError, match="weight is 0"):
        images.denoise_total_variation(image, 0)
    with pytest.raises(ValueError, match="max_iter is 0"):
        images.denoise_total_variation(image, max_iter=0)


# ---- boxes ---------------------------------------------------------------------------------------


def overlap(a: Array, b: Array) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)


@pytest.mark.parametrize("threshold", [0, 0.2, 0.5, 1])
@pytest.mark.parametrize("labelled", [False, True])
def test_nms(threshold: float, labelled: bool) -> None:
    corners = RANDOM.random((60, 2)) * 10
    boxes = np.concatenate([corners, corners + 1 + RANDOM.random((60, 2)) * 4], axis=1)
    scores = RANDOM.permutation(60) / 60
    labels = RANDOM.integers(0, 3, 60) if labelled else None
    kept: list[int] = []
    for i in np.argsort(-scores):
        rivals = [j for j in kept if labels is None or labels[i] == labels[j]]
        if all(overlap(boxes[i], boxes[j]) <= threshold for j in rivals):
            kept.append(int(i))
    assert images.nms(boxes, scores, threshold, labels=labels).tolist() == kept
    as_tensor = images.nms(gs.tensor(boxes), gs.tensor(scores), threshold, labels=labels)
    assert isinstance(as_tensor, gs.Tensor)
    assert (as_tensor.dtype, as_tensor.tolist()) == (gs.int64, kept)


def test_nms_edge_cases() -> None:
    assert images.nms([], []).tolist() == []
    same = [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 2, 2], [1, 1, 2, 2]]
    assert images.nms(same, [1, 1, 1, 1]).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="scores have shape \\(1,\\) for 4 boxes"):
        images.nms(same, [1])
    with pytest.raises(ValueError, match="x1 <= x2"):
        images.nms([[2, 0, 1, 1]], [1])
    with pytest.raises(ValueError, match="expected \\(N, 4\\)"):
        images.nms([[1, 2, 3]], [1])
    with pytest.raises(ValueError, match="iou_threshold is 2"):
        images.nms(same, [1, 1, 1, 1], 2)
    with pytest.raises(ValueError, match="labels have shape"):
        images.nms(same, [1, 1, 1, 1], labels=[1])


def test_draw_boxes() -> None:
    image = np.zeros((6, 8), np.uint8)
    drawn = images.draw_boxes(image, [[1, 1, 6, 5]], colors=(9, 8, 7), width=1)
    assert drawn.shape == (6, 8, 3)
    assert drawn[1, 1].tolist() == [9, 8, 7]
    pattern = ["".join("#" if pixel else "." for pixel in row) for row in drawn[..., 0]]
    assert pattern == ["........", ".#####..", ".#...#..", ".#...#..", ".#####..", "........"]
    assert image.max() == 0
    two = images.draw_boxes(np.zeros((4, 4, 3)), gs.tensor([[0.2, 0, 1.5, 9], [-5, 1, 2, 2]]))
    assert two.dtype == np.float64
    assert two[0, 0].tolist() != two[1, 0].tolist()
    assert (two[:, 2:] == 0).all()
    np.testing.assert_array_equal(images.draw_boxes(image, []), images.to_rgb(image))
    with pytest.raises(ValueError, match="width is 0"):
        images.draw_boxes(image, [[0, 0, 1, 1]], width=0)
    with pytest.raises(ValueError, match="colors have shape"):
        images.draw_boxes(image, [[0, 0, 1, 1]], colors=[1, 2])


def test_labels_of_boxes() -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")
    image = np.zeros((40, 60, 3), np.uint8)
    drawn = images.draw_boxes(image, [[10, 20, 50, 35]], colors=(255, 255, 0), labels=["cat"])
    field = drawn[8:20, 10:20]
    assert {tuple(pixel) for pixel in field.reshape(-1, 3)} > {(255, 255, 0)}
    assert (drawn[:, :10] == 0).all()
    edge = images.draw_boxes(image, [[55, 0, 59, 3]], labels=["beyond the border"])
    assert edge.shape == image.shape
    with pytest.raises(ValueError, match="2 labels for 1 boxes"):
        images.draw_boxes(image, [[0, 0, 1, 1]], labels=["a", "b"])


def test_overlay_mask() -> None:
    image = np.full((2, 3, 3), 0.5)
    mask = np.array([[True, False, False], [False, False, True]])
    result = images.overlay_mask(image, mask, color=(1, 0, 0), alpha=0.25)
    assert result[0, 0].tolist() == result[1, 2].tolist() == [0.625, 0.375, 0.375]
    assert (result[~mask] == 0.5).all()
    numbers = gs.tensor([[0, 1, 2], [2, 0, 0]])
    colours: Any = [(0, 0, 255), (0, 255, 0)]
    grey = np.full((2, 3), 100, np.uint8)
    painted = images.overlay_mask(grey, numbers, color=colours, alpha=1)
    assert painted[0].tolist() == [[100] * 3, [0, 0, 255], [0, 255, 0]]
    assert images.overlay_mask(grey, numbers).dtype == np.uint8
    np.testing.assert_array_equal(
        images.overlay_mask(grey, np.zeros((2, 3), bool)), images.to_rgb(grey)
    )
    for wrong, options, message in (
        (mask[:1], {}, "mask is bool \\(1, 3\\)"),
        (mask * 0.5, {}, "mask is float64"),
        (mask * -1, {}, "the number -1"),
        (mask, {"alpha": 2}, "alpha is 2"),
        (mask, {"color": (1, 2)}, "colors have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            images.overlay_mask(image, wrong, **options)  # type: ignore[arg-type]
