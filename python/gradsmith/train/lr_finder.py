# SPDX-License-Identifier: Apache-2.0
"""The learning-rate range test (Smith, "Cyclical learning rates for training neural networks",
2017): the loss while the rate grows exponentially from step to step.
"""

from __future__ import annotations

import itertools
import math
import os
from typing import Any

import numpy as np

from gradsmith.data import DataLoader
from gradsmith.nn import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.ops.options import check_int, check_number
from gradsmith.optim import Optimizer
from gradsmith.train import feed
from gradsmith.train.compiling import Compiled, compiled, is_compiled, resolve_loss
from gradsmith.train.modes import mode
from gradsmith.train.probing import kept, probe_of
from gradsmith.train.steps import Meters, Steps


class LRFinder:
    """Finds a learning rate for a model, which it leaves as it was::

        finder = LRFinder(model, optimizer, "cross_entropy")
        finder.run(x, y)
        print(finder.suggestion())
        finder.plot("rates.png")

    Attributes:
        rates: the learning rate of each step.
        losses: the loss of each step, smoothed.
    """

    def __init__(self, model: Module, optimizer: Optimizer | None = None, loss: Any = None) -> None:
        """Take the model; optimiser and loss are by default those of `compile`.

        Raises:
            RuntimeError: something is missing, and the model is not compiled.
            TypeError: the model is no module.
        """
        check_module("LRFinder", "model", model)
        if (optimizer is None or loss is None) and is_compiled(model):
            settings = compiled("LRFinder", model)
            optimizer = settings.optimizer if optimizer is None else optimizer
            loss = settings.loss if loss is None else loss
        if optimizer is None or loss is None:
            raise RuntimeError("LRFinder: expected an optimizer and a loss, or a compiled model")
        self._model = model
        self._optimizer = optimizer
        self._loss = resolve_loss(loss)
        self.rates: list[float] = []
        self.losses: list[float] = []

    def run(
        self,
        x: Any,
        y: Any = None,
        start: float = 1e-7,
        end: float = 10.0,
        steps: int = 100,
        batch_size: int = 32,
        smoothing: float = 0.95,
        diverged: float = 4.0,
    ) -> LRFinder:
        """Train for some steps with growing rates; the data begin anew when they end.

        Args:
            x: arrays, a Dataset or a DataLoader, as `fit` takes them.
            y: targets, with arrays only.
            start: the first rate.
            end: the last rate.
            steps: the number of steps.
            batch_size: samples per step.
            smoothing: weight of the past in the mean of the losses.
            diverged: stop when the loss is so many times the best.

        Raises:
            ValueError: an option is out of range, or data do not fit.
        """
        if not 0 < check_number("LRFinder", "start", start) < check_number("LRFinder", "end", end):
            raise ValueError(f"LRFinder: start is {start} and end {end}, expected 0 < start < end")
        if check_int("LRFinder", "steps", steps) < 2:
            raise ValueError(f"LRFinder: steps is {steps}, expected at least 2")
        if not 0 <= check_number("LRFinder", "smoothing", smoothing) < 1:
            raise ValueError(f"LRFinder: smoothing is {smoothing}, expected 0 <= smoothing < 1")
        self.rates, self.losses = [], []
        probe = probe_of(self._optimizer)
        held = [p for group in probe.param_groups for p in group["params"]]
        rates = np.geomspace(start, end, steps).tolist()
        with kept(self._model, held), mode(self._model, True):
            loader = feed.loader_for("LRFinder", self._model, x, y, batch_size, shuffle=True)
            epoch = loader.epoch
            try:
                self._train(probe, loader, rates, smoothing, diverged)
            finally:
                loader.set_epoch(epoch)
        return self

    def _train(
        self,
        probe: Optimizer,
        loader: DataLoader,
        rates: list[float],
        smoothing: float,
        diverged: float,
    ) -> None:
        settings = Compiled(probe, self._loss, [])
        learner = Steps(self._model, settings)
        batches = itertools.chain.from_iterable(itertools.repeat(loader))
        mean = 0.0
        for number, (rate, batch) in enumerate(zip(rates, batches, strict=False), 1):
            for group in probe.param_groups:
                group["lr"] = rate
            meters = Meters(settings)
            learner.take("LRFinder", batch, meters, True)
            loss = meters.logs()["loss"]
            mean = smoothing * mean + (1 - smoothing) * loss
            smooth = mean / (1 - smoothing**number)
            if not math.isfinite(smooth) or (
                self.losses and smooth > diverged * max(min(self.losses), 1e-12)
            ):
                break
            self.rates.append(rate)
            self.losses.append(smooth)

    def suggestion(self) -> float:
        """Return the rate at which the loss falls fastest over the logarithm of the rate.

        Raises:
            RuntimeError: `run` was not called, or came to fewer than three steps.
        """
        if len(self.losses) < 3:
            raise RuntimeError(
                f"LRFinder: {len(self.losses)} steps were taken, expected at least 3; call run "
                "with a smaller start"
            )
        slopes = np.gradient(np.array(self.losses), np.log(self.rates))
        return self.rates[int(np.argmin(slopes))]

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Return a figure of the loss over the rate, and write it to a file if there is a path.

        Raises:
            ImportError: matplotlib is missing (``pip install 'gradsmith[viz]'``).
            RuntimeError: as `suggestion`.
        """
        from gradsmith.viz.curves import plot_learning_rates

        best = self.suggestion()
        figure = plot_learning_rates(self.rates, self.losses)
        (axes,) = figure.axes
        axes.axvline(best, linestyle="--", label=f"{best:.2g}")
        axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure
