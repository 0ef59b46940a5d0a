# SPDX-License-Identifier: Apache-2.0
"""An encoder reads digits, a decoder writes them backwards, with and without attention.

The encoder's states ``h_j`` are weighed anew for each digit that is written, ``context = sum
softmax(a)_j h_j`` (Bahdanau, Cho, Bengio, 2015). The attention map shows what was learnt: a
diagonal from the last digit to the first. Without attention the last state has to hold the whole
row. Synthetic data: 3 to 12 random digits.
"""

from __future__ import annotations

import numpy as np

from gradsmith.recipes.run import Run
from gradsmith.recipes.sequences.attention_study import study
from gradsmith.recipes.translation import Pairs

LONGEST = 12


def reversals(count: int, seed: int, longest: int = LONGEST) -> tuple[list[str], list[str]]:
    """Return rows of 3 to ``longest`` digits, and the same backwards."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(3, longest + 1, size=count)
    sources = ["".join(map(str, draw.integers(10, size=length))) for length in lengths]
    return sources, [each[::-1] for each in sources]


def main(run: Run) -> None:
    """Train with and without attention."""
    longest = run.choose(LONGEST, 4)

    def make(count: int, seed: int) -> tuple[list[str], list[str]]:
        return reversals(count, seed, longest)

    train, test = run.choose((10_000, 1000), (1200, 200))
    pairs = Pairs(make, train, test, run.seed)
    study(run, pairs, run.epochs(full=10, quick=4), rate=1e-2, quick=0.2)
