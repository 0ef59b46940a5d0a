# SPDX-License-Identifier: Apache-2.0
"""GloVe: vectors whose products are the logarithms of how often words stand near each other.

The loss is ``sum f(X_ij) (w_i . v_j + b_i + c_j - log X_ij)^2`` over the pairs that occur, with
``f(x) = min(1, x / 100)^0.75`` (Pennington, Socher, Manning, 2014). Counts are made once, and
training reads them instead of the text. The data are Python's documentation.
"""

from __future__ import annotations

import numpy as np

from gradsmith import models, text, viz
from gradsmith.optim import Adagrad
from gradsmith.recipes.run import Run
from gradsmith.recipes.words.corpus import Corpus


def main(run: Run) -> None:
    """Count, train, and show neighbours."""
    corpus = Corpus(run)
    size = len(corpus.vocabulary)
    counts = text.cooccurrence(corpus.sequences, size, window=8).numpy()
    word, context = np.nonzero(counts)
    model = models.GloVe(size, run.choose(64, 32)).to(run.device)
    model.compile(Adagrad(model.parameters(), lr=0.05), models.glove_loss)
    epochs = run.epochs(full=25, quick=4)
    run.fit(model, [word, context], counts[word, context], batch_size=1024, epochs=epochs)
    losses = run.history["loss"]
    run.figure("last loss over first", losses[-1] / losses[0], at_most=0.5, quick=0.9)
    corpus.judge(run, model.vectors, at_most=0.08, quick=0.3)
    run.picture("loss", viz.plot_history(run.history), "Weighted squared error by epoch.")
    run.model(model)
