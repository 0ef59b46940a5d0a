# SPDX-License-Identifier: Apache-2.0
"""One call of `fit`: epochs of steps, validation, events, and how far it has come."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.data import DataLoader
from gradsmith.nn import Module
from gradsmith.train import feed
from gradsmith.train.callbacks import CallbackList
from gradsmith.train.compiling import Compiled
from gradsmith.train.modes import mode
from gradsmith.train.plan import Plan
from gradsmith.train.progress import Progress
from gradsmith.train.steps import Logs, Meters, Steps, forward

# Puts a training that has begun where a saved one was.
Restore = Callable[["Training"], None]


class Training:
    """The parts of a call of `fit`.

    Attributes:
        epoch: the epoch it is in; after the last event of an epoch, the next one.
        step: the number of batches of the epoch that are done.

    An epoch is a pass over the data. With ``plan.steps_per_epoch`` it is so many batches, and the
    next one goes on in the data where it stopped, from pass to pass.
    """

    def __init__(
        self,
        model: Module,
        settings: Compiled,
        steps: Steps,
        loader: DataLoader,
        validation: DataLoader | None,
        callbacks: CallbackList,
        plan: Plan,
    ) -> None:
        """Stand before the first epoch."""
        self.model = model
        self.settings = settings
        self.steps = steps
        self.loader = loader
        self.validation = validation
        self.callbacks = callbacks
        self.meters = Meters(settings)
        self.plan = plan
        self.epoch = plan.epochs.start
        self.step = 0
        self._stream: Iterator[Any] | None = None  # of passes that go on from epoch to epoch

    def run(self, restore: Restore | None = None, in_epoch: bool = False) -> None:
        """Train to the end; ``restore`` goes to a saved place first, which lies within an epoch
        or before one.

        Events that came before that place are called again, and what they do to model, optimiser
        and callbacks is overwritten by what was saved.
        """
        logs: Logs = {}
        self.callbacks.stop_training = False
        try:
            self.callbacks.on_train_begin()
            if restore is not None and not in_epoch:
                restore(self)
            while self.epoch < self.plan.epochs.stop and not self.callbacks.stop_training:
                self.meters = Meters(self.settings)
                self.step = 0
                self.callbacks.on_epoch_begin(self.epoch)
                if restore is not None and in_epoch:
                    restore(self)
                    in_epoch = False
                logs = self._train_epoch()
                self._validate(logs)
                ended, self.epoch, self.step = self.epoch, self.epoch + 1, 0
                self.callbacks.on_epoch_end(ended, logs)
        finally:
            self._stream = None
            self.callbacks.on_train_end(logs)

    def _train_epoch(self) -> Logs:
        """Take the steps of the epoch that are left and return its logs."""
        last = self.steps_of_epoch
        # A training that goes on may have had the last batch before it was saved.
        ended = self.callbacks.stop_training or (last is not None and self.step >= last)
        for batch in () if ended else self._batches():
            number = self.step
            self.callbacks.on_train_batch_begin(number)
            is_last = last is not None and number + 1 == last
            self.steps.take("fit", batch, self.meters, is_last)
            self.step += 1
            self.callbacks.on_train_batch_end(number, self.meters.logs())
            if self.callbacks.stop_training:
                break
        self.steps.finish()
        if self.step == 0:
            raise ValueError("fit: the data gave no batch")
        return self.meters.logs()

    @property
    def steps_of_epoch(self) -> int | None:
        """The number of batches of an epoch, or None for a stream that does not know."""
        return self.plan.steps_per_epoch or feed.batches_of(self.loader)

    def _batches(self) -> Iterator[Any]:
        """Return the batches of the epoch that are left."""
        if self.plan.steps_per_epoch is None:
            return iter(self.loader)
        if self._stream is None:
            self._stream = itertools.chain.from_iterable(self._passes())
        return itertools.islice(self._stream, self.plan.steps_per_epoch - self.step)

    def _passes(self) -> Iterator[DataLoader]:
        """Yield the loader pass after pass."""
        empty = 0
        while empty < 2:  # after a resume at the end of a pass, nothing of it is left
            before = (self.epoch, self.step)
            yield self.loader
            empty = empty + 1 if (self.epoch, self.step) == before else 0
        raise ValueError("fit: the data gave no batch")

    def _validate(self, logs: Logs) -> None:
        if self.validation is None or self.callbacks.stop_training:
            return
        if not self.plan.validates(self.epoch):
            return
        measured = measure(
            "fit",
            self.model,
            self.settings,
            self.validation,
            Progress.silent(),
            self.plan.validation_steps,
        )
        logs.update({f"val_{name}": value for name, value in measured.items()})


def measure(
    op: str,
    model: Module,
    settings: Compiled,
    loader: DataLoader,
    bar: Progress,
    steps: int | None = None,
) -> Logs:
    """Return the loss and the metrics over data, or over its first ``steps`` batches."""
    meters = Meters(settings)
    batches = 0
    with mode(model, False), no_grad():
        for batch in itertools.islice(loader, steps):
            inputs, target, weights = feed.to_device(model, feed.split_batch(op, batch))
            output, loss = forward(op, model, settings, inputs, target, weights)
            meters.update(loss.item(), output, target, feed.length_of(inputs))
            batches += 1
            bar.step(meters.logs)
    feed.check_taken(op, batches, steps)
    return meters.logs()
