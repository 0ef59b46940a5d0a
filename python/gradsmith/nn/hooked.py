# SPDX-License-Identifier: Apache-2.0
"""The call of a module that has hooks.

For hooks of the backward pass the arguments and the results go through ops that change nothing,
one for all arguments and one for all results, whose backward rules call the hooks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradsmith.autograd import Node, is_grad_enabled, record_many
from gradsmith.tensor import Tensor

if TYPE_CHECKING:
    from gradsmith.nn.module import Module

Grads = tuple["Tensor | None", ...]


def call_hooked(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run ``forward`` between the hooks."""
    for hook, with_kwargs in tuple(module._forward_pre_hooks or ()):
        if with_kwargs:
            changed = hook(module, args, kwargs)
            if changed is not None:
                args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    waiting = list(module._forward_hooks or ())
    try:
        result = _run(module, args, kwargs)
        while waiting:
            hook, with_kwargs, _ = waiting.pop(0)
            changed = _call(hook, with_kwargs, module, args, kwargs, result)
            if changed is not None:
                result = changed
    except Exception:
        for hook, with_kwargs, always in waiting:
            if always:
                _call(hook, with_kwargs, module, args, kwargs, None)
        raise
    return result


def _call(
    hook: Any,
    with_kwargs: bool,
    module: Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    result: Any,
) -> Any:
    return hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)


def _run(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    has_hooks = module._backward_hooks or module._backward_pre_hooks
    if not has_hooks or not is_grad_enabled():
        return module.forward(*args, **kwargs)
    passing = _Passing(module, args)
    result = module.forward(*passing.joined(args, passing.at_inputs), **kwargs)
    results = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    passing.outputs = _places(results)
    passing.output_count = len(results)
    joined = passing.joined(results, passing.at_outputs)
    if not isinstance(result, (tuple, list)):
        return joined[0]
    return type(result)(*joined) if hasattr(result, "_fields") else type(result)(joined)


def _places(values: Sequence[Any]) -> list[int]:
    return [i for i, x in enumerate(values) if isinstance(x, Tensor) and x.requires_grad]


def _spread(grads: Sequence[Tensor | None], places: list[int], count: int) -> Grads:
    spread: list[Tensor | None] = [None] * count
    for place, grad in zip(places, grads, strict=True):
        spread[place] = grad
    return tuple(spread)


class _Passing:
    """What the two rules of one call share."""

    def __init__(self, module: Module, args: tuple[Any, ...]) -> None:
        self.module = module
        self.inputs, self.input_count = _places(args), len(args)
        self.outputs: list[int] = []
        self.output_count = 0
        self.grad_output: Grads = ()

    def joined(self, values: Sequence[Any], rule: Any) -> list[Any]:
        """Return the values, those that require gradients through one op with this rule."""
        result = list(values)
        places = _places(values)
        tensors = [values[i] for i in places]
        if not tensors:
            return result

        def backward(node: Node, *grads: Tensor | None) -> Grads:
            return rule(grads)  # type: ignore[no-any-return]

        backward.__name__ = f"{type(self.module).__name__}_hooks"
        arrays = [x._array for x in tensors]
        outs = record_many(backward, arrays, tuple(tensors), materialize=False)
        for place, x, out in zip(places, tensors, outs, strict=True):
            # The same memory: an in-place change of either is noticed, as with views.
            out._version = version = x._shared_version()
            out._view_of = version.rebased
            result[place] = out
        return result

    def at_outputs(self, grads: Grads) -> Grads:
        grad_output = _spread(grads, self.outputs, self.output_count)
        for (hook,) in tuple(self.module._backward_pre_hooks or ()):
            grad_output = self._changed(hook(self.module, grad_output), grad_output)
        self.grad_output = grad_output
        if not self.inputs:
            self._call_hooks((None,) * self.input_count)
        return tuple(grad_output[i] for i in self.outputs)

    def at_inputs(self, grads: Grads) -> Grads:
        grad_input = self._call_hooks(_spread(grads, self.inputs, self.input_count))
        return tuple(grad_input[i] for i in self.inputs)

    def _call_hooks(self, grad_input: Grads) -> Grads:
        for (hook,) in tuple(self.module._backward_hooks or ()):
            changed = hook(self.module, grad_input, self.grad_output)
            grad_input = self._changed(changed, grad_input)
        return grad_input

    def _changed(self, changed: Any, grads: Grads) -> Grads:
        if changed is None:
            return grads
        new = changed if isinstance(changed, tuple) else (changed,)
        if len(new) != len(grads):
            raise ValueError(
                f"a backward hook of {self.module._label()} returned {len(new)} gradients, "
                f"expected {len(grads)}"
            )
        for mine, theirs in zip(new, grads, strict=True):
            if mine is not None and theirs is not None and mine.shape != theirs.shape:
                raise ValueError(
                    f"a backward hook of {self.module._label()} returned a gradient of shape "
                    f"{mine.shape}, expected {theirs.shape}"
                )
        return new
