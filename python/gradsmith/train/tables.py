# SPDX-License-Identifier: Apache-2.0
"""Tables as text."""

from __future__ import annotations

from collections.abc import Sequence


def table(heading: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> list[str]:
    """Return the lines of a table; the last ``numbers`` columns are set to the right."""
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    first_number = len(heading) - numbers

    def line(row: Sequence[str]) -> str:
        cells = [
            f"{cell:>{width}}" if column >= first_number else f"{cell:<{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return [line(heading), rule, *(line(row) for row in rows), rule]
