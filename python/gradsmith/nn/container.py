# SPDX-License-Identifier: Apache-2.0
"""Modules that hold modules or parameters: Sequential, ModuleList, ModuleDict and the like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import index as as_index
from typing import Any, Self, overload

from gradsmith.nn.fusion import run_in_order
from gradsmith.nn.module import Module
from gradsmith.nn.module_tree import MODULE, PARAMETER, check_module
from gradsmith.nn.parameter import Parameter
from gradsmith.tensor import Tensor


class _Numbered(Module):
    """Holds values under the names "0", "1", ...; the base of the list-like containers."""

    _held = MODULE  # what counts as a value; a subclass may have parameters and buffers beside them

    def _names(self) -> list[str]:
        return [name for name, kind in self._kinds.items() if kind == self._held]

    def _values(self) -> list[Any]:
        return [self.__dict__[name] for name in self._names()]

    def _replace_all(self, values: list[Any]) -> None:
        for value in values:
            self._check(value)
        for name in self._names():
            delattr(self, name)
        for position, value in enumerate(values):
            self._put(position, value)

    def _check(self, value: Any) -> None:
        check_module(type(self).__name__, "an element", value)

    def _put(self, position: int, value: Any) -> None:
        self._check(value)
        self.register_module(str(position), value)

    def _position(self, index: int) -> int:
        size = len(self)
        try:
            position = as_index(index)
        except TypeError:
            raise TypeError(
                f"{type(self).__name__}: index is a {type(index).__name__}, expected an int"
            ) from None
        if not -size <= position < size:
            raise IndexError(
                f"{type(self).__name__}: index {position} is out of range for {size} entries"
            )
        return position % size

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values())

    def __getitem__(self, index: Any) -> Any:
        values = self._values()
        if isinstance(index, slice):
            return self._like(values, index)
        return values[self._position(index)]

    def _like(self, values: list[Any], index: slice) -> Any:
        kind: Any = type(self)  # the list-like subclasses take their values
        return kind(values[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            values = self._values()
            values[index] = value
            self._replace_all(values)
            return
        self._check(value)
        setattr(self, self._names()[self._position(index)], value)

    def __delitem__(self, index: Any) -> None:
        values = self._values()
        del values[index if isinstance(index, slice) else self._position(index)]
        self._replace_all(values)

    def append(self, value: Any) -> Self:
        """Add ``value`` at the end."""
        self._put(len(self), value)
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add every value at the end."""
        new = list(values)
        for value in new:
            self._check(value)
        for value in new:
            self.append(value)
        return self

    def insert(self, index: int, value: Any) -> Self:
        """Insert ``value`` before position ``index``.

        Raises:
            IndexError: the position lies outside the container.
        """
        size = len(self)
        if not -size <= index <= size:
            raise IndexError(
                f"{type(self).__name__}.insert: index {index} is out of range for {size} entries"
            )
        values = self._values()
        values.insert(index, value)
        self._replace_all(values)
        return self

    def pop(self, index: int = -1) -> Any:
        """Remove and return the entry at ``index``."""
        value = self[index]
        del self[index]
        return value

    def __iadd__(self, other: Iterable[Any]) -> Self:
        return self.extend(other)

    def __add__(self, other: Iterable[Any]) -> Self:
        joined = type(self)()
        joined.extend(self)
        joined.extend(other)
        return joined


class Ordered(_Numbered):
    """Holds modules, numbered or named, in an order that its forward follows."""

    @overload
    def __init__(self, *args: Module) -> None: ...
    @overload
    def __init__(self, arg: Mapping[str, Module], /) -> None: ...
    def __init__(self, *args: Any) -> None:
        """Hold the modules in the order given (TypeError for anything else)."""
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self._check(module)
                self.register_module(name, module)
        else:
            self.extend(args)

    def _like(self, values: list[Any], index: slice) -> Any:
        return type(self)(dict(zip(self._names()[index], values[index], strict=True)))


class Sequential(Ordered):
    """Modules applied one after the other, each to the result of the one before.

    Takes modules, or one dictionary of named modules.

    Example::

        net = Sequential(Linear(4, 8), ReLU(), Linear(8, 2))
    """

    def forward(self, input: Any) -> Any:
        """Return the result of the last module; ``input`` itself if there is none."""
        return run_in_order(self._values(), input)


class ModuleList(_Numbered):
    """A list of modules that are registered; it has no forward of its own."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        """Hold the modules of an iterable."""
        super().__init__()
        self.extend(() if modules is None else modules)

    def __repr__(self) -> str:
        """Show equal neighbours once, as ``(0-2): 3 x Linear(...)``."""
        texts = [repr(module) for module in self._values()]
        lines = []
        start = 0
        for end in range(1, len(texts) + 1):
            if end < len(texts) and texts[end] == texts[start]:
                continue
            text = texts[start].replace("\n", "\n  ")
            if end - start == 1:
                lines.append(f"({start}): {text}")
            else:
                lines.append(f"({start}-{end - 1}): {end - start} x {text}")
            start = end
        name = type(self).__name__
        return f"{name}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{name}()"


class ParameterList(_Numbered):
    """A list of parameters that are registered; tensors become parameters."""

    _held = PARAMETER

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        """Hold the parameters of an iterable."""
        super().__init__()
        self.extend(() if values is None else values)

    def _check(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"ParameterList: got a {type(value).__name__}, expected a Parameter")

    def _put(self, position: int, value: Any) -> None:
        self._check(value)
        self.register_parameter(str(position), _as_parameter(value))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(
            index, value if isinstance(index, slice) else self._checked_parameter(value)
        )

    def _checked_parameter(self, value: Any) -> Parameter:
        self._check(value)
        return _as_parameter(value)

    def extra_repr(self) -> str:
        """Return a line per parameter."""
        return _tensor_lines(self)


class _Named(Module):
    """Holds values under names of the caller; the base of the dict-like containers."""

    def _set(self, key: str, value: Any) -> None:
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        if key not in self._kinds:
            raise KeyError(key)
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._set(key, value)

    def __delitem__(self, key: str) -> None:
        self[key]  # KeyError if it is not there
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._kinds)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._kinds))

    def __contains__(self, key: str) -> bool:
        return key in self._kinds

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._kinds.keys()

    def values(self) -> Iterable[Any]:
        """Return the values."""
        return [self.__dict__[name] for name in self._kinds]

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return the pairs of name and value."""
        return [(name, self.__dict__[name]) for name in self._kinds]

    def update(self, other: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add or replace the entries of a dictionary or of pairs."""
        pairs = other.items() if hasattr(other, "items") else other
        for key, value in pairs:
            self[key] = value

    def pop(self, key: str) -> Any:
        """Remove and return an entry (KeyError if it is not there)."""
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Remove all entries."""
        for name in tuple(self._kinds):
            delattr(self, name)


class ModuleDict(_Named):
    """A dictionary of modules that are registered; it has no forward of its own."""

    def __init__(
        self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None
    ) -> None:
        """Hold the modules of a dictionary or of pairs."""
        super().__init__()
        self.update({} if modules is None else modules)

    def _set(self, key: str, value: Any) -> None:
        check_module("ModuleDict", repr(key), value)
        self.register_module(key, value)


class ParameterDict(_Named):
    """A dictionary of parameters that are registered; tensors become parameters."""

    def __init__(
        self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None
    ) -> None:
        """Hold the parameters of a dictionary or of pairs."""
        super().__init__()
        self.update({} if parameters is None else parameters)

    def _set(self, key: str, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"ParameterDict: {key!r} is a {type(value).__name__}, expected a Parameter"
            )
        self.register_parameter(key, _as_parameter(value))

    def extra_repr(self) -> str:
        """Return a line per parameter."""
        return _tensor_lines(self)


def _as_parameter(value: Tensor) -> Parameter:
    return value if isinstance(value, Parameter) else Parameter(value)


def _tensor_lines(module: Module) -> str:
    return "\n".join(
        f"({name}): Parameter containing: [{value.dtype} of size {'x'.join(map(str, value.shape))}]"
        for name, value in module.named_parameters(recurse=False)
    )
