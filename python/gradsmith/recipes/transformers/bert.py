# SPDX-License-Identifier: Apache-2.0
"""A small BERT learns a language by filling in masked words, then what a few labels mean.

15 % of the words are to be guessed from both sides, ``-mean log p(w_i | the others)``; of these 80
% are masked, 10 % replaced and 10 % left as they are (Devlin et al., 2019). Then the same body with
a new head is fine-tuned on few labelled reviews, beside one that was not trained before. Synthetic
reviews as in ``sentiment``.
"""

from __future__ import annotations

import numpy as np

from gradsmith import metrics, models, nn
from gradsmith.backend import Array
from gradsmith.data import DataLoader, TensorDataset
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.curves import plot_stages
from gradsmith.recipes.reviews import WORDS, reviews
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import PAD, token_accuracy, token_loss
from gradsmith.tensor import Tensor

MASK = len(WORDS)
SIZE = MASK + 1


def masked(tokens: Array, draw: np.random.Generator, share: float = 0.15) -> tuple[Array, Array]:
    """Return tokens with some hidden, and these, PAD elsewhere."""
    chosen = (draw.random(tokens.shape) < share) & (tokens != PAD)
    coin = draw.random(tokens.shape)
    hidden = np.where(chosen & (coin < 0.8), MASK, tokens)
    replaced = chosen & (coin >= 0.9)
    hidden = np.where(replaced, draw.integers(1, MASK, size=tokens.shape), hidden)
    return hidden, np.where(chosen, tokens, PAD)


class Classifier(nn.Module):
    """Tokens (N, T) -> scores (N, 2): a linear layer on the mean of a body's states."""

    def __init__(self, body: models.BERT, width: int) -> None:
        """Put a new head on a body."""
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores before softmax."""
        states = self.body(tokens)
        scores: Tensor = self.head(F.masked_mean(states, (tokens != PAD).sum(1)))
        return scores


def _body(run: Run) -> models.BERT:
    return models.BERT(SIZE, 32, run.choose(48, 32), 4, run.choose(2, 1), dropout=0.0)


def _pretrain(run: Run, model: nn.Module, x: Array) -> None:
    optimizer = Adam(model.parameters(), lr=run.choose(2e-3, 5e-3))
    states = {"model": model, "optimizer": optimizer}
    for number in run.rounds(run.epochs(full=25, quick=5), states, stage="masked words"):
        draw = np.random.default_rng([run.seed, number])
        total = 0.0
        loader = DataLoader(TensorDataset(*masked(x, draw)), 64, shuffle=True)
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = token_loss(model(inputs.to(run.device)), targets.to(run.device))
            loss.backward()
            optimizer.step()
            total += loss.item()
        run.log(**{"masked words/loss": total / len(loader)})


def main(run: Run) -> None:
    """Pre-train, fine-tune, and compare."""
    x, _ = reviews(run.choose(6000, 1000), 3 * run.seed)
    few_x, few_y = reviews(run.choose(300, 200), 3 * run.seed + 1)
    test_x, test_y = reviews(1000, 3 * run.seed + 2)
    body = _body(run)
    model = models.MaskedLanguageModel(body).to(run.device)
    _pretrain(run, model, x)
    inputs, targets = masked(test_x, np.random.default_rng(run.seed + 1))
    guessed = token_accuracy(model.predict(inputs, verbose=0), targets)
    shown = targets[targets != PAD]
    frequent = float(np.bincount(shown).max() / len(shown))
    run.figure("masked words guessed", guessed, at_least=0.42, quick=0.2)
    run.figure("masked words guessed by the most frequent", frequent)
    found = {}
    for name, start in (("fine-tuned", body), ("from scratch", _body(run))):
        judge = Classifier(start, start.embedding.embedding_dim).to(run.device)
        judge.compile(Adam(judge.parameters(), lr=2e-3), "cross_entropy", ["accuracy"])
        run.fit(judge, few_x, few_y, stage=name, epochs=run.epochs(full=20, quick=6))
        scores = judge.predict(test_x, verbose=0)
        found[name] = metrics.accuracy(scores, from_numpy(test_y))
        bounds = {"at_least": 0.8, "quick": 0.45} if name == "fine-tuned" else {}
        run.figure(f"test accuracy, {name}", found[name], **bounds)
    gained = found["fine-tuned"] - found["from scratch"]
    run.figure("gain by pre-training", gained, at_least=None if run.quick else 0.02)
    _show(run, model, inputs[:5], targets[:5])
    run.picture("curves", plot_stages(run), "Losses of pre-training and fine-tuning.")
    run.model(model)


def _show(run: Run, model: nn.Module, inputs: Array, targets: Array) -> None:
    """Print sentences with their gaps and what was put in."""
    names = [*WORDS, "[MASK]"]
    guesses = model.predict(inputs, verbose=0).numpy().argmax(axis=-1)
    lines = []
    for given, wanted, guess in zip(inputs, targets, guesses, strict=True):
        words = [
            f"[{names[g]}, was {names[w]}]" if w else names[t]
            for t, w, g in zip(given, wanted, guess, strict=True)
            if t != PAD
        ]
        lines.append(" ".join(words))
    run.text("Masked words: [guess, truth]", "\n".join(lines))
