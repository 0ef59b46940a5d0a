# SPDX-License-Identifier: Apache-2.0
"""A benchmark problem: what is run by whom, what it costs, and how its result is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Runner = Callable[[], Any]
PROBLEMS = Path(__file__).with_name("problems")


@dataclass
class Problem:
    """One named problem.

    Attributes:
        family: op family.
        name: layer or size, as in the problem list.
        ours: runs gradsmith once and returns its result.
        check: takes that result and raises AssertionError if it is wrong.
        peers: name of the peer -> its settings (name -> runner); the fastest setting counts.
        flops: floating-point operations of one run, or 0.
        bytes: bytes that have to be read and written, or 0.
    """

    family: str
    name: str
    ours: Runner
    check: Callable[[Any], None]
    peers: dict[str, dict[str, Runner]] = field(default_factory=dict)
    flops: float = 0.0
    bytes: float = 0.0


def problem_list(family: str) -> list[tuple[str, str]]:
    """Return (name, problem text) for each line of the family's problem file."""
    lines = (PROBLEMS / f"{family}.txt").read_text().splitlines()
    rows = [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]
    return [(name, text) for name, text in rows]


def close_to(expected: np.ndarray, tolerance: float) -> Callable[[Any], None]:
    """Return a check: error below ``tolerance`` times max(|expected|, its root mean square)."""

    def check(result: Any) -> None:
        got = np.asarray(result.detach().numpy(), dtype=np.float64)
        assert got.shape == expected.shape, f"shape {got.shape}, expected {expected.shape}"
        scale = np.maximum(np.abs(expected), np.sqrt(np.mean(expected**2)) + 1e-30)
        error = np.max(np.abs(got - expected) / scale)
        assert error <= tolerance, f"error {error:.2e}, allowed {tolerance:.2e}"

    return check
