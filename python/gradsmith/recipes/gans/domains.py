# SPDX-License-Identifier: Apache-2.0
"""Two synthetic kinds of pictures to translate between: plain orange shapes and striped ones.

Every picture (3, 16, 16) shows a disc or a square of random place and size on a green ground. In
the first kind it is orange, in the second it has black and white stripes (a horse and a zebra, so
to speak). Nothing else differs, so a translation should keep place, size and kind of shape.
"""

from __future__ import annotations

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.keyed_random import generator_of
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

SIZE = 16
GROUND, ORANGE = (-0.7, 0.1, -0.6), (0.9, 0.1, -0.7)


def masks(count: int, seed: int) -> Array:
    """Return where the shapes are (count, SIZE, SIZE), bool."""
    random = generator_of("masks", seed)
    radius = random.uniform(3, 5, (count, 1, 1))
    top, left = (random.uniform(radius, SIZE - 1 - radius) for _ in range(2))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    down, right = np.abs(rows - top), np.abs(columns - left)
    round_ones = random.random((count, 1, 1)) < 0.5
    distance = np.where(round_ones, np.hypot(down, right), np.maximum(down, right))
    return np.asarray(distance < radius)


def painted(shapes: Array, striped: bool, seed: int) -> Array:
    """Return the shapes (N, H, W) in one of the two kinds, (N, 3, H, W) in [-1, 1]."""
    random = generator_of("painted", seed)
    ground, orange = (np.array(each)[None, :, None, None] for each in (GROUND, ORANGE))
    inside = orange
    if striped:
        inside = np.where(np.arange(SIZE) % 4 < 2, -0.9, 0.9)[None, None, None]
    pictures = np.where(shapes[:, None], inside, ground)
    noisy = pictures + random.normal(0, 0.05, (len(shapes), 3, SIZE, SIZE))
    return np.asarray(noisy.clip(-1, 1), np.float32)


def pictures(run: Run, count: int, striped: bool, seed: int) -> Tensor:
    """Return pictures of a kind on the run's device; seeds differ for unpaired sets."""
    return from_numpy(painted(masks(count, seed), striped, seed)).to(run.device)
