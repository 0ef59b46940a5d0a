# SPDX-License-Identifier: Apache-2.0
"""Custom differentiable functions: a forward and a backward written by the user."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from gradsmith.autograd.mode import is_grad_enabled, no_grad
from gradsmith.autograd.tape import Gradients, Node, Output, record, record_many
from gradsmith.tensor import Tensor


class FunctionContext:
    """What a `Function` hands from its forward to its backward."""

    def __init__(self) -> None:
        """Start with nothing saved."""
        self.needs_input_grad: tuple[bool, ...] = ()
        self._to_save: tuple[Tensor | None, ...] = ()
        self._node: Node | None = None
        self._constant: tuple[int, ...] = ()
        self._inputs: tuple[tuple[int, ...] | None, ...] = ()  # shapes, None for others
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or other tensors; in-place changes to them are noticed."""
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept (RuntimeError if freed or changed since)."""
        return () if self._node is None else self._node.saved[1:]

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Give these outputs no gradient."""
        self._constant = tuple(id(tensor) for tensor in tensors)

    def set_materialize_grads(self, value: bool) -> None:
        """Whether a missing gradient of an output arrives as zeros (default) or as None."""
        self._materialize = value


class Function:
    """Base of custom differentiable functions.

    A subclass has two static methods: ``forward(ctx, *args)`` returns a tensor or a tuple of
    tensors, ``backward(ctx, *grads)`` one gradient (or None) per argument of forward. Call it as
    ``MyFunction.apply(*args)``. A backward written in differentiable ops can be differentiated
    again. With a third, ``setup_context(ctx, inputs, output)``, which keeps what backward needs,
    forward takes the arguments alone.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the result from the arguments."""
        raise NotImplementedError("a Function needs a static method forward(ctx, *args)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keep what backward needs of forward's arguments and result, where forward does not."""
        raise NotImplementedError("a Function may have a setup_context(ctx, inputs, output)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the arguments from those of the outputs."""
        raise NotImplementedError("a Function needs a static method backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward and put the call on the tape.

        Raises:
            TypeError: forward returned something else than tensors.
        """
        ctx = FunctionContext()
        is_split = cls.setup_context is not Function.setup_context
        if is_split:
            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        ctx._inputs = tuple(x.shape if isinstance(x, Tensor) else None for x in args)
        ctx.needs_input_grad = tuple(isinstance(x, Tensor) and x.requires_grad for x in args)
        with no_grad():
            if is_split:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args, **kwargs)
        results = result if isinstance(result, tuple) else (result,)
        for each in results:
            if not isinstance(each, Tensor):
                raise TypeError(
                    f"{cls.__name__}.forward returned a {type(each).__name__}, expected tensors"
                )
        if not (is_grad_enabled() and any(ctx.needs_input_grad)):
            return result
        saved = tuple(_as_output(tensor, results) for tensor in ctx._to_save)
        outs = record_many(
            _rule(cls),
            [each._array for each in results],
            args,
            (ctx, *saved),
            materialize=ctx._materialize,
        )
        for given, out in zip(results, outs, strict=True):
            if id(given) in ctx._constant:
                out.requires_grad = False
                out._node = None
        return outs if isinstance(result, tuple) else outs[0]


def _as_output(tensor: Tensor | None, results: tuple[Any, ...]) -> Any:
    """Return a marker for a saved output: holding the tensor itself would close a cycle."""
    for index, result in enumerate(results):
        if tensor is result:
            return Output(index)
    return tensor


def _check_gradient(name: str, shape: tuple[int, ...] | None, dx: Any) -> None:
    """Refuse a gradient that is no tensor of its argument's shape."""
    if dx is None or shape is None or (isinstance(dx, Tensor) and dx.shape == shape):
        return
    got = f"shape {dx.shape}" if isinstance(dx, Tensor) else f"a {type(dx).__name__}"
    raise RuntimeError(
        f"{name}.backward returned {got} for an argument of shape {shape}, expected a tensor of "
        "that shape or None"
    )


def _rule(cls: type[Function]) -> Any:
    def rule(node: Node, *grads: Tensor | None) -> Gradients:
        ctx: FunctionContext = node.saved[0]
        ctx._node = node
        try:
            gradients = cls.backward(ctx, *grads)
        finally:
            ctx._node = None
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        if len(gradients) != len(node.edges):
            raise RuntimeError(
                f"{cls.__name__}.backward returned {len(gradients)} gradients, expected "
                f"{len(node.edges)}, one per argument of forward"
            )
        for given, dx in zip(ctx._inputs, gradients, strict=True):
            _check_gradient(cls.__name__, given, dx)
        return tuple(gradients)

    rule.__name__ = cls.__name__
    return rule


def _differentiated_twice_backward(node: Node, dy: Tensor) -> Gradients:
    raise RuntimeError(
        "a gradient was differentiated whose Function's backward is marked with once_differentiable"
    )


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark the backward of a `Function` that is not written in differentiable ops.

    It runs off the tape, and differentiating its results again raises RuntimeError instead of
    giving wrong numbers::

        class Double(Function):
            @staticmethod
            @once_differentiable
            def backward(ctx, grad): ...
    """

    @wraps(function)
    def once(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            results = function(ctx, *grads)
        if not is_grad_enabled():
            return results
        inputs = (*grads, *ctx.saved_tensors)

        def closed(result: Any) -> Any:
            if not isinstance(result, Tensor):
                return result
            return record(_differentiated_twice_backward, result._array, inputs)

        return tuple(map(closed, results)) if isinstance(results, tuple) else closed(results)

    return once
