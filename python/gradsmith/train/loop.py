# SPDX-License-Identifier: Apache-2.0
"""The training loop: fit, evaluate, predict."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Sequence
from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.data import DataLoader
from gradsmith.nn import Module
from gradsmith.ops import joining
from gradsmith.train import feed
from gradsmith.train.batches import results
from gradsmith.train.callbacks import Callback, CallbackList, History
from gradsmith.train.compiling import compiled
from gradsmith.train.modes import mode
from gradsmith.train.plan import Plan, check_steps
from gradsmith.train.progress import Progress, ProgressBar, resolve_verbose
from gradsmith.train.resume import Checkpointer, read, restore
from gradsmith.train.steps import Steps
from gradsmith.train.training import Training, measure


def _validation_loader(model: Module, data: Any, batch_size: int) -> DataLoader:
    if isinstance(data, (tuple, list)) and len(data) in (2, 3):
        weights = data[2] if len(data) == 3 else None
        return feed.loader_for(
            "validation_data", model, data[0], data[1], batch_size, sample_weight=weights
        )
    if feed.is_dataset(data):
        return feed.loader_for("validation_data", model, data, None, batch_size)
    raise TypeError(
        f"fit: validation_data is a {type(data).__name__}, expected (x, y), (x, y, weights), a "
        "Dataset or a DataLoader"
    )


def fit(
    model: Module,
    x: Any,
    y: Any = None,
    batch_size: int = 32,
    epochs: int = 1,
    verbose: int | str = "auto",
    callbacks: Sequence[Callback] | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Any = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | Collection[int] = 1,
    seed: int | None = None,
    accumulate_grad_batches: int = 1,
    resume: str | os.PathLike[str] | None = None,
) -> History:
    """Train the model and return the losses and metrics of every epoch.

    The model trains in training mode, validates in evaluation mode, and gets its own modes back.
    An interruption (Ctrl-C) comes through as KeyboardInterrupt with the weights of the last step
    and the epochs so far in ``model.history``.

    Args:
        model: a compiled model.
        x: arrays or tensors (N, ...), a list or dict of them for several inputs; or a Dataset or
            DataLoader of (inputs, targets) or (inputs, targets, weights). NumPy floats are cast to
            the model's dtype.
        y: targets (N, ...), with arrays only.
        batch_size: samples per step; a DataLoader has its own.
        epochs: the number of the last epoch.
        verbose: 0 silent, 1 a progress bar, 2 a line per epoch; "auto": 1 on a terminal, else 2.
        callbacks: called on the events of training.
        validation_split: the last part of arrays or of a Dataset, taken before shuffling, to
            validate on.
        validation_data: (x, y), (x, y, weights), a Dataset or a DataLoader to validate on after
            each epoch.
        shuffle: a new order each epoch; a DataLoader has its own.
        class_weight: class -> factor of the loss of its samples (a dict, or a list by class).
        sample_weight: (N,), factor of the loss of each sample, with arrays only. A weighted loss is
            the mean over the samples of weight times loss.
        initial_epoch: the epoch to begin at, when training is resumed.
        steps_per_epoch: batches of an epoch, where it is no pass over the data: the next epoch goes
            on with the batch after them, and a pass that ends is followed by the next one.
        validation_steps: validate on the first batches of the validation data, so many of them.
        validation_batch_size: samples per batch of validation; None: ``batch_size``.
        validation_freq: validate after every so many epochs, or after the epochs of these numbers,
            counted from 1.
        seed: fixes the orders; None: the library's generator (`gradsmith.manual_seed`).
        accumulate_grad_batches: batches per step of the optimiser; the gradient is that of one
            batch of all their samples.
        resume: a file that a `Checkpointer` writes; if it is there, training goes on from it and
            ends with the bits of a run that was never interrupted. Callbacks may be added, and
            those that keep no state left out.

    Raises:
        RuntimeError: the model is not compiled.
        ValueError, TypeError: data or options do not fit.
    """
    settings = compiled("fit", model)
    plan = Plan.checked(epochs, initial_epoch, steps_per_epoch, validation_steps, validation_freq)
    if not isinstance(accumulate_grad_batches, int) or accumulate_grad_batches < 1:
        raise ValueError(
            f"fit: accumulate_grad_batches is {accumulate_grad_batches!r}, expected a positive int"
        )
    saved = None if resume is None else read(resume)
    if resume is not None and initial_epoch:
        raise ValueError("fit: resume and initial_epoch exclude each other")
    if validation_split:
        if validation_data is not None:
            raise ValueError("fit: validation_split and validation_data exclude each other")
        dtype = feed.parameter_dtype(model)
        x, validation_data = feed.split_validation(x, y, validation_split, dtype, sample_weight)
        y = sample_weight = None
    loader = feed.loader_for("fit", model, x, y, batch_size, shuffle, seed, sample_weight)
    if initial_epoch or loader is not x:
        loader.set_epoch(initial_epoch)
    validation = None
    if validation_data is not None:
        size = batch_size if validation_batch_size is None else validation_batch_size
        validation = _validation_loader(model, validation_data, size)
        feed.check_enough("fit", "validation_steps", validation, validation_steps)
    history = History()
    parts = _callbacks(model, callbacks, history, resolve_verbose(verbose))
    object.__setattr__(model, "history", history)
    steps = Steps(model, settings, accumulate_grad_batches, class_weight)
    training = Training(model, settings, steps, loader, validation, parts, plan)
    parts.set_params(
        {
            "epochs": epochs,
            "steps": training.steps_of_epoch,
            "verbose": verbose,
            "accumulate_grad_batches": accumulate_grad_batches,
            "validates": validation is not None,
        }
    )
    objects: dict[str, Any] = {}
    for callback in parts.callbacks:
        if isinstance(callback, Checkpointer):
            callback.training = training
            objects = callback.objects
    with mode(model, True):
        if saved is None:
            training.run()
        else:
            training.run(lambda begun: restore(begun, saved, objects), saved["step"] > 0)
    return history


def _callbacks(
    model: Module, given: Sequence[Callback] | None, history: History, verbose: int
) -> CallbackList:
    """Return the callbacks in order: those given, the history, the progress, checkpointers."""
    last = [each for each in given or () if isinstance(each, Checkpointer)]
    parts = [each for each in given or () if not isinstance(each, Checkpointer)] + [history]
    if not any(isinstance(each, ProgressBar) for each in parts):
        parts.append(Progress("epoch", verbose, None))
    return CallbackList([*parts, *last], model)


def evaluate(
    model: Module,
    x: Any,
    y: Any = None,
    batch_size: int = 32,
    verbose: int | str = "auto",
    sample_weight: Any = None,
    steps: int | None = None,
    return_dict: bool = False,
) -> Any:
    """Return the loss and the metrics over data, exact for a last batch of any size.

    A dict by name with ``return_dict``, else the list [loss, metrics...], or the loss alone if
    there are no metrics. Data and ``sample_weight`` are as in `fit`; ``steps`` takes the first so
    many batches alone.

    Raises:
        RuntimeError: the model is not compiled.
        ValueError, TypeError: data do not fit, or have fewer batches.
    """
    settings = compiled("evaluate", model)
    loader = feed.loader_for("evaluate", model, x, y, batch_size, sample_weight=sample_weight)
    taken = _checked_steps("evaluate", loader, steps)
    with Progress("evaluate", resolve_verbose(verbose), taken) as bar:
        logs = measure("evaluate", model, settings, loader, bar, steps)
        bar.finish(logs)
    return results(logs, return_dict)


def _checked_steps(op: str, loader: DataLoader, steps: Any) -> int | None:
    """Return the number of batches that a pass takes, or None where the data do not know."""
    feed.check_enough(op, "steps", loader, check_steps(op, "steps", steps))
    return steps or feed.batches_of(loader)


def predict(
    model: Module,
    x: Any,
    batch_size: int = 32,
    verbose: int | str = "auto",
    steps: int | None = None,
) -> Any:
    """Return the outputs for all samples: a tensor (N, ...), or a list or dict of them.

    Args:
        model: the model; it need not be compiled.
        x: arrays, tensors, a list or dict of them, a Dataset or a DataLoader. Of a pair
            (inputs, targets) the targets are left out.
        batch_size: samples per call; a DataLoader has its own.
        verbose: as in `fit`.
        steps: take the first so many batches alone.

    Raises:
        ValueError, TypeError: data do not fit, or have fewer batches.
    """
    loader = feed.loader_for("predict", model, x, None, batch_size)
    taken = _checked_steps("predict", loader, steps)
    pairs = feed.is_dataset(x)
    outputs = []
    silent_or_bar = resolve_verbose(verbose) % 2
    with (
        mode(model, False),
        no_grad(),
        Progress("predict", silent_or_bar, taken) as bar,
    ):
        for batch in itertools.islice(loader, steps):
            if pairs and isinstance(batch, (list, tuple)):
                batch = batch[0]
            outputs.append(feed.call(model, feed.to_device(model, batch)))
            bar.step(dict)
    feed.check_taken("predict", len(outputs), steps)
    return _joined(outputs)


def _joined(outputs: list[Any]) -> Any:
    first = outputs[0]
    if isinstance(first, dict):
        return {key: _joined([each[key] for each in outputs]) for key in first}
    if isinstance(first, (list, tuple)):
        return [_joined(list(each)) for each in zip(*outputs, strict=True)]
    return joining.cat(outputs, 0)
