# SPDX-License-Identifier: Apache-2.0
"""word2vec: words get vectors that tell true neighbours from random words.

Skip-gram guesses each neighbour from the word, CBOW the word from the mean of its neighbours. The
loss of a true pair and K drawn words is ``-log s(v . u) - sum_k log s(-v . u_k)`` with the sigmoid
s, words drawn by frequency to the power 3/4 (Mikolov et al., 2013). Words of like neighbours get
like vectors.
"""

from __future__ import annotations

import numpy as np

from gradsmith import models, viz
from gradsmith.backend import Array
from gradsmith.data import DataLoader, TensorDataset
from gradsmith.nn import functional as F
from gradsmith.ops.creation import zeros_like
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.recipes.words.corpus import Corpus
from gradsmith.tensor import Tensor

OPTIONS = {"kind": "skip-gram"}
REACH, NEGATIVES = 4, 6


def pairs_of(kind: str, words: Array, around: Array) -> tuple[Array, Array]:
    """Return contexts (N, C) and the words (N, 1) to be guessed from them."""
    if kind == "cbow":
        return around, words[:, None]
    if kind != "skip-gram":
        raise ValueError(f"word2vec: kind is {kind!r}, expected 'skip-gram' or 'cbow'")
    return np.repeat(words, around.shape[1])[:, None], around.reshape(-1, 1)


def kept_frequent(words: Array, draw: np.random.Generator, threshold: float) -> Array:
    """Return which words to train on: of a share f of the corpus ``sqrt(threshold / f)`` stay."""
    shares = np.bincount(words) / len(words)
    return np.asarray(draw.random(len(words)) < np.sqrt(threshold / shares[words]))


def negative_sampling_loss(scores: Tensor) -> Tensor:
    """Return the loss of scores (N, 1 + K), the first of which is that of the true pair."""
    truth = zeros_like(scores)
    truth[:, 0] = 1.0
    loss = F.binary_cross_entropy_with_logits(scores, truth, reduction="sum")
    return loss / scores.shape[0]


def main(run: Run) -> None:
    """Train, and show neighbours."""
    corpus = Corpus(run)
    words, around = corpus.windows(REACH)
    size = len(corpus.vocabulary)
    noise = np.bincount(words, minlength=size) ** 0.75
    model = models.Word2Vec(size, run.choose(64, 32)).to(run.device)
    optimizer = Adam(model.parameters(), lr=run.choose(3e-3, 1e-2))
    states = {"model": model, "optimizer": optimizer}
    kind = run.option("kind")
    for number in run.rounds(run.epochs(full=15, quick=5), states):
        draw = np.random.default_rng([run.seed, number])
        kept = kept_frequent(words, draw, threshold=1e-3)
        context, true = pairs_of(kind, words[kept], around[kept])
        drawn = draw.choice(size, size=(len(true), NEGATIVES), p=noise / noise.sum())
        data = TensorDataset(context, np.hstack([true, drawn]))
        total = 0.0
        loader = DataLoader(data, 1024 if kind == "skip-gram" else 128, shuffle=True)
        for inputs, candidates in loader:
            optimizer.zero_grad()
            loss = negative_sampling_loss(model(inputs.to(run.device), candidates.to(run.device)))
            loss.backward()
            optimizer.step()
            total += loss.item()
        run.log(loss=total / len(loader))
    corpus.judge(run, model.words.weight.detach(), at_most=0.05, quick=0.4)
    run.picture("loss", viz.plot_history(run.history), "Loss per pair by epoch.")
    run.model(model)
