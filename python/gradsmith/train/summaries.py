# SPDX-License-Identifier: Apache-2.0
"""`summary`: the table of a model's layers, output shapes and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import no_grad
from gradsmith.backend import is_array
from gradsmith.nn import Module
from gradsmith.tensor import Tensor, as_array, wrap
from gradsmith.train.feed import call, parameter_dtype, to_device
from gradsmith.train.modes import mode

Row = tuple[str, str, str]


def _shape_text(output: Any) -> str:
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, Mapping):
        return ", ".join(f"{key}: {_shape_text(value)}" for key, value in output.items())
    if isinstance(output, (list, tuple)):
        return ", ".join(_shape_text(value) for value in output)
    return type(output).__name__


def _zeros(model: Module, input_size: Sequence[Any]) -> Any:
    """Return zeros of one shape, or of each in a sequence of shapes."""
    if isinstance(input_size, str) or not isinstance(input_size, Sequence):
        kind = type(input_size).__name__
        raise TypeError(f"summary: input_size is or holds a {kind}, expected a tuple of ints")
    if not input_size or isinstance(input_size[0], int):
        sizes = tuple(input_size)
        if any(not isinstance(size, int) or size < 1 for size in sizes):
            raise ValueError(f"summary: input_size is {sizes}, expected positive ints")
        return wrap(as_array(np.zeros(sizes, dtype=np.float32), parameter_dtype(model)))
    return [_zeros(model, each) for each in input_size]


def _output_shapes(model: Module, inputs: Any) -> dict[int, str]:
    """Run the model once and return the output shape of each module by its id."""
    shapes: dict[int, str] = {}

    def note(module: Module, args: Any, output: Any) -> None:
        shapes.setdefault(id(module), _shape_text(output))

    handles = [module.register_forward_hook(note) for module in model.modules()]
    try:
        with mode(model, False), no_grad():
            call(model, to_device(model, inputs))
    finally:
        for handle in handles:
            handle.remove()
    return shapes


def _rows(model: Module, shapes: dict[int, str]) -> list[Row]:
    rows = []
    for path, module in model.named_modules():
        depth = path.count(".") + 1 if path else 0
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        kind = type(module).__name__
        label = f"{path.rpartition('.')[2]} ({kind})" if path else kind
        count = f"{own:,}" if own or not any(module.children()) else ""
        rows.append(("  " * depth + label, shapes.get(id(module), ""), count))
    return rows


def _table(rows: list[Row]) -> list[str]:
    heading: Row = ("layer", "output shape", "parameters")
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(3)]

    def line(row: Row) -> str:
        return f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}"

    rule = "-" * (sum(widths) + 4)
    return [line(heading), rule, *(line(row) for row in rows), rule]


def _totals(model: Module) -> list[str]:
    parameters = list(model.parameters())
    total = sum(parameter.numel() for parameter in parameters)
    trained = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    size = sum(tensor.nbytes for tensor in [*parameters, *model.buffers()])
    return [
        f"parameters: {total:,} ({trained:,} trained, {total - trained:,} frozen)",
        f"memory of parameters and buffers: {size / 2**20:.2f} MiB",
    ]


def summary(
    model: Module,
    input_size: Sequence[Any] | None = None,
    input_data: Any = None,
    *,
    print_fn: Callable[[str], Any] = print,
) -> None:
    """Print the layers of a model with their parameters and, given an input, output shapes.

    The model runs once in evaluation mode on zeros of ``input_size`` (with the batch dimension; a
    sequence of shapes for several inputs) or on ``input_data`` (a tensor, array, list or dict).

    Args:
        model: any module; a module that stands in two places is listed once.
        input_size: shape of the input, as ``(1, 3, 224, 224)``.
        input_data: an input, in place of ``input_size``.
        print_fn: called with the table as one text.

    Raises:
        ValueError: both are given, or a size is not positive.
    """
    if input_size is not None and input_data is not None:
        raise ValueError("summary: input_size and input_data exclude each other")
    shapes: dict[int, str] = {}
    if input_size is not None:
        shapes = _output_shapes(model, _zeros(model, input_size))
    elif input_data is not None:
        data = wrap(input_data) if is_array(input_data) else input_data
        shapes = _output_shapes(model, data)
    print_fn("\n".join([*_table(_rows(model, shapes)), *_totals(model)]))
