# SPDX-License-Identifier: Apache-2.0
"""LSTM-N: each step of an LSTM reads a mixture of all states before it instead of the last one.

Each step mixes the tapes of states and of memories before it, ``h~ = sum_i s_i h_i``, ``c~ = sum_i
s_i c_i`` with ``s = softmax(a)`` (Cheng, Dong, Lapata, 2016; all formulas stand at
`gradsmith.models.LSTMN`). Intra-attention finds what a query asks for among pairs read before;
inter-attention lets a decoder read an encoder's tapes, and reverses digits. Synthetic data.
"""

from __future__ import annotations

import numpy as np

from gradsmith import models, nn, viz
from gradsmith.backend import Array
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.curves import plot_stages
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import PAD, token_accuracy, token_loss
from gradsmith.tensor import Tensor

KEYS, VALUES, PAIRS = 6, 5, 4


def recall(count: int, seed: int) -> tuple[Array, Array]:
    """Return tokens of pairs of a key and a value, then a key; its value is the target there."""
    draw = np.random.default_rng(seed)
    keys = np.argsort(draw.random((count, KEYS)), axis=1)[:, :PAIRS]
    values = draw.integers(VALUES, size=(count, PAIRS))
    asked = draw.integers(PAIRS, size=(count, 1))
    question = 1 + KEYS * VALUES + np.take_along_axis(keys, asked, 1)
    targets = np.full((count, PAIRS + 1), PAD)
    targets[:, -1:] = np.take_along_axis(values, asked, 1) + 1
    return np.hstack([1 + keys * VALUES + values, question]), targets


def name_of(token: int) -> str:
    """Return a token in words."""
    if token > KEYS * VALUES:
        return f"{'ABCDEF'[token - 1 - KEYS * VALUES]}?"
    key, value = divmod(token - 1, VALUES)
    return f"{'ABCDEF'[key]} is {value}"


class Reader(nn.Module):
    """Tokens (N, T) -> scores (N, T, VALUES + 1)."""

    def __init__(self, hidden: int) -> None:
        """Make the layers."""
        super().__init__()
        self.embedding = nn.Embedding(1 + KEYS * VALUES + KEYS, 16)
        self.body = models.LSTMN(16, hidden)
        self.head = nn.Linear(hidden, VALUES + 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores before softmax."""
        states, _, _ = self.body(self.embedding(tokens))
        scores: Tensor = self.head(states)
        return scores


class Reverser(nn.Module):
    """Source and target tokens (N, T) -> scores (N, T, tokens), by two LSTM-N."""

    def __init__(self, tokens: int, hidden: int) -> None:
        """Make the layers."""
        super().__init__()
        self.embedding = nn.Embedding(tokens, 16)
        self.encoder = models.LSTMN(16, hidden)
        self.decoder = models.LSTMN(16, hidden, inter=True)
        self.head = nn.Linear(hidden, tokens)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the scores before softmax."""
        states, cells, _ = self.encoder(self.embedding(source))
        written, _, _ = self.decoder(self.embedding(target), (states, cells))
        scores: Tensor = self.head(written)
        return scores


def main(run: Run) -> None:
    """Train both."""
    count, hidden = run.choose(5000, 640), run.choose(48, 24)
    tokens, targets = recall(count + 300, run.seed)
    reader = Reader(hidden).to(run.device)
    reader.compile(Adam(reader.parameters(), lr=1e-2), token_loss)
    epochs = run.epochs(full=15, quick=5)
    run.fit(reader, tokens[:count], targets[:count], stage="recall", batch_size=64, epochs=epochs)
    scores = reader.predict(tokens[count:], batch_size=300, verbose=0)
    found = token_accuracy(scores, targets[count:])
    run.figure("values recalled (chance 0.2)", found, at_least=0.95, quick=0.3)
    one = from_numpy(tokens[count : count + 1]).to(run.device)
    _, _, weights = reader.body(reader.embedding(one))
    names = [name_of(each) for each in tokens[count].tolist()]
    picture = viz.plot_attention(weights[0].detach(), names, names)
    run.picture("intra", picture, "Which states (columns) each step (row) reads.")

    digits = np.random.default_rng(run.seed).integers(2, 12, size=(count + 300, run.choose(8, 4)))
    backwards = digits[:, ::-1].copy()
    shifted = np.pad(backwards[:, :-1], ((0, 0), (1, 0)), constant_values=1)
    reverser = Reverser(12, hidden).to(run.device)
    reverser.compile(Adam(reverser.parameters(), lr=1e-2), token_loss)
    epochs = run.epochs(full=8, quick=4)
    pair = [digits[:count], shifted[:count]]
    run.fit(reverser, pair, backwards[:count], stage="reversal", batch_size=64, epochs=epochs)
    scores = reverser.predict([digits[count:], shifted[count:]], batch_size=300, verbose=0)
    found = token_accuracy(scores, backwards[count:])
    run.figure("digits reversed", found, at_least=0.95, quick=0.3)
    run.picture("curves", plot_stages(run), "Cross-entropy of both tasks.")
    run.model(reverser)
