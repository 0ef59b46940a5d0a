# SPDX-License-Identifier: Apache-2.0
"""Word vectors: word2vec (Mikolov et al., 2013) and GloVe (Pennington, Socher, Manning, 2014)."""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes
from gradsmith.nn import functional as F
from gradsmith.tensor import Tensor


class Word2Vec(nn.Module):
    """Context words (N, C), candidates (N, K) -> scores (N, K) of each candidate at that place.

    A score is the product of the mean of the context's vectors with the candidate's output vector.
    With one word as context it is skip-gram, with all words of the window CBOW.
    """

    def __init__(self, vocabulary: int, dimensions: int = 64) -> None:
        """Make the two tables of vectors; ValueError if a size is below 1."""
        super().__init__()
        check_classes("Word2Vec", min(vocabulary, dimensions))
        self.words = nn.Embedding(vocabulary, dimensions)
        self.outputs = nn.Embedding(vocabulary, dimensions)
        nn.init.uniform_(self.words.weight, -0.5 / dimensions, 0.5 / dimensions)
        nn.init.zeros_(self.outputs.weight)

    def forward(self, context: Tensor, candidates: Tensor) -> Tensor:
        """Return the scores before the sigmoid."""
        vector = self.words(context).mean(1, keepdim=True)
        scores: Tensor = (vector * self.outputs(candidates)).sum(2)
        return scores


class GloVe(nn.Module):
    """Pairs of words (N,), (N,) -> ``w_i . v_j + b_i + c_j`` (N,), to fit ``log X_ij``."""

    def __init__(self, vocabulary: int, dimensions: int = 64) -> None:
        """Make the tables of vectors and biases; ValueError if a size is below 1."""
        super().__init__()
        check_classes("GloVe", min(vocabulary, dimensions))
        self.words, self.contexts = (nn.Embedding(vocabulary, dimensions) for _ in range(2))
        self.bias, self.context_bias = (nn.Embedding(vocabulary, 1) for _ in range(2))
        for table in (self.words, self.contexts, self.bias, self.context_bias):
            nn.init.uniform_(table.weight, -0.5 / dimensions, 0.5 / dimensions)

    def forward(self, word: Tensor, context: Tensor) -> Tensor:
        """Return the estimates of the logarithms of the counts."""
        product = (self.words(word) * self.contexts(context)).sum(1)
        estimate: Tensor = product + self.bias(word)[:, 0] + self.context_bias(context)[:, 0]
        return estimate

    @property
    def vectors(self) -> Tensor:
        """The vectors of the words, sums of both tables, as in the paper."""
        return (self.words.weight + self.contexts.weight).detach()


def glove_loss(estimate: Tensor, count: Tensor, at_most: float = 100.0) -> Tensor:
    """Return the mean of ``min(1, X / at_most) ** 0.75 * (estimate - log X) ** 2``."""
    weight = (count / at_most).clamp(max=1.0) ** 0.75
    return (weight * F.mse_loss(estimate, count.log(), reduction="none")).mean()
