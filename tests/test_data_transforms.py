# SPDX-License-Identifier: Apache-2.0
"""Transforms of images: definitions and Pillow as the judges, randomness, options."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.backend import Array
from gradsmith.data import DataLoader, ImageDataset, transforms

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, size=(3, 12, 17), dtype=np.uint8)
FLOATS = RANDOM.random((3, 12, 17)).astype(np.float32)

# One of each kind that takes any image, with the shape that comes out of (3, 12, 17).
SAMPLES: list[tuple[Callable[[Any], Any], tuple[int, ...]]] = [
    (transforms.RandomHorizontalFlip(), (3, 12, 17)),
    (transforms.RandomVerticalFlip(), (3, 12, 17)),
    (transforms.RandomRotation(30, "bilinear"), (3, 12, 17)),
    (transforms.RandomCrop(10, padding=2), (3, 10, 10)),
    (transforms.RandomCrop((20, 10), pad_if_needed=True, padding_mode="reflect"), (3, 20, 10)),
    (transforms.RandomResizedCrop((8, 9)), (3, 8, 9)),
    (transforms.CenterCrop(8), (3, 8, 8)),
    (transforms.Pad((1, 2, 3, 4)), (3, 18, 21)),
    (transforms.RandomShift(2), (3, 12, 17)),
    (transforms.RandomZoom(0.2), (3, 12, 17)),
    (transforms.RandomZoom((-0.5, 0.5), (0, 0.1)), (3, 12, 17)),
    (transforms.RandomShear(0.2, (0.1, 0.3)), (3, 12, 17)),
    (transforms.RandomAffine(10, (0.1, 0.2), (0.9, 1.1), (1, 2, 3, 4)), (3, 12, 17)),
    (transforms.RandomBrightness(0.5), (3, 12, 17)),
    (transforms.RandomContrast(0.5), (3, 12, 17)),
    (transforms.RandomSaturation(0.5), (3, 12, 17)),
    (transforms.RandomHue(0.5), (3, 12, 17)),
    (transforms.ColorJitter(0.4, 0.4, 0.4, 0.1), (3, 12, 17)),
    (transforms.GaussianBlur((3, 5)), (3, 12, 17)),
    (transforms.GaussianNoise(), (3, 12, 17)),
    (transforms.Sharpen(), (3, 12, 17)),
    (transforms.Cutout(2, 5), (3, 12, 17)),
    (transforms.RandomErasing(1.0, value="random"), (3, 12, 17)),
    (transforms.Resize(6), (3, 6, 8)),
    (transforms.Grayscale(), (1, 12, 17)),
    (transforms.RandomGrayscale(0.5), (3, 12, 17)),
    (transforms.RandomApply([transforms.RandomShift(1)], 0.5), (3, 12, 17)),
    (transforms.RandomChoice([transforms.Sharpen(), transforms.Resize(6)], [1, 0]), (3, 12, 17)),
    (transforms.RandomOrder([transforms.Sharpen(), transforms.Resize(6)]), (3, 6, 8)),
]


def draws(transform: Callable[[Any], Any], image: Array, count: int = 40) -> list[Array]:
    """Return what comes out for so many samples of a loader with the same image."""
    gs.manual_seed(0)
    data = ImageDataset(np.stack([image] * count), np.zeros(count), ["a"], 1.0, transform)
    return [each[0] for each, _ in (pair for pair in _numpy(DataLoader(data, seed=0)))]


def _numpy(loader: Any) -> list[tuple[Array, Array]]:
    return [(images.numpy(), targets.numpy()) for images, targets in loader]


# ---- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("transform", "shape"), SAMPLES, ids=lambda x: type(x).__name__)
def test_kind_dtype_and_shape_are_kept(transform: Any, shape: tuple[int, ...]) -> None:
    for image in (BYTES, FLOATS, FLOATS.astype(np.float64)):
        before = image.copy()
        result = transform(image)
        assert (result.shape, result.dtype) == (shape, image.dtype)
        assert result.flags.c_contiguous
        assert image.tobytes() == before.tobytes(), "the image itself was changed"
        tensor = transform(gs.from_numpy(image))
        assert isinstance(tensor, gs.Tensor)
        assert (tensor.shape, tensor.dtype) == (shape, image.dtype)
    assert transform(FLOATS[:1]).shape == (1, *shape[1:])
    assert transform(FLOATS[0]).shape == shape[1:]


@pytest.mark.parametrize(("transform", "shape"), SAMPLES, ids=lambda x: type(x).__name__)
def test_sample_alone_decides(transform: Any, shape: tuple[int, ...]) -> None:
    """Neither workers nor the order of access change a sample; the epoch does."""
    data = ImageDataset(np.stack([BYTES] * 6), np.arange(6), list("abcdef"), 255.0, transform)

    def read(workers: int, order: Any, epoch: int = 3) -> dict[int, bytes]:
        loader = DataLoader(data, 1, sampler=order, num_workers=workers, seed=5)
        loader.set_epoch(epoch)
        return {int(target[0]): image.tobytes() for image, target in _numpy(loader)}

    first = read(0, range(6))
    assert read(2, range(6)) == first
    assert read(0, [4, 2, 0, 5, 1, 3]) == first
    gs.manual_seed(99)
    assert read(1, [5]) == {5: first[5]}


@pytest.mark.parametrize(("transform", "shape"), SAMPLES[:26], ids=lambda x: type(x).__name__)
def test_images_are_checked(transform: Any, shape: tuple[int, ...]) -> None:
    name = type(transform).__name__
    with pytest.raises(TypeError, match=f"{name}: image is a list"):
        transform([[1.0]])
    with pytest.raises(TypeError, match=f"{name}: image is int64"):
        transform(np.zeros((3, 4, 4), np.int64))
    with pytest.raises(ValueError, match=f"{name}: image has shape \\(3,\\)"):
        transform(np.zeros(3))
    with pytest.raises(ValueError, match=f"{name}: image has shape \\(3, 0, 4\\)"):
        transform(np.zeros((3, 0, 4)))


@pytest.mark.parametrize("kind", [transforms.RandomHorizontalFlip, transforms.RandomVerticalFlip])
def test_flips(kind: Any) -> None:
    mirrored = FLOATS[..., ::-1] if "Horizontal" in kind.__name__ else FLOATS[:, ::-1]
    np.testing.assert_array_equal(kind(1.0)(FLOATS), mirrored)
    np.testing.assert_array_equal(kind(0)(FLOATS), FLOATS)
    share = np.mean([(each == mirrored).all() for each in draws(kind(0.25), FLOATS, 400)])
    assert 0.18 < share < 0.32  # three standard deviations
    assert repr(kind()) == f"{kind.__name__}(p=0.5)"
    with pytest.raises(ValueError, match=f"{kind.__name__}: p is 1.5"):
        kind(1.5)


# ---- sizes and crops -----------------------------------------------------------------------------


def test_resize() -> None:
    image = np.array([[0.0, 1.0]], dtype=np.float32)
    wide = transforms.Resize((1, 4), antialias=False)(image)
    np.testing.assert_allclose(wide, [[0, 0.25, 0.75, 1]])
    batch = RANDOM.random((2, 3, 5, 4)).astype(np.float32)
    np.testing.assert_array_equal(transforms.Resize((5, 4))(batch), batch)
    assert transforms.Resize(8)(batch).shape == (2, 3, 10, 8)
    assert transforms.Resize(8, max_size=9)(batch).shape == (2, 3, 9, 7)


@pytest.mark.torch
@pytest.mark.parametrize("antialias", [False, True])
def test_resize_equals_torch(antialias: bool) -> None:
    import torch

    images = RANDOM.random((2, 1, 8, 8)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(images), (28, 5), mode="bilinear", antialias=antialias
    )
    result = transforms.Resize((28, 5), antialias=antialias)(images)
    np.testing.assert_allclose(result, expected.numpy(), atol=1e-6)


def test_shift_moves_by_whole_pixels_in_all_directions() -> None:
    image = np.arange(1.0, 10.0, dtype=np.float32).reshape(1, 3, 3)
    wide = np.pad(image, ((0, 0), (1, 1), (1, 1)), constant_values=7)
    moved = {wide[:, i : i + 3, j : j + 3].tobytes() for i in range(3) for j in range(3)}
    found = {each.tobytes() for each in draws(transforms.RandomShift(1, fill=7), image, 100)}
    assert found == moved
    np.testing.assert_array_equal(transforms.RandomShift(0)(image), image)


def test_random_crop_takes_every_place() -> None:
    image = FLOATS[:, :4, :5]
    found = {each.tobytes() for each in draws(transforms.RandomCrop((3, 4)), image, 60)}
    assert found == {image[:, i : i + 3, j : j + 4].tobytes() for i in (0, 1) for j in (0, 1)}
    whole = transforms.RandomCrop((6, 9), padding=(1, 2, 3, 0), fill=[0.1, 0.2, 0.3])(image)
    assert np.allclose(whole[:, 0, 0], [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(whole[:, 2:, 1:6], image)
    mirrored = transforms.RandomCrop((8, 9), padding=2, padding_mode="symmetric")(image)
    np.testing.assert_array_equal(mirrored, np.pad(image, ((0, 0), (2, 2), (2, 2)), "symmetric"))
    with pytest.raises(ValueError, match="RandomCrop: the image has 4 x 5 pixels"):
        transforms.RandomCrop(6)(image)


def test_center_crop() -> None:
    np.testing.assert_array_equal(transforms.CenterCrop((2, 5))(FLOATS), FLOATS[:, 5:7, 6:11])
    large = transforms.CenterCrop((15, 3))(FLOATS)
    np.testing.assert_array_equal(large[:, 1:13], FLOATS[..., 7:10])
    assert not large[:, 0].any()
    assert not large[:, 13:].any()


def test_random_resized_crop_keeps_to_its_ranges() -> None:
    row, column = np.indices((30, 40)).astype(np.float32)
    crop = transforms.RandomResizedCrop((2, 2), (0.2, 0.5), (0.5, 2.0), antialias=False)
    parts = draws(crop, np.stack([row, column]), 200)
    # A linear image stays linear: corner pixels lie at a quarter and three quarters of the part.
    height = np.array([2 * (part[0, 1, 0] - part[0, 0, 0]) for part in parts])
    width = np.array([2 * (part[1, 0, 1] - part[1, 0, 0]) for part in parts])
    share = height * width / 1200
    assert 0.18 < share.min() < 0.25 < 0.45 < share.max() < 0.53
    assert 0.45 < (width / height).min() < 0.65 < 1.5 < (width / height).max() < 2.2
    whole = transforms.RandomResizedCrop((12, 17), (1, 1), (17 / 12, 17 / 12))
    np.testing.assert_allclose(whole(FLOATS), FLOATS, atol=1e-6)
    # Where no try can succeed, the largest middle part of allowed proportions is taken.
    square = transforms.RandomResizedCrop(12, (1, 1), (1, 1))
    np.testing.assert_allclose(square(FLOATS), FLOATS[..., 2:14], atol=1e-6)


# ---- geometry ------------------------------------------------------------------------------------


def test_rotation_equals_pillow() -> None:
    library = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    picture = library.fromarray(BYTES.transpose(1, 2, 0))
    for angle, expand in itertools.product((90, 30), (False, True)):
        expected = np.asarray(picture.rotate(angle, library.Resampling.BILINEAR, expand))
        turn = transforms.RandomRotation((angle, angle), "bilinear", expand)
        result = turn(BYTES).transpose(1, 2, 0)
        assert result.shape == expected.shape
        inner = np.abs(result.astype(int) - expected)[3:-3, 3:-3]
        if not expand:  # Pillow places expanded images by whole pixels
            assert inner.max() <= 1
    np.testing.assert_array_equal(
        transforms.RandomRotation((90, 90), expand=True)(BYTES), np.rot90(BYTES, axes=(1, 2))
    )


def _moments(images: list[Array]) -> Array:
    """Return where the middle of the brightness lies in each image, (N, 2): row, column."""
    row, column = np.indices(images[0].shape[-2:])
    total = np.array([each.sum() for each in images])
    return (
        np.stack([[(each * axis).sum() for each in images] for axis in (row, column)], 1)
        / (total[:, None])
    )


def test_angles_and_shifts_fill_their_ranges() -> None:
    dot = np.zeros((1, 41, 41), np.float32)
    dot[0, 19:22, 34:37] = 1
    rows, columns = _moments(draws(transforms.RandomRotation((10, 60), "bilinear"), dot, 200)).T
    angles = np.degrees(np.arctan2(20 - rows, columns - 20))  # counter-clockwise
    assert 9 < angles.min() < 14 < 56 < angles.max() < 61
    middle = np.roll(dot, -15, axis=2)
    moves = draws(transforms.RandomAffine(0, translate=(0.25, 0.1)), middle, 300)
    shifts = np.unique((_moments(moves) - 20).round(6), axis=0)
    assert np.unique(shifts[:, 1]).tolist() == list(range(-10, 11))
    assert np.unique(shifts[:, 0]).tolist() == list(range(-4, 5))


def test_zoom_and_shear_by_their_definitions() -> None:
    row, column = np.indices((9, 9)).astype(np.float64)
    image = np.stack([row, column]) - 4.0  # seen from the middle
    zoomed = transforms.RandomZoom((-0.5, -0.5), (0, 0))(image)
    np.testing.assert_allclose(zoomed, np.stack([image[0] / 2, image[1]]), atol=1e-12)
    both = transforms.RandomZoom((-0.5, -0.5))(image)
    np.testing.assert_allclose(both, image / 2, atol=1e-12)
    inner = (slice(None), slice(3, 6), slice(3, 6))
    sheared = transforms.RandomShear((0.5, 0.5), (-0.25, -0.25))(image)
    expected = np.stack([image[0] - 0.25 * image[1], image[1] + 0.5 * image[0]])
    np.testing.assert_allclose(sheared[inner], expected[inner], atol=1e-12)
    edge = transforms.RandomZoom((1, 1), fill=9, padding_mode="constant", interpolation="nearest")
    assert (edge(image)[:, 0] == 9).all()
