# SPDX-License-Identifier: Apache-2.0
"""What `fit` and `evaluate` do with a batch: the loss, the step, and the means over a pass."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from gradsmith import metrics
from gradsmith.amp import autocast
from gradsmith.autograd import no_grad
from gradsmith.nn import Module
from gradsmith.tensor import Tensor
from gradsmith.train import feed, weighting
from gradsmith.train.closures import needs_closure, step_by_closure
from gradsmith.train.compiling import Compiled

Logs = dict[str, float]


class Meters:
    """The mean loss and the metrics of one pass over the data."""

    def __init__(self, settings: Compiled) -> None:
        """Start a pass."""
        self._loss = metrics.Mean("loss")
        self._metrics = settings.metrics
        for metric in self._metrics:
            metric.reset()

    def update(self, loss: float, output: Any, target: Any, samples: int) -> None:
        """Take in a batch."""
        self._loss.update(np.float64(loss), samples)  # a Python float would become float32
        for metric in self._metrics:
            metric.update(output, target)

    def logs(self) -> Logs:
        """Return the means so far."""
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

    def state_dict(self) -> dict[str, Any]:
        """Return all sums, for a run that goes on in the middle of a pass."""
        return {
            "loss": self._loss.state_dict(),
            "metrics": [metric.state_dict() for metric in self._metrics],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._loss.load_state_dict(state["loss"])
        for metric, each in zip(self._metrics, state["metrics"], strict=True):
            metric.load_state_dict(each)


def loss_of(op: str, settings: Compiled, output: Any, target: Any, weights: Any) -> Tensor:
    """Return the loss of a batch, weighted by sample if there are weights.

    Raises:
        ValueError: it is no tensor of one element.
    """
    if weights is not None:
        return weighting.weighted_loss(op, settings.loss, output, target, weights)
    loss = settings.loss(output, target)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        got = f"shape {loss.shape}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise ValueError(f"the loss gave {got}, expected a tensor of one element")
    return loss


def forward(
    op: str, model: Module, settings: Compiled, inputs: Any, target: Any, weights: Any
) -> tuple[Any, Tensor]:
    """Return the outputs of a batch and its loss, in mixed precision if that was compiled."""
    # Not by enabled=False, which would end a region around the call.
    region = autocast(feed.device_type(model)) if settings.autocast else nullcontext()
    with region:
        output = feed.call(model, inputs)
        return output, loss_of(op, settings, output, target, weights)


def detached(output: Any) -> Any:
    """Return outputs off the tape."""
    if isinstance(output, (list, tuple)):
        values = [detached(each) for each in output]
        return tuple(values) if isinstance(output, tuple) else values
    if isinstance(output, dict):
        return {key: detached(each) for key, each in output.items()}
    return output.detach() if isinstance(output, Tensor) else output


class Steps:
    """Steps of the optimiser, one for every ``window`` batches.

    The loss of a batch is its mean, so within a window each counts as much as it has samples: the
    gradient is that of one batch of all its samples, also where the last window is short.
    """

    def __init__(
        self, model: Module, settings: Compiled, window: int = 1, class_weight: Any = None
    ) -> None:
        """Start with an empty window."""
        self._model = model
        self._settings = settings
        self._window = window
        self._class_weight = class_weight
        self._batches = 0
        self._samples = 0

    @property
    def is_between(self) -> bool:
        """Whether no gradient waits for its step."""
        return self._batches == 0

    def take(self, op: str, batch: Any, meters: Meters, is_last: bool) -> None:
        """Learn from a batch; the optimiser steps when the window is full or ``is_last``."""
        inputs, target, weights = feed.to_device(self._model, feed.split_batch(op, batch))
        if self._class_weight is not None:
            of_class = weighting.class_weights(target, self._class_weight)
            weights = of_class if weights is None else weights * of_class
        samples = feed.length_of(inputs)

        def evaluate() -> tuple[Any, Tensor]:
            return forward(op, self._model, self._settings, inputs, target, weights)

        if needs_closure(self._settings.optimizer):
            output, loss = self._step_at_once(op, evaluate, target)
        else:
            output, loss = self._add_gradients(evaluate, samples)
            if is_last or self._batches == self._window:
                self.finish()
        meters.update(loss.item(), detached(output), target, samples)

    def _step_at_once(
        self, op: str, evaluate: Callable[[], tuple[Any, Tensor]], target: Any
    ) -> tuple[Any, Tensor]:
        optimizer = self._settings.optimizer
        if self._window > 1 or self._settings.scaler is not None:
            raise ValueError(
                f"{op}: {type(optimizer).__name__} computes the loss itself; expected neither "
                "accumulate_grad_batches nor a scaler"
            )
        return step_by_closure(optimizer, evaluate, target)

    def _add_gradients(
        self, evaluate: Callable[[], tuple[Any, Tensor]], samples: int
    ) -> tuple[Any, Tensor]:
        if self.is_between:
            self._settings.optimizer.zero_grad()
        output, loss = evaluate()
        scaler = self._settings.scaler
        scaled = loss if scaler is None else scaler.scale(loss)
        scaled.backward(None if self._window == 1 else loss.new_full(loss.shape, samples))
        self._batches += 1
        self._samples += samples
        return output, loss

    def finish(self) -> None:
        """Take the step of a window that is not full, if there is one."""
        if self.is_between:
            return
        if self._window > 1:
            self._average()
        optimizer, scaler = self._settings.optimizer, self._settings.scaler
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        self._batches = self._samples = 0

    def _average(self) -> None:
        with no_grad():
            for group in self._settings.optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad.mul_(1.0 / self._samples)
