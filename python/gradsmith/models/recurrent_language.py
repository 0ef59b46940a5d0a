# SPDX-License-Identifier: Apache-2.0
"""A recurrent language model (Mikolov et al., "Recurrent neural network based language model",
2010; with LSTM: Sundermeyer et al., 2012).
"""

from __future__ import annotations

from typing import Any

from gradsmith import nn
from gradsmith.models.sizes import check_classes
from gradsmith.tensor import Tensor

RECURRENT: dict[str, type[nn.Module]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def recurrent_layer(model: str, cell: str) -> type[nn.Module]:
    """Return the layer of a name (ValueError unless ``rnn``, ``lstm`` or ``gru``)."""
    if cell not in RECURRENT:
        raise ValueError(f"{model}: cell is {cell!r}, expected one of {', '.join(RECURRENT)}")
    return RECURRENT[cell]


class RecurrentLanguageModel(nn.Module):
    """Tokens (N, T) -> scores (N, T, vocabulary) of the tokens that come next."""

    def __init__(
        self,
        vocabulary: int,
        hidden: int = 256,
        embedding: int = 64,
        cell: str = "lstm",
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        """Make the layers; ValueError for an unknown cell or a size below 1."""
        super().__init__()
        check_classes("RecurrentLanguageModel", vocabulary)
        layer: Any = recurrent_layer("RecurrentLanguageModel", cell)
        inner = dropout if layers > 1 else 0.0
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.recurrent = layer(embedding, hidden, layers, batch_first=True, dropout=inner)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, vocabulary)

    def advance(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return the scores and the state after the last token."""
        output, state = self.recurrent(self.embedding(tokens), state)
        return self.head(self.dropout(output)), state

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores before softmax."""
        return self.advance(tokens)[0]


def recurrent_language_model(vocabulary: int, cell: str = "lstm") -> RecurrentLanguageModel:
    """Return a language model of one layer of 256 units."""
    return RecurrentLanguageModel(vocabulary, cell=cell)
