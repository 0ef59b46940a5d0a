# SPDX-License-Identifier: Apache-2.0
"""The tape: nodes, the backward pass, gradients of any order.

A node holds one op's backward rule, its edges and what the rule needs. Rules are written in
differentiable ops, so recording them gives higher derivatives. No node points to its own output:
a training loop's memory stays flat without the garbage collector.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from heapq import heappop, heappush
from types import TracebackType
from typing import Any, TypeAlias, TypeVar, cast

from gradsmith.backend import EXTENSIONS, FLOATING, Array
from gradsmith.tensor import Tensor, Version, wrap

Gradients: TypeAlias = tuple["Tensor | None", ...]
Backward: TypeAlias = Callable[..., Gradients]
Hook: TypeAlias = Callable[[Tensor], "Tensor | None"]
_F = TypeVar("_F", bound=Callable[..., Any])


class _Mode(threading.local):
    enabled: bool = True


_mode = _Mode()
_sequence = itertools.count(1)


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
        self.versions: tuple[tuple[Version, int], ...] = ()
        self.hooks: list[tuple[int, Hook]] | None = None
        self.outputs: list[Array] | None = None
        self.freed = False
        self.sequence = next(_sequence)

    @property
    def name(self) -> str:
        """The op's name, as ``grad_fn`` shows it: ``AddBackward``."""
        words = self.backward.__name__.strip("_").removesuffix("_backward").split("_")
        return "".join(word.capitalize() for word in words) + "Backward"

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def needs(self, index: int) -> bool:
        """Whether the gradient of input ``index`` is wanted."""
        edge = self.edges[index]
        return edge is not None and (_wanted.ids is None or id(edge) in _wanted.ids)

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
        self.versions = tuple(versions)

    def free(self) -> None:
        """Let go of what was saved; a later use of it raises."""
        self.saved_values = None
        self.outputs = None
        self.freed = True


class _Wanted(threading.local):
    # The targets that lead to the inputs asked for, or None when every leaf is wanted.
    ids: set[int] | None = None


_wanted = _Wanted()


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
    if _mode.enabled:
        for x in inputs:
            if isinstance(x, Tensor) and x.requires_grad:
                _attach(backward, (out,), inputs, saved)
                break
    return out


def record_many(
    backward: Backward,
    arrays: Sequence[Array],
    inputs: tuple[Any, ...],
    saved: tuple[Any, ...] = (),
) -> tuple[Tensor, ...]:
    """As `record` for an op with several outputs; the rule gets one gradient per output.

    An output that the final result does not depend on has a gradient of zeros. Outputs that are
    not floating carry no gradient.
    """
    outs = tuple(wrap(array) for array in arrays)
    if _mode.enabled and any(isinstance(x, Tensor) and x.requires_grad for x in inputs):
        _attach(_many(backward, outs), outs, inputs, saved)
    return outs


def _many(backward: Backward, outs: tuple[Tensor, ...]) -> Backward:
    shapes = [(out._array.shape, out._array.dtype) for out in outs]
    extension = EXTENSIONS[type(outs[0]._array)]

    @wraps(backward)
    def rule(node: Node, *grads: Tensor | None) -> Gradients:
        full = [
            wrap(extension.zeros(shape, dtype)) if grad is None else grad
            for grad, (shape, dtype) in zip(grads, shapes, strict=True)
        ]
        return backward(node, *full)

    return rule


def _attach(
    backward: Backward, outs: tuple[Tensor, ...], inputs: tuple[Any, ...], saved: tuple[Any, ...]
) -> None:
    edges = []
    indices: list[int] | None = None
    for position, x in enumerate(inputs):
        if not isinstance(x, Tensor) or not x.requires_grad:
            edges.append(None)
            continue
        if x._view_of is not None:
            x._check_view()
        node = x._node
        if node is None:
            edges.append(x)
            continue
        edges.append(node)
        if x._index:
            if indices is None:
                indices = [0] * len(inputs)
            indices[position] = x._index
    node = Node(backward, tuple(edges))
    if indices is not None:
        node.indices = tuple(indices)
    if saved:
        node.save(saved, outs)
    for index, out in enumerate(outs):
        if out._array.dtype in FLOATING:
            out.requires_grad = True
            out._node = node
            out._index = index


# ---- the backward pass ---------------------------------------------------------------------------


class _Pending:
    """Gradients gathered for one target: per output a tensor, and whether we may add into it."""

    __slots__ = ("grads", "owned", "target")

    def __init__(self, target: Any) -> None:
        self.target = target
        self.grads: dict[int, Tensor] = {}
        self.owned: set[int] = set()

    def add(self, index: int, grad: Tensor) -> None:
        held = self.grads.get(index)
        if held is None:
            self.grads[index] = grad
        elif index in self.owned and not _mode.enabled:
            array = held._array
            EXTENSIONS[type(array)].add(array, grad._array, 0.0, 0.0, array)
        else:
            self.grads[index] = held + grad
            self.owned.add(index)


def _run(
    roots: Iterable[tuple[Tensor, Tensor]],
    keep: bool,
    capture: dict[tuple[int, int], Tensor | None] | None,
) -> list[_Pending]:
    """Propagate gradients in reverse order of recording; return what arrived at the leaves.

    A node's inputs were recorded before it, so popping the highest sequence number first visits
    every node after all its consumers: no separate topological sort is needed.
    """
    heap: list[int] = []
    pending: dict[int, _Pending] = {}
    leaves: dict[int, _Pending] = {}
    wanted = _wanted.ids

    def send(target: Any, index: int, grad: Tensor) -> None:
        if wanted is not None and id(target) not in wanted:
            return
        if type(target) is Node:
            sequence = target.sequence
            entry = pending.get(sequence)
            if entry is None:
                entry = pending[sequence] = _Pending(target)
                heappush(heap, -sequence)
        else:
            entry = leaves.get(id(target))
            if entry is None:
                entry = leaves[id(target)] = _Pending(target)
        entry.add(index, grad)

    for root, grad in roots:
        send(root if root._node is None else root._node, root._index, grad)
    while heap:
        entry = pending.pop(-heappop(heap))
        node: Node = entry.target
        grads = entry.grads
        if node.hooks is not None:
            for index, hook in node.hooks:
                if index in grads:
                    grads[index] = _after_hook(hook, grads[index])
        if capture is not None:
            for index, grad in grads.items():
                if (id(node), index) in capture:
                    capture[id(node), index] = grad
            if wanted is not None and not any(node.needs(i) for i in range(len(node.edges))):
                continue
        if len(grads) == 1 and 0 in grads:
            results = node.backward(node, grads[0])
        else:
            results = node.backward(node, *(grads.get(i) for i in range(max(grads) + 1)))
        if not keep and node.saved_values is not None:
            node.free()
        indices = node.indices
        for position, target in enumerate(node.edges):
            result = results[position]
            if target is not None and result is not None:
                send(target, 0 if indices is None else indices[position], result)
    for entry in leaves.values():
        for hook in entry.target._hooks or ():
            entry.grads[0] = _after_hook(hook, entry.grads[0])
    return list(leaves.values())


def _after_hook(hook: Hook, grad: Tensor) -> Tensor:
    result = hook(grad)
    return grad if result is None else result


def _seed(output: Tensor, gradient: Tensor | None, name: str) -> Tensor:
    if not output.requires_grad:
        raise RuntimeError(
            f"{name}: the tensor does not require a gradient and has no grad_fn (was it made "
            "under no_grad, or detached?)"
        )
    if gradient is None:
        if output._array.size != 1:
            raise RuntimeError(
                f"{name}: the gradient of a tensor of shape {tuple(output.shape)} has to be given; "
                "it is implied for tensors of one element only"
            )
        extension = EXTENSIONS[type(output._array)]
        return wrap(extension.full(output._array.shape, 1.0, output._array.dtype))
    if gradient.shape != output.shape:
        raise ValueError(
            f"{name}: the gradient has shape {tuple(gradient.shape)}, expected "
            f"{tuple(output.shape)}"
        )
    return gradient if gradient.dtype == output.dtype else gradient.to(output.dtype)


def _store(leaf: Tensor, grad: Tensor, create_graph: bool) -> None:
    """Add to ``leaf.grad``; memory that others may hold is copied, never written."""
    held = leaf.grad
    if held is None:
        if create_graph:
            leaf.grad = grad
        else:
            leaf.grad = wrap(EXTENSIONS[type(grad._array)].copy_of(grad._array))
    elif create_graph or held.requires_grad:
        leaf.grad = held + grad
    else:
        array = held._array
        EXTENSIONS[type(array)].add(array, grad._array, 0.0, 0.0, array)
        held._bump()


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of ``tensors`` to ``.grad`` of the leaves they were computed from.

    Args:
        tensors: outputs to differentiate; all must require a gradient.
        grad_tensors: the gradient of each output, of its shape; may be None for one element.
        retain_graph: keep what the graph saved, for another pass (default: ``create_graph``).
        create_graph: record the pass itself, for higher derivatives.
        inputs: leaves to accumulate into (default: every leaf).

    Raises:
        RuntimeError: an output needs no gradient, a saved value was freed or changed in place.
        ValueError: a gradient's shape differs from its output's.
    """
    outputs = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
    given: Sequence[Tensor | None]
    if grad_tensors is None or isinstance(grad_tensors, Tensor):
        given = (grad_tensors,) * len(outputs)
    else:
        given = grad_tensors
    roots = [(o, _seed(o, g, "backward")) for o, g in zip(outputs, given, strict=True)]
    keep = create_graph if retain_graph is None else retain_graph
    only = None
    if inputs is not None:
        chosen = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        only = {id(x) for x in chosen}
    previous, _mode.enabled = _mode.enabled, create_graph
    try:
        for entry in _run(roots, keep, None):
            leaf = entry.target
            if only is None or id(leaf) in only:
                _store(leaf, entry.grads[0], create_graph)
    finally:
        _mode.enabled = previous


def _targets_leading_to(roots: Iterable[Tensor], ends: set[int]) -> set[int]:
    """Ids of the nodes and leaves from which a tensor of ``ends`` (ids) can be reached."""
    seen: dict[int, Any] = {}
    stack = [root._node for root in roots if root._node is not None]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        stack.extend(edge for edge in node.edges if type(edge) is Node)
    wanted = set(ends)
    for node in sorted(seen.values(), key=lambda each: each.sequence):
        if any(id(edge) in wanted for edge in node.edges if edge is not None):
            wanted.add(id(node))
    return wanted


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor, ...]:
    """Return the gradients of ``outputs`` with respect to ``inputs``; ``.grad`` stays as it is.

    Only the part of the graph between the two is computed. With ``create_graph`` the results can
    be differentiated again. An input that the outputs do not depend on raises RuntimeError, or
    gives None with ``allow_unused``.
    """
    outs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    ins = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    given: Sequence[Tensor | None]
    if grad_outputs is None or isinstance(grad_outputs, Tensor):
        given = (grad_outputs,) * len(outs)
    else:
        given = grad_outputs
    for position, x in enumerate(ins):
        if not x.requires_grad:
            raise RuntimeError(f"grad: input {position} does not require a gradient")
    roots = [(o, _seed(o, g, "grad")) for o, g in zip(outs, given, strict=True)]
    keep = create_graph if retain_graph is None else retain_graph
    capture: dict[tuple[int, int], Tensor | None] = {
        (id(x._node), x._index): None for x in ins if x._node is not None
    }
    ends = {id(x) if x._node is None else id(x._node) for x in ins}
    previous_mode, _mode.enabled = _mode.enabled, create_graph
    previous_wanted, _wanted.ids = _wanted.ids, _targets_leading_to(outs, ends)
    try:
        leaves = {id(entry.target): entry.grads[0] for entry in _run(roots, keep, capture)}
    finally:
        _mode.enabled = previous_mode
        _wanted.ids = previous_wanted
    results = []
    for position, x in enumerate(ins):
        found = leaves.get(id(x)) if x._node is None else capture[id(x._node), x._index]
        if found is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {position}; give allow_unused=True to "
                "get None for it"
            )
        results.append(cast(Tensor, found))
    return tuple(results)


# ---- grad mode -----------------------------------------------------------------------------------


def is_grad_enabled() -> bool:
    """Whether ops are being recorded on this thread."""
    return _mode.enabled


class set_grad_enabled:
    """Turn recording on or off; a context manager, a decorator or a plain call."""

    def __init__(self, mode: bool) -> None:
        """Set the mode at once; leaving the ``with`` block restores the one before."""
        self._previous = _mode.enabled
        self._mode = mode
        _mode.enabled = mode

    def __enter__(self) -> None:
        _mode.enabled = self._mode

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _mode.enabled = self._previous


class _FixedMode:
    """A context manager and decorator that holds grad mode at ``mode``; may be nested."""

    mode: bool

    def __init__(self) -> None:
        self._previous: list[bool] = []

    def __enter__(self) -> None:
        self._previous.append(_mode.enabled)
        _mode.enabled = self.mode

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _mode.enabled = self._previous.pop()

    def __call__(self, function: _F) -> _F:
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return cast(_F, wrapped)


class no_grad(_FixedMode):
    """Do not record ops: ``with no_grad():`` or ``@no_grad()``."""

    mode = False


class enable_grad(_FixedMode):
    """Record ops again inside a ``no_grad`` block."""

    mode = True
