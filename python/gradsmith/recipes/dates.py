# SPDX-License-Identifier: Apache-2.0
"""Dates as people write them, and as ISO 8601 does."""

from __future__ import annotations

import datetime

import numpy as np

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_FIRST = datetime.date(1950, 1, 1)
_DAYS = 36_524  # to the end of 2049, so that two digits of a year are enough


def _ordinal(day: int) -> str:
    end = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{end}"


def written(date: datetime.date, style: int) -> str:
    """Return a date in one of five styles.

    >>> [written(datetime.date(1998, 5, 3), style) for style in range(5)]
    ['3 May 1998', 'May 3, 98', '03.05.1998', 'the 3rd of May 1998', "3 may '98"]
    """
    month = _MONTHS[date.month - 1]
    year = f"{date.year % 100:02d}"
    return (
        f"{date.day} {month} {date.year}",
        f"{month} {date.day}, {year}",
        f"{date.day:02d}.{date.month:02d}.{date.year}",
        f"the {_ordinal(date.day)} of {month} {date.year}",
        f"{date.day} {month[:3].lower()} '{year}",
    )[style]


def dates(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Return dates as people write them, and the same as ``1998-05-03``."""
    draw = np.random.default_rng(seed)
    days = [
        _FIRST + datetime.timedelta(days=int(each)) for each in draw.integers(_DAYS, size=count)
    ]
    styles = draw.integers(5, size=count)
    sources = [written(day, int(style)) for day, style in zip(days, styles, strict=True)]
    return sources, [day.isoformat() for day in days]
