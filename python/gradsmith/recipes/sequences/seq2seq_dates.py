# SPDX-License-Identifier: Apache-2.0
"""An encoder reads a date as people write it, a decoder writes it as 1998-05-03.

Without attention the decoder knows the source by the encoder's last state alone. With it each step
weighs all states: ``a_j = v . tanh(W s + U h_j)``, ``context = sum softmax(a)_j h_j`` (Bahdanau,
Cho, Bengio, 2015). Synthetic data: dates of 1950 to 2049 in five styles.
"""

from __future__ import annotations

from gradsmith.recipes.dates import dates
from gradsmith.recipes.run import Run
from gradsmith.recipes.sequences.attention_study import study
from gradsmith.recipes.translation import Pairs


def main(run: Run) -> None:
    """Train with and without attention."""
    train, test = run.choose((8000, 1000), (1200, 100))
    pairs = Pairs(dates, train, test, run.seed)
    study(run, pairs, run.epochs(full=8, quick=4), rate=1e-2, quick=0.1)
