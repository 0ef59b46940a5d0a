# SPDX-License-Identifier: Apache-2.0
"""BERT (Devlin, Chang, Lee, Toutanova, "BERT: pre-training of deep bidirectional transformers for
language understanding", 2019).
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.gpt import init_normal
from gradsmith.models.sizes import check_classes
from gradsmith.nn import functional as F
from gradsmith.ops.creation import zeros_like
from gradsmith.ops.elementwise_math import tanh
from gradsmith.tensor import Tensor


class BERT(nn.Module):
    """Tokens (N, T), T up to ``context``, -> states (N, T, width) that have seen both sides."""

    def __init__(
        self,
        vocabulary: int = 30522,
        context: int = 512,
        width: int = 768,
        heads: int = 12,
        layers: int = 12,
        dropout: float = 0.1,
        padding: int = 0,
    ) -> None:
        """Make the layers.

        Args:
            vocabulary: number of tokens.
            context: the longest input.
            width: features of a token.
            heads: of the attention; divide the width.
            layers: number of blocks.
            dropout: share dropped in training.
            padding: the token that nobody attends to.

        Raises:
            ValueError: a size is below 1, or the heads do not divide the width.
        """
        super().__init__()
        check_classes("BERT", vocabulary)
        self.padding = padding
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.LearnedPositionalEncoding(width, context, batch_first=True)
        self.segments = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, "gelu", layer_norm_eps=1e-12, batch_first=True
        )
        self.blocks = nn.TransformerEncoder(block, layers)
        self.pooler = nn.Linear(width, width)
        init_normal(self)

    def forward(self, tokens: Tensor, segments: Tensor | None = None) -> Tensor:
        """Return the states; ``segments`` (N, T) says which of two texts a token is of."""
        of_segment = self.segments(zeros_like(tokens) if segments is None else segments)
        x = self.dropout(self.norm(self.positions(self.embedding(tokens)) + of_segment))
        states: Tensor = self.blocks(x, src_key_padding_mask=tokens == self.padding)
        return states

    def pooled(self, states: Tensor) -> Tensor:
        """Return the summary (N, width) of the states: a layer on the first one."""
        return tanh(self.pooler(states[:, 0]))


class MaskedLanguageModel(nn.Module):
    """Tokens (N, T) -> scores (N, T, vocabulary) of what stood where a token is masked."""

    def __init__(self, bert: BERT) -> None:
        """Put the head on a body; its scores are products with the body's embedding."""
        super().__init__()
        self.bert = bert
        size, width = bert.embedding.weight.shape
        self.transform = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.bias = nn.Parameter(bert.embedding.weight.new_zeros(size))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores before softmax."""
        x = self.norm(F.gelu(self.transform(self.bert(tokens))))
        return F.linear(x, self.bert.embedding.weight, self.bias)


def bert(vocabulary: int = 30522, *, context: int = 512) -> BERT:
    """Return a model of BERT-base's size: 109,482,240 parameters."""
    return BERT(vocabulary, context)
