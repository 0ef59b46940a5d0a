# SPDX-License-Identifier: Apache-2.0
"""Checkpointing: backward computes a function again instead of keeping what it saved.

Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost", 2016. The call becomes
one node of the tape. Its inputs are all tensors through which gradients leave the function,
arguments or not: they are found by running it on the tape, whose part is dropped again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gradsmith.autograd.gradients import inner_gradients
from gradsmith.autograd.mode import Casting, enable_grad, is_grad_enabled, mode
from gradsmith.autograd.tape import Gradients, Node, next_sequence, record_many
from gradsmith.backend import EXTENSIONS, Array
from gradsmith.random import default_generator
from gradsmith.tensor import Tensor, Version, wrap


def _tensors(tree: Any) -> Iterator[Tensor]:
    """Yield the tensors of nested lists, tuples and dicts, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for each in tree:
            yield from _tensors(each)
    elif isinstance(tree, dict):
        yield from _tensors(list(tree.values()))


def _tracked(tree: Any) -> list[Tensor]:
    """Return those of them that require a gradient."""
    return [tensor for tensor in _tensors(tree) if tensor.requires_grad]


def _replaced(tree: Any, tensors: Iterator[Tensor]) -> Any:
    """Return the nested results with others in place of those that require a gradient."""
    if isinstance(tree, Tensor):
        return next(tensors) if tree.requires_grad else tree
    if isinstance(tree, (list, tuple)):
        values = [_replaced(each, tensors) for each in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    if isinstance(tree, dict):
        return {key: _replaced(each, tensors) for key, each in tree.items()}
    return tree


def _nothing(like: Tensor) -> Array:
    """Return memory of the tensor's kind for one of which only the place on the tape counts."""
    return EXTENSIONS[type(like._array)].zeros((), like._array.dtype)  # type: ignore[no-any-return]


def _boundary(outputs: Sequence[Tensor], first: int) -> list[Tensor]:
    """Return the tensors outside of the graph since node ``first`` into which gradients flow.

    One that a node before it made is represented by a tensor at its place on the tape.
    """
    found: dict[tuple[int, int], Tensor] = {}
    seen: set[int] = set()
    stack: list[tuple[Any, int]] = [
        (out if out._node is None else out._node, out._index) for out in outputs
    ]
    while stack:
        target, index = stack.pop()
        if isinstance(target, Tensor):
            found.setdefault((id(target), 0), target)
        elif target.sequence < first:
            if (id(target), index) not in found:
                place = found[id(target), index] = wrap(_nothing(outputs[0]))
                place.requires_grad, place._node, place._index = True, target, index
        elif id(target) not in seen:
            seen.add(id(target))
            indices = target.indices or (0,) * len(target.edges)
            edges = zip(target.edges, indices, strict=True)
            stack += [(edge, i) for edge, i in edges if edge is not None]
    return list(found.values())


@contextmanager
def _casting_as(casting: Casting | None) -> Iterator[None]:
    """Let ops choose their dtype as in a region of autocast, with conversions of their own.

    A conversion kept by the region would lead out of the function in one run and not in the other.
    """
    previous = mode.autocast
    mode.autocast = None if casting is None else casting.fresh()
    try:
        yield
    finally:
        mode.autocast = previous


def _versions(tree: Any) -> list[tuple[Version, int]]:
    return [(version, version.number) for version in map(Tensor._shared_version, _tensors(tree))]


def _backward(node: Node, *grads: Tensor | None) -> Gradients:
    function, args, kwargs, state, casting, shapes, *tensors = node.saved
    boundary = tensors[: len(node.edges)]
    present = default_generator.get_state()
    if state is not None:
        default_generator.set_state(state)
    first = next_sequence()
    try:
        with enable_grad(), _casting_as(casting):
            outputs = _tracked(function(*args, **kwargs))
    finally:
        if state is not None:
            default_generator.set_state(present)
    if [out.shape for out in outputs] != shapes:
        raise RuntimeError(
            f"checkpoint: the function gave tensors of shapes {[out.shape for out in outputs]} "
            f"when it was run again for the backward pass, and {shapes} before; it has to do the "
            "same both times"
        )
    needed = [node.needs(i) for i in range(len(boundary))]
    ends = [x for x, need in zip(boundary, needed, strict=True) if need]
    roots = [(out, g) for out, g in zip(outputs, grads, strict=True) if g is not None]
    found = iter(inner_gradients(roots, ends, first, is_grad_enabled()))
    return tuple(next(found) if need else None for need in needed)


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool = False,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """Return ``function(*args, **kwargs)``, keeping none of what it saves for backward.

    The backward pass runs the function once more, from the same position of the default random
    generator and in the same region of autocast, so that dropout draws the same mask. Memory is
    saved at the price of one more forward; within a call it is what the function itself needs.
    Calls may be nested, parameters and other tensors that the function uses without taking them as
    arguments get their gradients, and the result can be differentiated any number of times. What
    the function does besides, such as counting running statistics of batch norm, it does twice.

    Args:
        function: from tensors and anything else to tensors, alone or in lists, tuples and dicts.
        *args: its arguments.
        use_reentrant: accepted for compatibility; there is one implementation.
        preserve_rng_state: False spares putting the generator back, for functions that draw none.
        **kwargs: its named arguments.

    Raises:
        RuntimeError: the function changes an argument in place, or in the backward pass gives
            something else than before.
    """
    if not is_grad_enabled():
        return function(*args, **kwargs)
    state = default_generator.get_state() if preserve_rng_state else None
    given = [*args, *kwargs.values()]
    versions = _versions(given)
    first = next_sequence()
    casting = mode.autocast
    with _casting_as(casting):
        result = function(*args, **kwargs)
    for version, number in versions:
        if version.number != number:
            raise RuntimeError(
                "checkpoint: the function changed an argument in place, and would do so again in "
                "the backward pass; change a copy instead"
            )
    outputs = _tracked(result)
    if not outputs:
        return result
    boundary = _boundary(outputs, first)
    shapes = [out.shape for out in outputs]
    tensors = record_many(
        _backward,
        [out._array for out in outputs],
        tuple(boundary),
        # The tensors stand here for themselves, so that later changes in place are noticed.
        (function, args, kwargs, state, casting, shapes, *boundary, *_tensors(given)),
        materialize=False,
    )
    return _replaced(result, iter(tensors))


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool = False,
    preserve_rng_state: bool = True,
) -> Any:
    """Return what functions give one after the other, in ``segments`` checkpointed parts.

    Args:
        functions: a `Sequential` or a list of functions of one argument.
        segments: the number of parts; the last one is not checkpointed, as backward begins there.
        input: argument of the first function.
        use_reentrant: accepted for compatibility.
        preserve_rng_state: as in `checkpoint`.

    Raises:
        ValueError: there are fewer functions than segments, or none of either.
    """
    steps = list(functions.children() if hasattr(functions, "children") else functions)
    if not isinstance(segments, int) or not 1 <= segments <= len(steps):
        raise ValueError(
            f"checkpoint_sequential: segments is {segments!r}, expected 1 to {len(steps)}, the "
            "number of functions"
        )

    def run(part: list[Any], value: Any) -> Any:
        for step in part:
            value = step(value)
        return value

    size = len(steps) // segments
    for start in range(0, size * (segments - 1), size):
        part = steps[start : start + size]
        input = checkpoint(run, part, input, preserve_rng_state=preserve_rng_state)
    return run(steps[size * (segments - 1) :], input)
