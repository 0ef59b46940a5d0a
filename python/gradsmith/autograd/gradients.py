# SPDX-License-Identifier: Apache-2.0
"""`grad`, for one gradient of the outputs or a batch of them, and the passes inside of rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from gradsmith.autograd.engine import gradients, run, targets_leading_to, tensors_of
from gradsmith.autograd.tape import Node, record
from gradsmith.autograd.tape import wanted as wanted_targets
from gradsmith.backend import EXTENSIONS
from gradsmith.tensor import Tensor


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """Return the gradients of ``outputs`` with respect to ``inputs``; ``.grad`` stays as it is.

    Only the part of the graph between the two is computed. With ``create_graph`` the results can
    be differentiated again. An input that the outputs do not depend on raises RuntimeError, gives
    None with ``allow_unused``, or zeros with ``materialize_grads``. With ``is_grads_batched`` each
    of ``grad_outputs`` has a further first dimension, and so has each result: row i belongs to the
    gradients i, one pass each.
    """
    if materialize_grads:
        if allow_unused is False:
            raise ValueError("grad: materialize_grads excludes allow_unused=False")
        found = grad(
            outputs, inputs, grad_outputs, retain_graph, create_graph, True, is_grads_batched
        )
        rows = (
            _batch_size(tensors_of("grad", "grad_outputs", grad_outputs)) if is_grads_batched else 0
        )
        size = (rows,) if is_grads_batched else ()
        return tuple(
            x.new_zeros((*size, *x.shape)) if each is None else each
            for x, each in zip(tensors_of("grad", "inputs", inputs), found, strict=True)
        )
    if is_grads_batched:
        seeds = tensors_of("grad", "grad_outputs", grad_outputs)
        return _batched(outputs, inputs, seeds, retain_graph, create_graph, allow_unused)
    return gradients(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused)


def _batch_size(seeds: tuple[Tensor, ...]) -> int:
    """Return the first size of batched gradients; ValueError unless all have one and the same."""
    shapes = [seed.shape for seed in seeds]
    if not shapes or any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
        raise ValueError(
            f"grad: grad_outputs have shapes {shapes}, expected one first size for all with "
            "is_grads_batched"
        )
    return shapes[0][0]


def _batched(
    outputs: Any,
    inputs: Any,
    seeds: tuple[Tensor, ...],
    retain_graph: bool | None,
    create_graph: bool,
    allow_unused: bool | None,
) -> tuple[Tensor, ...]:
    """Return `grad` for every row of the gradients, stacked."""
    count = _batch_size(seeds)
    if count == 0:
        raise ValueError("grad: grad_outputs have no rows, expected at least one")
    keep = create_graph if retain_graph is None else retain_graph
    rows = [
        gradients(
            outputs,
            inputs,
            [seed[i] for seed in seeds],
            keep or i + 1 < count,
            create_graph,
            allow_unused,
        )
        for i in range(count)
    ]
    columns = zip(*rows, strict=True)
    return tuple(cast(Tensor, None) if c[0] is None else stacked(c) for c in columns)


def _stack_backward(node: Node, dy: Tensor) -> Any:
    return tuple(dy[i] for i in range(len(node.edges)))


def stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors of one shape along a new first dimension (`ops.joining` stands above)."""
    like = tensors[0]._array
    extension = EXTENSIONS[type(like)]
    array = extension.empty((len(tensors), *like.shape), like.dtype)
    for i, tensor in enumerate(tensors):
        extension.copy(array[i, ...], tensor._array)
    return record(_stack_backward, array, tuple(tensors))


def inner_gradients(
    roots: Sequence[tuple[Tensor, Tensor]], ends: Sequence[Tensor], first: int, create_graph: bool
) -> list[Tensor | None]:
    """Return the gradients of ``ends`` within the graph since node ``first``, for a rule.

    ``ends`` are leaves, or tensors of nodes before ``first``, where the pass stops: what lies
    before them is the business of the pass around it. None where no gradient arrives.
    """
    capture: dict[tuple[int, int], Tensor | None] = {
        (id(x._node), x._index): None for x in ends if x._node is not None
    }
    targets = {id(x) if x._node is None else id(x._node) for x in ends}
    wanted = targets_leading_to([out for out, _ in roots], targets, first)
    previous, wanted_targets.ids = wanted_targets.ids, wanted
    try:
        arrived = run(roots, create_graph, capture, first)
    finally:
        wanted_targets.ids = previous
    leaves = {id(entry.target): entry.grads[0] for entry in arrived}
    return [leaves.get(id(x)) if x._node is None else capture[id(x._node), x._index] for x in ends]
