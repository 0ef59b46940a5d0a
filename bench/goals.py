# SPDX-License-Identifier: Apache-2.0
"""The goals of `goals.txt`: how fast a problem has to be, and whether a row gets there."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("goals.txt")


@dataclass(frozen=True)
class Goal:
    """Time of a peer over ours, and a share of the measured limit that is needed too or suffices.

    Attributes:
        ratio: least time of the peer over ours.
        joined: "and", "or", or "" where only the ratio counts.
        share: least share of the FMA peak or of the copy bandwidth.
    """

    ratio: float
    joined: str = ""
    share: float = 0.0

    def is_met(self, ratio: float, share: float) -> bool:
        """Return whether a row with this ratio and share of its limit reaches the goal."""
        if self.joined == "or":
            return ratio >= self.ratio or share >= self.share
        return ratio >= self.ratio and share >= self.share

    def __str__(self) -> str:
        """Return the goal as a row prints it."""
        return f"{self.ratio:g}x" + (
            f" {self.joined} {100 * self.share:.0f} %" if self.joined else ""
        )


def read() -> list[tuple[str, str, Goal]]:
    """Return (family, pattern, goal) for each line of the file."""
    goals = []
    for line in FILE.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            family, pattern, ratio, *rest = line.split()
            joined, share = rest or ("", "0")
            goals.append((family, pattern, Goal(float(ratio), joined, float(share))))
    return goals


def goal_of(row: dict[str, Any]) -> Goal | None:
    """Return the first goal whose family and pattern fit the row; spaces count as underscores."""
    name = row["problem"].replace(" ", "_")
    for family, pattern, goal in read():
        if family == row["family"] and fnmatchcase(name, pattern):
            return goal
    return None


def is_missed(row: dict[str, Any], peer: str) -> bool:
    """Return whether the row was compared with the peer and stays below its goal."""
    goal = goal_of(row)
    if goal is None or peer not in row["ratio"]:
        return False
    share = row.get("share_of_fma_peak", row.get("share_of_copy", 0.0))
    return not goal.is_met(row["ratio"][peer], share)
