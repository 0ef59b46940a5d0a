# SPDX-License-Identifier: Apache-2.0
"""Pictures of what an agent sees: the cart with its pole, and the pendulum."""

from __future__ import annotations

import numpy as np

from gradsmith.backend import Array
from gradsmith.recipes.reinforcement.environments import CART_POLE, PENDULUM, Act, Environment

Point = tuple[float, float]
Colour = tuple[int, int, int]

_WOOD: Colour = (200, 120, 60)
_DARK: Colour = (50, 60, 80)
_LINE: Colour = (190, 190, 190)


def _bar(picture: Array, start: Point, end: Point, width: float, colour: Colour) -> None:
    """Draw a bar with round ends between two points (row, column), its edges smoothed."""
    rows, columns = np.indices(picture.shape[:2])
    down, across = end[0] - start[0], end[1] - start[1]
    along = (rows - start[0]) * down + (columns - start[1]) * across
    share = np.clip(along / max(down**2 + across**2, 1e-12), 0, 1)
    away = np.hypot(rows - start[0] - share * down, columns - start[1] - share * across)
    cover = np.clip(width / 2 + 0.5 - away, 0, 1)[..., None]
    picture += cover * (np.array(colour) - picture)


def draw_cart_pole(seen: Array) -> Array:
    """Return the cart and its pole, uint8 (90, 240, 3), from place, speed, angle and turning."""
    picture = np.full((90, 240, 3), 255.0)
    middle, angle = 120 + 45 * float(seen[0]), float(seen[2])
    _bar(picture, (78, 0), (78, 239), 2, _LINE)
    _bar(picture, (70, middle - 14), (70, middle + 14), 14, _DARK)
    top = (64 - 52 * np.cos(angle), middle + 52 * np.sin(angle))
    _bar(picture, (64, middle), top, 6, _WOOD)
    return picture.astype(np.uint8)


def draw_pendulum(seen: Array) -> Array:
    """Return the pendulum, uint8 (120, 120, 3), from cosine and sine of its angle from upright."""
    picture = np.full((120, 120, 3), 255.0)
    top = (60 - 45 * float(seen[0]), 60 - 45 * float(seen[1]))
    _bar(picture, (60, 60), top, 9, _WOOD)
    _bar(picture, (60, 60), (60, 60), 7, _DARK)
    return picture.astype(np.uint8)


DRAW = {CART_POLE: draw_cart_pole, PENDULUM: draw_pendulum}


def film(name: str, act: Act, steps: int = 200) -> list[Array]:
    """Return pictures of every third step of an episode, to its end or for so many steps."""
    environment = Environment(name)
    seen, frames = environment.observed(), []
    for number in range(steps):
        if number % 3 == 0:
            frames.append(DRAW[name](seen[0]))
        _, _, ended, cut = environment.step(act(seen))
        if ended[0] or cut[0]:
            break
        seen = environment.observed()
    return frames
