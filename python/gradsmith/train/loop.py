# SPDX-License-Identifier: Apache-2.0
"""The training loop: fit, evaluate, predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith import metrics
from gradsmith.autograd import no_grad
from gradsmith.data import DataLoader
from gradsmith.nn import Module
from gradsmith.ops import joining
from gradsmith.tensor import Tensor
from gradsmith.train import feed
from gradsmith.train.callbacks import Callback, CallbackList, History
from gradsmith.train.compiling import Compiled, compiled
from gradsmith.train.modes import mode
from gradsmith.train.progress import Progress, resolve_verbose

Logs = dict[str, float]


class _Meters:
    """The mean loss and the metrics of one pass over the data."""

    def __init__(self, settings: Compiled) -> None:
        self._loss = metrics.Mean("loss")
        self._metrics = settings.metrics
        for metric in self._metrics:
            metric.reset()

    def update(self, loss: float, output: Any, target: Any, samples: int) -> None:
        self._loss.update(loss, samples)
        for metric in self._metrics:
            metric.update(output, target)

    def logs(self) -> Logs:
        results: Logs = {"loss": self._loss.result()}
        for metric in self._metrics:
            try:
                results[metric.name] = float(metric.result())
            except TypeError:
                raise TypeError(
                    f"metric {metric.name!r} is no single number; update it by hand on the result "
                    "of predict"
                ) from None
        return results


def _loss_of(settings: Compiled, output: Any, target: Any) -> Tensor:
    loss = settings.loss(output, target)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        got = f"shape {loss.shape}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise ValueError(f"the loss gave {got}, expected a tensor of one element")
    return loss


def _detached(output: Any) -> Any:
    if isinstance(output, (list, tuple)):
        return [_detached(each) for each in output]
    if isinstance(output, dict):
        return {key: _detached(each) for key, each in output.items()}
    return output.detach() if isinstance(output, Tensor) else output


def _train_epoch(
    model: Module, settings: Compiled, loader: DataLoader, callbacks: CallbackList
) -> Logs:
    """Take one step per batch and return the logs of the epoch."""
    meters = _Meters(settings)
    logs: Logs = {}
    for step, batch in enumerate(loader):
        callbacks.on_train_batch_begin(step)
        inputs, target = feed.to_device(model, feed.split_batch("fit", batch))
        settings.optimizer.zero_grad()
        output = feed.call(model, inputs)
        loss = _loss_of(settings, output, target)
        loss.backward()
        settings.optimizer.step()
        meters.update(loss.item(), _detached(output), target, feed.length_of(inputs))
        logs = meters.logs()
        callbacks.on_train_batch_end(step, logs)
        if callbacks.stop_training:
            break
    if not logs:
        raise ValueError("fit: the data gave no batch")
    return logs


def _evaluate(op: str, model: Module, settings: Compiled, loader: DataLoader, bar: Any) -> Logs:
    meters = _Meters(settings)
    batches = 0
    with mode(model, False), no_grad():
        for batch in loader:
            inputs, target = feed.to_device(model, feed.split_batch(op, batch))
            output = feed.call(model, inputs)
            loss = _loss_of(settings, output, target)
            meters.update(loss.item(), output, target, feed.length_of(inputs))
            batches += 1
            bar.step(meters.logs())
    if batches == 0:
        raise ValueError(f"{op}: the data gave no batch")
    return meters.logs()


def _validation_loader(model: Module, data: Any, batch_size: int) -> DataLoader:
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return feed.loader_for("validation_data", model, data[0], data[1], batch_size)
    if feed.is_dataset(data):
        return feed.loader_for("validation_data", model, data, None, batch_size)
    raise TypeError(
        f"fit: validation_data is a {type(data).__name__}, expected (x, y), a Dataset or a "
        "DataLoader"
    )


def _check_epochs(epochs: Any, initial_epoch: Any) -> None:
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"fit: {name} is {value!r}, expected an int >= 0")


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
    initial_epoch: int = 0,
    seed: int | None = None,
) -> History:
    """Train the model and return the losses and metrics of every epoch.

    The model trains in training mode, validates in evaluation mode, and gets its own modes back.
    An interruption (Ctrl-C) comes through as KeyboardInterrupt with the weights of the last step
    and the epochs so far in ``model.history``.

    Args:
        model: a compiled model.
        x: arrays or tensors (N, ...), a list or dict of them for several inputs; or a Dataset or
            DataLoader of pairs (inputs, targets). NumPy floats are cast to the model's dtype.
        y: targets (N, ...), with arrays only.
        batch_size: samples per step; a DataLoader has its own.
        epochs: the number of the last epoch.
        verbose: 0 silent, 1 a progress bar, 2 a line per epoch; "auto": 1 on a terminal, else 2.
        callbacks: called on the events of training.
        validation_split: the last part of the arrays, taken before shuffling, to validate on.
        validation_data: (x, y), a Dataset or a DataLoader to validate on after each epoch.
        shuffle: a new order each epoch; a DataLoader has its own.
        initial_epoch: the epoch to begin at, when training is resumed.
        seed: fixes the orders; None: the library's generator (`gradsmith.manual_seed`).

    Raises:
        RuntimeError: the model is not compiled.
        ValueError, TypeError: data or options do not fit.
    """
    settings = compiled("fit", model)
    _check_epochs(epochs, initial_epoch)
    if validation_split:
        if validation_data is not None:
            raise ValueError("fit: validation_split and validation_data exclude each other")
        dtype = feed.parameter_dtype(model)
        x, validation_data = feed.split_validation(x, y, validation_split, dtype)
        y = None
    loader = feed.loader_for("fit", model, x, y, batch_size, shuffle, seed)
    if initial_epoch or loader is not x:
        loader.set_epoch(initial_epoch)
    validation = None
    if validation_data is not None:
        validation = _validation_loader(model, validation_data, batch_size)
    history = History()
    progress = Progress("epoch", resolve_verbose(verbose), feed.batches_of(loader))
    parts = CallbackList([*(callbacks or ()), history, progress], model)
    parts.set_params({"epochs": epochs, "steps": feed.batches_of(loader), "verbose": verbose})
    object.__setattr__(model, "history", history)
    with mode(model, True):
        _run_epochs(model, settings, loader, validation, parts, range(initial_epoch, epochs))
    return history


def _run_epochs(
    model: Module,
    settings: Compiled,
    loader: DataLoader,
    validation: DataLoader | None,
    callbacks: CallbackList,
    epochs: range,
) -> None:
    logs: Logs = {}
    callbacks.stop_training = False
    try:
        callbacks.on_train_begin()
        for epoch in epochs:
            callbacks.on_epoch_begin(epoch)
            logs = _train_epoch(model, settings, loader, callbacks)
            if validation is not None and not callbacks.stop_training:
                measured = _evaluate("fit", model, settings, validation, Progress.silent())
                logs.update({f"val_{name}": value for name, value in measured.items()})
            callbacks.on_epoch_end(epoch, logs)
            if callbacks.stop_training:
                break
    finally:
        callbacks.on_train_end(logs)


def evaluate(
    model: Module,
    x: Any,
    y: Any = None,
    batch_size: int = 32,
    verbose: int | str = "auto",
    return_dict: bool = False,
) -> Any:
    """Return the loss and the metrics over data, exact for a last batch of any size.

    A dict by name with ``return_dict``, else the list [loss, metrics...], or the loss alone if
    there are no metrics. Data are as in `fit`.

    Raises:
        RuntimeError: the model is not compiled.
        ValueError, TypeError: data do not fit.
    """
    settings = compiled("evaluate", model)
    loader = feed.loader_for("evaluate", model, x, y, batch_size)
    with Progress("evaluate", resolve_verbose(verbose), feed.batches_of(loader)) as bar:
        logs = _evaluate("evaluate", model, settings, loader, bar)
        bar.finish(logs)
    if return_dict:
        return logs
    values = list(logs.values())
    return values if len(values) > 1 else values[0]


def predict(model: Module, x: Any, batch_size: int = 32, verbose: int | str = "auto") -> Any:
    """Return the outputs for all samples: a tensor (N, ...), or a list or dict of them.

    Args:
        model: the model; it need not be compiled.
        x: arrays, tensors, a list or dict of them, a Dataset or a DataLoader. Of a pair
            (inputs, targets) the targets are left out.
        batch_size: samples per call; a DataLoader has its own.
        verbose: as in `fit`.

    Raises:
        ValueError, TypeError: data do not fit.
    """
    loader = feed.loader_for("predict", model, x, None, batch_size)
    pairs = feed.is_dataset(x)
    outputs = []
    silent_or_bar = resolve_verbose(verbose) % 2
    with (
        mode(model, False),
        no_grad(),
        Progress("predict", silent_or_bar, feed.batches_of(loader)) as bar,
    ):
        for batch in loader:
            if pairs and isinstance(batch, (list, tuple)):
                batch = batch[0]
            outputs.append(feed.call(model, feed.to_device(model, batch)))
            bar.step({})
    if not outputs:
        raise ValueError("predict: the data gave no batch")
    return _joined(outputs)


def _joined(outputs: list[Any]) -> Any:
    first = outputs[0]
    if isinstance(first, dict):
        return {key: _joined([each[key] for each in outputs]) for key in first}
    if isinstance(first, (list, tuple)):
        return [_joined(list(each)) for each in zip(*outputs, strict=True)]
    return joining.cat(outputs, 0)
