# SPDX-License-Identifier: Apache-2.0
"""`summary`: the table of a model's layers, output shapes, parameters and multiplications."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradsmith.autograd import no_grad
from gradsmith.backend import is_array
from gradsmith.nn import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.tensor import Tensor, as_array, wrap
from gradsmith.train.feed import call, parameter_dtype, to_device
from gradsmith.train.modes import mode
from gradsmith.train.multiplications import multiplications
from gradsmith.train.probing import ModuleWatcher, kept, watched
from gradsmith.train.tables import table


def _shape_text(output: Any) -> str:
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, Mapping):
        return ", ".join(f"{key}: {_shape_text(value)}" for key, value in output.items())
    if isinstance(output, (list, tuple)):
        return ", ".join(_shape_text(value) for value in output)
    return type(output).__name__


def _zeros(model: Module, input_size: Any) -> Any:
    """Return zeros of one shape, or of each in a sequence or dict of shapes."""
    if isinstance(input_size, Mapping):
        return {name: _zeros(model, each) for name, each in input_size.items()}
    if isinstance(input_size, str) or not isinstance(input_size, Sequence):
        kind = type(input_size).__name__
        raise TypeError(f"summary: input_size is or holds a {kind}, expected a tuple of ints")
    if not input_size or isinstance(input_size[0], int):
        sizes = tuple(input_size)
        if any(not isinstance(size, int) or size < 1 for size in sizes):
            raise ValueError(f"summary: input_size is {sizes}, expected positive ints")
        return wrap(as_array(np.zeros(sizes, dtype=np.float32), parameter_dtype(model)))
    return [_zeros(model, each) for each in input_size]


@dataclass
class _Layer:
    """What was seen of one module."""

    shape: str = ""
    calls: int = 0
    multiplications: int = 0  # of its own ops; those of modules below count there


class _Census(ModuleWatcher):
    """Notes the calls of every module and counts the multiplications of every op."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: dict[int, _Layer] = {}
        self.results = 0  # bytes

    def _layer(self, module: Module | None) -> _Layer:
        return self.layers.setdefault(id(module), _Layer())

    def forward(self, op: str, outs: Sequence[Any], inputs: tuple[Any, ...]) -> None:
        self._layer(self.module).multiplications += multiplications(op, outs[0], inputs)
        given = {x._array.__array_interface__["data"][0] for x in inputs if _is_on_host(x)}
        for out in outs:
            if not _is_on_host(out) or out._array.__array_interface__["data"][0] not in given:
                self.results += out.nbytes

    def after(self, module: Module, output: Any) -> None:
        layer = self._layer(module)
        layer.calls += 1
        layer.shape = layer.shape or _shape_text(output)


def _is_on_host(x: Any) -> bool:
    return isinstance(x, Tensor) and isinstance(x._array, np.ndarray)


def _run(model: Module, inputs: Any) -> _Census:
    census = _Census()
    with kept(model), mode(model, False), no_grad(), watched(model, census):
        call(model, to_device(model, inputs))
    return census


def _rows(model: Module, layers: dict[int, _Layer]) -> list[list[str]]:
    rows = []
    for path, module in model.named_modules():
        depth = path.count(".") + 1 if path else 0
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        kind = type(module).__name__
        label = f"{path.rpartition('.')[2]} ({kind})" if path else kind
        count = f"{own:,}" if own or not any(module.children()) else ""
        layer = layers.get(id(module), _Layer())
        if layer.calls > 1:
            label += f" x{layer.calls}"
        number = f"{layer.multiplications:,}" if layer.multiplications else ""
        rows.append(["  " * depth + label, layer.shape, count, number])
    return rows


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
    input_size: Any = None,
    input_data: Any = None,
    *,
    print_fn: Callable[[str], Any] = print,
) -> None:
    """Print the layers of a model with their parameters and, given an input, what a call does.

    The model runs once in evaluation mode on zeros of ``input_size`` (with the batch dimension) or
    on ``input_data``, and is left as it was. Then the table has output shapes and MACs, the
    multiply-accumulates of matrix products, convolutions, recurrent layers and attention. They are
    counted op by op, whoever calls it: what a module's own forward does counts there. Below stand
    the total and the memory of all results of the call, an upper bound of what a backward pass
    needs.

    Args:
        model: any module; one that stands in two places is listed once, one that is called n times
            as ``xn``.
        input_size: shape of the input, as ``(1, 3, 224, 224)``; a list or dict of shapes for
            several inputs.
        input_data: an input in place of ``input_size``: a tensor or array, a list or a dict of
            tensors; token indices need this.
        print_fn: called with the table as one text.

    Raises:
        TypeError: the model is no module.
        ValueError: both are given, or a size is not positive.
    """
    check_module("summary", "model", model)
    if input_size is not None and input_data is not None:
        raise ValueError("summary: input_size and input_data exclude each other")
    heading = ["layer", "output shape", "parameters", "MACs"]
    if input_size is None and input_data is None:
        rows = [[label, count] for label, _, count, _ in _rows(model, {})]
        lines = [*table([heading[0], heading[2]], rows, 1), *_totals(model)]
    else:
        data = _zeros(model, input_size) if input_data is None else input_data
        census = _run(model, wrap(as_array(data)) if is_array(data) else data)
        total = sum(layer.multiplications for layer in census.layers.values())
        lines = [*table(heading, _rows(model, census.layers), 2), *_totals(model)]
        lines += [f"MACs: {total:,}", f"memory of all results: {census.results / 2**20:.2f} MiB"]
    print_fn("\n".join(lines))
