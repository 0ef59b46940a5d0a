# SPDX-License-Identifier: Apache-2.0
"""Exact resume: what a training is made of, written every few steps and read back.

A run that is killed and called again with ``fit(resume=path)`` ends with the bits of a run that
was never interrupted. Orders of the data and augmentations depend on (seed, epoch, sample) alone,
so the number of the batch says where in the data a run is, and batches before it are not read
again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradsmith import io, random
from gradsmith.nn import Module
from gradsmith.tensor import Tensor
from gradsmith.train.callbacks import Callback, Logs
from gradsmith.train.progress import Progress
from gradsmith.train.training import Training

_VERSION = 1


def _transient_buffers(model: Module) -> dict[str, Tensor]:
    kept = model.state_dict()
    return {name: buffer for name, buffer in model.named_buffers() if name not in kept}


def _name(callback: Callback) -> str:
    # The progress of `fit` itself and one that was given in its place are one thing.
    return Progress.__name__ if isinstance(callback, Progress) else type(callback).__name__


def _restore_callbacks(callbacks: list[Callback], names: list[str], states: list[Any]) -> None:
    """Hand each callback the state of the one of its class; of several, in their order.

    Those that were not there before begin anew. Those that are gone must have had no state.
    """
    waiting: dict[str, list[Any]] = {}
    for name, state in zip(names, states, strict=True):
        waiting.setdefault(name, []).append(state)
    for callback in callbacks:
        if waiting.get(_name(callback)):
            callback.load_state_dict(waiting[_name(callback)].pop(0))
    lost = [name for name, states in waiting.items() if any(states)]
    if lost:
        raise ValueError(
            f"fit: the checkpoint has the state of a callback of the class {lost[0]}, expected one "
            f"among {[_name(callback) for callback in callbacks]}"
        )


def capture(training: Training, objects: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that decides how a training goes on."""
    callbacks = training.callbacks.callbacks
    validation, scaler = training.validation, training.settings.scaler
    return {
        "version": _VERSION,
        "epoch": training.epoch,
        "step": training.step,
        "loader": training.loader.state_dict(),
        "validation": None if validation is None else validation.state_dict(),
        "stopped": training.callbacks.stop_training,
        "random": random.get_rng_state(),
        "model": training.model.state_dict(),
        "transient_buffers": _transient_buffers(training.model),
        "optimizer": training.settings.optimizer.state_dict(),
        "meters": training.meters.state_dict(),
        "scaler": None if scaler is None else scaler.state_dict(),
        "callback_names": [_name(callback) for callback in callbacks],
        "callbacks": [callback.state_dict() for callback in callbacks],
        "objects": {name: each.state_dict() for name, each in objects.items()},
    }


def restore(training: Training, state: dict[str, Any], objects: Mapping[str, Any]) -> None:
    """Put a training where `capture` was called.

    Raises:
        ValueError: the model, the data or the objects are others, or a callback is missing.
    """
    if (state["validation"] is None) != (training.validation is None):
        raise ValueError("fit: of the checkpoint and this call, one has validation data")
    if set(state["objects"]) != set(objects):
        raise ValueError(
            f"fit: the checkpoint has the objects {sorted(state['objects'])}, the Checkpointer "
            f"{sorted(objects)}"
        )
    training.model.load_state_dict(state["model"])
    for name, buffer in _transient_buffers(training.model).items():
        buffer.copy_(state["transient_buffers"][name])
    training.settings.optimizer.load_state_dict(state["optimizer"])
    training.meters.load_state_dict(state["meters"])
    if training.settings.scaler is not None and state["scaler"] is not None:
        training.settings.scaler.load_state_dict(state["scaler"])
    callbacks = training.callbacks.callbacks
    _restore_callbacks(callbacks, state["callback_names"], state["callbacks"])
    for name, each in objects.items():
        each.load_state_dict(state["objects"][name])
    training.epoch, training.step = state["epoch"], state["step"]
    training.loader.load_state_dict(state["loader"])
    if training.validation is not None:
        training.validation.load_state_dict(state["validation"])
    training.callbacks.stop_training = state["stopped"]
    random.set_rng_state(state["random"])


def read(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return what a `Checkpointer` wrote, or None if there is no file yet.

    Raises:
        ValueError: the file is damaged or something else.
    """
    if not Path(path).exists():
        return None
    state = io.load(path)
    if not isinstance(state, dict) or state.get("version") != _VERSION or "step" not in state:
        raise ValueError(f"fit: {os.fspath(path)} was not written by a Checkpointer")
    return state


class Checkpointer(Callback):
    """Writes the state of the whole training, from which ``fit(resume=path)`` goes on exactly.

    It holds model, optimiser, loss scaler, position in the data, random numbers, metrics, history
    and the states of all callbacks. The file is replaced in one step (see `gradsmith.save`), and it
    is written after all other callbacks have seen an event, wherever this one stands in the list::

        model.fit(x, y, epochs=20, callbacks=[Checkpointer("run.gs", every=100)], resume="run.gs")

    Callbacks of your own that keep a state give it as `state_dict` and take it by
    `load_state_dict`. When training goes on, each gets the state of the one of its class; new ones
    begin anew, and one with a state must not be missing. Objects that only your program knows of,
    such as a schedule that it steps itself, are given by name. While gradients are accumulated,
    writing waits for the optimiser's step.

    Args:
        path: the file.
        every: write after so many batches, and after each epoch; or ``"epoch"``.
        objects: name -> anything with `state_dict` and `load_state_dict`.

    Raises:
        ValueError: ``every`` is neither a positive int nor ``"epoch"``.
        TypeError: an object has no such methods.
    """

    training: Training

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | str = "epoch",
        objects: Mapping[str, Any] | None = None,
    ) -> None:
        """Check the options."""
        super().__init__()
        is_count = isinstance(every, int) and not isinstance(every, bool) and every > 0
        if not is_count and every != "epoch":
            raise ValueError(
                f"Checkpointer: every is {every!r}, expected a positive int or 'epoch'"
            )
        self.path = os.fspath(path)
        self.every = every
        self.objects = dict(objects or {})
        for name, each in self.objects.items():
            if not hasattr(each, "state_dict") or not hasattr(each, "load_state_dict"):
                raise TypeError(
                    f"Checkpointer: {name!r} is a {type(each).__name__}, expected an object with "
                    "state_dict and load_state_dict"
                )
        self._batches = 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write, if it is time."""
        self._batches += 1
        if isinstance(self.every, int) and self._batches >= self.every:
            self._write()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write."""
        self._write()

    def _write(self) -> None:
        if self.training.steps.is_between:
            io.save(capture(self.training, self.objects), self.path)
            self._batches = 0
