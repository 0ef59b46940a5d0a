# SPDX-License-Identifier: Apache-2.0
"""The backward pass: `backward` into the leaves and `grad` for chosen inputs, of any order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from sys import getrefcount
from typing import Any, cast

from gradsmith.autograd.mode import casting_off, mode
from gradsmith.autograd.tape import Hook, Node
from gradsmith.autograd.tape import wanted as wanted_targets
from gradsmith.backend import EXTENSIONS
from gradsmith.tensor import Tensor, wrap


class _Pending:
    """Gradients gathered for one target: per output a tensor, and whether we may add into it."""

    __slots__ = ("grads", "owned", "target")

    def __init__(self, target: Any, index: int, grad: Tensor) -> None:
        self.target = target
        self.grads = {index: grad}
        self.owned: set[int] | None = None

    def add(self, index: int, grad: Tensor) -> None:
        held = self.grads.get(index)
        if held is None:
            self.grads[index] = grad
        elif self.owned is not None and index in self.owned and not mode.enabled:
            array = held._array
            EXTENSIONS[type(array)].add(array, grad._array, 0.0, 0.0, array)
        else:
            self.grads[index] = held + grad
            self.owned = {index} | (self.owned or set())


class _Queue:
    """Targets that gradients have been sent to: nodes by falling sequence number, and leaves.

    A node's inputs were recorded before it, so popping the highest sequence number first visits
    every node after all its consumers: no separate topological sort is needed.
    """

    __slots__ = ("heap", "leaves", "pending", "wanted")

    def __init__(self) -> None:
        self.heap: list[int] = []
        self.pending: dict[int, _Pending] = {}
        self.leaves: dict[int, _Pending] = {}
        self.wanted = wanted_targets.ids

    def send(self, target: Any, index: int, grad: Tensor) -> None:
        if self.wanted is not None and id(target) not in self.wanted:
            return
        if type(target) is Node:
            key, entries = -target.sequence, self.pending
        else:
            key, entries = id(target), self.leaves
        entry = entries.get(key)
        if entry is not None:
            entry.add(index, grad)
            return
        entries[key] = _Pending(target, index, grad)
        if entries is self.pending:
            heappush(self.heap, key)


def run(
    roots: Iterable[tuple[Tensor, Tensor]],
    keep: bool,
    capture: dict[tuple[int, int], Tensor | None] | None,
    first: int = 0,
) -> list[_Pending]:
    """Propagate gradients in reverse order of recording; return what arrived at the leaves.

    The pass ends at nodes before ``first``; their hooks, and those of the leaves, belong to the
    pass around it then. Rules compute in the dtypes that the ops had: autocast is off meanwhile.
    """
    if mode.autocast is None:
        return _propagate(roots, keep, capture, first)
    with casting_off():
        return _propagate(roots, keep, capture, first)


def _propagate(
    roots: Iterable[tuple[Tensor, Tensor]],
    keep: bool,
    capture: dict[tuple[int, int], Tensor | None] | None,
    first: int,
) -> list[_Pending]:
    queue = _Queue()
    send, heap, pending = queue.send, queue.heap, queue.pending
    watcher = mode.watcher
    for root, grad in roots:
        send(root if root._node is None else root._node, root._index, grad)
    while heap:
        entry = pending.pop(heappop(heap))
        node: Node = entry.target
        grads = entry.grads
        if node.sequence < first:
            assert capture is not None
            _captured(node, grads, capture, None)
            continue
        if node.hooks is not None:
            for index, hook in node.hooks:
                if index in grads:
                    grads[index] = _after_hook(hook, grads[index])
        if capture and _captured(node, grads, capture, queue.wanted):
            continue
        given: tuple[Tensor | None, ...]
        if len(grads) == 1 and 0 in grads:
            given = (grads[0],)
        else:
            given = tuple([grads.get(i) for i in range(max(grads) + 1)])
        rule = node.backward if watcher is None else watcher.backward
        results = rule(node, *given)
        if not keep and node.saved_values is not None:
            node.free()
        indices = node.indices
        for position, target in enumerate(node.edges):
            if target is None:
                continue
            result = results[position]
            if result is not None:
                send(target, 0 if indices is None else indices[position], result)
    leaves = list(queue.leaves.values())
    for entry in leaves if not first else ():
        for hook in entry.target._hooks or ():
            entry.grads[0] = _after_hook(hook, entry.grads[0])
    return leaves


def _captured(
    node: Node,
    grads: dict[int, Tensor],
    capture: dict[tuple[int, int], Tensor | None],
    wanted: set[int] | None,
) -> bool:
    """Note the gradients asked for; return whether nothing before this node is wanted."""
    for index, grad in grads.items():
        if (id(node), index) in capture:
            capture[id(node), index] = grad
    return wanted is not None and not any(node.needs(i) for i in range(len(node.edges)))


def _after_hook(hook: Hook, grad: Tensor) -> Tensor:
    result = hook(grad)
    if result is None:
        return grad
    if not isinstance(result, Tensor) or result.shape != grad.shape:
        got = result.shape if isinstance(result, Tensor) else f"a {type(result).__name__}"
        raise ValueError(
            f"backward: a hook returned {got} for a gradient of shape {grad.shape}, expected a "
            "tensor of that shape or None"
        )
    return result


def tensors_of(name: str, argument: str, value: Any) -> tuple[Tensor, ...]:
    """Return one tensor or several as a tuple.

    Raises:
        TypeError: it is something else.
    """
    given = (value,) if isinstance(value, Tensor) or not isinstance(value, Iterable) else value
    tensors = tuple(given)
    for each in tensors:
        if not isinstance(each, Tensor):
            kind = type(each).__name__
            raise TypeError(f"{name}: {argument} is or holds a {kind}, expected tensors")
    return tensors


def _roots(
    name: str, outputs: tuple[Tensor, ...], gradients: Tensor | Sequence[Tensor | None] | None
) -> list[tuple[Tensor, Tensor]]:
    """Return each output with the gradient that enters there."""
    if gradients is None or isinstance(gradients, Tensor):
        return [(output, _seed(output, gradients, name)) for output in outputs]
    given = tuple(gradients)
    if len(given) != len(outputs):
        raise ValueError(f"{name}: got {len(given)} gradients for {len(outputs)} outputs")
    return [(o, _seed(o, g, name)) for o, g in zip(outputs, given, strict=True)]


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
    if not isinstance(gradient, Tensor):
        raise TypeError(
            f"{name}: the gradient is a {type(gradient).__name__}, expected a tensor or None"
        )
    if gradient._array.shape != output._array.shape:
        raise ValueError(
            f"{name}: the gradient has shape {tuple(gradient.shape)}, expected "
            f"{tuple(output.shape)}"
        )
    dtype = output._array.dtype
    return gradient if gradient._array.dtype is dtype else gradient.to(dtype)


def _references(grads: dict[int, Tensor]) -> tuple[int, int]:
    """Return how many references there are to the gradient 0 and to its array."""
    return getrefcount(grads[0]), getrefcount(grads[0]._array)


_SOLE_REFERENCES = _references({0: Tensor([0.0])})


def _store(leaf: Tensor, grads: dict[int, Tensor], create_graph: bool) -> None:
    """Add to ``leaf.grad``; memory that others may hold is copied, never kept or written."""
    is_sole = _references(grads) == _SOLE_REFERENCES
    grad = grads[0]
    array = grad._array
    held = leaf.grad
    if create_graph or (held is not None and held.requires_grad):
        leaf.grad = grad if held is None else held + grad
    elif held is not None:
        extension = EXTENSIONS[type(array)]
        extension.add(held._array, array, 0.0, 0.0, held._array)
        held._bump()
    else:
        extension = EXTENSIONS[type(array)]
        is_ours = is_sole and extension.owns_memory(array)
        leaf.grad = wrap(array if is_ours else extension.copy_of(array))


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
        TypeError: an argument holds something else than tensors.
        ValueError: a gradient's shape differs from its output's, or an input is no leaf.
    """
    roots = _roots("backward", tensors_of("backward", "tensors", tensors), grad_tensors)
    keep = create_graph if retain_graph is None else retain_graph
    only = None
    if inputs is not None:
        chosen = tensors_of("backward", "inputs", inputs)
        for position, x in enumerate(chosen):
            if x._node is not None or not x.requires_grad:
                raise ValueError(
                    f"backward: input {position} is no leaf that requires a gradient "
                    "(autograd.grad returns the gradient of any tensor)"
                )
        only = {id(x) for x in chosen}
    previous, mode.enabled = mode.enabled, create_graph
    try:
        for entry in run(roots, keep, None):
            leaf = entry.target
            if only is None or id(leaf) in only:
                _store(leaf, entry.grads, create_graph)
                for hook in tuple(leaf._post_hooks or ()):
                    hook(leaf)
    finally:
        mode.enabled = previous


def targets_leading_to(roots: Iterable[Tensor], ends: set[int], first: int = 0) -> set[int]:
    """Ids of the nodes since ``first`` and leaves from which one of ``ends`` (ids) is reached."""
    seen: dict[int, Any] = {}
    stack = [root._node for root in roots if root._node is not None]
    while stack:
        node = stack.pop()
        if id(node) in seen or node.sequence < first:
            continue
        seen[id(node)] = node
        stack.extend(edge for edge in node.edges if type(edge) is Node)
    wanted = set(ends)
    for node in sorted(seen.values(), key=lambda each: each.sequence):
        if any(id(edge) in wanted for edge in node.edges if edge is not None):
            wanted.add(id(node))
    return wanted


def gradients(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None,
    retain_graph: bool | None,
    create_graph: bool,
    allow_unused: bool | None,
) -> tuple[Tensor, ...]:
    """Return one pass's gradients of ``inputs``; see `autograd.grad`."""
    outs, ins = tensors_of("grad", "outputs", outputs), tensors_of("grad", "inputs", inputs)
    for position, x in enumerate(ins):
        if not x.requires_grad:
            raise RuntimeError(f"grad: input {position} does not require a gradient")
    roots = _roots("grad", outs, grad_outputs)
    keep = create_graph if retain_graph is None else retain_graph
    capture: dict[tuple[int, int], Tensor | None] = {
        (id(x._node), x._index): None for x in ins if x._node is not None
    }
    ends = {id(x) if x._node is None else id(x._node) for x in ins}
    previous_mode, mode.enabled = mode.enabled, create_graph
    previous_wanted, wanted_targets.ids = wanted_targets.ids, targets_leading_to(outs, ends)
    try:
        leaves = {id(entry.target): entry.grads[0] for entry in run(roots, keep, capture)}
    finally:
        mode.enabled = previous_mode
        wanted_targets.ids = previous_wanted
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
