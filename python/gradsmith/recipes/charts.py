# SPDX-License-Identifier: Apache-2.0
"""Curves of a report as SVG: axes, grid, and one line per series."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from itertools import chain, cycle

_WIDTH, _HEIGHT = 480, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 470, 12, 226
_COLOURS = (
    *("#3b8ed0", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
)
_MOST_POINTS = 500  # of a line; more are thinned out
_WIDE = 1000  # a ratio of values from which the axis is logarithmic

Point = tuple[float, float]


def by_measure(history: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Sequence[float]]]:
    """Return the series by what they measure: ``stage/val_loss`` stands with ``loss``."""
    charts: dict[str, dict[str, Sequence[float]]] = {}
    for name, values in history.items():
        measure = name.rsplit("/", 1)[-1].removeprefix("val_")
        charts.setdefault(measure, {})[name] = values
    return charts


def chart(title: str, series: Mapping[str, Sequence[float]]) -> str:
    """Return the lines of all series that have two finite values or more; nothing if none has."""
    lines = {name: _points(values) for name, values in series.items()}
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if not lines:
        return ""
    values = [value for _, value in chain.from_iterable(lines.values())]
    low, high = min(values), max(values)
    logarithmic = low > 0 and high > _WIDE * low
    scale = _Scale(low, high, logarithmic)
    last = max(points[-1][0] for points in lines.values())
    steps = _Scale(1, last, False)
    drawn, labels = [], []
    for (name, points), colour in zip(lines.items(), cycle(_COLOURS)):
        places = " ".join(f"{_across(steps, x):.1f},{_up(scale, y):.1f}" for x, y in points)
        drawn.append(f'<polyline points="{places}" fill="none" stroke="{colour}"/>')
        labels.append(_label(name, series[name], colour))
    picture = f"{_grid(steps, scale)}{''.join(drawn)}"
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)} by step">{picture}</svg>'
        f"<figcaption>{''.join(labels)}</figcaption></figure>"
    )


class _Scale:
    """Maps numbers from low to high onto 0 to 1."""

    def __init__(self, low: float, high: float, logarithmic: bool) -> None:
        self._logarithmic = logarithmic
        self._low = math.log10(low) if logarithmic else low
        self._high = math.log10(high) if logarithmic else high

    def share(self, value: float) -> float:
        place = math.log10(value) if self._logarithmic else value
        return (place - self._low) / ((self._high - self._low) or 1.0)

    def ticks(self) -> list[float]:
        """Return a few round numbers between low and high."""
        span = (self._high - self._low) or 1.0
        unit = 10 ** math.floor(math.log10(span / 2))
        step = next(unit * k for k in (1, 2, 5, 10) if span / (unit * k) <= 5)
        if self._logarithmic:
            step = max(1, round(step))
        first = math.ceil(self._low / step - 1e-9)
        count = math.floor(self._high / step + 1e-9) - first + 1
        places = [(first + k) * step for k in range(count)]
        return [10**place for place in places] if self._logarithmic else places


def _points(values: Sequence[float]) -> list[Point]:
    stride = max(1, math.ceil(len(values) / _MOST_POINTS))
    kept = [*range(0, len(values) - 1, stride), len(values) - 1]
    return [(k + 1, values[k]) for k in kept if values and math.isfinite(values[k])]


def _across(scale: _Scale, value: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * scale.share(value)


def _up(scale: _Scale, value: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * scale.share(value)


def _grid(steps: _Scale, scale: _Scale) -> str:
    parts = []
    for value in scale.ticks():
        y = _up(scale, value)
        parts.append(f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = f"{value:.4g}"
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for value in steps.ticks():
        if value == round(value):
            x = _across(steps, value)
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_BOTTOM}" y2="{_BOTTOM + 5}"/>')
            text = f"{value:g}"
            parts.append(f'<text x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle">{text}</text>')
    return "".join(parts)


def _label(name: str, values: Sequence[float], colour: str) -> str:
    """Return a series' name and its first and last value, beside its colour."""
    text = f"{name}: {values[0]:.4g} to {values[-1]:.4g} in {len(values)} steps"
    return f'<span><i style="background:{colour}"></i>{html.escape(text)}</span>'
