# SPDX-License-Identifier: Apache-2.0
"""Symbols: values that a graph will have, of which shapes are known and how they are computed.

Modules, operators and methods of tensors record themselves when they are called on a symbol. To
know the shape of the result, each runs once on an example of two samples.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gradsmith.autograd import no_grad
from gradsmith.nn.parameter import Parameter
from gradsmith.tensor import Tensor

if TYPE_CHECKING:
    from gradsmith.nn.module import Module


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return the structure of tuples, lists and dictionaries with the function's results in it."""
    if isinstance(value, (tuple, list)):
        results = [mapped(each, function) for each in value]
        return type(value)(*results) if hasattr(value, "_fields") else type(value)(results)
    if isinstance(value, dict):
        return {key: mapped(each, function) for key, each in value.items()}
    return function(value)


def symbols_in(*values: Any) -> list[Symbol]:
    """Return the symbols in nested tuples, lists and dictionaries, in order."""
    found: list[Symbol] = []
    mapped(list(values), lambda each: found.append(each) if isinstance(each, Symbol) else None)
    return found


def _operator(function: Callable[..., Any]) -> Any:
    def method(self: Symbol, *others: Any) -> Any:
        return recorded(function, (self, *others), {})

    return method


def _reflected(function: Callable[..., Any]) -> Any:
    def method(self: Symbol, other: Any) -> Any:
        return recorded(function, (other, self), {})

    return method


class Symbol:
    """A value of a graph: `Input` makes the first ones, calls on them make others.

    Attributes:
        name: of an input, else of what computes it.
        function: the module or function that computes it, None for an input.
        args: its positional arguments, with symbols among them.
        kwargs: its keyword arguments.
        example: what it gives for the examples of the inputs.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        example: Any,
    ) -> None:
        """Hold what the attributes say."""
        self.name = name
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.example = example

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Sizes of the dimensions; None for the first, the batch."""
        if not isinstance(self.example, Tensor):
            kind = type(self.example).__name__
            raise TypeError(f"{self.name} gives a {kind}, which has no shape")
        return (None, *self.example.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __repr__(self) -> str:
        is_tensor = isinstance(self.example, Tensor)
        what = f"shape={self.shape}" if is_tensor else type(self.example).__name__
        return f"Symbol({self.name}, {what})"

    def __bool__(self) -> bool:
        raise TypeError(f"{self.name} is a symbol, whose truth is not known; use nn.Lambda")

    def __len__(self) -> int:
        if isinstance(self.example, Tensor):
            raise TypeError(f"{self.name} is a symbol; the size of its batch is not known")
        return len(self.example)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        function = None if name.startswith("_") else getattr(Tensor, name, None)
        if not callable(function):
            raise AttributeError(f"a Symbol has no attribute {name!r}")
        return lambda *args, **kwargs: recorded(function, (self, *args), kwargs)

    __add__, __radd__ = _operator(operator.add), _reflected(operator.add)
    __sub__, __rsub__ = _operator(operator.sub), _reflected(operator.sub)
    __mul__, __rmul__ = _operator(operator.mul), _reflected(operator.mul)
    __truediv__, __rtruediv__ = _operator(operator.truediv), _reflected(operator.truediv)
    __matmul__, __rmatmul__ = _operator(operator.matmul), _reflected(operator.matmul)
    __pow__, __rpow__ = _operator(operator.pow), _reflected(operator.pow)
    __neg__ = _operator(operator.neg)
    __getitem__ = _operator(operator.getitem)


# Types of a call's first argument that need a closer look: the others hold no symbol.
MAY_BE_SYMBOLIC = frozenset({Symbol, tuple, list, dict})


def _example_of(value: Any) -> Any:
    if isinstance(value, Parameter):
        raise TypeError(
            "a Parameter is used in a graph outside of a module, where it would not be trained; "
            "make a module of what uses it"
        )
    return value.example if isinstance(value, Symbol) else value


def recorded(
    function: Callable[..., Any] | Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Return the symbol of what a module or function gives for arguments with symbols.

    Raises:
        TypeError: a parameter is among the arguments.
        ValueError: the shapes do not fit.
    """
    examples = mapped(list(args), _example_of), mapped(kwargs, _example_of)
    modules = list(function.modules()) if hasattr(function, "modules") else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False  # nothing is counted, dropped or tracked
        with no_grad():
            example = function(*examples[0], **examples[1])
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
    kind = type(function).__name__.lower()
    name = kind if modules else getattr(function, "__name__", kind).strip("_<>")
    return Symbol(name, function, args, kwargs, example)
