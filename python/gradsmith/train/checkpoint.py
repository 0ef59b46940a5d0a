# SPDX-License-Identifier: Apache-2.0
"""Callbacks that write files: weights and logs."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import IO, Any

from gradsmith import io
from gradsmith.train.callbacks import Callback, Logs, Monitor
from gradsmith.train.compiling import compiled


class ModelCheckpoint(Callback):
    """Writes the model after each epoch, or after the epochs that are the best so far.

    Files are written whole or not at all (see `gradsmith.save`).

    Args:
        filepath: a name with fields of the logs and ``epoch`` (from 1), as in
            ``"net-{epoch:02d}-{val_loss:.3f}.safetensors"``.
        monitor: name in the logs that says which epoch is better.
        verbose: 1 prints what is written.
        save_best_only: write only when the monitored value improved.
        save_weights_only: write the model's `state_dict`; else ``{"epoch", "model",
            "optimizer"}``, from which training can go on.
        mode: "min", "max", or "auto" (see `EarlyStopping`).
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
    ) -> None:
        """Check the options."""
        super().__init__()
        self.filepath = os.fspath(filepath)
        self._monitor = Monitor("ModelCheckpoint", monitor, mode)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.best = self._monitor.worst

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the file of this epoch, if there is one."""
        if self.save_best_only:
            if self._monitor.is_left_out(logs, self.params):
                return
            value = self._monitor.value(logs)
            if not self._monitor.is_better(value, self.best):
                return
            self.best = value
        path = self._path(epoch, logs or {})
        io.save(self._content(epoch), path)
        if self.verbose:
            print(f"epoch {epoch + 1}: wrote {path}", file=sys.stderr)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value so far."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it over."""
        self.best = state["best"]

    def _path(self, epoch: int, logs: Logs) -> Path:
        try:
            return Path(self.filepath.format(epoch=epoch + 1, **logs))
        except (KeyError, IndexError) as error:
            raise ValueError(
                f"ModelCheckpoint: filepath {self.filepath!r} has the field {error}; the logs have "
                f"epoch, {', '.join(logs)}"
            ) from None

    def _content(self, epoch: int) -> dict[str, Any]:
        weights = self.model.state_dict()
        if self.save_weights_only:
            return weights
        optimizer = compiled("ModelCheckpoint", self.model).optimizer
        return {"epoch": epoch + 1, "model": weights, "optimizer": optimizer.state_dict()}


class CSVLogger(Callback):
    """Writes the logs of every epoch as a line of a CSV file."""

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        """Keep the name; ``append`` adds to a file that is there, without a second heading."""
        super().__init__()
        self.filename = Path(filename)
        self.separator = separator
        self.append = append
        self._file: IO[str] | None = None
        self._writer: csv.DictWriter[str] | None = None
        self._fields: list[str] = []
        self._position = 0  # bytes that are kept when the first line is written

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file; what is in it stays until there is something to write."""
        self._writer, self._fields = None, []
        self._file = open(self.filename, "a", newline="")  # noqa: SIM115
        self._position = self._size() if self.append else 0

    def _size(self) -> int:
        assert self._file is not None
        return os.fstat(self._file.fileno()).st_size

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a line, which is on disk when this returns."""
        assert self._file is not None
        row: dict[str, Any] = {"epoch": epoch, **(logs or {})}
        if self._writer is None:
            self._file.truncate(self._position)
            # An epoch that was cut short lacks the validation values: its cells stay empty.
            self._fields = self._fields or list(row)
            self._writer = csv.DictWriter(
                self._file, self._fields, delimiter=self.separator, extrasaction="ignore"
            )
            if self._position == 0:
                self._writer.writeheader()
        self._writer.writerow(row)
        self._file.flush()
        self._position = self._size()

    def state_dict(self) -> dict[str, Any]:
        """Return the columns and the end of the lines so far."""
        return {"position": self._position, "fields": self._fields}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on there; lines of epochs that are trained anew are overwritten."""
        self._position, self._fields = state["position"], state["fields"]

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        if self._file is not None:
            if self._writer is None:
                self._file.truncate(self._position)
            self._file.close()
            self._file = None
