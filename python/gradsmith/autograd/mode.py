# SPDX-License-Identifier: Apache-2.0
"""What a thread's ops do besides computing: whether they are recorded, and autocast's conversions.

`no_grad`, `enable_grad` and `set_grad_enabled` switch recording; `gradsmith.amp` sets ``autocast``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial, wraps
from inspect import isgeneratorfunction
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast, overload

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
    # The mode before the innermost block, and the same of the block around it. A list would have to
    # be made for each `with`, and ops enter thousands of them a second.
    _previous: tuple[Any, ...] = ()

    def __enter__(self) -> None:
        self._previous = mode.enabled, self._previous
        mode.enabled = self.enabled

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mode.enabled, self._previous = self._previous

    def _again(self) -> _FixedMode:
        """Return another of the same kind: a decorated function may call itself."""
        return type(self)()

    def __call__(self, function: _F) -> _F:
        op = type(self).__name__
        if isinstance(function, type) or not callable(function):
            got = f"the class {function.__name__}" if isinstance(function, type) else repr(function)
            raise TypeError(f"{op}: decorates {got}, expected a function")
        if isgeneratorfunction(function):
            return self._generator(function)

        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return cast(_F, wrapped)

    def _generator(self, function: _F) -> _F:
        """Hold the mode whenever the generator runs, and not while its caller does."""

        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            resume = partial(next, generator)
            while True:
                try:
                    with self._again():
                        value = resume()
                except StopIteration as end:
                    return end.value
                try:
                    resume = partial(generator.send, (yield value))
                except GeneratorExit:
                    with self._again():
                        generator.close()
                    raise
                except BaseException as error:
                    resume = partial(generator.throw, error)

        return cast(_F, wrapped)


class _NamedMode(_FixedMode):
    """One that is known by its name alone, and so decorates without parentheses too."""

    @overload
    def __new__(cls, function: _F) -> _F: ...  # type: ignore[misc]
    @overload
    def __new__(cls) -> Self: ...

    def __new__(cls, function: Any = None) -> Any:
        """Return the context, or the function decorated."""
        return object.__new__(cls) if function is None else cls()(function)


class no_grad(_NamedMode):
    """Do not record ops: ``with no_grad():``, ``@no_grad()`` or ``@no_grad``.

    A decorated generator is off the tape whenever it runs, its caller is not.
    """

    enabled = False


class enable_grad(_NamedMode):
    """Record ops again inside a ``no_grad`` block, or in a decorated function."""

    enabled = True


class set_grad_enabled(_FixedMode):
    """Turn recording on or off; a context manager, a decorator or a plain call."""

    def __init__(self, enabled: bool) -> None:
        """Set the mode at once; leaving the ``with`` block restores the one before.

        Raises:
            TypeError: ``enabled`` is no bool.
        """
        if not isinstance(enabled, bool):
            kind = type(enabled).__name__
            raise TypeError(f"set_grad_enabled: enabled is a {kind}, expected a bool")
        self.enabled = enabled
        self._before = mode.enabled
        mode.enabled = enabled

    def __enter__(self) -> None:
        self._previous = self._before, self._previous
        mode.enabled = self.enabled

    def __call__(self, function: _F) -> _F:
        """Decorate a function, which changes nothing outside of it."""
        mode.enabled = self._before
        return super().__call__(function)

    def _again(self) -> set_grad_enabled:
        return set_grad_enabled(self.enabled)


class inference_mode(_FixedMode):
    """Do not record ops, as `no_grad`; ``inference_mode(False)`` records them."""

    @overload
    def __new__(cls, mode: _F) -> _F: ...  # type: ignore[misc]
    @overload
    def __new__(cls, mode: bool = True) -> Self: ...

    def __new__(cls, mode: Any = True) -> Any:
        """Return the context, which records ops unless ``mode``, or the function decorated."""
        if not isinstance(mode, bool):
            return cls()(mode)
        instance = object.__new__(cls)
        instance.enabled = not mode
        return instance

    def _again(self) -> inference_mode:
        return inference_mode(not self.enabled)
