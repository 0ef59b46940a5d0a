# SPDX-License-Identifier: Apache-2.0
"""Filters, edges, morphology, pyramids: loops over pixels and known cases as the judges."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from gradsmith import images
from gradsmith.backend import Array
from gradsmith.images.filters import separable

RANDOM = np.random.default_rng(1)
BYTES = RANDOM.integers(0, 256, size=(8, 11, 3), dtype=np.uint8)
FLOATS = RANDOM.random((8, 11, 3))
MODES = ["reflect", "symmetric", "edge", "wrap", "constant"]


def windows(image: Array, size: tuple[int, int], mode: str = "reflect") -> Any:
    """Yield each pixel's place and the pixels around it."""
    down, across = size[0] // 2, size[1] // 2
    wide = np.pad(image, ((down, down), (across, across), (0, 0)), mode=mode)  # type: ignore[call-overload]
    for row, column in itertools.product(range(image.shape[0]), range(image.shape[1])):
        yield (row, column), wide[row : row + size[0], column : column + size[1]]


# ---- blurring and sharpening ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_convolve(mode: str) -> None:
    kernel = RANDOM.standard_normal((3, 5))
    result = images.convolve(FLOATS, kernel, mode=mode)
    for place, window in windows(FLOATS, (3, 5), mode):
        expected = (window * kernel[::-1, ::-1, None]).sum(axis=(0, 1))
        np.testing.assert_allclose(result[place], expected, atol=1e-12)
    grey = images.convolve(FLOATS[..., 1], kernel, mode=mode)
    np.testing.assert_allclose(grey, result[..., 1], atol=1e-12)


def test_convolve_of_bytes() -> None:
    mean = np.full((3, 3), 1 / 9)
    result = images.convolve(BYTES, mean, mode="constant", fill=255)
    assert result.dtype == np.uint8
    wide = np.pad(BYTES.astype(float), ((1, 1), (1, 1), (0, 0)), constant_values=255)
    assert abs(result[0, 0] - wide[:3, :3].mean(axis=(0, 1))).max() <= 0.5 + 1e-3
    assert images.convolve(BYTES, [[-1]]).max() == 0
    with pytest.raises(ValueError, match="expected \\(odd, odd\\)"):
        images.convolve(BYTES, np.ones((2, 3)))
    with pytest.raises(ValueError, match="mode is 'zero'"):
        images.convolve(BYTES, mean, mode="zero")


def test_gaussian_blur() -> None:
    spot = np.zeros((21, 21))
    spot[10, 10] = 1
    blurred = images.gaussian_blur(spot, (1.5, 0.7))
    offsets = np.arange(21) - 10
    down, across = (np.exp(-0.5 * (offsets / s) ** 2) for s in (1.5, 0.7))
    expected = np.outer(down / down.sum(), across / across.sum())
    np.testing.assert_allclose(blurred, expected, atol=1e-5)  # cut off at 4 sigma
    np.testing.assert_allclose(images.gaussian_blur(np.full((4, 5), 0.3), 3), 0.3)
    np.testing.assert_array_equal(images.gaussian_blur(BYTES, 0), BYTES)
    three = images.gaussian_blur(spot, 1.0, 3)
    assert np.count_nonzero(three) == 9
    for options, message in (
        ({"sigma": -1}, "sigma is -1"),
        ({"sigma": 1, "size": 4}, "size is 4"),
        ({"sigma": (1, 2, 3)}, "expected a number or"),
    ):
        with pytest.raises(ValueError, match=message):
            images.gaussian_blur(BYTES, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("image", [BYTES, FLOATS, FLOATS[..., 0].astype(np.float32)])
def test_median(image: Array) -> None:
    result = images.median_filter(image, 3)
    assert result.dtype == image.dtype
    planes = image.reshape(*image.shape[:2], -1)
    for place, window in windows(planes, (3, 3)):
        expected = np.median(window.reshape(9, -1), axis=0)
        np.testing.assert_array_equal(result.reshape(planes.shape)[place], expected)
    with pytest.raises(ValueError, match="size is 2"):
        images.median_filter(image, 2)


def test_bilateral() -> None:
    result = images.bilateral_filter(FLOATS, 0.4, 1.2, 5)
    offsets = np.arange(5) - 2
    place_weight = np.exp(-0.5 * (offsets[:, None] ** 2 + offsets**2) / 1.2**2)
    for place, window in windows(FLOATS, (5, 5)):
        colour = ((window - FLOATS[place]) ** 2).sum(axis=2)
        weight = place_weight * np.exp(-0.5 * colour / 0.4**2)
        expected = (window * weight[..., None]).sum(axis=(0, 1)) / weight.sum()
        np.testing.assert_allclose(result[place], expected, atol=1e-12)
    step = np.zeros((8, 8))
    step[:, 4:] = 1
    noisy = step + RANDOM.normal(0, 0.02, step.shape)
    smooth = images.bilateral_filter(noisy, 0.1, 2)
    assert np.abs(smooth - step).mean() < np.abs(noisy - step).mean() / 2
    with pytest.raises(ValueError, match="sigma_color is 0"):
        images.bilateral_filter(FLOATS, 0)


def test_sharpening() -> None:
    step = np.array([[0.2, 0.2, 0.6, 0.6]])
    np.testing.assert_allclose(images.sharpen(step, 0.5), [[0.2, 0, 0.8, 0.6]], atol=1e-12)
    np.testing.assert_array_equal(images.sharpen(BYTES, 0), BYTES)
    blurred = images.gaussian_blur(FLOATS, 0.8)
    expected = FLOATS + 2 * (FLOATS - blurred)
    np.testing.assert_allclose(images.unsharp_mask(FLOATS, 0.8, 2), expected, atol=1e-12)
    expected = np.where(np.abs(FLOATS - blurred) < 0.1, FLOATS, expected)
    np.testing.assert_allclose(images.unsharp_mask(FLOATS, 0.8, 2, 0.1), expected, atol=1e-12)


# ---- edges ---------------------------------------------------------------------------------------


def test_sobel_and_laplacian() -> None:
    rows, columns = np.mgrid[:6, :7].astype(float)
    plane = 0.03 * rows + 0.05 * columns
    np.testing.assert_allclose(images.sobel(plane, 0)[1:-1, 1:-1], 8 * 0.03)
    np.testing.assert_allclose(images.sobel(plane, 1)[1:-1, 1:-1], 8 * 0.05)
    np.testing.assert_allclose(images.sobel(plane)[1:-1, 1:-1], 8 * np.hypot(0.03, 0.05))
    np.testing.assert_allclose(images.laplacian(rows**2 + 3 * columns)[1:-1, 1:-1], 2)
    step = np.zeros((5, 6), np.uint8)
    step[:, 3:] = 255
    assert images.sobel(step, 1).dtype == np.float32
    assert images.sobel(step, 1)[2].tolist() == [0, 0, 4, 4, 0, 0]
    assert images.laplacian(step)[2].tolist() == [0, 0, 1, -1, 0, 0]
    with pytest.raises(ValueError, match="axis is 2"):
        images.sobel(step, 2)


def test_canny_of_a_square() -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    image[8:20, 10:30] = (200, 180, 220)
    edges = images.canny(image)
    assert edges.dtype == np.bool_
    rows, columns = np.nonzero(edges)
    # One line on each side, within a pixel of the border between dark and bright.
    assert {rows.min(), rows.max()} <= {7, 8, 19, 20}
    assert {columns.min(), columns.max()} <= {9, 10, 29, 30}
    assert edges[12:16].sum(axis=1).tolist() == [2] * 4
    assert edges[:, 15:25].sum(axis=0).tolist() == [2] * 10
    assert not edges[11:17, 14:26].any()


def test_canny_follows_chains() -> None:
    image = np.zeros((40, 20))
    image[:, 10:] = np.linspace(0.1, 1, 40)[:, None]  # an edge that grows stronger
    slope = 0.31  # of a unit step after the blur: (cdf(1.5) - cdf(-0.5)) / 2
    everything = images.canny(image, 0.02, 0.02)
    strong = images.canny(image, 0.8 * slope, 0.8 * slope)
    chained = images.canny(image, 0.3 * slope, 0.8 * slope)
    assert everything.sum() >= 38
    assert 5 <= strong.sum() <= 15
    assert strong.sum() + 10 < chained.sum() < everything.sum()
    assert not images.canny(image, 0.02, 2).any()
    assert not images.canny(np.full((9, 9), 0.5), 0, 0).any()
    with pytest.raises(ValueError, match="expected 0 <= low <= high"):
        images.canny(image, 0.3, 0.2)


# ---- morphology ----------------------------------------------------------------------------------

CORNER = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize("footprint", [3, 5, CORNER, np.ones((1, 3))])
@pytest.mark.parametrize("image", [BYTES, FLOATS, BYTES[..., 0] > 128])
def test_morphology(image: Array, footprint: Any) -> None:
    shape = np.ones((footprint, footprint)) if isinstance(footprint, int) else footprint
    middle = np.array(shape.shape) // 2
    covered = np.argwhere(shape) - middle
    results = images.erode(image, footprint), images.dilate(image, footprint)
    assert results[0].dtype == image.dtype
    for row, column in itertools.product(range(image.shape[0]), range(image.shape[1])):
        for result, sign, pick in zip(results, (1, -1), (np.min, np.max), strict=True):
            places = [(row + sign * i, column + sign * j) for i, j in covered]
            pixels = [
                image[i, j]
                for i, j in places
                if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]
            ]
            np.testing.assert_array_equal(result[row, column], pick(pixels, axis=0))


def test_opening_and_closing() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[2:7, 2:7] = True
    with_spot, with_hole = mask.copy(), mask.copy()
    with_spot[0, 8] = True
    with_hole[4, 4] = False
    np.testing.assert_array_equal(images.opening(with_spot), mask)
    np.testing.assert_array_equal(images.closing(with_hole), mask)
    np.testing.assert_array_equal(
        images.closing(FLOATS, CORNER), images.erode(images.dilate(FLOATS, CORNER), CORNER)
    )
    # Idempotent, and on one side of the image.
    opened = images.opening(FLOATS, CORNER)
    assert (opened <= FLOATS).all()
    np.testing.assert_array_equal(images.opening(opened, CORNER), opened)
    for footprint in (2, np.zeros((3, 3)), np.ones((2, 3))):
        with pytest.raises(ValueError, match=r"size is 2|footprint has shape"):
            images.erode(mask, footprint)


# ---- pyramids ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(16, 24), (17, 22, 3), (5, 4)])
def test_pyramids(shape: tuple[int, ...]) -> None:
    image = RANDOM.random(shape)
    gaussian, laplacian = images.gaussian_pyramid(image, 3), images.laplacian_pyramid(image, 3)
    halves = [(-(-shape[0] // n), -(-shape[1] // n), *shape[2:]) for n in (1, 2, 4)]
    assert [level.shape for level in gaussian] == [level.shape for level in laplacian] == halves
    np.testing.assert_array_equal(gaussian[0], image)
    binomial = np.array([1, 4, 6, 4, 1]) / 16
    np.testing.assert_allclose(
        gaussian[1], separable(image, binomial, binomial, "reflect")[::2, ::2]
    )
    np.testing.assert_array_equal(gaussian[2], laplacian[2])
    np.testing.assert_allclose(images.collapse_pyramid(laplacian), image, atol=1e-12)
    flat = images.laplacian_pyramid(np.full(shape, 0.7), 3)
    assert max(np.abs(level).max() for level in flat[:2]) < 1e-12


def test_pyramids_of_bytes() -> None:
    assert images.gaussian_pyramid(BYTES, 2)[1].dtype == np.uint8
    details = images.laplacian_pyramid(BYTES, 4)
    assert details[0].dtype == np.float32
    np.testing.assert_array_equal((images.collapse_pyramid(details) * 255).round(), BYTES)
    with pytest.raises(ValueError, match="fewer than 5 levels"):
        images.gaussian_pyramid(BYTES, 5)
    with pytest.raises(ValueError, match="levels is 0"):
        images.laplacian_pyramid(BYTES, 0)
    with pytest.raises(ValueError, match="is followed by one of"):
        images.collapse_pyramid([BYTES / 255, BYTES / 255])
    with pytest.raises(ValueError, match="is empty"):
        images.collapse_pyramid([])
