# SPDX-License-Identifier: Apache-2.0
"""Callbacks that show training: TensorBoard, a plot of the history, statistics of gradients."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from gradsmith.backend import Array, on_host
from gradsmith.tensor import Tensor
from gradsmith.train.callbacks import Callback, History, Logs
from gradsmith.train.gradient_report import norm_of


def _values(tensor: Tensor) -> Array:
    return on_host(tensor.detach().double()._array).reshape(-1)


class TensorBoard(Callback):
    """Writes the logs of every epoch as an event file, to be shown by ``tensorboard --logdir``.

    Args:
        log_dir: the folder of the run; ``train`` values and those of the validation go to files of
            their own there, so that they share a diagram.
        histograms: also write histograms of parameters and gradients, per epoch.

    Raises:
        ImportError: the package tensorboard is missing (``pip install 'gradsmith[tensorboard]'``).
    """

    def __init__(self, log_dir: str | os.PathLike[str] = "logs", histograms: bool = False) -> None:
        """Keep the folder."""
        super().__init__()
        self.log_dir = Path(log_dir)
        self.histograms = histograms
        self._writers: dict[str, Any] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Look for the package before anything is trained."""
        _event_writer()
        self._writers = {}

    def _write(self, part: str, epoch: int, values: list[Any]) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2

        if part not in self._writers:
            self._writers[part] = _event_writer()(str(self.log_dir / part))
        summary = summary_pb2.Summary(value=values)
        self._writers[part].add_event(
            event_pb2.Event(wall_time=time.time(), step=epoch, summary=summary)
        )

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the values; they are on disk when this returns."""
        from tensorboard.compat.proto import summary_pb2

        parts: dict[str, list[Any]] = {}
        for name, value in (logs or {}).items():
            part = "validation" if name.startswith("val_") else "train"
            tag = f"epoch_{name.removeprefix('val_')}"
            entry = summary_pb2.Summary.Value(tag=tag, simple_value=float(value))
            parts.setdefault(part, []).append(entry)
        if self.histograms:
            for name, parameter in self.model.named_parameters():
                entries = parts.setdefault("train", [])
                entries.append(_histogram(name, _values(parameter)))
                if parameter.grad is not None:
                    entries.append(_histogram(f"{name}/gradient", _values(parameter.grad)))
        for part, values in parts.items():
            self._write(part, epoch, values)
            self._writers[part].flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _event_writer() -> Any:
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise ImportError(
            "TensorBoard needs the package tensorboard: pip install 'gradsmith[tensorboard]'"
        ) from error
    return EventFileWriter


def _histogram(tag: str, values: Array) -> Any:
    from tensorboard.compat.proto import summary_pb2

    finite = values[np.isfinite(values)]
    counts, edges = np.histogram(finite, bins=30) if finite.size else (np.zeros(1), np.zeros(2))
    proto = summary_pb2.HistogramProto(
        min=float(finite.min()) if finite.size else 0.0,
        max=float(finite.max()) if finite.size else 0.0,
        num=float(finite.size),
        sum=float(finite.sum()),
        sum_squares=float(np.square(finite).sum()),
        bucket_limit=edges[1:].tolist(),
        bucket=counts.tolist(),
    )
    return summary_pb2.Summary.Value(tag=tag, histo=proto)


class PlotHistory(Callback):
    """Draws the curves of the history into an image file after every epoch.

    Each value has a diagram, with that of the validation in the same one.

    Args:
        path: the file, ``.png``, ``.svg`` or ``.pdf``.

    Raises:
        ImportError: matplotlib is missing (``pip install 'gradsmith[viz]'``).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Keep the name."""
        super().__init__()
        self.path = Path(path)
        self._history = History()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Look for the package before anything is trained."""
        from gradsmith.viz.canvas import pyplot

        pyplot()
        self._history = History()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Draw anew."""
        from gradsmith.viz.canvas import pyplot
        from gradsmith.viz.curves import plot_history

        self._history.on_epoch_end(epoch, logs)
        figure = plot_history(self._history)
        figure.savefig(self.path)
        pyplot().close(figure)

    def state_dict(self) -> dict[str, Any]:
        """Return the curves so far."""
        return self._history.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them over."""
        self._history.load_state_dict(state)


class GradientStatistics(Callback):
    """Puts the mean norm of each parameter's gradient over the epoch into the logs.

    The logs, and with them `History`, get ``grad_norm/<parameter>`` and ``grad_norm`` of all
    together. Callbacks that write logs stand after this one in the list.

    Args:
        bins: intervals of the histograms.

    Attributes:
        histograms: per parameter and epoch the counts and edges, as `numpy.histogram` returns them,
            of the gradient at the epoch's last step.
    """

    def __init__(self, bins: int = 30) -> None:
        """Start without an epoch."""
        super().__init__()
        if not isinstance(bins, int) or bins < 1:
            raise ValueError(f"GradientStatistics: bins is {bins!r}, expected a positive int")
        self.bins = bins
        self.histograms: dict[str, list[tuple[Array, Array]]] = {}
        self._sums: dict[str, float] = {}
        self._steps = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the means."""
        self._sums, self._steps = {}, 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Take in the gradients, if the optimiser has just used them."""
        window = self.params.get("accumulate_grad_batches", 1)
        if (batch + 1) % window and batch + 1 != self.params.get("steps"):
            return
        self._steps += 1
        total = 0.0
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None:
                norm = norm_of(_values(parameter.grad))
                total += norm * norm
                self._sums[name] = self._sums.get(name, 0.0) + norm
        self._sums[""] = self._sums.get("", 0.0) + math.sqrt(total)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Log the means and keep the histograms."""
        for name, total in self._sums.items():
            if logs is not None:
                logs[f"grad_norm/{name}" if name else "grad_norm"] = total / self._steps
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None:
                values = _values(parameter.grad)
                histogram = np.histogram(values[np.isfinite(values)], bins=self.bins)
                self.histograms.setdefault(name, []).append(histogram)

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of the epoch."""
        return {"sums": self._sums, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them over."""
        self._sums, self._steps = state["sums"], state["steps"]
