# SPDX-License-Identifier: Apache-2.0
"""One call of `fit`: epochs of steps, validation, events, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable

from gradsmith.autograd import no_grad
from gradsmith.data import DataLoader
from gradsmith.nn import Module
from gradsmith.train import feed
from gradsmith.train.callbacks import CallbackList
from gradsmith.train.compiling import Compiled
from gradsmith.train.modes import mode
from gradsmith.train.progress import Progress
from gradsmith.train.steps import Logs, Meters, Steps, forward

# Puts a training that has begun where a saved one was.
Restore = Callable[["Training"], None]


class Training:
    """The parts of a call of `fit`.

    Attributes:
        epoch: the epoch it is in; after the last event of an epoch, the next one.
        step: the number of batches of the epoch that are done.
    """

    def __init__(
        self,
        model: Module,
        settings: Compiled,
        steps: Steps,
        loader: DataLoader,
        validation: DataLoader | None,
        callbacks: CallbackList,
        epochs: range,
    ) -> None:
        """Stand before the first epoch."""
        self.model = model
        self.settings = settings
        self.steps = steps
        self.loader = loader
        self.validation = validation
        self.callbacks = callbacks
        self.meters = Meters(settings)
        self.epoch = epochs.start
        self.step = 0
        self._end = epochs.stop

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
            while self.epoch < self._end and not self.callbacks.stop_training:
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
            self.callbacks.on_train_end(logs)

    def _train_epoch(self) -> Logs:
        """Take the steps of the epoch that are left and return its logs."""
        last = feed.batches_of(self.loader)
        # A training that goes on may have had the last batch before it was saved.
        ended = self.callbacks.stop_training or (last is not None and self.step >= last)
        for batch in () if ended else self.loader:
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

    def _validate(self, logs: Logs) -> None:
        if self.validation is None or self.callbacks.stop_training:
            return
        measured = measure("fit", self.model, self.settings, self.validation, Progress.silent())
        logs.update({f"val_{name}": value for name, value in measured.items()})


def measure(op: str, model: Module, settings: Compiled, loader: DataLoader, bar: Progress) -> Logs:
    """Return the loss and the metrics over data."""
    meters = Meters(settings)
    batches = 0
    with mode(model, False), no_grad():
        for batch in loader:
            inputs, target, weights = feed.to_device(model, feed.split_batch(op, batch))
            output, loss = forward(op, model, settings, inputs, target, weights)
            meters.update(loss.item(), output, target, feed.length_of(inputs))
            batches += 1
            bar.step(meters.logs)
    if batches == 0:
        raise ValueError(f"{op}: the data gave no batch")
    return meters.logs()
