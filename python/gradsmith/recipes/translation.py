# SPDX-License-Identifier: Apache-2.0
"""Pairs of texts for encoders with decoders, and how these are trained and measured."""

from __future__ import annotations

from collections.abc import Callable

from gradsmith import nn
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam, lr_scheduler
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import Alphabet, exact_match, token_loss
from gradsmith.tensor import Tensor
from gradsmith.train import LambdaCallback

Make = Callable[[int, int], tuple[list[str], list[str]]]


class Pairs:
    """Texts and their translations: to train on, and others to test."""

    def __init__(self, make: Make, train: int, test: int, seed: int) -> None:
        """Make them by ``make(count, seed)``; what is trained on is not tested."""
        sources, targets = make(train, 2 * seed)
        known = set(sources)
        others = [
            pair for pair in zip(*make(test, 2 * seed + 1), strict=True) if pair[0] not in known
        ]
        self.questions, self.answers = ([pair[side] for pair in others] for side in (0, 1))
        self.source = Alphabet(sources + self.questions)
        self.target = Alphabet(targets + self.answers)
        self.train = (self.source.encode(sources), self.target.encode(targets, marks=True))
        self.test = (
            self.source.encode(self.questions),
            self.target.encode(self.answers, marks=True),
        )

    def fit(self, run: Run, model: nn.Module, epochs: int, rate: float, stage: str = "") -> None:
        """Train a model of (source, target so far) by teacher forcing."""
        optimizer = Adam(model.parameters(), lr=rate)
        source, target = self.train
        batch_size = 64
        steps = epochs * -(-len(source) // batch_size)
        schedule = lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
        model.compile(optimizer, token_loss)
        step = LambdaCallback(on_train_batch_end=lambda batch, logs: schedule.step())
        run.fit(
            model,
            [source, target[:, :-1]],
            target[:, 1:],
            stage=stage,
            batch_size=batch_size,
            epochs=epochs,
            callbacks=[step],
            objects={"schedule": schedule},
        )

    def questions_for(self, run: Run) -> Tensor:
        """Return the sources of the test on the run's device."""
        return from_numpy(self.test[0]).to(run.device)

    def score(self, written: Tensor) -> float:
        """Return the share of answers that are right to the last character."""
        return exact_match(written, self.test[1][:, 1:])

    @property
    def length(self) -> int:
        """The most tokens that an answer has, its end included."""
        return int(self.test[1].shape[1] - 1)

    def show(self, run: Run, written: Tensor, count: int = 8) -> None:
        """Print the first answers."""
        rows = [
            [question, self.target.decode(answer), right]
            for question, answer, right in zip(
                self.questions[:count], written.tolist(), self.answers, strict=False
            )
        ]
        run.table("Answers to unseen questions", ["question", "answer", "right"], rows)
