# SPDX-License-Identifier: Apache-2.0
"""Single batches: train_on_batch, test_on_batch, predict_on_batch, for loops of one's own."""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.nn import Module
from gradsmith.train import feed
from gradsmith.train.compiling import Compiled, compiled
from gradsmith.train.modes import mode
from gradsmith.train.steps import Logs, Meters, Steps, forward


def results(logs: Logs, as_dict: bool) -> Any:
    """Return logs as a dict, as a list, or as the loss alone if there is nothing else."""
    if as_dict:
        return logs
    values = list(logs.values())
    return values if len(values) > 1 else values[0]


def _batch(op: str, model: Module, x: Any, y: Any, sample_weight: Any = None) -> Any:
    data = feed.array_dataset(op, x, y, feed.parameter_dtype(model), sample_weight)
    if len(data) == 0:
        raise ValueError(f"{op}: x has no samples")
    return feed.to_device(model, data.whole())


def _measured(settings: Compiled, op: str, model: Module, batch: Any) -> Logs:
    inputs, target, weights = feed.split_batch(op, batch)
    meters = Meters(settings)
    with mode(model, False), no_grad():
        output, loss = forward(op, model, settings, inputs, target, weights)
        meters.update(loss.item(), output, target, feed.length_of(inputs))
    return meters.logs()


def train_on_batch(
    model: Module,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    class_weight: Any = None,
    return_dict: bool = False,
) -> Any:
    """Take one step on a batch and return its loss and metrics, as `evaluate` returns them.

    Args:
        model: a compiled model; it trains in training mode and gets its own modes back.
        x: arrays or tensors (N, ...), or a list or dict of them.
        y: targets (N, ...).
        sample_weight: (N,), factor of each sample's loss.
        class_weight: class -> factor of the loss of its samples.
        return_dict: a dict by name instead of a list.

    Raises:
        RuntimeError: the model is not compiled.
        ValueError, TypeError: data do not fit.
    """
    settings = compiled("train_on_batch", model)
    batch = _batch("train_on_batch", model, x, y, sample_weight)
    meters = Meters(settings)
    with mode(model, True):
        Steps(model, settings, 1, class_weight).take("train_on_batch", batch, meters, True)
    return results(meters.logs(), return_dict)


def test_on_batch(
    model: Module,
    x: Any,
    y: Any,
    sample_weight: Any = None,  # noqa: PT028 (no test: Keras's name)
    return_dict: bool = False,  # noqa: PT028
) -> Any:
    """Return the loss and metrics of a batch in evaluation mode; arguments as `train_on_batch`.

    Raises:
        RuntimeError: the model is not compiled.
        ValueError, TypeError: data do not fit.
    """
    settings = compiled("test_on_batch", model)
    batch = _batch("test_on_batch", model, x, y, sample_weight)
    return results(_measured(settings, "test_on_batch", model, batch), return_dict)


def predict_on_batch(model: Module, x: Any) -> Any:
    """Return the outputs for a batch (N, ...), in evaluation mode and off the tape.

    Raises:
        ValueError, TypeError: data do not fit.
    """
    inputs = _batch("predict_on_batch", model, x, None)
    with mode(model, False), no_grad():
        return feed.call(model, inputs)
