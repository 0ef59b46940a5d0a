# SPDX-License-Identifier: Apache-2.0
"""Transformers for tokens: a classifier and a translator (Vaswani et al., "Attention is all you
need", 2017).
"""

from __future__ import annotations

import math

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.models.sizes import check_classes
from gradsmith.nn import functional as F
from gradsmith.ops.creation import full
from gradsmith.ops.joining import cat
from gradsmith.tensor import Tensor


class _Tokens(nn.Module):
    """Embedding times sqrt(width), plus sinusoids of the positions."""

    def __init__(self, vocabulary: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.positions = nn.SinusoidalPositionalEncoding(width, dropout=dropout, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        scale = math.sqrt(self.embedding.embedding_dim)
        result: Tensor = self.positions(self.embedding(tokens) * scale)
        return result


class TransformerClassifier(nn.Module):
    """Tokens (N, T) -> scores (N, num_classes), from the mean of an encoder's states."""

    def __init__(
        self,
        vocabulary: int,
        num_classes: int = 2,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.1,
        padding: int = 0,
    ) -> None:
        """Make the layers; ValueError where a size is below 1 or heads do not divide the width."""
        super().__init__()
        check_classes("TransformerClassifier", min(vocabulary, num_classes))
        self.padding = padding
        self.tokens = _Tokens(vocabulary, width, dropout)
        block = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(block, layers)
        self.head = nn.Linear(width, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores before softmax."""
        empty = tokens == self.padding
        states = self.encoder(self.tokens(tokens), src_key_padding_mask=empty)
        scores: Tensor = self.head(F.masked_mean(states, (~empty).sum(1)))
        return scores


class TransformerTranslator(nn.Module):
    """Source tokens (N, S), target tokens (N, T) -> scores (N, T, target_vocabulary)."""

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.1,
        padding: int = 0,
    ) -> None:
        """Make the layers; ValueError where a size is below 1 or heads do not divide the width."""
        super().__init__()
        check_classes("TransformerTranslator", min(source_vocabulary, target_vocabulary))
        self.padding = padding
        self.source = _Tokens(source_vocabulary, width, dropout)
        self.target = _Tokens(target_vocabulary, width, dropout)
        self.body = nn.Transformer(
            width, heads, layers, layers, 4 * width, dropout, batch_first=True
        )
        self.head = nn.Linear(width, target_vocabulary)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return the encoder's states (N, S, width), and where the source is filled up."""
        empty = source == self.padding
        states = self.body.encoder(self.source(source), src_key_padding_mask=empty)
        return states, empty

    def decode(self, tokens: Tensor, states: Tensor, empty: Tensor) -> Tensor:
        """Return the scores of the tokens that follow each of the target's."""
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], tokens.device)
        x = self.body.decoder(
            self.target(tokens),
            states,
            tgt_mask=mask,
            memory_key_padding_mask=empty,
            tgt_is_causal=True,
        )
        scores: Tensor = self.head(x)
        return scores

    def forward(self, source: Tensor, tokens: Tensor) -> Tensor:
        """Return the scores before softmax (teacher forcing)."""
        return self.decode(tokens, *self.encode(source))

    def translate(self, source: Tensor, length: int, start: int) -> Tensor:
        """Return the likeliest tokens, one after the other: (N, length)."""
        tokens = full((source.shape[0], 1), start, dtype="int64", device=source.device)
        with no_grad():
            memory = self.encode(source)
            for _ in range(length):
                best = self.decode(tokens, *memory)[:, -1:].argmax(-1)
                tokens = cat([tokens, best], 1)
        return tokens[:, 1:]
