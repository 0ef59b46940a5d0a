# SPDX-License-Identifier: Apache-2.0
"""A Hopfield memory completes noisy patterns.

``W = P'P / N`` without a diagonal makes each stored pattern a valley of ``E = -1/2 s'W s``; unit by
unit, ``s_i = sign(W_i s)`` runs downhill (Hopfield 1982). Random patterns are kept up to about
0.138 N of them, where the memory breaks down; digits are too much alike for this rule and need the
projection rule.
"""

from __future__ import annotations

from typing import Any

from gradsmith import viz
from gradsmith.models import Hopfield
from gradsmith.ops.elementwise import where
from gradsmith.ops.random import rand
from gradsmith.recipes.run import Run
from gradsmith.recipes.scans import scan_rows
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas

LOAD, NOISE = 0.1, 0.2
RECALLED = 0.95  # overlap; a few units of a stored pattern are not at rest themselves
LOADS = (0.02, 0.06, 0.1, 0.14, 0.18, 0.22, 0.3)


def random_patterns(count: int, units: int) -> Tensor:
    """Return independent patterns (count, units) of -1 and 1."""
    return where(rand(count, units) < 0.5, -1.0, 1.0)


def noisy(patterns: Tensor, share: float) -> Tensor:
    """Return patterns with about a share of their signs flipped."""
    return where(rand(*patterns.shape, device=patterns.device) < share, -patterns, patterns)


def overlap(states: Tensor, patterns: Tensor) -> float:
    """Return the mean of ``s p / N``: 1 for the patterns themselves, 0 for strangers."""
    return float((states * patterns).mean())


def digit_patterns(run: Run) -> Tensor:
    """Return one scan of each digit (10, 64) in black and white."""
    images, digits = scan_rows(run, "train")
    first = [int((digits == digit).int().argmax()) for digit in range(10)]
    return where(images[first] > 0.4, 1.0, -1.0)


def main(run: Run) -> None:
    """Recall random patterns, find where memory ends, and recall digits."""
    units = run.choose(full=1000, quick=200)
    memory = Hopfield(units).to(run.device)
    patterns = random_patterns(round(LOAD * units), units).to(run.device)
    memory.store(patterns)
    start = noisy(patterns, NOISE)
    found = memory(start)
    run.figure("overlap before recall", overlap(start, patterns))
    run.figure("overlap after recall", overlap(found, patterns), at_least=0.98, quick=0.9)
    recalled = ((found * patterns).mean(1) >= RECALLED).float().mean()
    run.figure("share of patterns recalled", recalled, at_least=0.95, quick=0.8)
    run.figure(
        "largest rise of the energy", (memory.energy(found) - memory.energy(start)).max(), at_most=0
    )
    reached = (memory(found, sweeps=1) == found).float().mean()
    run.figure("share of units at rest", reached, at_least=1)
    curve = [_recall(memory, load) for load in LOADS]
    run.figure(f"overlap at {LOADS[-1]:g} patterns per unit", curve[-1], at_most=0.7)
    run.picture("capacity", _plot(curve), "Recall breaks down near 0.138 patterns per unit.")
    digits = digit_patterns(run)
    wanted = digits.repeat(20, 1)
    small, rows = Hopfield(64).to(run.device), [wanted, noisy(wanted, 0.1)]
    for rule in ("hebb", "projection"):
        small.store(digits, rule)
        rows.append(small(rows[1]))
    run.figure("digits recalled by Hebb's rule", overlap(rows[2], wanted))
    run.figure("digits recalled by the projection", overlap(rows[3], wanted), at_least=0.9)
    images = [each[:10].reshape(10, 1, 8, 8) for each in rows]
    titles = ["stored", "10 % noise", "Hebb", "projection"]
    run.picture("digits", viz.reconstruction_rows(*images, titles=titles), "Ten digits recalled.")
    run.model(memory, (1, units))


def _recall(memory: Hopfield, load: float) -> float:
    """Return the overlap after recall of 20 % noise, for a number of patterns per unit."""
    units = memory.weight.shape[0]
    patterns = random_patterns(round(load * units), units).to(memory.weight.device)
    memory.store(patterns)
    return overlap(memory(noisy(patterns, NOISE), sweeps=10), patterns)


def _plot(curve: list[float]) -> Any:
    ax = canvas.new_axes()
    ax.plot(LOADS, curve, marker="o")
    ax.axvline(0.138, color="black", linestyle=":")
    ax.set_xlabel("patterns per unit")
    ax.set_ylabel("overlap after recall of 20 % noise")
    return ax.figure
