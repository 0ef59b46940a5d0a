# SPDX-License-Identifier: Apache-2.0
"""Encoder and decoder (Sutskever, Vinyals, Le, "Sequence to sequence learning with neural
networks", 2014), with attention (Bahdanau, Cho, Bengio, 2015) of the decoder's states on those of
the encoder, which joins each state after its step (Luong, Pham, Manning, 2015).
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.models.sizes import check_classes
from gradsmith.nn.utils.rnn import length_mask
from gradsmith.ops.creation import full
from gradsmith.ops.elementwise_math import tanh
from gradsmith.ops.joining import cat
from gradsmith.tensor import Tensor


class Seq2Seq(nn.Module):
    """Source tokens (N, S), target tokens (N, T) -> scores (N, T, target_vocabulary).

    The encoder is a GRU in both directions, the decoder a GRU that starts at the encoder's last
    states. Without attention these are all that it knows of the source.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        hidden: int = 128,
        embedding: int = 64,
        attention: bool = True,
        padding: int = 0,
    ) -> None:
        """Make the layers.

        Args:
            source_vocabulary: number of source tokens.
            target_vocabulary: number of target tokens.
            hidden: units of each direction and of the decoder.
            embedding: features of a token.
            attention: whether the decoder attends.
            padding: the token that fills up sources behind their ends.

        Raises:
            ValueError: a size is below 1.
        """
        super().__init__()
        check_classes("Seq2Seq", min(source_vocabulary, target_vocabulary))
        self.padding = padding
        self.source = nn.Embedding(source_vocabulary, embedding, padding_idx=padding)
        self.encoder = nn.GRU(embedding, hidden, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * hidden, hidden)
        self.target = nn.Embedding(target_vocabulary, embedding)
        self.decoder = nn.GRU(embedding, hidden, batch_first=True)
        self.attention = nn.AdditiveAttention(hidden, 2 * hidden, hidden) if attention else None
        self.join = nn.Linear(3 * hidden, hidden) if attention else None
        self.head = nn.Linear(hidden, target_vocabulary)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the states (N, S, 2 hidden), which are real, and the decoder's first state."""
        lengths = (source != self.padding).sum(1)
        states, last = self.encoder(self.source(source), lengths=lengths)
        first = tanh(self.bridge(cat([last[0], last[1]], 1)))
        return states, length_mask(lengths, source.shape[1]), first.unsqueeze(0)

    def decode(
        self, tokens: Tensor, states: Tensor, mask: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return scores, attention weights (N, T, S) if there are any, and the last state."""
        output, state = self.decoder(self.target(tokens), state)
        weights = None
        if self.attention is not None and self.join is not None:
            context, weights = self.attention(output, states, mask=mask)
            output = tanh(self.join(cat([context, output], 2)))
        return self.head(output), weights, state

    def forward(self, source: Tensor, tokens: Tensor) -> Tensor:
        """Return the scores of the tokens that follow each of the target's (teacher forcing)."""
        return self.decode(tokens, *self.encode(source))[0]

    def translate(self, source: Tensor, length: int, start: int) -> tuple[Tensor, Tensor | None]:
        """Return the likeliest tokens, one after the other (N, length), and their attention."""
        written, looks = [], []
        with no_grad():
            states, mask, state = self.encode(source)
            token = full((source.shape[0], 1), start, dtype="int64", device=source.device)
            for _ in range(length):
                scores, weights, state = self.decode(token, states, mask, state)
                token = scores.argmax(-1)
                written.append(token)
                if weights is not None:
                    looks.append(weights)
        return cat(written, 1), cat(looks, 1) if looks else None


def seq2seq(source_vocabulary: int, target_vocabulary: int, *, attention: bool = True) -> Seq2Seq:
    """Return an encoder and a decoder of 128 units."""
    return Seq2Seq(source_vocabulary, target_vocabulary, attention=attention)
