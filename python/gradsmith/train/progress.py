# SPDX-License-Identifier: Apache-2.0
"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Self

from gradsmith.train.callbacks import Callback, Logs


def resolve_verbose(verbose: int | str) -> int:
    """Return 0, 1 or 2; "auto" is 1 on a terminal, else 2.

    Raises:
        ValueError: it is something else.
    """
    if verbose == "auto":
        return 1 if sys.stderr.isatty() else 2
    if verbose not in (0, 1, 2):
        raise ValueError(f"verbose is {verbose!r}, expected 0, 1, 2 or 'auto'")
    return int(verbose)


def _text(logs: Logs) -> str:
    return " - ".join(f"{name}: {value:.4g}" for name, value in logs.items())


class Progress(Callback):
    """Shows a pass over ``steps`` batches (None: unknown); as a callback, pass after pass."""

    def __init__(self, label: str, verbose: int, steps: int | None) -> None:
        """Begin a pass."""
        super().__init__()
        self._label = label
        self._verbose = verbose
        self._steps = steps
        self._bar: Any = None
        self._begin(label)

    @classmethod
    def silent(cls) -> Progress:
        """Return one that shows nothing."""
        return Progress("", 0, None)

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the number of batches."""
        super().set_params(params)
        self._steps = params["steps"]

    def _begin(self, label: str) -> None:
        self._started = time.perf_counter()
        self._title = label
        self._done = 0

    def _open_bar(self) -> Any:
        from tqdm import tqdm  # type: ignore[import-untyped]

        return tqdm(
            total=self._steps,
            initial=self._done,
            desc=self._title,
            file=sys.stderr,
            leave=True,
            dynamic_ncols=True,
        )

    def step(self, logs: Callable[[], Logs]) -> None:
        """Count a batch and show its logs, which are made only where they are seen."""
        if self._verbose == 1:
            if self._bar is None:
                self._bar = self._open_bar()
            self._bar.set_postfix_str(_text(logs()), refresh=False)
            self._bar.update()
        self._done += 1

    def finish(self, logs: Logs) -> None:
        """End the pass with its final logs."""
        if self._bar is not None:
            self._bar.set_postfix_str(_text(logs), refresh=True)
        self.close()
        if self._verbose == 2:
            seconds = time.perf_counter() - self._started
            print(f"{self._title}: {seconds:.2f} s - {_text(logs)}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal in order."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def state_dict(self) -> dict[str, Any]:
        """Return how many batches of the epoch are done."""
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on there."""
        self._done = state["done"]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Begin the pass of an epoch."""
        self._begin(f"{self._label} {epoch + 1}/{self.params['epochs']}")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count a batch."""
        self.step(lambda: logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Show the logs of the epoch."""
        self.finish(logs or {})

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the bar of an epoch that was cut short."""
        self.close()


class ProgressBar(Progress):
    """The progress of `fit` as a callback, in place of its own: ``callbacks=[ProgressBar()]``.

    Args:
        verbose: 1 a bar, 2 a line per epoch; "auto": 1 on a terminal, else 2.
    """

    def __init__(self, verbose: int | str = "auto") -> None:
        """Choose how to show it."""
        super().__init__("epoch", resolve_verbose(verbose), None)
