# SPDX-License-Identifier: Apache-2.0
"""Transforms of colours and values, erasing, mixing, containers, and what each one refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import images
from gradsmith.backend import Array
from gradsmith.data import DataLoader, ImageDataset, IterableDataset, default_collate, transforms
from tests.test_data_transforms import BYTES, FLOATS, draws

GREY = np.full((3, 1, 1), 0.5, np.float32)


def last(planes: Array) -> Array:
    return planes.transpose(1, 2, 0)


# ---- colours and filters -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "adjust", "value"),
    [
        ("Brightness", images.adjust_brightness, 0.7),
        ("Contrast", images.adjust_contrast, 1.4),
        ("Saturation", images.adjust_saturation, 0.2),
        ("Hue", images.adjust_hue, -0.3),
    ],
)
@pytest.mark.parametrize("image", [BYTES, FLOATS], ids=["bytes", "floats"])
def test_colours_are_those_of_images(image: Array, name: str, adjust: Any, value: float) -> None:
    expected = adjust(last(image), value)
    alone = getattr(transforms, f"Random{name}")((value, value))
    np.testing.assert_array_equal(last(alone(image)), expected)
    jitter = transforms.ColorJitter(**{name.lower(): (value, value)})
    np.testing.assert_array_equal(last(jitter(image)), expected)
    none = transforms.ColorJitter()
    np.testing.assert_array_equal(none(image), image)
    if name in ("Saturation", "Hue"):
        np.testing.assert_array_equal(alone(image[:1]), image[:1])


def test_factors_fill_their_range() -> None:
    levels = [float(each.max()) for each in draws(transforms.RandomBrightness(0.4), GREY, 200)]
    assert 0.3 <= min(levels) < 0.31 < 0.69 < max(levels) <= 0.7
    assert transforms.RandomContrast(3).factor == (0.0, 4.0)
    assert transforms.RandomHue(0.25).factor == (-0.25, 0.25)


def test_jitter_comes_in_any_order() -> None:
    jitter = transforms.ColorJitter(brightness=(1.5, 1.5), contrast=(0.5, 0.5))
    results = {each.tobytes() for each in draws(jitter, FLOATS)}
    image = last(FLOATS)
    one = images.adjust_contrast(images.adjust_brightness(image, 1.5), 0.5)
    two = images.adjust_brightness(images.adjust_contrast(image, 0.5), 1.5)
    assert results == {each.transpose(2, 0, 1).tobytes() for each in (one, two)}


def test_grayscale() -> None:
    grey = images.to_grey(last(BYTES))
    np.testing.assert_array_equal(transforms.Grayscale()(BYTES), grey[None])
    three = transforms.Grayscale(3)(BYTES)
    np.testing.assert_array_equal(three, np.stack([grey] * 3))
    np.testing.assert_array_equal(transforms.RandomGrayscale(1)(BYTES), three)
    np.testing.assert_array_equal(transforms.RandomGrayscale(0)(BYTES), BYTES)
    with pytest.raises(ValueError, match=r"shape \(2, 3, 4, 4\), expected \(H, W\) or"):
        transforms.Grayscale()(np.zeros((2, 3, 4, 4)))


def test_filters_are_those_of_images() -> None:
    blur = transforms.GaussianBlur((3, 5), 1.5)
    expected = images.gaussian_blur(last(FLOATS), 1.5, (5, 3))
    np.testing.assert_array_equal(last(blur(FLOATS)), expected)
    np.testing.assert_array_equal(
        last(transforms.Sharpen(0.5)(BYTES)), images.sharpen(last(BYTES), 0.5)
    )
    np.testing.assert_array_equal(last(transforms.Sobel(1)(BYTES)), images.sobel(last(BYTES), 1))
    np.testing.assert_array_equal(
        last(transforms.Laplacian()(BYTES)), images.laplacian(last(BYTES))
    )
    assert transforms.Sobel()(BYTES).dtype == np.float32


def test_noise() -> None:
    plain = np.full((1, 100, 100), 0.5, np.float64)
    noise = transforms.GaussianNoise(0.1, 0.5, clip=False)(plain) - plain
    assert abs(noise.mean() - 0.1) < 0.02  # four standard deviations
    assert abs(noise.std() - 0.5) < 0.02
    clipped = transforms.GaussianNoise(0.1, 0.5)(plain)
    assert (clipped.min(), clipped.max()) == (0, 1)


# ---- erasing -------------------------------------------------------------------------------------


def _holes(transform: Any, shape: tuple[int, int], count: int) -> list[tuple[int, int, int]]:
    """Return (height, width, erased pixels) of what is erased of white images."""
    found = []
    for image in draws(transform, np.ones((1, *shape), np.float32), count):
        rows, columns = np.nonzero(image[0] == 0)
        size = (np.ptp(rows) + 1, np.ptp(columns) + 1) if len(rows) else (0, 0)
        found.append((*size, len(rows)))
    return found


def test_cutout() -> None:
    holes = _holes(transforms.Cutout(1, 6), (20, 20), 300)
    assert all(height * width == erased for height, width, erased in holes)
    assert {height for height, _, _ in holes} == {3, 4, 5, 6}  # its middle lies in the image
    assert np.mean([height == 6 for height, _, _ in holes]) > 0.6
    assert max(erased for _, _, erased in _holes(transforms.Cutout(3, 4), (20, 20), 50)) > 16
    filled = transforms.Cutout(1, 100, fill=(1, 2, 3))(BYTES)
    assert filled[:, 0, 0].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="Cutout: fill has 2 levels, the image 3 channels"):
        transforms.Cutout(fill=(1, 2))(BYTES)


def test_random_erasing() -> None:
    erase = transforms.RandomErasing(0.5, (0.1, 0.3), (0.5, 2.0))
    holes = np.array(_holes(erase, (40, 60), 400))
    done = holes[holes[:, 2] > 0]
    assert 0.42 < len(done) / 400 < 0.58
    assert (done[:, 0] * done[:, 1] == done[:, 2]).all()
    share = done[:, 2] / 2400
    assert 0.09 < share.min() < 0.12 < 0.27 < share.max() < 0.32
    ratio = done[:, 1] / done[:, 0]
    assert 0.45 < ratio.min() < 0.6 < 1.7 < ratio.max() < 2.2
    assert transforms.RandomErasing(1, value="random")(FLOATS).std() > 0
    with pytest.raises(ValueError, match="RandomErasing: value has 2 levels"):
        transforms.RandomErasing(0, value=(0, 1))(FLOATS)


# ---- values --------------------------------------------------------------------------------------


def test_to_tensor_and_normalize() -> None:
    pipeline = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, 0.25)])
    result = pipeline(last(BYTES))
    assert isinstance(result, gs.Tensor)
    np.testing.assert_allclose(result.numpy(), (BYTES / 255 - 0.5) / 0.25, rtol=1e-5, atol=1e-6)
    assert transforms.ToTensor()(FLOATS[0]).shape == (1, 12, 17)
    assert transforms.ToTensor()(last(FLOATS.astype(np.float64))).dtype == np.float64
    source = last(FLOATS)
    transforms.ToTensor()(source).zero_()
    assert source.any()
    mean, std = [0.1, 0.2, 0.3], [1, 2, 4]
    expected = (FLOATS - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(transforms.Normalize(mean, std)(FLOATS), expected, rtol=1e-5)
    assert transforms.Normalize(mean, std)(FLOATS).dtype == np.float32
    with pytest.raises(ValueError, match=r"picture has shape \(3, 12, 17\)"):
        transforms.ToTensor()(FLOATS)
    with pytest.raises(TypeError, match="picture is int64"):
        transforms.ToTensor()(np.zeros((2, 2), np.int64))
    with pytest.raises(TypeError, match="picture is a list"):
        transforms.ToTensor()([[1]])
    with pytest.raises(TypeError, match="Normalize: image is uint8"):
        transforms.Normalize(0.5, 0.5)(BYTES)
    with pytest.raises(ValueError, match="Normalize: mean has 2 numbers"):
        transforms.Normalize([0, 1], 1)(FLOATS)


def test_to_tensor_of_pillow() -> None:
    library = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    picture = library.fromarray(last(BYTES))
    np.testing.assert_allclose(transforms.ToTensor()(picture).numpy(), BYTES / 255, rtol=1e-6)
    bits = picture.convert("1")
    assert set(np.unique(transforms.ToTensor()(bits).numpy())) == {0.0, 1.0}


# ---- mixing --------------------------------------------------------------------------------------

CLASSES = np.array([2, 0, 1, 2])
CONSTANT = np.broadcast_to(np.arange(4.0)[:, None, None, None], (4, 1, 20, 30))


@pytest.mark.parametrize("kind", [transforms.MixUp, transforms.CutMix])
def test_mixing_keeps_images_and_targets_together(kind: Any) -> None:
    # Image i has the level i, its target the class i: the mean level tells the share of classes.
    seen = []
    for _ in range(50):
        mixed, targets = kind(num_classes=4)(CONSTANT, np.arange(4))
        np.testing.assert_allclose(targets.sum(1).numpy(), 1, rtol=1e-6)
        means = mixed.numpy().mean((1, 2, 3))
        np.testing.assert_allclose(means, targets.numpy() @ np.arange(4), atol=1e-6)
        seen.append(float(targets.max()))
        if kind is transforms.MixUp:
            assert np.ptp(mixed.numpy(), axis=(1, 2, 3)).max() < 1e-9
        else:
            assert np.isin(mixed.numpy(), np.arange(4)).all()
    assert len(set(seen)) > 10
    shares = np.eye(4, dtype=np.float32)[CLASSES]
    mixed, targets = kind()(gs.from_numpy(np.stack([BYTES] * 4)), shares)
    assert (mixed.dtype, targets.dtype) == (np.uint8, np.float32)
    if kind is transforms.MixUp:
        np.testing.assert_array_equal(mixed.numpy()[0], BYTES)
    loss = gs.nn.CrossEntropyLoss()(gs.zeros(4, 4), targets)
    np.testing.assert_allclose(loss.item(), np.log(4), rtol=1e-6)


def test_share_of_mixup_is_beta() -> None:
    gs.manual_seed(0)
    mix = transforms.MixUp(0.2, num_classes=4)
    own = []
    while len(own) < 300:
        mixed, _ = mix(CONSTANT[:2], np.arange(2))
        level = float(mixed.numpy()[1].mean())
        own.append(level)
    # Beta(0.2, 0.2): mean 1/2, E |2 l - 1| near 0.77; half of the orders change nothing.
    assert np.mean(np.array(own) > 0.9) > 0.6


@pytest.mark.parametrize("kind", [transforms.MixUp, transforms.CutMix])
@pytest.mark.parametrize("stream", [False, True])
def test_first_sample_decides_about_a_batch(kind: Any, stream: bool) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (10, 1, 6, 6), dtype=np.uint8)
    data: Any = ImageDataset(pictures, np.arange(10) % 3, list("abc"))

    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter([data[index] for index in range(10)])

    def read(workers: int, epoch: int = 1) -> list[bytes]:
        loader = DataLoader(
            Stream() if stream else data,
            4,
            collate_fn=kind(num_classes=3).collate,
            num_workers=workers,
            seed=3,
        )
        loader.set_epoch(epoch)
        return [batch.numpy().tobytes() + targets.numpy().tobytes() for batch, targets in loader]

    first = read(0)
    gs.manual_seed(7)
    assert read(2) == first
    assert read(0, epoch=2) != first


def test_mixing_refuses() -> None:
    mix = transforms.MixUp()
    with pytest.raises(ValueError, match="MixUp: the targets are classes, which need num_classes"):
        mix(CONSTANT, CLASSES)
    with pytest.raises(ValueError, match=r"MixUp: images have shape \(3, 12, 17\)"):
        mix(FLOATS, CLASSES)
    with pytest.raises(TypeError, match="MixUp: images are int64"):
        mix(np.zeros((1, 1, 2, 2), np.int64), CLASSES)
    with pytest.raises(ValueError, match=r"MixUp: targets are float32 of shape \(3, 2\)"):
        mix(CONSTANT, np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="MixUp: a sample is no pair"):
        mix.collate([FLOATS])
    for option in ({"alpha": 0}, {"alpha": float("nan")}, {"num_classes": 0}):
        with pytest.raises(ValueError, match=f"CutMix: {next(iter(option))} is"):
            transforms.CutMix(**option)


# ---- containers ----------------------------------------------------------------------------------


def test_containers() -> None:
    double, add = (lambda x: 2 * x), (lambda x: x + 1)
    assert transforms.Compose([double, add])(3) == 7
    assert transforms.Compose([])(3) == 3
    assert transforms.RandomApply([double, add], 1)(3) == 7
    assert transforms.RandomApply([double, add], 0)(3) == 3
    assert {transforms.RandomOrder([double, add])(3) for _ in range(30)} == {7, 8}
    assert {transforms.RandomChoice([double, add])(3) for _ in range(30)} == {6, 4}
    assert {transforms.RandomChoice([double, add], [0, 2])(3) for _ in range(9)} == {4}
    either = transforms.RandomChoice([transforms.MixUp(), transforms.CutMix()])
    batch = default_collate([(FLOATS, np.float32([0, 1])), (FLOATS, np.float32([1, 0]))])
    assert [tuple(part.shape) for part in either(*batch)] == [(2, 3, 12, 17), (2, 2)]
    nested = transforms.Compose([transforms.RandomApply([transforms.Sharpen()], 0.3)])
    assert repr(nested) == (
        "Compose(\n    RandomApply(\n        p=0.3\n        Sharpen(amount=1.0)\n    )\n)"
    )
    with pytest.raises(TypeError, match="Compose: 3 is no function"):
        transforms.Compose([3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="RandomApply: transforms is a Sharpen"):
        transforms.RandomApply(transforms.Sharpen())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("RandomRotation(-1)", "RandomRotation: degrees is -1"),
        ("RandomRotation((5, 1))", "RandomRotation: degrees is"),
        ("RandomRotation(5, 'cubic')", "RandomRotation: interpolation is 'cubic'"),
        ("RandomRotation(5, center=(1, 2, 3))", "RandomRotation: center is"),
        ("RandomCrop(0)", "RandomCrop: size is 0"),
        ("RandomCrop(4, padding=(1, 2, 3))", "RandomCrop: padding is"),
        ("RandomCrop(4, padding_mode='wrap')", "RandomCrop: padding_mode is 'wrap'"),
        ("RandomResizedCrop(4, scale=(0.5, 2))", "RandomResizedCrop: scale is"),
        ("RandomResizedCrop(4, ratio=(0, 1))", "RandomResizedCrop: ratio is"),
        ("CenterCrop((1, 2, 3))", "CenterCrop: size is"),
        ("Pad(-1)", "Pad: padding is -1"),
        ("Resize((2, 3), max_size=4)", "Resize: max_size is 4"),
        ("Resize(4, 'cubic')", "Resize: interpolation is 'cubic'"),
        ("RandomShift(-1)", "RandomShift: pixels is -1"),
        ("RandomZoom(1)", "RandomZoom: height_factor is 1"),
        ("RandomZoom(0.1, padding_mode='x')", "RandomZoom: padding_mode is 'x'"),
        ("RandomShear(2)", "RandomShear: x_factor is 2"),
        ("RandomAffine(0, translate=(0, 2))", "RandomAffine: translate is"),
        ("RandomAffine(0, scale=(0, 1))", "RandomAffine: scale is"),
        ("RandomAffine(0, shear=90)", "RandomAffine: shear is 90"),
        ("RandomAffine(0, shear=(1, 2, 3))", "RandomAffine: shear is"),
        ("ColorJitter(brightness=(-1, 1))", "ColorJitter: brightness is"),
        ("ColorJitter(hue=0.6)", "ColorJitter: hue is 0.6"),
        ("RandomContrast(-1)", "RandomContrast: factor is -1"),
        ("Grayscale(2)", "Grayscale: num_output_channels is 2"),
        ("GaussianBlur(4)", "GaussianBlur: kernel_size is 4"),
        ("GaussianBlur(3, 0)", "GaussianBlur: sigma is 0"),
        ("GaussianNoise(sigma=-1)", "GaussianNoise: sigma is -1"),
        ("Sharpen(float('inf'))", "Sharpen: amount is inf"),
        ("Sobel(2)", "Sobel: axis is 2"),
        ("Cutout(-1)", "Cutout: n_holes is -1"),
        ("RandomErasing(value='x')", "RandomErasing: value is 'x'"),
        ("Normalize(0, 0)", "Normalize: std is 0"),
        ("RandomApply([], 2)", "RandomApply: p is 2"),
        ("RandomChoice([])", "RandomChoice: transforms is empty"),
        ("RandomChoice([abs], [1, 2])", "RandomChoice: p is"),
    ],
)
def test_options_are_checked(call: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        eval(call, {**vars(transforms), "abs": abs})
