# SPDX-License-Identifier: Apache-2.0
"""A plain RNN in its four topologies, which differ only in where inputs and targets stand.

``h_t = tanh(W x_t + U h_(t-1) + b)``, scores ``V h_t + c`` (Elman, 1990). One to many: counting on
from a digit. Many to one: the largest digit. Many to many, step by step: the digit of two steps
ago. Many to many, read then write: the digits backwards. Synthetic data: random digits.
"""

from __future__ import annotations

import numpy as np

from gradsmith import models
from gradsmith.backend import Array
from gradsmith.optim import Adam
from gradsmith.recipes.curves import plot_stages
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import PAD, token_accuracy, token_loss

Task = tuple[Array, Array]
DIGITS = 10


def one_to_many(digits: Array) -> Task:
    """Return one digit and its successors, modulo 10."""
    inputs, targets = np.full_like(digits, PAD), np.empty_like(digits)
    inputs[:, 0] = digits[:, 0]
    for step in range(digits.shape[1]):
        targets[:, step] = (digits[:, 0] + step) % DIGITS + 1
    return inputs, targets


def many_to_one(digits: Array) -> Task:
    """Return digits, and their largest at the end."""
    targets = np.full_like(digits, PAD)
    targets[:, -1] = digits.max(axis=1)
    return digits, targets


def step_by_step(digits: Array) -> Task:
    """Return digits, and at each step the one of two steps ago."""
    targets = np.full_like(digits, PAD)
    targets[:, 2:] = digits[:, :-2]
    return digits, targets


def read_then_write(digits: Array) -> Task:
    """Return four digits and silence; silence and the digits backwards."""
    read, silence = digits[:, :4], np.full_like(digits[:, :4], PAD)
    return np.hstack([read, silence]), np.hstack([silence, read[:, ::-1]])


TASKS = {
    "one to many": (one_to_many, 0.98),
    "many to one": (many_to_one, 0.95),
    "many to many, step by step": (step_by_step, 0.98),
    "many to many, read then write": (read_then_write, 0.9),
}


def _as_text(tokens: Array) -> str:
    """Return a row of digits, silence as dots."""
    return " ".join(str(token - 1) if token else "." for token in tokens)


def main(run: Run) -> None:
    """Train a net for each topology."""
    draw = np.random.default_rng(run.seed)
    count = run.choose(8000, 3000)
    digits = draw.integers(1, DIGITS + 1, size=(count + 500, 8))
    rows: list[list[str]] = []
    for name, (make, expected) in TASKS.items():
        inputs, targets = make(digits)
        model = models.RecurrentLanguageModel(DIGITS + 1, 64, 16, cell="rnn").to(run.device)
        model.compile(Adam(model.parameters(), lr=run.choose(3e-3, 1e-2)), token_loss)
        epochs = run.epochs(full=20, quick=3)
        batch = run.choose(32, 64)
        run.fit(model, inputs[:count], targets[:count], batch_size=batch, stage=name, epochs=epochs)
        scores = model.predict(inputs[count:], verbose=0)
        found = token_accuracy(scores, targets[count:])
        run.figure(f"accuracy, {name}", found, at_least=expected, quick=0.3)
        answers = scores.numpy().argmax(axis=-1) * (targets[count:] != PAD)
        rows += [
            [name, *map(_as_text, each)]
            for each in zip(inputs[count : count + 2], targets[count:], answers, strict=False)
        ]
    run.table("Unseen samples", ["topology", "input", "target", "answer"], rows)
    run.picture("curves", plot_stages(run), "Cross-entropy per token.")
    run.model(model)
