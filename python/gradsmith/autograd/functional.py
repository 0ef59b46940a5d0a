# SPDX-License-Identifier: Apache-2.0
"""Derivatives of functions: Jacobians, Hessians and their products with vectors.

Inputs and outputs are one tensor or a tuple of them, and results have the same form. With
``create_graph`` results can be differentiated again; with ``strict`` an output that does not depend
on an input is an error instead of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from gradsmith.autograd.gradients import grad, stacked
from gradsmith.autograd.mode import enable_grad
from gradsmith.tensor import Tensor

Tensors: TypeAlias = "Tensor | tuple[Tensor, ...]"


def _tuple(op: str, what: str, value: Any) -> tuple[bool, tuple[Tensor, ...]]:
    """Return whether a value is a tuple of tensors, and it as a tuple.

    Raises:
        TypeError: it is neither a tensor nor a tuple of tensors.
    """
    is_tuple = isinstance(value, (tuple, list))
    values = tuple(value) if is_tuple else (value,)
    for each in values:
        if not isinstance(each, Tensor):
            raise TypeError(
                f"{op}: {what} are or hold a {type(each).__name__}, expected a tensor or a tuple "
                "of tensors"
            )
    return is_tuple, values


class _Call:
    """A function called on inputs that require gradients, for one of the derivatives below."""

    def __init__(
        self, op: str, func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool
    ) -> None:
        self.op = op
        self.create_graph = create_graph
        self.strict = strict
        self.inputs_are_tuple, given = _tuple(op, "inputs", inputs)
        # Fresh tensors, so that func may use an input's own graph without our running through it.
        self.inputs = tuple(
            x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_()
            for x in given
        )
        self.outputs_are_tuple, self.outputs = _tuple(op, "outputs", func(*self.inputs))

    def only_number(self) -> Tensor:
        """Return the only output; ValueError unless it is one element."""
        if self.outputs_are_tuple or self.outputs[0].numel() != 1:
            shapes = [out.shape for out in self.outputs]
            raise ValueError(
                f"{self.op}: func returned shapes {shapes}, expected a tensor of one element"
            )
        return self.outputs[0]

    def directions(self, v: Any, like: tuple[Tensor, ...], what: str) -> tuple[Tensor, ...]:
        """Return the vectors ``v``, which have the shapes of ``like``; ones for one element."""
        if v is None:
            if len(like) != 1 or like[0].numel() != 1:
                raise ValueError(
                    f"{self.op}: v is missing; it may be left out only where the {what} are one "
                    "element"
                )
            return (like[0].new_ones(like[0].shape),)
        _, vectors = _tuple(self.op, "v", v)
        shapes, expected = [x.shape for x in vectors], [x.shape for x in like]
        if shapes != expected:
            raise ValueError(
                f"{self.op}: v has shapes {shapes}, expected those of the {what}, {expected}"
            )
        return vectors

    def gradients(
        self,
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor],
        grad_outputs: Sequence[Tensor],
        create_graph: bool,
    ) -> tuple[Tensor, ...]:
        """Return the gradients, zeros where there is no dependence (RuntimeError if strict)."""
        pairs = [
            (out, g) for out, g in zip(outputs, grad_outputs, strict=True) if out.requires_grad
        ]
        found: Sequence[Any] = [None] * len(inputs)
        if pairs:
            tracked, seeds = zip(*pairs, strict=True)
            found = grad(tracked, inputs, seeds, True, create_graph, allow_unused=True)
        if self.strict and (len(pairs) < len(outputs) or any(each is None for each in found)):
            raise RuntimeError(
                f"{self.op}: an output does not depend on an input, which strict=True forbids"
            )
        return tuple(
            x.new_zeros(x.shape) if each is None else each
            for x, each in zip(inputs, found, strict=True)
        )

    def finished(self, values: Sequence[Tensor], as_tuple: bool) -> Any:
        """Return values as the caller wants them: off the tape unless ``create_graph``."""
        kept = values if self.create_graph else [value.detach() for value in values]
        return tuple(kept) if as_tuple else kept[0]


def vjp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return ``func(*inputs)`` and the product of ``v`` with its Jacobian, ``v^T J``.

    ``v`` has the shapes of the outputs; it may be left out for an output of one element.

    Raises:
        ValueError: the shapes of ``v`` are not those of the outputs.
        RuntimeError: strict, and an output does not depend on an input.
    """
    with enable_grad():
        call = _Call("vjp", func, inputs, create_graph, strict)
        vectors = call.directions(v, call.outputs, "outputs")
        products = call.gradients(call.outputs, call.inputs, vectors, create_graph)
    outputs = call.finished(call.outputs, call.outputs_are_tuple)
    return outputs, call.finished(products, call.inputs_are_tuple)


def jvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return ``func(*inputs)`` and the product of its Jacobian with ``v``, ``J v``.

    By two reverse passes: ``u^T J`` is linear in u, and its derivative in direction v is ``J v``.

    Raises:
        ValueError: the shapes of ``v`` are not those of the inputs.
        RuntimeError: strict, and an output does not depend on an input.
    """
    with enable_grad():
        call = _Call("jvp", func, inputs, create_graph, strict)
        vectors = call.directions(v, call.inputs, "inputs")
        dummies = [out.new_zeros(out.shape).requires_grad_() for out in call.outputs]
        through = call.gradients(call.outputs, call.inputs, dummies, True)
        products = call.gradients(through, dummies, vectors, create_graph)
    outputs = call.finished(call.outputs, call.outputs_are_tuple)
    return outputs, call.finished(products, call.outputs_are_tuple)


def jacobian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """Return the Jacobian: for each output and input a tensor (*output.shape, *input.shape).

    Nested tuples where the outputs, the inputs or both are tuples, outputs outside.

    Args:
        func: from tensors to a tensor or a tuple of them.
        inputs: a tensor or a tuple of them.
        create_graph: record, so that the Jacobian can be differentiated.
        strict: raise where an output does not depend on an input.
        vectorize: accepted for compatibility; rows are computed one by one.
        strategy: ``"reverse-mode"``, the only one there is.

    Raises:
        TypeError: inputs or outputs are no tensors.
        ValueError: the strategy is unknown.
        RuntimeError: strict, and an output does not depend on an input.

    Example:
        >>> import gradsmith as gs
        >>> gs.autograd.functional.jacobian(lambda x: x * x, gs.tensor([1.0, 2.0])).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
    """
    if strategy != "reverse-mode":
        raise ValueError(f"jacobian: strategy is {strategy!r}, expected 'reverse-mode'")
    with enable_grad():
        call = _Call("jacobian", func, inputs, create_graph, strict)
        blocks = [_rows(call, out) for out in call.outputs]
    rows = [call.finished(block, call.inputs_are_tuple) for block in blocks]
    return tuple(rows) if call.outputs_are_tuple else rows[0]


def _rows(call: _Call, out: Tensor) -> list[Tensor]:
    """Return the derivatives of one output with respect to every input."""
    elements = out.reshape(-1)
    rows = [
        call.gradients([element], call.inputs, [element.new_ones(())], call.create_graph)
        for element in (elements[i] for i in range(out.numel()))
    ]
    if not rows:
        return [x.new_zeros((*out.shape, *x.shape)) for x in call.inputs]
    return [
        stacked(column).reshape((*out.shape, *x.shape))
        for x, column in zip(call.inputs, zip(*rows, strict=True), strict=True)
    ]


def hessian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """Return the second derivatives of a function with one number as result.

    A tensor (*input.shape, *input.shape), or for a tuple of inputs a tuple of tuples of them.

    Args:
        func: from tensors to a tensor of one element.
        inputs: a tensor or a tuple of them.
        create_graph: record, so that the Hessian can be differentiated.
        strict: raise where there is no dependence.
        vectorize: accepted for compatibility.
        outer_jacobian_strategy: ``"reverse-mode"``, the only one there is.

    Raises:
        ValueError: func returns something else than one element, or the strategy is unknown.
        RuntimeError: strict, and there is no dependence.
    """

    def gradient(*values: Tensor) -> Any:
        call = _Call("hessian", func, values, True, strict)
        out = call.only_number()
        ones = [out.new_ones(out.shape)]
        return call.gradients([out], call.inputs, ones, True)

    blocks = jacobian(gradient, inputs, create_graph, strict, strategy=outer_jacobian_strategy)
    return blocks if isinstance(inputs, (tuple, list)) else blocks[0]


def _hessian_product(op: str, func: Any, inputs: Any, v: Any, create: bool, strict: bool) -> Any:
    """Return the output and the derivative of its gradient in direction v."""
    with enable_grad():
        call = _Call(op, func, inputs, create, strict)
        out = call.only_number()
        vectors = call.directions(v, call.inputs, "inputs")
        slopes = call.gradients([out], call.inputs, [out.new_ones(out.shape)], True)
        products = call.gradients(slopes, call.inputs, vectors, create)
    return call.finished([out], False), call.finished(products, call.inputs_are_tuple)


def vhp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return ``func(*inputs)``, one element, and the product ``v^T H`` with its Hessian.

    Raises:
        ValueError: func returns something else, or the shapes of ``v`` are not the inputs'.
        RuntimeError: strict, and there is no dependence.
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)  # type: ignore[no-any-return]


def hvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return ``func(*inputs)``, one element, and the product ``H v`` with its Hessian.

    The Hessian is taken to be symmetric, as it is where second derivatives are continuous, so this
    costs no more than `vhp`.

    Raises:
        ValueError: func returns something else, or the shapes of ``v`` are not the inputs'.
        RuntimeError: strict, and there is no dependence.
    """
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)  # type: ignore[no-any-return]
