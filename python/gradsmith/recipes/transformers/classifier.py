# SPDX-License-Identifier: Apache-2.0
"""A transformer's encoder says whether a review is good or bad.

Each word attends to all others, ``softmax(Q K^T / sqrt(d)) V`` in several heads, fillers masked;
the mean of the states is classified (Vaswani et al., 2017). The synthetic reviews of ``sentiment``,
where order counts, which positions bring in: the same model reads shuffled words as a control.
"""

from __future__ import annotations

import numpy as np

from gradsmith import metrics, models, viz
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.curves import plot_stages
from gradsmith.recipes.reviews import as_text, review_set
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import IMDB
from gradsmith.recipes.tokens import PAD

STANDARD = IMDB


def shuffled(tokens: Array, seed: int) -> Array:
    """Return reviews with the words of each in random order."""
    draw = np.random.default_rng(seed)
    mixed = tokens.copy()
    for row in mixed:
        length = int((row != PAD).sum())
        row[:length] = draw.permutation(row[:length])
    return mixed


def _picture(model: models.TransformerClassifier, review: Array, text: str) -> object:
    words = text.split()[:24]
    one = from_numpy(review[None, : len(words)]).to(model.head.weight.device)
    model.eval()
    with no_grad():
        states = model.tokens(one)
        _, weights = model.encoder.layers[0].self_attn(states, states, states)
    return viz.plot_attention(weights[0], words, words)


def main(run: Run) -> None:
    """Train on reviews, and on reviews with shuffled words."""
    read = review_set(run, run.choose(6000, 1500))
    found = {}
    for name in ("shuffled words", "reviews"):
        change = (
            (lambda each: each) if name == "reviews" else (lambda each: shuffled(each, run.seed))
        )
        model = models.TransformerClassifier(
            len(read.words), 2, run.choose(48, 32), 4, run.choose(2, 1), dropout=0.0
        ).to(run.device)
        model.compile(
            Adam(model.parameters(), lr=run.choose(2e-3, 4e-3)), "cross_entropy", ["accuracy"]
        )
        epochs = run.epochs(full=3 if read.is_standard else 6, quick=4)
        run.fit(model, change(read.x), read.y, stage=name, batch_size=64, epochs=epochs)
        scores = model.predict(change(read.test_x), verbose=0)
        found[name] = metrics.accuracy(scores, from_numpy(read.test_y))
    goal, quick = (0.75, 0.45) if read.is_standard else (0.97, 0.7)
    run.figure("test accuracy", found["reviews"], at_least=goal, quick=quick)
    run.figure("test accuracy, shuffled words", found["shuffled words"])
    gained = found["reviews"] - found["shuffled words"]
    least, quick_least = (None, None) if read.is_standard else (0.1, 0.02)
    run.figure("gain by the order of words", gained, at_least=least, quick=quick_least)
    run.confusion(metrics.confusion_matrix(scores, from_numpy(read.test_y), 2), ["bad", "good"])
    run.picture(
        "attention",
        _picture(model, read.test_x[0], as_text(read.test_x[0], read.words)),
        "Attention of the first layer, mean of heads.",
    )
    run.picture("curves", plot_stages(run, "accuracy"), "Accuracy in training.")
    run.model(model)
