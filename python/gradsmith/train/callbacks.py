# SPDX-License-Identifier: Apache-2.0
"""Callbacks: what happens at the events of training."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

from gradsmith.nn import Module

Logs = dict[str, float]

_EVENTS = (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
)


class Callback:
    """Subclasses override the events they need; ``self.model`` and ``self.params`` are set first.

    Setting ``self.model.stop_training = True`` ends training after the current step or epoch.
    """

    model: Module
    params: dict[str, Any]

    def __init__(self) -> None:
        """Start without a model."""
        self.params = {}

    def set_model(self, model: Module) -> None:
        """Take the model that is trained."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Take ``epochs``, ``steps`` (batches per epoch or None) and ``verbose``; of `fit` also
        ``accumulate_grad_batches``, and whether it ``validates``.
        """
        self.params = params

    def state_dict(self) -> dict[str, Any]:
        """Return what has to be kept for an exact resume, of kinds that `gradsmith.save` takes."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; called after ``on_train_begin``."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once at the end, also after an error or an interruption."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called with the loss and metrics of the epoch and of the validation (``val_...``)."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a step, counted from 0 in each epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called with the loss and metrics of the epoch so far."""


class CallbackList(Callback):
    """Passes every event on to callbacks in order."""

    def __init__(self, callbacks: Iterable[Callback], model: Module) -> None:
        """Keep the callbacks and tell them their model; TypeError if one is no callback."""
        super().__init__()
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"fit: callbacks has a {type(callback).__name__}, expected Callback objects"
                )
        self.set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Hand the parameters on."""
        for callback in self.callbacks:
            callback.set_params(params)

    @property
    def stop_training(self) -> bool:
        """Whether a callback asked to stop."""
        return bool(getattr(self.model, "stop_training", False))

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        object.__setattr__(self.model, "stop_training", value)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Pass the event on."""
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Pass the event on to all, then raise the first error one of them had."""
        failure: BaseException | None = None
        for callback in self.callbacks:
            try:
                callback.on_train_end(logs)
            except BaseException as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Pass the event on."""
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Pass the event on."""
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Pass the event on."""
        for callback in self.callbacks:
            callback.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Pass the event on."""
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)


class History(Callback):
    """The logs of every epoch: ``history[name][i]`` belongs to epoch ``epoch[i]``."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the logs of the epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def state_dict(self) -> dict[str, Any]:
        """Return the logs so far."""
        return {"history": self.history, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them over."""
        self.history, self.epoch = state["history"], state["epoch"]

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items())
        return f"History({len(self.epoch)} epochs; last: {last})"


# What the names of metrics contain that are the better the larger they are.
RISING = ("acc", "precision", "recall", "f1", "auc", "auroc", "iou", "r2", "psnr", "ssim", "reward")


class Monitor:
    """Reads a value from the logs and says whether it is better than another.

    Raises:
        ValueError: the mode is unknown.
    """

    def __init__(self, owner: str, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        """Watch ``monitor``; mode "auto" maximises what `RISING` names and minimises the rest."""
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{owner}: mode is {mode!r}, expected 'auto', 'min' or 'max'")
        self._owner = owner
        self._name = monitor
        rises = any(word in monitor for word in RISING)
        self._sign = 1.0 if mode == "max" or (mode == "auto" and rises) else -1.0
        self._min_delta = abs(min_delta)

    @property
    def worst(self) -> float:
        """The value that every other one is better than."""
        return -self._sign * math.inf

    def value(self, logs: Logs | None) -> float:
        """Return the watched value; ValueError if the logs lack it."""
        if logs is None or self._name not in logs:
            raise ValueError(
                f"{self._owner}: monitor {self._name!r} is not in the logs, which have "
                f"{', '.join(logs or {}) or 'nothing'}"
            )
        return logs[self._name]

    def is_left_out(self, logs: Logs | None, params: dict[str, Any]) -> bool:
        """Whether it is a value of the validation, which comes after other epochs than this."""
        awaited = self._name.startswith("val_") and params.get("validates", False)
        return awaited and not any(name.startswith("val_") for name in logs or {})

    def is_better(self, value: float, best: float) -> bool:
        """Whether ``value`` is better than ``best`` by more than the least difference."""
        return (value - best) * self._sign > self._min_delta


class EarlyStopping(Callback):
    """Stops when the monitored value has not improved for ``patience`` epochs.

    Args:
        monitor: name in the logs.
        min_delta: a smaller change is no improvement.
        patience: epochs in a row without improvement after which training stops.
        verbose: 1 prints when training stops.
        mode: "min", "max", or "auto", which maximises accuracies, F1, AUC and their like (`RISING`)
            and minimises the rest.
        baseline: value to improve on from the start.
        restore_best_weights: end with the weights of the best epoch.
        start_from_epoch: epochs to wait before watching.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        """Check the options."""
        super().__init__()
        if patience < 0:
            raise ValueError(f"EarlyStopping: patience is {patience}, expected >= 0")
        self._monitor = Monitor("EarlyStopping", monitor, mode, min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget earlier trainings."""
        self.wait = 0
        self.stopped_epoch: int | None = None
        self.best_epoch = 0
        self.best = self._monitor.worst if self.baseline is None else self.baseline
        self.best_weights: dict[str, Any] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare with the best epoch so far."""
        if self._monitor.is_left_out(logs, self.params):
            return
        value = self._monitor.value(logs)
        if epoch < self.start_from_epoch:
            return
        if self._monitor.is_better(value, self.best):
            self.best, self.best_epoch, self.wait = value, epoch, 0
            if self.restore_best_weights:
                self.best_weights = {k: v.clone() for k, v in self.model.state_dict().items()}
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            object.__setattr__(self.model, "stop_training", True)

    def state_dict(self) -> dict[str, Any]:
        """Return the best epoch and the count of those after it."""
        names = ("wait", "stopped_epoch", "best_epoch", "best", "best_weights")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them over."""
        self.__dict__.update(state)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Put the best weights back, if asked to."""
        if self.stopped_epoch is not None and self.verbose:
            print(f"epoch {self.stopped_epoch + 1}: early stopping", file=sys.stderr)
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)


class TerminateOnNaN(Callback):
    """Stops at once when the loss is NaN or infinite."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            print(f"batch {batch}: the loss is {loss}, training stops", file=sys.stderr)
            object.__setattr__(self.model, "stop_training", True)


class LambdaCallback(Callback):
    """Calls functions on events: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``.

    Raises:
        TypeError: a name is no event.
    """

    def __init__(self, **functions: Callable[..., Any]) -> None:
        """Take the functions by the names of events."""
        super().__init__()
        for name, function in functions.items():
            if name not in _EVENTS:
                raise TypeError(f"LambdaCallback: {name!r} is no event ({', '.join(_EVENTS)})")
            if not callable(function):
                kind = type(function).__name__
                raise TypeError(f"LambdaCallback: {name} is a {kind}, expected a function")
            setattr(self, name, function)
