# SPDX-License-Identifier: Apache-2.0
"""Whether ops are recorded, per thread: `no_grad`, `enable_grad`, `set_grad_enabled`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

_F = TypeVar("_F", bound=Callable[..., Any])


class _Mode(threading.local):
    enabled: bool = True


mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether ops are being recorded on this thread."""
    return mode.enabled


class set_grad_enabled:
    """Turn recording on or off; a context manager, a decorator or a plain call."""

    def __init__(self, enabled: bool) -> None:
        """Set the mode at once; leaving the ``with`` block restores the one before."""
        self._previous = mode.enabled
        self._enabled = enabled
        mode.enabled = enabled

    def __enter__(self) -> None:
        mode.enabled = self._enabled

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mode.enabled = self._previous


class _FixedMode:
    """A context manager and decorator that holds grad mode at ``mode``; may be nested."""

    enabled: bool

    def __init__(self) -> None:
        """Remember nothing yet; entering does."""
        self._previous: list[bool] = []

    def __enter__(self) -> None:
        self._previous.append(mode.enabled)
        mode.enabled = self.enabled

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mode.enabled = self._previous.pop()

    def __call__(self, function: _F) -> _F:
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return cast(_F, wrapped)


class no_grad(_FixedMode):
    """Do not record ops: ``with no_grad():`` or ``@no_grad()``."""

    enabled = False


class enable_grad(_FixedMode):
    """Record ops again inside a ``no_grad`` block."""

    enabled = True
