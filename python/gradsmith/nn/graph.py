# SPDX-License-Identifier: Apache-2.0
"""Models made by calling modules on symbols: several inputs and outputs, shared layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gradsmith.nn.module import Module
from gradsmith.nn.symbol import Symbol, mapped, symbols_in
from gradsmith.ops.creation import zeros
from gradsmith.tensor import Tensor, array_of

_SAMPLES = 2  # of an example, so that a dimension of size 1 is not the batch
_FREE = 8  # size in an example of a dimension that is left open


def Input(
    shape: Sequence[int | None], dtype: Any = None, device: Any = None, name: str = "input"
) -> Symbol:
    """Return a symbol for an input of a `Graph`.

    Args:
        shape: without the batch; None for a size that may differ from call to call.
        dtype: of the input, the default one if None; ``"int64"`` for ids.
        device: where the parameters of the modules are that it goes to.
        name: in errors.

    Raises:
        TypeError: the shape is no sequence of ints.
        ValueError: a size is not positive.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise TypeError(f"Input: shape is a {type(shape).__name__}, expected a tuple of ints")
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, (int, type(None))):
            raise TypeError(f"Input: shape holds a {type(size).__name__}, expected ints or None")
        if size is not None and size < 1:
            raise ValueError(f"Input: shape is {tuple(shape)}, expected positive ints")
    sizes = (_FREE if size is None else size for size in shape)
    example = zeros(_SAMPLES, *sizes, dtype=dtype, device=device)
    return Symbol(name, None, tuple(shape), {}, example)


@dataclass(frozen=True)
class _Place:
    """Stands in arguments for the value of this number."""

    number: int


class _Step(NamedTuple):
    """One call: of the graph's module of that name, if there is no function."""

    name: str
    function: Callable[..., Any] | None
    args: Any
    kwargs: Any
    numbers: list[int] | None  # of the arguments, where they are values and nothing else

    def arguments(self, values: list[Any]) -> tuple[Any, Any]:
        """Return the arguments with the values in their places."""
        if self.numbers is not None:
            return [values[number] for number in self.numbers], {}
        return _filled(self.args, values), _filled(self.kwargs, values)


def _filled(structure: Any, values: list[Any]) -> Any:
    def value_at(each: Any) -> Any:
        return values[each.number] if isinstance(each, _Place) else each

    return mapped(structure, value_at)


def _sorted(inputs: list[Symbol], outputs: list[Symbol]) -> list[Symbol]:
    """Return what the outputs need, each after its arguments, inputs left out.

    Raises:
        ValueError: something depends on an input that is not among these.
    """
    done = set(inputs)
    order = []
    waiting = [(each, False) for each in reversed(outputs)]
    while waiting:
        symbol, is_ready = waiting.pop()
        if symbol in done:
            continue
        if is_ready:
            done.add(symbol)
            order.append(symbol)
        elif symbol.function is None:
            raise ValueError(
                f"Graph: the outputs need input {symbol.name!r} {symbol.shape}, which is not among "
                "the inputs"
            )
        else:
            waiting.append((symbol, True))
            waiting += [(each, False) for each in reversed(symbols_in(symbol.args, symbol.kwargs))]
    return order


def _symbols(argument: str, value: Any) -> list[Symbol]:
    """Return the symbols that are the graph's inputs or outputs."""
    found = symbols_in(value)
    others: list[Any] = []
    mapped([value], lambda each: None if isinstance(each, Symbol) else others.append(each))
    if others:
        raise TypeError(
            f"Graph: {argument} is or holds a {type(others[0]).__name__}, expected symbols, which "
            "Input and calls on it give"
        )
    if not found:
        raise ValueError(f"Graph: {argument} holds no symbol")
    return found


class Graph(Module):
    """A model of all that leads from its inputs to its outputs, as Keras's functional models.

    Modules are named after their classes, in the order they run: ``linear``, ``linear_1``. One
    that is called several times is one module with one set of parameters.

    Example:
        >>> import gradsmith as gs
        >>> from gradsmith import nn
        >>> image, label = nn.Input((3, 8, 8)), nn.Input((10,), name="label")
        >>> x = nn.Conv2d(3, 4, 3)(image).relu().mean((2, 3))
        >>> x = nn.Linear(4, 5)(x) + nn.Linear(10, 5)(label)
        >>> model = nn.Graph([image, label], nn.Linear(5, 2)(x))
        >>> model(gs.ones(7, 3, 8, 8), gs.ones(7, 10)).shape
        (7, 2)
        >>> [name for name, _ in model.named_children()]
        ['conv2d', 'linear', 'linear_1', 'linear_2']
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        """Collect the modules.

        Args:
            inputs: a symbol, or a list of them in the order of the call's arguments. Symbols from
                the middle of a graph may be inputs too: what leads to them is cut off.
            outputs: a symbol, or a tuple, list or dictionary of them, which calls return likewise.

        Raises:
            TypeError: something else is among them.
            ValueError: the outputs need an input that is missing, or do not need one that is there.
        """
        super().__init__()
        given, wanted = _symbols("inputs", inputs), _symbols("outputs", outputs)
        if len(set(given)) < len(given):
            raise ValueError("Graph: inputs holds a symbol twice")
        order = _sorted(given, wanted)
        needed = {*wanted, *symbols_in([(each.args, each.kwargs) for each in order])}
        for symbol in given:
            if symbol not in needed:
                raise ValueError(f"Graph: input {symbol.name!r} {symbol.shape} leads to no output")
        self._inputs = [
            (each.name, each.args if each.function is None else (None,) * (each.ndim - 1))
            for each in given
        ]
        numbers = {symbol: number for number, symbol in enumerate([*given, *order])}

        def placed(value: Any) -> Any:
            return _Place(numbers[value]) if isinstance(value, Symbol) else value

        self._steps: list[_Step] = []
        for symbol, name in zip(order, self._named(order), strict=True):
            function = None if isinstance(symbol.function, Module) else symbol.function
            args, kwargs = mapped(symbol.args, placed), mapped(symbol.kwargs, placed)
            is_plain = not kwargs and all(isinstance(each, _Place) for each in args)
            places = [each.number for each in args] if is_plain else None
            self._steps.append(_Step(name, function, args, kwargs, places))
        self._outputs = mapped(outputs, placed)

    def _named(self, order: list[Symbol]) -> list[str]:
        """Return the name of each step; register its module, the first time, under it."""
        names: dict[Any, str] = {}
        keys = [each.function if isinstance(each.function, Module) else each for each in order]
        for symbol, key in zip(order, keys, strict=True):
            if key not in names:
                names[key] = self._free_name(symbol.name, names)
                if isinstance(key, Module):
                    self.register_module(names[key], key)
        return [names[key] for key in keys]

    def _free_name(self, kind: str, taken: dict[Any, str]) -> str:
        name, number = kind, 0
        while name in taken.values() or hasattr(self, name):
            number += 1
            name = f"{kind}_{number}"
        return name

    def _check_inputs(self, inputs: tuple[Any, ...]) -> None:
        names = ", ".join(name for name, _ in self._inputs)
        if len(inputs) != len(self._inputs):
            raise ValueError(f"got {len(inputs)} inputs, expected {len(self._inputs)} ({names})")
        for value, (name, sizes) in zip(inputs, self._inputs, strict=True):
            shape = array_of("graph", value, name).shape
            if len(shape) != len(sizes) + 1 or any(
                want not in (None, got) for got, want in zip(shape[1:], sizes, strict=True)
            ):
                expected = ", ".join(["N", *("any" if n is None else str(n) for n in sizes)])
                raise ValueError(f"input {name!r} has shape {shape}, expected ({expected})")

    def forward(self, *inputs: Tensor) -> Any:
        """Return the outputs, arranged as they were given.

        Raises:
            ValueError: the number of inputs or a shape does not fit.
        """
        self._check_inputs(inputs)
        values: list[Any] = list(inputs)
        for step in self._steps:
            args, kwargs = step.arguments(values)
            if step.function is None:
                values.append(getattr(self, step.name)(*args, **kwargs))
                continue
            try:
                values.append(step.function(*args, **kwargs))
            except (ValueError, TypeError, IndexError) as error:
                error.args = (f"{step.name}: {error}",)
                raise
        return _filled(self._outputs, values)
