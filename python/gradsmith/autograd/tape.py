# SPDX-License-Identifier: Apache-2.0
"""The tape: a node holds one op's backward rule, its edges and what the rule needs.

Rules are written in differentiable ops, so recording them gives higher derivatives. No node points
to its own output: a training loop's memory stays flat without the garbage collector.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeAlias

from gradsmith.autograd.mode import mode
from gradsmith.backend import EXTENSIONS, FLOATING, Array
from gradsmith.tensor import Tensor, Version, wrap

Gradients: TypeAlias = tuple["Tensor | None", ...]
Backward: TypeAlias = Callable[..., Gradients]
Hook: TypeAlias = Callable[[Tensor], "Tensor | None"]
_sequence = itertools.count(1)


def next_sequence() -> int:
    """Return a number above those of all nodes so far and below those of later ones."""
    return next(_sequence)


def op_name(backward: Backward) -> str:
    """Return the name of the op that a rule belongs to, as ``"max_pool"``."""
    return backward.__name__.strip("_").removesuffix("_backward")


class Output:
    """Stands in ``saved`` for output number ``index`` of the node itself."""

    __slots__ = ("index",)

    def __init__(self, index: int = 0) -> None:
        """Refer to output number ``index``."""
        self.index = index


OUTPUT = Output()


class Node:
    """One recorded op.

    ``edges[i]`` is where the gradient of input i goes: the node that made it, the leaf tensor
    itself, or None where no gradient is needed.
    """

    __slots__ = (
        "backward",
        "edges",
        "freed",
        "hooks",
        "indices",
        "origin",
        "outputs",
        "saved_values",
        "sequence",
        "versions",
    )

    def __init__(self, backward: Backward, edges: tuple[Any, ...]) -> None:
        """Make a node with the rule ``backward(node, dy) -> gradients of the inputs``."""
        self.backward = backward
        self.edges = edges
        self.indices: tuple[int, ...] | None = None
        self.saved_values: tuple[Any, ...] | None = None
        self.versions: Sequence[tuple[Version, int]] = ()
        self.hooks: list[tuple[int, Hook]] | None = None
        self.outputs: list[Array] | None = None
        self.freed = False
        self.sequence = next(_sequence)

    @property
    def name(self) -> str:
        """The op's name, as ``grad_fn`` shows it: ``AddBackward``."""
        words = op_name(self.backward).split("_")
        return "".join(word.capitalize() for word in words) + "Backward"

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def needs(self, index: int) -> bool:
        """Whether the gradient of input ``index`` is wanted."""
        edge = self.edges[index]
        return edge is not None and (wanted.ids is None or id(edge) in wanted.ids)

    @property
    def saved(self) -> tuple[Any, ...]:
        """What the rule saved; tensors are checked for in-place changes since then.

        Raises:
            RuntimeError: the values were freed by an earlier backward, or one was changed.
        """
        if self.freed or self.saved_values is None:
            raise RuntimeError(
                f"{self.name}: its saved values were freed by an earlier backward pass; give that "
                "pass retain_graph=True to run another through the same graph"
            )
        for version, number in self.versions:
            if version.number != number:
                raise RuntimeError(
                    f"{self.name}: a tensor it needs for its gradient was changed in place (it is "
                    f"at version {version.number}, expected {number}); change a copy instead, as "
                    "in x = x + y for x += y"
                )
        if self.outputs is None:
            return self.saved_values
        return tuple(
            self._output(value.index) if type(value) is Output else value
            for value in self.saved_values
        )

    def _output(self, index: int) -> Tensor:
        assert self.outputs is not None
        tensor = wrap(self.outputs[index])
        tensor.requires_grad = True
        tensor._node = self
        tensor._index = index
        return tensor

    def save(self, values: tuple[Any, ...], outputs: Sequence[Tensor]) -> None:
        """Keep ``values`` for the rule, with the versions of the tensors among them."""
        versions = []
        for value in values:
            if type(value) is Output:
                self.outputs = [output._array for output in outputs]
                value = outputs[value.index]
            elif not isinstance(value, Tensor):
                continue
            version = value._version
            if version is None:
                version = value._version = Version()
            versions.append((version, version.number))
        self.saved_values = values
        self.versions = versions

    def free(self) -> None:
        """Let go of what was saved; a later use of it raises."""
        self.saved_values = None
        self.outputs = None
        self.freed = True


class _Wanted(threading.local):
    # The targets that lead to the inputs asked for, or None when every leaf is wanted.
    ids: set[int] | None = None


wanted = _Wanted()


def record(
    backward: Backward, array: Array, inputs: tuple[Any, ...], saved: tuple[Any, ...] = ()
) -> Tensor:
    """Wrap a kernel's result and, if any input needs a gradient, put the op on the tape.

    Args:
        backward: rule ``(node, dy) -> gradients``, one per input (None for none).
        array: the result.
        inputs: tensors (anything else counts as a constant).
        saved: what the rule reads back as ``node.saved``; ``OUTPUT`` means the result itself.
    """
    out = wrap(array)
    if mode.enabled:
        for x in inputs:
            if isinstance(x, Tensor) and x.requires_grad:
                node = _node_of(backward, inputs)
                if saved:
                    node.save(saved, (out,))
                if array.dtype in FLOATING:
                    out.requires_grad = True
                    out._node = node
                break
    if mode.watcher is not None:
        mode.watcher.forward(op_name(backward), (out,), inputs)
    return out


def _node_of(backward: Backward, inputs: tuple[Any, ...]) -> Node:
    """Return a node with edges to the inputs that need a gradient."""
    edges: list[Any] = []
    indices: list[int] | None = None
    for x in inputs:
        if not isinstance(x, Tensor) or not x.requires_grad:
            edges.append(None)
            continue
        if x._view_of is not None:
            x._check_view()
        node = x._node
        if node is None:
            edges.append(x)
            continue
        if x._index:
            if indices is None:
                indices = [0] * len(inputs)
            indices[len(edges)] = x._index
        edges.append(node)
    made = Node(backward, tuple(edges))
    if indices is not None:
        made.indices = tuple(indices)
    return made


def record_many(
    backward: Backward,
    arrays: Sequence[Array],
    inputs: tuple[Any, ...],
    saved: tuple[Any, ...] = (),
    materialize: bool = True,
) -> tuple[Tensor, ...]:
    """As `record` for an op with several outputs; the rule gets one gradient per output.

    The gradient of an output that the final result does not depend on is zeros, or None without
    ``materialize``. Outputs that are not floating carry no gradient.
    """
    outs = tuple(wrap(array) for array in arrays)
    if mode.enabled and any(isinstance(x, Tensor) and x.requires_grad for x in inputs):
        node = _node_of(_many(backward, outs, materialize), inputs)
        if saved:
            node.save(saved, outs)
        for index, out in enumerate(outs):
            if out._array.dtype in FLOATING:
                out.requires_grad = True
                out._node = node
                out._index = index
    if mode.watcher is not None:
        mode.watcher.forward(op_name(backward), outs, inputs)
    return outs


def _many(backward: Backward, outs: tuple[Tensor, ...], materialize: bool) -> Backward:
    """Return the rule with one gradient per output, whichever of them arrived."""
    shapes = [(out._array.shape, out._array.dtype) for out in outs]
    extension = EXTENSIONS[type(outs[0]._array)]

    @wraps(backward)
    def rule(node: Node, *grads: Tensor | None) -> Gradients:
        full = list(grads) + [None] * (len(shapes) - len(grads))
        for i, (shape, dtype) in enumerate(shapes):
            if full[i] is None and materialize:
                full[i] = wrap(extension.zeros(shape, dtype))
        return backward(node, *full)

    return rule
