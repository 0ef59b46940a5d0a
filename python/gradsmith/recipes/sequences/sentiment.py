# SPDX-License-Identifier: Apache-2.0
"""Many to one: is a review good or bad? Stacked RNN, BiRNN, BiLSTM with and without a mask.

One net reads forwards, one backwards, and ``p = softmax(V [h_forward, h_backward])`` (Schuster and
Paliwal, "Bidirectional recurrent neural networks", 1997). Reviews are filled up behind to one
length. With the mask (the lengths) each direction ends where the review ends; without it the last
state comes after a row of fillers, which a plain RNN forgets over. Synthetic language,
or IMDB.
"""

from __future__ import annotations

from typing import Any

from gradsmith import metrics, nn
from gradsmith.ops.creation import from_numpy
from gradsmith.ops.joining import cat
from gradsmith.optim import Adam
from gradsmith.recipes.curves import plot_stages
from gradsmith.recipes.reviews import as_text, review_set
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import IMDB
from gradsmith.recipes.tokens import PAD
from gradsmith.tensor import Tensor

STANDARD = IMDB


class Reader(nn.Module):
    """Tokens (N, T) -> scores (N, 2), from the last state of each direction of the top layer."""

    def __init__(self, words: int, layer: Any, masked: bool, hidden: int, **options: Any) -> None:
        """Make the layers."""
        super().__init__()
        self.masked = masked
        self.embedding = nn.Embedding(words, 16, padding_idx=PAD if masked else None)
        self.recurrent = layer(16, hidden, batch_first=True, **options)
        self.directions = 2 if options.get("bidirectional") else 1
        self.head = nn.Linear(hidden * self.directions, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores before softmax."""
        lengths = (tokens != PAD).sum(1) if self.masked else None
        _, last = self.recurrent(self.embedding(tokens), lengths=lengths)
        states = last[0] if isinstance(last, tuple) else last
        top = [states[-number] for number in range(self.directions, 0, -1)]
        scores: Tensor = self.head(cat(top, 1))
        return scores


READERS: dict[str, tuple[Any, bool, dict[str, Any]]] = {
    "stacked RNN": (nn.RNN, True, {"num_layers": 2}),
    "BiRNN": (nn.RNN, True, {"bidirectional": True}),
    "BiLSTM": (nn.LSTM, True, {"bidirectional": True}),
    "BiLSTM without mask": (nn.LSTM, False, {"bidirectional": True}),
}


def epochs_to(accuracies: list[float], level: float) -> int:
    """Return the number of the epoch that first reached a level; one more than all if none did."""
    reached = (epoch for epoch, value in enumerate(accuracies, 1) if value >= level)
    return next(reached, len(accuracies) + 1)


def main(run: Run) -> None:
    """Train the four and compare."""
    read = review_set(run, run.choose(4000, 800), length=run.choose(48, 24))
    count = run.epochs(full=3 if read.is_standard else 8, quick=4)
    rows, found, epochs = [], {}, {}
    for name, (layer, masked, options) in READERS.items():
        model = Reader(len(read.words), layer, masked, run.choose(32, 24), **options).to(run.device)
        model.compile(Adam(model.parameters(), lr=1e-2), "cross_entropy", ["accuracy"])
        run.fit(model, read.x, read.y, batch_size=64, stage=name, epochs=count)
        scores = model.predict(read.test_x, verbose=0)
        found[name] = metrics.accuracy(scores, from_numpy(read.test_y))
        parameters = sum(each.numel() for each in model.parameters())
        epochs[name] = epochs_to(run.history[f"{name}/accuracy"], 0.9)
        rows.append([name, parameters, found[name], epochs[name]])
        if name == "BiLSTM":
            run.model(model)
            run.confusion(
                metrics.confusion_matrix(scores, from_numpy(read.test_y), 2), ["bad", "good"]
            )
    run.table("Readers", ["reader", "parameters", "test accuracy", "epochs to 0.9"], rows)
    goal, quick = (0.8, 0.45) if read.is_standard else (0.97, 0.75)
    run.figure("test accuracy, masked BiLSTM", found["BiLSTM"], at_least=goal, quick=quick)
    saved = epochs["BiLSTM without mask"] - epochs["BiLSTM"]
    least = None if read.is_standard else run.choose(full=1, quick=0)
    run.figure("epochs to 0.9 that the mask saves", saved, at_least=least)
    run.text(
        "A review",
        as_text(read.test_x[0], read.words) + f"\nverdict: {'good' if read.test_y[0] else 'bad'}",
    )
    run.picture("curves", plot_stages(run, "accuracy"), "Accuracy in training.")
