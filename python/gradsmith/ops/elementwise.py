# SPDX-License-Identifier: Apache-2.0
"""Elementwise arithmetic of two tensors with broadcasting, choice and casts.

Each function stands beside its backward rule. Rules are written in the functions themselves, so
they serve derivatives of any order. Operands are tensors or Python numbers; types promote as in
PyTorch: a number or 0-d tensor yields to a tensor of the same or a higher kind.
"""

from __future__ import annotations

import math
from typing import Any, overload

from gradsmith.autograd import Node, is_grad_enabled, mode, record
from gradsmith.backend import EXTENSIONS, FLOATING, as_dtype, get_default_dtype, is_array
from gradsmith.ops.elementwise_compare import constant_of
from gradsmith.ops.elementwise_compare import eq as eq
from gradsmith.ops.elementwise_compare import ge as ge
from gradsmith.ops.elementwise_compare import gt as gt
from gradsmith.ops.elementwise_compare import isfinite as isfinite
from gradsmith.ops.elementwise_compare import isinf as isinf
from gradsmith.ops.elementwise_compare import isnan as isnan
from gradsmith.ops.elementwise_compare import le as le
from gradsmith.ops.elementwise_compare import logical_and as logical_and
from gradsmith.ops.elementwise_compare import logical_not as logical_not
from gradsmith.ops.elementwise_compare import logical_or as logical_or
from gradsmith.ops.elementwise_compare import logical_xor as logical_xor
from gradsmith.ops.elementwise_compare import lt as lt
from gradsmith.ops.elementwise_compare import ne as ne
from gradsmith.ops.options import check_number
from gradsmith.ops.promotion import promote_types
from gradsmith.ops.reduce import sum_to
from gradsmith.tensor import Tensor, array_of, wrap

Operand = Tensor | float | int | bool


def _binary(name: str, a: Any, b: Any, backward: Any, saves: bool = True) -> Tensor:
    """Run the kernel ``name`` and record it; saves both operands where the rule needs them."""
    if isinstance(a, Tensor):
        left = a._array
        right = b._array if isinstance(b, Tensor) else constant_of(name, b)
        extension = EXTENSIONS[type(left)]
    else:
        left = constant_of(name, a)
        right = array_of(name, b, "other")
        extension = EXTENSIONS[type(right)]
    array = getattr(extension, name)(left, right)
    if not is_grad_enabled():
        return wrap(array)
    recorded_a = _as_recorded(a, array)
    recorded_b = _as_recorded(b, array)
    return record(
        backward, array, (recorded_a, recorded_b), (recorded_a, recorded_b) if saves else ()
    )


def _as_recorded(x: Any, result: Any) -> Any:
    """Return the operand as the tape should see it: converted to the result's dtype."""
    if isinstance(x, Tensor):
        if x.requires_grad and x._array.dtype is not result.dtype and x.dtype != result.dtype:
            return to(x, result.dtype)
        return x
    return wrap(x) if type(x) in EXTENSIONS else x


def _shape(x: Any) -> tuple[int, ...]:
    return x._array.shape if isinstance(x, Tensor) else ()


def _reduced(node: Node, index: int, x: Any, grad: Tensor) -> Tensor | None:
    return sum_to(grad, _shape(x)) if node.needs(index) else None


def _add_backward(node: Node, dy: Tensor) -> Any:
    return dy, dy


def _add_broadcast_backward(node: Node, dy: Tensor) -> Any:
    a_shape, b_shape = node.saved
    da = sum_to(dy, a_shape) if node.needs(0) else None
    return da, sum_to(dy, b_shape) if node.needs(1) else None


def scaled(name: str, input: Any, other: Any, alpha: Any) -> Any:
    """Return ``alpha * other`` of a tensor or a number, a tensor in the dtype of the sum."""
    check_number(name, "alpha", alpha)
    if is_array(other):
        other = Tensor(other)
    if not isinstance(other, Tensor):
        return constant_of(name, other) * alpha
    if isinstance(input, Tensor) and input.ndim >= other.ndim:
        other = to(other, promote_types(input.dtype, other.dtype))
    return mul(other, alpha)


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input + alpha * other``."""
    if alpha != 1:
        other = scaled("add", input, other, alpha)
    if type(input) is Tensor and type(other) is Tensor:
        # The commonest case, equal shapes and dtypes, in as few steps as Python allows.
        left, right = input._array, other._array
        if not (input.requires_grad or other.requires_grad):
            return wrap(EXTENSIONS[type(left)].add(left, right))
        if left.shape == right.shape and left.dtype is right.dtype:
            return record(_add_backward, EXTENSIONS[type(left)].add(left, right), (input, other))
    out = _binary("add", input, other, _add_backward, saves=False)
    _use_shapes(out, input, other, _add_broadcast_backward)
    return out


def _use_shapes(out: Tensor, a: Any, b: Any, backward: Any) -> None:
    """Give the node of a sum or difference the operands' shapes if they were broadcast."""
    node = out._node
    if node is None or (_shape(a) == out.shape and _shape(b) == out.shape):
        return
    node.backward = backward
    node.save((_shape(a), _shape(b)), (out,))


def _sub_backward(node: Node, dy: Tensor) -> Any:
    return dy, neg(dy) if node.needs(1) else None


def _sub_broadcast_backward(node: Node, dy: Tensor) -> Any:
    a_shape, b_shape = node.saved
    da = sum_to(dy, a_shape) if node.needs(0) else None
    return da, neg(sum_to(dy, b_shape)) if node.needs(1) else None


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input - alpha * other``."""
    if alpha != 1:
        other = scaled("sub", input, other, alpha)
    out = _binary("sub", input, other, _sub_backward, saves=False)
    _use_shapes(out, input, other, _sub_broadcast_backward)
    return out


def rsub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``other - alpha * input``."""
    return sub(other, input, alpha=alpha)


def _mul_backward(node: Node, dy: Tensor) -> Any:
    a, b = node.saved
    da = sum_to(mul(dy, b), _shape(a)) if node.needs(0) else None
    return da, sum_to(mul(dy, a), _shape(b)) if node.needs(1) else None


def mul(input: Any, other: Any) -> Tensor:
    """Return ``input * other``."""
    return _binary("mul", input, other, _mul_backward)


def _div_backward(node: Node, dy: Tensor) -> Any:
    a, b = node.saved
    da = div(dy, b)
    db = neg(sum_to(div(mul(da, a), b), _shape(b))) if node.needs(1) else None
    return sum_to(da, _shape(a)) if node.needs(0) else None, db


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Return ``input / other``; integers divide to floating.

    Args:
        input: dividend.
        other: divisor.
        rounding_mode: None, ``"trunc"`` (towards zero) or ``"floor"``.

    Raises:
        ValueError: the rounding mode is unknown, or integers are rounded after division by zero.
    """
    if rounding_mode is None:
        return _binary("div", input, other, _div_backward)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        return _truncated_quotient(input, other)
    raise ValueError(f"div: rounding_mode is {rounding_mode!r}, expected None, 'trunc' or 'floor'")


def _truncated_quotient(input: Any, other: Any) -> Tensor:
    from gradsmith.ops.elementwise_round import trunc

    rest = fmod(input, other)
    if rest._array.dtype in FLOATING:
        return trunc(_binary("div", input, other, _div_backward))
    # Exact where a floating quotient would round.
    return floor_divide(sub(input, rest), other)


def _flat_backward(node: Node, dy: Tensor) -> Any:
    a, b = node.saved
    zero = mul(dy, 0.0)
    return _reduced(node, 0, a, zero), _reduced(node, 1, b, zero)


def floor_divide(input: Any, other: Any) -> Tensor:
    """Return ``floor(input / other)``; its gradient is zero almost everywhere."""
    return _binary("floor_divide", input, other, _flat_backward)


def _remainder_backward(node: Node, dy: Tensor) -> Any:
    a, b = node.saved
    db = neg(mul(dy, floor_divide(a, b))) if node.needs(1) else None
    return _reduced(node, 0, a, dy), None if db is None else sum_to(db, _shape(b))


def remainder(input: Any, other: Any) -> Tensor:
    """Return ``input - other * floor(input / other)``: Python's ``%``, signed as the divisor."""
    return _binary("remainder", input, other, _remainder_backward)


def _fmod_backward(node: Node, dy: Tensor) -> Any:
    from gradsmith.ops.elementwise_round import trunc

    a, b = node.saved
    db = neg(mul(dy, trunc(div(a, b)))) if node.needs(1) else None
    return _reduced(node, 0, a, dy), None if db is None else sum_to(db, _shape(b))


def fmod(input: Any, other: Any) -> Tensor:
    """Return C's remainder, signed as the dividend."""
    return _binary("fmod", input, other, _fmod_backward)


def _pow_backward(node: Node, dy: Tensor) -> Any:
    from gradsmith.ops.elementwise_math import log

    base, exponent = node.saved
    dbase = dexponent = None
    if node.needs(0):
        slope = mul(pow(base, exponent - 1), exponent)
        # 0 ** -1 is infinite, yet the slope of x ** 0 is 0 everywhere.
        if isinstance(exponent, Tensor):
            slope = where(eq(exponent, 0), 0.0, slope)
        elif exponent == 0:
            slope = mul(base, 0.0)
        dbase = sum_to(mul(dy, slope), _shape(base))
    if node.needs(1):
        result = pow(base, exponent)
        logarithm = log(base) if isinstance(base, Tensor) else math.log(base) if base > 0 else 0.0
        slope = mul(result, logarithm)
        if isinstance(base, Tensor):
            slope = where(logical_and(eq(base, 0), ge(exponent, 0)), 0.0, slope)
        dexponent = sum_to(mul(dy, slope), _shape(exponent))
    return dbase, dexponent


def pow(input: Any, exponent: Any) -> Tensor:
    """Return ``input ** exponent``.

    Raises:
        ValueError: integers to a negative integer power.
    """
    if mode.autocast is not None:
        input, exponent = mode.autocast.up(input), mode.autocast.up(exponent)
    if isinstance(exponent, (int, float)) and exponent == 2 and isinstance(input, Tensor):
        from gradsmith.ops.elementwise_math import square

        return square(input)
    return _binary("pow", input, exponent, _pow_backward)


def _squared(x: Any) -> Any:
    return mul(x, x) if isinstance(x, Tensor) else float(x) * float(x)


def _atan2_backward(node: Node, dy: Tensor) -> Any:
    a, b = node.saved
    squares = add(_squared(a), _squared(b))
    # Dividing by 0 would spoil the second derivative, though `where` leaves the quotient out.
    scale = where(eq(squares, 0), 0.0, div(dy, where(eq(squares, 0), 1.0, squares)))
    da = sum_to(mul(scale, b), _shape(a)) if node.needs(0) else None
    return da, sum_to(neg(mul(scale, a)), _shape(b)) if node.needs(1) else None


def atan2(input: Any, other: Any) -> Tensor:
    """Return the angle of the point (other, input), in radians in [-pi, pi]."""
    return _binary("atan2", input, other, _atan2_backward)


def _extreme_backward(better: Any, node: Node, dy: Tensor) -> Any:
    """Ties share the gradient evenly, as in PyTorch."""
    a, b = node.saved
    half = mul(dy, 0.5)
    tie = eq(a, b)
    da = where(tie, half, where(better(a, b), dy, 0.0)) if node.needs(0) else None
    db = where(tie, half, where(better(b, a), dy, 0.0)) if node.needs(1) else None
    return (
        None if da is None else sum_to(da, _shape(a)),
        None if db is None else sum_to(db, _shape(b)),
    )


def _maximum_backward(node: Node, dy: Tensor) -> Any:
    return _extreme_backward(gt, node, dy)


def maximum(input: Any, other: Any) -> Tensor:
    """Return the larger of each pair; NaN where either is NaN."""
    return _binary("maximum", input, other, _maximum_backward)


def _minimum_backward(node: Node, dy: Tensor) -> Any:
    return _extreme_backward(lt, node, dy)


def minimum(input: Any, other: Any) -> Tensor:
    """Return the smaller of each pair; NaN where either is NaN."""
    return _binary("minimum", input, other, _minimum_backward)


# ---- choice, casts, sign -------------------------------------------------------------------------


def _where_backward(node: Node, dy: Tensor) -> Any:
    condition, a_shape, b_shape = node.saved
    da = sum_to(where(condition, dy, 0.0), a_shape) if node.needs(0) else None
    return da, sum_to(where(condition, 0.0, dy), b_shape) if node.needs(1) else None


@overload
def where(condition: Tensor) -> tuple[Tensor, ...]: ...


@overload
def where(condition: Tensor, input: Any, other: Any) -> Tensor: ...


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """Return ``input`` where ``condition`` (bool), else ``other``; all three broadcast.

    Without the two it is ``nonzero(condition, as_tuple=True)``.

    Raises:
        TypeError: the condition is not bool.
        ValueError: the shapes do not broadcast.
    """
    if not isinstance(condition, Tensor):
        raise TypeError(f"where: condition is a {type(condition).__name__}, expected a bool tensor")
    if input is None and other is None:
        from gradsmith.ops.sorting_search import nonzero

        return nonzero(condition, as_tuple=True)
    left = input._array if isinstance(input, Tensor) else constant_of("where", input)
    right = other._array if isinstance(other, Tensor) else constant_of("where", other)
    array = EXTENSIONS[type(condition._array)].where(condition._array, left, right)
    if not is_grad_enabled():
        return wrap(array)
    return record(
        _where_backward,
        array,
        (_as_recorded(input, array), _as_recorded(other, array)),
        (condition, _shape(input), _shape(other)),
    )


def _neg_backward(node: Node, dy: Tensor) -> Any:
    return (neg(dy),)


def neg(input: Tensor) -> Tensor:
    """Return ``-input``."""
    array = array_of("neg", input)
    return record(_neg_backward, EXTENSIONS[type(array)].neg(array), (input,))


def _to_backward(node: Node, dy: Tensor) -> Any:
    (dtype,) = node.saved
    return (to(dy, dtype),)


def to(input: Tensor, dtype: Any) -> Tensor:
    """Return the tensor converted to ``dtype``; itself if it has that dtype."""
    array = array_of("to", input)
    if array.dtype is dtype or array.dtype == (wanted := as_dtype(dtype)):
        return input
    result = EXTENSIONS[type(array)].cast(array, wanted)
    if wanted not in FLOATING:
        return wrap(result)
    return record(_to_backward, result, (input,), (array.dtype,))


def as_floating(input: Tensor) -> Tensor:
    """Return the tensor itself, or converted to the default dtype if it holds integers."""
    floating = array_of("to", input).dtype in FLOATING
    return input if floating else to(input, get_default_dtype())


subtract = sub
multiply = mul
divide = div
true_divide = div
arctan2 = atan2
negative = neg
