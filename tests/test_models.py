# SPDX-License-Identifier: Apache-2.0
"""Architectures have the published parameter counts, torchvision's names, and run at any size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import models, nn

# Parameters for the default number of classes: as published, or as torchvision 0.28 counts them.
COUNTS = {
    "lenet5": 61_706,
    "lenet5_1998": 60_840,  # 60,000 trained (section II.B of the paper) and 840 drawn
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "plain20": 269_722,
    "mobilenet_v1": 4_231_976,
    "densenet121": 7_978_856,
    "resnet18": 11_689_512,
    "googlenet": 13_004_888,
}
LARGE_COUNTS = {
    "alexnet": 61_100_840,
    "alexnet_2012": 60_965_224,
    "zfnet": 62_357_608,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "darknet19": 20_842_376,
    "cyclegan_generator": 11_378_179,
    "patchgan": 2_764_737,
    "pix2pix_generator": 54_413_955,
    "unet": 31_030_658,
}
# First digits of the SHA-256 of torchvision's "key shape" lines.
KEYS = {
    "resnet18": "84fb10d9c6905a1c",
    "densenet121": "aa0fd9923b0003b8",
    "googlenet": "7f541ca29410efb1",
}
LARGE_KEYS = {
    "alexnet": "9c198ebdae1863e4",
    "vgg11": "cb3dc23f2a13e182",
    "vgg16": "35c4623e0cd4a39d",
    "resnet34": "28f9096d51307499",
    "resnet50": "d7e4f8bb0a536344",
    "resnet101": "02c0f34f4842751f",
    "resnet152": "685c66205bc823aa",
    "densenet169": "e2d0f02d9c0ce650",
    "densenet201": "0d234ad7e9a31b95",
}


def count(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def digest(model: nn.Module) -> str:
    lines = [f"{key} {tuple(value.shape)}" for key, value in model.state_dict().items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def check(name: str) -> None:
    model = models.get_model(name)
    assert count(model) == {**COUNTS, **LARGE_COUNTS}[name]
    keys = {**KEYS, **LARGE_KEYS}
    assert name not in keys or digest(model) == keys[name]


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_keys(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE_COUNTS)
def test_parameters_and_keys_of_large_models(name: str) -> None:
    check(name)


@pytest.mark.slow
def test_batch_norm_in_vgg() -> None:
    model = models.vgg16(batch_norm=True)
    assert (count(model), digest(model)) == (138_365_992, "347371586a8ea365")


def test_googlenet_without_helpers() -> None:
    assert count(models.googlenet(aux_logits=False)) == 6_624_904


# Model, input size and what comes out of it, small enough to run here.
RUNS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    "resnet18": (lambda: models.resnet18(7), (2, 3, 40, 33), (2, 7)),
    "bottlenecks": (lambda: models.ResNet(50, 5), (2, 3, 32, 32), (2, 5)),
    "shortcut A": (lambda: models.resnet18(7, shortcut="A"), (1, 3, 64, 64), (1, 7)),
    "shortcut C": (lambda: models.resnet20(shortcut="C"), (2, 3, 32, 32), (2, 10)),
    "plain20": (models.plain20, (2, 3, 32, 32), (2, 10)),
    "densenet": (
        lambda: models.DenseNet(4, (2, 3), 8, num_classes=6, channels=1, small_stem=True),
        (2, 1, 16, 16),
        (2, 6),
    ),
    "mobilenet": (lambda: models.mobilenet_v1(4, width_mult=0.25), (2, 3, 64, 64), (2, 4)),
    "googlenet": (lambda: models.googlenet(4, aux_logits=False), (1, 3, 64, 64), (1, 4)),
    "naive inception": (lambda: models.NaiveInception(4, 2, 3, 1), (2, 4, 7, 7), (2, 10, 7, 7)),
    "darknet": (lambda: models.Darknet19(6, divide=8), (2, 3, 64, 96), (2, 6)),
    "yolo": (lambda: models.YOLOv2(3, 5, divide=16), (2, 3, 96, 64), (2, 40, 3, 2)),
    "unet": (lambda: models.UNet(2, 1, 4, depth=2), (1, 1, 60, 60), (1, 2, 20, 20)),
    "unet of the same size": (
        lambda: models.UNet(3, 2, 4, depth=2, padding=True, batch_norm=True),
        (2, 2, 16, 24),
        (2, 3, 16, 24),
    ),
    "fcn": (lambda: models.FCN(5, 3, 4), (1, 3, 64, 96), (1, 5, 64, 96)),
    "dcgan generator": (lambda: models.DCGANGenerator(5, 2, 16, 4), (3, 5), (3, 2, 16, 16)),
    "dcgan discriminator": (lambda: models.DCGANDiscriminator(2, 16, 4), (3, 2, 16, 16), (3, 1)),
    "cyclegan": (
        lambda: models.CycleGANGenerator(1, 3, 2, width=2),
        (1, 3, 16, 24),
        (1, 2, 16, 24),
    ),
    "patchgan": (lambda: models.PatchGAN(2, 4), (1, 2, 64, 64), (1, 1, 6, 6)),
    "pix2pix": (
        lambda: models.Pix2PixGenerator(1, 3, 2, depth=3),
        (2, 1, 16, 32),
        (2, 3, 16, 32),
    ),
    "srresnet": (lambda: models.SRResNet(1, 4, 1, 4), (1, 1, 5, 6), (1, 1, 20, 24)),
    "capsules": (
        lambda: models.CapsuleNet(3, 1, 8, width=4, kinds=2, dimension=4, kernel_size=3),
        (2, 1, 8, 8),
        (2, 3, 16),
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_models_run_and_every_parameter_learns(name: str) -> None:
    build, size, expected = RUNS[name]
    gs.manual_seed(0)
    model = build()
    rng = np.random.default_rng(0)
    images = gs.tensor(rng.standard_normal(size).astype(np.float32))
    model.eval()
    output = model(images)
    assert output.shape == expected
    assert bool(gs.isfinite(output).all())
    model.train()
    out = model(images)
    (out * gs.tensor(rng.standard_normal(expected).astype(np.float32))).sum().backward()
    still = [key for key, each in model.named_parameters() if each.grad is None]
    assert not still


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("alexnet", 224), ("alexnet_2012", 227), ("zfnet", 224), ("vgg11", 224)),
        *(("resnet50", 224), ("densenet169", 64), ("googlenet", 224), ("mobilenet_v1", 224)),
        ("darknet19", 224),
    ],
)
def test_large_models_take_their_size(name: str, size: int) -> None:
    model = models.get_model(name).eval()
    assert models.model_input_size(name)[1] in (size, 224)
    with gs.no_grad():
        assert model(gs.zeros(1, 3, size, size)).shape == (1, 1000)


def test_unet_as_published_loses_its_border() -> None:
    model = models.UNet(2, 1, 2)
    with gs.no_grad():
        assert model(gs.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)


def test_yolo_gives_a_grid_of_32() -> None:
    model = models.YOLOv2(20, 5, divide=32)
    with gs.no_grad():
        assert model(gs.zeros(1, 3, 416, 416)).shape == (1, 125, 13, 13)


@pytest.mark.slow
def test_yolo_has_the_parameters_of_the_paper_network() -> None:
    assert count(models.yolo_v2()) == 50_655_389


def test_googlenet_helps_while_training() -> None:
    model = models.googlenet(4)
    images = gs.zeros(2, 3, 64, 64)
    outputs = model(images)
    assert isinstance(outputs, models.GoogLeNetOutputs)
    assert [each.shape for each in outputs] == [(2, 4)] * 3
    assert model.eval()(images).shape == (2, 4)


def test_shortcuts_differ_in_parameters() -> None:
    a, b, c = (count(models.resnet20(shortcut=kind)) for kind in "ABC")
    assert a == 269_722
    # Two projections with norms: 16 to 32 and 32 to 64 channels.
    assert b == a + 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert c > b


def test_residual_blocks_can_start_as_the_identity() -> None:
    model = models.ResNet(18, 3, zero_init_residual=True).eval()
    x = gs.randn(1, 64, 8, 8).abs()
    with gs.no_grad():
        np.testing.assert_allclose(model.layer1(x).numpy(), x.numpy(), rtol=1e-6)


REFUSALS: dict[str, tuple[Callable[[], Any], str]] = {
    "classes": (lambda: models.resnet18(0), "ResNet: num_classes is 0"),
    "depth": (lambda: models.ResNet(19), "depth is 19, expected one of"),
    "shortcut": (lambda: models.resnet18(shortcut="D"), "shortcut is 'D'"),
    "cifar depth": (lambda: models.CifarResNet(21), "expected 6n"),
    "vgg": (lambda: models.VGG(12), "VGG: depth is 12"),
    "densenet": (lambda: models.DenseNet(0), "DenseNet: "),
    "width": (lambda: models.mobilenet_v1(width_mult=0), "width_mult is 0"),
    "divide": (lambda: models.Darknet19(divide=3), "divide is 3"),
    "anchors": (lambda: models.YOLOv2(num_anchors=0), "num_anchors is 0"),
    "unet": (lambda: models.UNet(width=0), "UNet: channels, width, depth"),
    "fcn": (lambda: models.FCN(width=0), "FCN: channels and width"),
    "dcgan size": (lambda: models.DCGANGenerator(size=24), "size is 24"),
    "cyclegan width": (lambda: models.CycleGANGenerator(width=0), "width is 0"),
    "scale": (lambda: models.SRResNet(scale=3), "SRResNet: "),
    "capsules size": (lambda: models.CapsuleNet(size=16), "size is 16"),
    "progressive size": (lambda: models.ProgressiveGenerator(size=12), "size is 12"),
    "mapping": (lambda: models.StyleGANGenerator(size=8, mapping_layers=0), "mapping_layers 0"),
    "unet size": (lambda: models.UNet(width=2)(gs.zeros(1, 1, 64, 64)), "does not fit"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    call, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message):
        call()
