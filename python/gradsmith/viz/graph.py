# SPDX-License-Identifier: Apache-2.0
"""A drawing of a model: its layers as boxes, and which layer feeds which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gradsmith.autograd import enable_grad
from gradsmith.autograd.tape import Node
from gradsmith.nn import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.tensor import Tensor, array_of
from gradsmith.viz.canvas import new_axes


@dataclass
class _Box:
    """A call of a layer: what it is called, and the boxes its inputs come from."""

    label: str
    sources: list[int] = field(default_factory=list)
    row: int = 0


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [each for item in value for each in _tensors(item)]
        if isinstance(value, (list, tuple))
        else []
    )


class _Recorder:
    """Notes each call of a layer; where its inputs come from stands on the tape."""

    def __init__(self) -> None:
        self.boxes: list[_Box] = [_Box("input")]
        self._made_by: dict[int, int] = {}  # id of a node of the tape, or of a leaf: its box
        self._kept: list[Any] = []  # so that no id is given twice

    def remember(self, value: Any, box: int) -> None:
        for tensor in _tensors(value):
            origin = tensor.grad_fn or tensor
            self._kept.append(origin)
            self._made_by[id(origin)] = box

    def sources(self, value: Any) -> list[int]:
        """Return the boxes that a value was computed from; the last one where no tape tells."""
        found: dict[int, None] = {}
        waiting: list[Any] = [tensor.grad_fn or tensor for tensor in _tensors(value)]
        met: set[int] = set()
        while waiting:
            origin = waiting.pop(0)
            if id(origin) in met:
                continue
            met.add(id(origin))
            if id(origin) in self._made_by:
                found[self._made_by[id(origin)]] = None
            elif isinstance(origin, Node):
                waiting += [edge for edge in origin.edges if edge is not None]
        return list(found) or [len(self.boxes) - 1]

    def hook(self, path: str) -> Any:
        def record(module: Module, inputs: Any, output: Any) -> None:
            tensors = _tensors(output)
            shape = " x ".join(map(str, tensors[0].shape)) if tensors else ""
            label = f"{path}\n{type(module).__name__}\n{shape}"
            self.boxes.append(_Box(label, self.sources(inputs)))
            self.remember(output, len(self.boxes) - 1)

        return record


def _record(model: Module, inputs: tuple[Tensor, ...]) -> list[_Box]:
    recorder = _Recorder()
    leaves = [(path, each) for path, each in model.named_modules() if not list(each.children())]
    handles = [each.register_forward_hook(recorder.hook(path or "model")) for path, each in leaves]
    for each in inputs:
        array_of("draw_graph", each, "an input")
    own = [x.detach().requires_grad_() if x.is_floating_point() else x for x in inputs]
    recorder.remember(own, 0)
    try:
        with enable_grad():
            recorder.boxes.append(_Box("output", recorder.sources(model(*own))))
    finally:
        for handle in handles:
            handle.remove()
    for box in recorder.boxes[1:]:
        box.row = 1 + max(recorder.boxes[each].row for each in box.sources)
    return recorder.boxes


def draw_graph(model: Module, *inputs: Tensor, ax: Any = None) -> Any:
    """Draw the layers that a model runs on inputs, top to bottom, with the shapes they give.

    Layers without layers inside are boxes. An arrow leads to a layer from those whose outputs its
    inputs were computed from, also through functions in between, as the tape tells.

    Args:
        model: runs in evaluation mode.
        inputs: what it is called with.

    Raises:
        TypeError: the model is no module.
        ValueError: there is no input.
    """
    check_module("draw_graph", "model", model)
    if not inputs:
        raise ValueError("draw_graph: expected the model's inputs")
    training = model.training
    model.eval()
    try:
        boxes = _record(model, inputs)
    finally:
        model.train(training)
    rows: dict[int, list[int]] = {}
    for number, box in enumerate(boxes):
        rows.setdefault(box.row, []).append(number)
    widest = max(map(len, rows.values()))
    ax = new_axes("draw_graph", ax, (max(3.0, 2.4 * widest), max(2.0, 0.85 * len(rows))))
    places = {
        number: ((place + 0.5) * widest / len(members), -float(row))
        for row, members in rows.items()
        for place, number in enumerate(members)
    }
    for number, box in enumerate(boxes):
        for source in box.sources:
            arrow = {"arrowstyle": "->", "color": "grey", "shrinkA": 16, "shrinkB": 16}
            ax.annotate("", places[number], places[source], arrowprops=arrow)
    frame = {"boxstyle": "round", "facecolor": "aliceblue", "edgecolor": "steelblue"}
    for number, box in enumerate(boxes):
        ax.text(*places[number], box.label, ha="center", va="center", fontsize=7, bbox=frame)
    ax.set_xlim(0, widest)
    ax.set_ylim(-max(rows) - 0.6, 0.6)
    ax.set_axis_off()
    return ax.figure
