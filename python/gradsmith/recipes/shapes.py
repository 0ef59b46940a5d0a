# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes: bright discs, rectangles and triangles before dark, shaded, noisy backgrounds.

Nothing but the outline tells a class: colours, sizes and proportions are drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradsmith.backend import Array

KINDS = ("disc", "rectangle", "triangle")
_TRIES = 20


@dataclass(frozen=True)
class Scenes:
    """Images with what is in them.

    Attributes:
        images: float32 (N, 3, S, S) in [0, 1].
        masks: int64 (N, S, S), 0 for the background, else 1 + class.
        objects: per image (n, 5): class, then centre x, y, width and height as shares of the side.
    """

    images: Array
    masks: Array
    objects: list[Array]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.images)

    def boxes(self, number: int) -> dict[str, Array]:
        """Return an image's corners (n, 4) in pixels, and classes, as `MeanAveragePrecision`'s."""
        objects, side = self.objects[number], self.images.shape[-1]
        halves = objects[:, 3:] / 2
        corners = np.concatenate((objects[:, 1:3] - halves, objects[:, 1:3] + halves), 1)
        return {"boxes": corners * side, "labels": objects[:, 0].astype(np.int64)}


def outline(kind: int, rows: Array, columns: Array) -> Array:
    """Return which places, from -1 to 1 across the object, lie inside a shape of a kind."""
    if KINDS[kind] == "disc":
        return np.asarray(rows**2 + columns**2 <= 1)
    if KINDS[kind] == "rectangle":
        return np.asarray(np.maximum(abs(rows), abs(columns)) <= 1)
    return np.asarray((abs(rows) <= 1) & (abs(columns) <= (rows + 1) / 2))


def _background(rng: np.random.Generator, side: int) -> Array:
    rows, columns = np.mgrid[0:side, 0:side] / side
    slopes = rng.uniform(-0.1, 0.1, (2, 3, 1, 1))
    return np.asarray(rng.uniform(0.1, 0.3, (3, 1, 1)) + slopes[0] * rows + slopes[1] * columns)


def _colour(rng: np.random.Generator) -> Array:
    """Return a colour (3) of any hue whose brightest channel is bright."""
    hue = rng.uniform(0.2, 1, 3)
    return np.asarray(hue / hue.max() * rng.uniform(0.7, 1))


def _place(rng: np.random.Generator, side: int, smallest: float, largest: float) -> Array:
    """Return centre x, y, width and height in pixels, inside the image."""
    width, height = rng.uniform(smallest * side, largest * side, 2)
    x, y = (rng.uniform(each / 2, side - each / 2) for each in (width, height))
    return np.array([x, y, width, height])


def _is_free(place: Array, others: list[Array]) -> bool:
    return all((abs(place[:2] - other[:2]) > (place[2:] + other[2:]) / 2).any() for other in others)


def scenes(
    count: int,
    side: int,
    seed: int,
    *,
    most: int = 3,
    smallest: float = 0.2,
    largest: float = 0.45,
    noise: float = 0.05,
) -> Scenes:
    """Return scenes of one to ``most`` objects that do not overlap, in boxes that just hold them.

    Args:
        count: how many.
        side: pixels.
        seed: fixes them.
        most: objects of an image.
        smallest: width and height of an object at least, as a share of the side.
        largest: at most.
        noise: standard deviation of the noise.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side] + 0.5
    images = np.zeros((count, 3, side, side), np.float32)
    masks = np.zeros((count, side, side), np.int64)
    objects = []
    for image, mask in zip(images, masks, strict=True):
        canvas = _background(rng, side)
        places: list[Array] = []
        found = []
        wanted = rng.integers(1, most + 1)
        for _ in range(_TRIES):
            place = _place(rng, side, smallest, largest)
            if len(places) == wanted or not _is_free(place, places):
                continue
            kind = int(rng.integers(len(KINDS)))
            x, y, width, height = place
            inside = outline(kind, (rows - y) / (height / 2), (columns - x) / (width / 2))
            canvas[:, inside] = _colour(rng)[:, None]
            mask[inside] = kind + 1
            places.append(place)
            found.append([kind, *_box_of(inside) / side])
        image[:] = np.clip(canvas + noise * rng.standard_normal(canvas.shape), 0, 1)
        objects.append(np.array(found, np.float64).reshape(-1, 5))
    return Scenes(images, masks, objects)


def _box_of(inside: Array) -> Array:
    """Return centre x, y, width and height in pixels of the box around a mask."""
    down, across = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    (top, bottom), (left, right) = ((each[0], each[-1] + 1) for each in (down, across))
    return np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
