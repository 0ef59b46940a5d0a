# SPDX-License-Identifier: Apache-2.0
"""Methods of tensors that act on their place on the tape."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from gradsmith.autograd import engine
from gradsmith.hooks import HookHandle
from gradsmith.tensor import Tensor


def backward(
    input: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of this tensor to ``.grad`` of its leaves (see `autograd.backward`)."""
    engine.backward(input, gradient, retain_graph, create_graph, inputs)


def register_hook(input: Tensor, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
    """Call ``hook(grad)`` when this tensor's gradient is known; a result replaces it.

    Raises:
        RuntimeError: the tensor requires no gradient.
    """
    if not input.requires_grad:
        raise RuntimeError("register_hook: the tensor does not require a gradient")
    hooks: list[Any]
    entry: Any
    if input._node is None:
        hooks = input._hooks = input._hooks or []
        entry = hook
    else:
        hooks = input._node.hooks = input._node.hooks or []
        entry = (input._index, hook)
    hooks.insert(len(hooks) - _count_of_keepers(hooks), entry)
    return HookHandle(hooks, entry)


class _Keeper:
    """The hook of `retain_grad`, which comes behind all others: it keeps what they return."""

    def __init__(self, tensor: Tensor) -> None:
        # A strong reference would close a cycle tensor -> node -> hook -> tensor.
        self.reference = weakref.ref(tensor)

    def __call__(self, grad: Tensor) -> None:
        tensor = self.reference()
        if tensor is not None:
            tensor.grad = grad if tensor.grad is None else tensor.grad + grad


def _count_of_keepers(hooks: list[Any]) -> int:
    return sum(isinstance(each, tuple) and isinstance(each[1], _Keeper) for each in hooks)


def register_post_accumulate_grad_hook(input: Tensor, hook: Callable[[Tensor], Any]) -> HookHandle:
    """Call ``hook(tensor)`` after a backward pass has added to this leaf's ``.grad``.

    A hook may use the gradient at once and drop it, as an optimiser does that runs in backward.

    Raises:
        RuntimeError: the tensor is no leaf, or requires no gradient.
    """
    if input._node is not None or not input.requires_grad:
        raise RuntimeError(
            "register_post_accumulate_grad_hook: expected a leaf that requires a gradient"
        )
    hooks = input._post_hooks = input._post_hooks or []
    hooks.append(hook)
    return HookHandle(hooks, hook)


def retain_grad(input: Tensor) -> None:
    """Keep the gradient of a tensor that is no leaf in its ``.grad``, as its hooks leave it.

    Raises:
        RuntimeError: the tensor requires no gradient.
    """
    if not input.requires_grad:
        raise RuntimeError("retain_grad: the tensor does not require a gradient")
    node = input._node
    if node is None:
        return
    node.hooks = node.hooks or []
    keepers = [hook for _, hook in node.hooks if isinstance(hook, _Keeper)]
    if all(each.reference() is not input for each in keepers):
        node.hooks.append((input._index, _Keeper(input)))


def detach_(input: Tensor) -> Tensor:
    """Take the tensor off the tape, so that it is a leaf that requires no gradient; return it.

    Raises:
        RuntimeError: it is a view, whose base would stay on the tape.
    """
    if input._view_of is not None:
        raise RuntimeError("detach_: the tensor is a view, which shares its base; use detach()")
    input._node = None
    input._index = 0
    input.requires_grad = False
    return input
