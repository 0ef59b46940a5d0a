# SPDX-License-Identifier: Apache-2.0
"""What a thread's ops do besides computing: whether they are recorded, and autocast's conversions.

`no_grad`, `enable_grad` and `set_grad_enabled` switch recording; `gradsmith.amp` sets ``autocast``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, Protocol, TypeVar, cast

_F = TypeVar("_F", bound=Callable[..., Any])


class Casting(Protocol):
    """What ops ask of an autocast region for their operands; anything but tensors stays."""

    def down(self, *operands: Any) -> tuple[Any, ...]:
        """Return operands for an op that gains from low precision."""

    def up(self, operand: Any) -> Any:
        """Return the operand of an op that needs float32's range or digits."""

    def together(self, *operands: Any) -> tuple[Any, ...]:
        """Return operands of an op that takes one dtype: all in float32 if one of them is."""

    def fresh(self) -> Casting:
        """Return the same region without the conversions it has kept."""


class _Mode(threading.local):
    enabled: bool = True
    watcher: Any = None  # the `Watcher` that sees every op, if there is one
    autocast: Casting | None = None


mode = _Mode()


def cast_down(*operands: Any) -> tuple[Any, ...]:
    """Return the operands as `Casting.down` wants them."""
    return operands if mode.autocast is None else mode.autocast.down(*operands)


def cast_up(operand: Any) -> Any:
    """Return the operand as `Casting.up` wants it."""
    return operand if mode.autocast is None else mode.autocast.up(operand)


def cast_together(*operands: Any) -> tuple[Any, ...]:
    """Return the operands as `Casting.together` wants them."""
    return operands if mode.autocast is None else mode.autocast.together(*operands)


def in_float32(function: _F) -> _F:
    """Decorate an op that needs float32's digits, also in the ops that it is composed of."""

    @wraps(function)
    def wide(*args: Any, **kwargs: Any) -> Any:
        if mode.autocast is None:
            return function(*args, **kwargs)
        raised = [mode.autocast.up(each) for each in args]
        named = {name: mode.autocast.up(each) for name, each in kwargs.items()}
        with casting_off():
            return function(*raised, **named)

    return cast(_F, wide)


class casting_off:
    """Let ops compute in the dtypes they get, whatever region is on: ``with casting_off():``."""

    def __enter__(self) -> None:
        self._casting, mode.autocast = mode.autocast, None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mode.autocast = self._casting


def is_grad_enabled() -> bool:
    """Whether ops are being recorded on this thread."""
    return mode.enabled


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

    def _again(self) -> _FixedMode:
        """Return another of the same kind: a decorated function may call itself."""
        return type(self)()

    def __call__(self, function: _F) -> _F:
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return cast(_F, wrapped)


class no_grad(_FixedMode):
    """Do not record ops: ``with no_grad():`` or ``@no_grad()``."""

    enabled = False


class enable_grad(_FixedMode):
    """Record ops again inside a ``no_grad`` block."""

    enabled = True


class set_grad_enabled(_FixedMode):
    """Turn recording on or off; a context manager, a decorator or a plain call."""

    def __init__(self, enabled: bool) -> None:
        """Set the mode at once; leaving the ``with`` block restores the one before.

        Raises:
            TypeError: ``enabled`` is no bool.
        """
        super().__init__()
        if not isinstance(enabled, bool):
            kind = type(enabled).__name__
            raise TypeError(f"set_grad_enabled: enabled is a {kind}, expected a bool")
        self.enabled = enabled
        self._before = mode.enabled
        mode.enabled = enabled

    def __enter__(self) -> None:
        self._previous.append(self._before)
        mode.enabled = self.enabled

    def __call__(self, function: _F) -> _F:
        """Decorate a function, which changes nothing outside of it."""
        mode.enabled = self._before
        return super().__call__(function)

    def _again(self) -> set_grad_enabled:
        return set_grad_enabled(self.enabled)


class inference_mode(_FixedMode):
    """Do not record ops, as `no_grad`; ``inference_mode(False)`` records them."""

    def __init__(self, mode: bool = True) -> None:
        """Record ops in the block unless ``mode``."""
        super().__init__()
        self.enabled = not mode

    def _again(self) -> inference_mode:
        return inference_mode(not self.enabled)
