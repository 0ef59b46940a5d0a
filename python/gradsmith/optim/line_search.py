# SPDX-License-Identifier: Apache-2.0
"""A line search for the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 3.5 and 3.6).

A step t along a direction is good when the loss falls enough, ``f(t) <= f(0) + c1 t f'(0)``, and
the slope has flattened, ``|f'(t)| <= c2 |f'(0)|``. Bounds and safeguards are those of PyTorch's
LBFGS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from gradsmith.tensor import Tensor

_C1 = 1e-4


class Point(NamedTuple):
    """A place on the line: its parameter, loss, flat gradient and slope along the direction."""

    t: float
    loss: float
    grad: Tensor
    slope: float


Line = Callable[[float], Point]


def _cubic_minimum(a: Point, b: Point, bounds: tuple[float, float]) -> float:
    """Return the minimum of the cubic through both points, within the bounds; else their middle."""
    low, high = bounds
    if a.t > b.t:
        a, b = b, a
    middle = (low + high) / 2
    width = b.t - a.t
    if width == 0:
        return middle
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return middle
    d2 = math.sqrt(square)
    divisor = b.slope - a.slope + 2 * d2
    if divisor == 0:
        return middle
    return min(max(b.t - width * ((b.slope + d2 - d1) / divisor), low), high)


def _bracket(
    line: Line, start: Point, step: float, c2: float, limit: int
) -> tuple[list[Point], int]:
    """Go on until a point is good, or two enclose one; return it or them, and the steps taken."""
    before, now = start, line(step)
    for count in range(limit):
        is_high = now.loss > start.loss + _C1 * now.t * start.slope
        if is_high or (count > 1 and now.loss >= before.loss):
            return [before, now], count
        if abs(now.slope) <= -c2 * start.slope:
            return [now], count
        if now.slope >= 0:
            return [before, now], count
        bounds = (now.t + 0.01 * (now.t - before.t), now.t * 10)
        before, now = now, line(_cubic_minimum(before, now, bounds))
    return [start, now], limit


def _kept_off(t: float, low: float, high: float, was_close: bool) -> tuple[float, bool]:
    """Move a trial away from an end of the bracket if it stays close a second time."""
    margin = 0.1 * (high - low)
    if min(high - t, t - low) >= margin:
        return t, False
    if was_close or t >= high or t <= low:
        return (high - margin if abs(t - high) < abs(t - low) else low + margin), False
    return t, True


def strong_wolfe(
    line: Line,
    start: Point,
    step: float,
    longest: float,
    *,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
    limit: int = 25,
) -> tuple[Point, int]:
    """Return a good point on the line, or the best found, and the number of evaluations.

    Args:
        line: evaluates the line at t.
        start: the point t = 0, with a negative slope.
        step: the first t to try.
        longest: the largest magnitude in the direction.
        c2: how flat the slope has to become.
        tolerance_change: stop when the bracket moves no element further than this.
        limit: largest number of steps.
    """
    points, count = _bracket(line, start, step, c2, limit)
    low, high = points[0], points[-1]
    if high.loss < low.loss:
        low, high = high, low
    done, is_close = len(points) == 1, False
    while not done and count < limit:
        ends = min(low.t, high.t), max(low.t, high.t)
        if (ends[1] - ends[0]) * longest < tolerance_change:
            break
        t, is_close = _kept_off(_cubic_minimum(low, high, ends), *ends, is_close)
        now = line(t)
        count += 1
        if now.loss > start.loss + _C1 * t * start.slope or now.loss >= low.loss:
            high = now
            continue
        done = abs(now.slope) <= -c2 * start.slope
        if not done and now.slope * (high.t - low.t) >= 0:
            high = low
        low = now
    return low, count + 1
