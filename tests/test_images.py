# SPDX-License-Identifier: Apache-2.0
"""Image files, geometry, colours: Pillow, colorsys and loops over pixels as the judges."""

from __future__ import annotations

import colorsys
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradsmith import images
from gradsmith.backend import Array

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, size=(9, 13, 3), dtype=np.uint8)
FLOATS = RANDOM.random((9, 13, 3))


def pillow(module: str = "Image") -> Any:
    return pytest.importorskip(f"PIL.{module}", reason="Pillow is not installed")


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3), (5, 4, 4)])
def test_files(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pillow()
    image = RANDOM.integers(0, 256, size=shape, dtype=np.uint8)
    images.write(tmp_path / "a.png", image)
    result = images.read(tmp_path / "a.png")
    np.testing.assert_array_equal(result, image[..., 0] if shape[2:] == (1,) else image)
    images.write(tmp_path / "a.png", image / 255)
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), result)
    assert images.read(tmp_path / "a.png", mode="RGB").shape == (5, 4, 3)
    assert images.read(tmp_path / "a.png", mode="L").shape == (5, 4)


def test_read_turns_photographs(tmp_path: Path) -> None:
    library = pillow()
    photograph = library.fromarray(np.array([[0, 255]], dtype=np.uint8))
    exif = library.Exif()
    exif[0x0112] = 6  # the top of the scene is on the right
    photograph.save(tmp_path / "a.png", exif=exif)
    assert images.read(tmp_path / "a.png").tolist() == [[0], [255]]
    sixteen = library.fromarray(np.array([[0, 0x80FF]], dtype=np.uint16))
    sixteen.save(tmp_path / "b.png")
    assert images.read(tmp_path / "b.png").tolist() == [[0, 0x80]]
    assert images.read(tmp_path / "b.png", mode="RGB").tolist() == [[[0] * 3, [0x80] * 3]]
    assert images.read(tmp_path / "b.png").flags.writeable
    library.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "c.tiff")
    with pytest.raises(ValueError, match="32 bits in a pixel"):
        images.read(tmp_path / "c.tiff")


def test_files_refuse(tmp_path: Path) -> None:
    pillow()
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ValueError, match="no image that Pillow knows"):
        images.read(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError):
        images.read(tmp_path / "b.png")
    with pytest.raises(ValueError, match="mode is 'CMYK'"):
        images.read(tmp_path / "a.png", mode="CMYK")
    with pytest.raises(ValueError, match="2 channels"):
        images.write(tmp_path / "c.png", BYTES[..., :2])


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ([[1]], TypeError, "image is a list"),
        (np.zeros((2, 2), np.int64), TypeError, "image is int64"),
        (np.zeros(3), ValueError, "expected \\(H, W\\)"),
        (np.zeros((0, 3)), ValueError, "shape \\(0, 3\\)"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda x: images.resize(x, 3),
        images.flip,
        images.to_grey,
        images.equalize_histogram,
        images.gaussian_blur,
        images.median_filter,
        images.sobel,
        images.erode,
        lambda x: images.rotate(x, 3),
    ],
)
def test_images_are_checked(call: Any, image: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(image) if call is not images.gaussian_blur else call(image, 1.0)


# ---- geometry ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(9, 13), (20, 17), (4, 5), (1, 1), (3, 40)])
def test_resize_equals_pillow(method: str, size: tuple[int, int]) -> None:
    library = pillow()
    filters = {"bilinear": "BILINEAR", "bicubic": "BICUBIC"}
    resampling = getattr(library.Resampling, filters.get(method, method.upper()))
    # Pillow clips bytes between its two passes; these stay in range.
    for plane in (FLOATS[..., 0].astype(np.float32), BYTES[..., 0] // 2 + np.uint8(64)):
        expected = np.asarray(library.fromarray(plane).resize(size[::-1], resampling))
        result = images.resize(plane, size, method)
        assert result.dtype == plane.dtype
        atol = 1 if plane.dtype == np.uint8 else 1e-6
        np.testing.assert_allclose(result.astype(float), expected.astype(float), atol=atol)


def test_resize() -> None:
    ramp = np.array([[0.0, 1.0]])
    assert images.resize(ramp, (1, 4)).tolist() == [[0, 0.25, 0.75, 1]]
    assert images.resize(np.array([[0.0, 1, 5, 8]]), (1, 2), antialias=False).tolist() == [
        [0.5, 6.5]
    ]
    assert images.resize(BYTES, 18).shape == (18, 26, 3)
    assert images.resize(BYTES.transpose(1, 0, 2), 3).shape == (4, 3, 3)
    np.testing.assert_array_equal(images.resize(FLOATS, (9, 13)), FLOATS)
    with pytest.raises(ValueError, match="method is 'cubic'"):
        images.resize(BYTES, 3, "cubic")
    for size in (0, (3, 0), (3,)):
        with pytest.raises(ValueError, match="size is"):
            images.resize(BYTES, size)  # type: ignore[arg-type]


def test_crop_and_flip() -> None:
    part = images.crop(BYTES, 2, 3, 4, 5)
    np.testing.assert_array_equal(part, BYTES[2:6, 3:8])
    assert not np.shares_memory(part, BYTES)
    np.testing.assert_array_equal(images.flip(BYTES)[:, 0], BYTES[:, -1])
    np.testing.assert_array_equal(images.flip(BYTES, "vertical")[0], BYTES[-1])
    with pytest.raises(ValueError, match="the image has 9 pixels"):
        images.crop(BYTES, 6, 0, 4, 4)
    with pytest.raises(ValueError, match="left and width are -1 and 4"):
        images.crop(BYTES, 0, -1, 4, 4)
    with pytest.raises(ValueError, match="direction is 'up'"):
        images.flip(BYTES, "up")


def sampled(image: Array, x: float, y: float, interpolation: str, mode: str, fill: float) -> Any:
    """The level of an image at a point, by the definition."""
    far = 20
    options: Any = {"constant_values": fill} if mode == "constant" else {}
    wide = np.pad(image, far, mode=mode, **options)  # type: ignore[call-overload]
    if interpolation == "nearest":
        return wide[math.floor(y) + far, math.floor(x) + far]

    def weight(distance: float) -> float:
        d = abs(distance)
        if interpolation == "bilinear":
            return max(0.0, 1 - d)
        inner = 1.5 * d**3 - 2.5 * d**2 + 1
        return inner if d < 1 else max(d < 2, 0) * (-0.5 * d**3 + 2.5 * d**2 - 4 * d + 2)

    total = 0.0
    for i, j in itertools.product(range(math.floor(y) - 3, math.floor(y) + 4), range(-3, 4)):
        column = math.floor(x) + j
        total += weight(i + 0.5 - y) * weight(column + 0.5 - x) * wide[i + far, column + far]
    return total


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_warp(interpolation: str, mode: str) -> None:
    image = FLOATS[:5, :6, 0]
    matrix = np.array([[0.9, -0.4, 1.3], [0.5, 1.1, -2.6]])
    result = images.warp(image, matrix, (7, 4), interpolation=interpolation, mode=mode, fill=0.25)
    assert result.shape == (7, 4)
    for row, column in itertools.product(range(7), range(4)):
        x, y = matrix @ [column + 0.5, row + 0.5, 1]
        expected = sampled(image, x, y, interpolation, mode, 0.25)
        assert abs(result[row, column] - expected) < 1e-12


def test_affine_moves_points() -> None:
    matrix = images.affine_matrix(30, (5, -2), 1.5, (10, 20), (3, 4))
    # Sheared, scaled, turned clockwise (y points down) around the center, then moved.
    x, y = 2.0, -1.0
    x -= y * math.tan(math.radians(10))
    y -= x * math.tan(math.radians(20))
    length, angle = 1.5 * math.hypot(x, y), math.atan2(y, x) + math.radians(30)
    expected = [length * math.cos(angle) + 3 + 5, length * math.sin(angle) + 4 - 2]
    np.testing.assert_allclose(matrix @ [5, 3, 1], expected)


@pytest.mark.parametrize("image", [BYTES, FLOATS, FLOATS[..., 0].astype(np.float32)])
def test_affine_by_whole_pixels(image: Array) -> None:
    np.testing.assert_array_equal(images.affine(image), image)
    moved = images.affine(image, translate=(2, -1))
    np.testing.assert_allclose(moved[:-1, 2:], image[1:, :-2], rtol=1e-6)
    assert (moved[-1] == 0).all()
    assert (moved[:, :2] == 0).all()
    assert moved.dtype == image.dtype
    np.testing.assert_allclose(images.affine(image, 180), image[::-1, ::-1], rtol=1e-6)
    doubled = images.affine(image, scale=2, center=(0, 0), interpolation="nearest")
    np.testing.assert_array_equal(doubled, image.repeat(2, 0).repeat(2, 1)[:9, :13])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_rotate(interpolation: str) -> None:
    for turns in range(-1, 5):
        turned = images.rotate(BYTES, 90 * turns, expand=True, interpolation=interpolation)
        np.testing.assert_array_equal(turned, np.rot90(BYTES, turns))
    if interpolation == "bicubic":
        return  # Pillow turns with another cubic
    library = pillow()
    for angle in (30, 100.5, -7):
        resampling = getattr(library.Resampling, interpolation.upper())
        expected = library.fromarray(BYTES).rotate(angle, resampling, expand=True)
        result = images.rotate(BYTES, angle, expand=True, interpolation=interpolation)
        assert result.shape == np.asarray(expected).shape
        middle = tuple(slice(n // 2 - 2, n // 2 + 2) for n in result.shape[:2])
        difference = result[middle].astype(int) - np.asarray(expected)[middle]
        assert np.abs(difference).max() <= 1
    assert images.rotate(BYTES, 45).shape == BYTES.shape
    assert images.rotate(BYTES, 45, fill=(1, 2, 3))[0, 0].tolist() == [1, 2, 3]


def test_affine_refuses() -> None:
    for options, message in (
        ({"scale": 0}, "scale is 0"),
        ({"shear": (1, 2, 3)}, "shear is"),
        ({"translate": (1,)}, "translate is"),
        ({"mode": "zeros"}, "mode is 'zeros'"),
        ({"interpolation": "linear"}, "interpolation is 'linear'"),
        ({"fill": (1, 2)}, "fill has shape \\(2,\\)"),
    ):
        with pytest.raises(ValueError, match=message):
            images.affine(BYTES, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected \\(2, 3\\)"):
        images.warp(BYTES, np.eye(3))


# ---- colours -------------------------------------------------------------------------------------


def test_grey_and_rgb() -> None:
    expected = FLOATS @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(images.to_grey(FLOATS), expected)
    np.testing.assert_array_equal(
        images.to_grey(BYTES), (BYTES @ [0.299, 0.587, 0.114]).round().astype(np.uint8)
    )
    transparent = np.concatenate([BYTES, BYTES[..., :1]], axis=2)
    np.testing.assert_array_equal(images.to_grey(transparent), images.to_grey(BYTES))
    np.testing.assert_array_equal(images.to_rgb(transparent), BYTES)
    grey = images.to_grey(BYTES)
    for image in (grey, grey[..., None]):
        np.testing.assert_array_equal(images.to_grey(image), grey)
        np.testing.assert_array_equal(images.to_rgb(image), np.stack([grey] * 3, axis=2))
    for function in (images.to_grey, images.to_rgb):
        with pytest.raises(ValueError, match="2 channels"):
            function(BYTES[..., :2])


def test_hsv() -> None:
    image = np.concatenate([FLOATS, np.eye(3)[None].repeat(9, 0), np.ones((9, 1, 3))], axis=1)
    image[0, :3] = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.2, 0.5]]
    hsv = images.rgb_to_hsv(image)
    expected = [[colorsys.rgb_to_hsv(*pixel) for pixel in row] for row in image]
    np.testing.assert_allclose(hsv, expected, atol=1e-12)
    np.testing.assert_allclose(images.hsv_to_rgb(hsv), image, atol=1e-12)
    library = pillow()
    theirs = np.asarray(library.fromarray(BYTES).convert("HSV")).astype(int)
    assert np.abs(images.rgb_to_hsv(BYTES) - theirs).max() <= 1
    assert images.rgb_to_hsv(BYTES.astype(np.float32) / 255).dtype == np.float32
    with pytest.raises(ValueError, match="expected \\(H, W, 3\\)"):
        images.rgb_to_hsv(BYTES[..., 0])


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [
        ("adjust_brightness", "Brightness"),
        ("adjust_contrast", "Contrast"),
        ("adjust_saturation", "Color"),
    ],
)
@pytest.mark.parametrize("factor", [0, 0.4, 1, 1.7])
def test_adjustments_equal_pillow(name: str, enhancer: str, factor: float) -> None:
    library = pillow()
    picture = library.fromarray(BYTES)
    expected = np.asarray(getattr(pillow("ImageEnhance"), enhancer)(picture).enhance(factor))
    result = getattr(images, name)(BYTES, factor)
    assert np.abs(result - expected.astype(int)).max() <= 2  # Pillow rounds means and greys
    with pytest.raises(ValueError, match="factor is -1"):
        getattr(images, name)(BYTES, -1)


def test_adjustments_by_hand() -> None:
    image = np.array([[[0.2, 0.4, 0.6]]])
    np.testing.assert_allclose(images.adjust_brightness(image, 2)[0, 0], [0.4, 0.8, 1])
    grey = 0.2 * 0.299 + 0.4 * 0.587 + 0.6 * 0.114
    np.testing.assert_allclose(images.adjust_saturation(image, 0.5)[0, 0], (image[0, 0] + grey) / 2)
    np.testing.assert_allclose(images.adjust_contrast(np.array([[0.2, 0.4]]), 2), [[0.1, 0.5]])
    turned = images.adjust_hue(image, 1 / 3)[0, 0]
    np.testing.assert_allclose(turned, [0.6, 0.2, 0.4], atol=1e-12)
    np.testing.assert_array_equal(images.adjust_hue(BYTES, 0.0), BYTES)
    with pytest.raises(ValueError, match="shift is"):
        images.adjust_hue(BYTES, 0.6)


def test_equalize_histogram() -> None:
    image = np.array([[10, 10, 20], [20, 20, 200]], dtype=np.uint8)
    # cdf: 2, 5, 6 of 6; (cdf - 2) / 4.
    assert images.equalize_histogram(image).tolist() == [[0, 0, 191], [191, 191, 255]]
    assert images.equalize_histogram(image / 255).tolist() == [[0, 0, 0.75], [0.75, 0.75, 1]]
    assert images.equalize_histogram(image[:1, :2]).tolist() == [[10, 10]]
    colour = images.equalize_histogram(np.stack([image, image.T.reshape(2, 3)], axis=2))
    np.testing.assert_array_equal(colour[..., 0], images.equalize_histogram(image))
