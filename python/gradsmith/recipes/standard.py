# SPDX-License-Identifier: Apache-2.0
"""The standard sets: taken where they are on this machine or asked for, else what stands in.

A recipe that knows one says so by its ``STANDARD``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gradsmith.data import ImageDataset, datasets
from gradsmith.recipes.run import Run

T = TypeVar("T")

MNIST = "MNIST: 70,000 scans of handwritten digits, 28x28 (LeCun et al. 1998)"
CIFAR10 = "CIFAR-10: 60,000 colour images of ten kinds, 32x32 (Krizhevsky 2009)"
IMDB = "IMDB: 50,000 film reviews (Maas et al. 2011)"


def standard_set(
    run: Run, name: str, load: Callable[[None, str, bool], T], stand_in: str
) -> tuple[T, T] | None:
    """Return both splits of a standard set, or None for its stand-in; tells which.

    Args:
        run: with ``--data standard`` what is missing is fetched, with ``auto`` the set is taken if
            it is in the cache, with ``offline`` it is not looked for.
        name: what the report says of the set.
        load: (root, split, download) -> a split, such as `gradsmith.data.datasets.mnist`.
        stand_in: what the report says of the data that the recipe has otherwise.

    Raises:
        RuntimeError: the set is asked for, but could not be fetched; says where to put it.
        ValueError: a file in the cache is damaged.
    """
    found, download = None, run.settings.data == "standard"
    if run.settings.data != "offline":
        try:
            found = load(None, "train", download), load(None, "test", download)
        except FileNotFoundError:
            found = None
        except ValueError as error:
            advice = "remove it, or leave it alone with --data offline"
            raise ValueError(f"{error}; {advice}") from None
    run.text("Data", name if found else f"{stand_in}, in place of {name.partition(':')[0]}")
    return found


def _beginning(images: ImageDataset, count: int | None) -> ImageDataset:
    return ImageDataset(images.data[:count], images.targets[:count], images.classes, images.scale)


def standard_images(
    run: Run,
    name: str,
    load: Callable[[None, str, bool], ImageDataset],
    stand_in: str,
) -> tuple[ImageDataset, ImageDataset] | None:
    """Return a standard set of images as `standard_set`; a quick run takes the first of them."""
    found = standard_set(run, name, load, stand_in)
    if found is None:
        return None
    training, testing = found
    return _beginning(training, run.choose(None, 2000)), _beginning(testing, run.choose(None, 500))


def digit_images(run: Run) -> tuple[ImageDataset, ImageDataset]:
    """Return MNIST (N, 1, 28, 28), or the scans (N, 1, 8, 8) of the package."""
    stand_in = "1,797 scans of handwritten digits, enlarged from 8x8"
    found = standard_images(run, MNIST, datasets.mnist, stand_in)
    return found or (datasets.digits("train"), datasets.digits("test"))
