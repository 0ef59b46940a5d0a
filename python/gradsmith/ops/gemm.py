# SPDX-License-Identifier: Apache-2.0
"""Matrix products: y[m, n] = sum over k of a[m, k] b[k, n], and what is built on it.

One kernel takes matrices and batches of them with any strides, so transposes cost nothing.
Floating operands must agree in dtype; integers are multiplied by NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import OUTPUT, Node, cast_down, is_grad_enabled, mode, record
from gradsmith.backend import EXTENSIONS, FLOATING, Array, library_for, like
from gradsmith.ops.elementwise import add, gt, mul, sub, where
from gradsmith.ops.options import names_errors
from gradsmith.ops.reduce import sum, sum_to
from gradsmith.ops.shape import axis_of, permute, reshape, unsqueeze
from gradsmith.tensor import Tensor, array_of, wrap, wrap_each


def require_ndim(op: str, argument: str, x: Any, ndim: int) -> Array:
    """Return the array of a tensor that has to have ``ndim`` dimensions."""
    array = array_of(op, x, argument)
    if array.ndim != ndim:
        raise ValueError(f"{op}: {argument} has shape {array.shape}, expected {ndim} dimensions")
    return array


def _matmul_backward(node: Node, dy: Tensor) -> Any:
    a, b, a_turned, b_turned = node.saved
    da = db = None
    if node.needs(0):
        factors = (b, dy, b_turned, True) if a_turned else (dy, b, False, not b_turned)
        da = sum_to(matrix_product(*factors), a._array.shape)
    if node.needs(1):
        factors = (dy, a, True, a_turned) if b_turned else (a, dy, not a_turned, False)
        db = sum_to(matrix_product(*factors), b._array.shape)
    return da, db


def matrix_product(a: Tensor, b: Tensor, a_turned: bool = False, b_turned: bool = False) -> Tensor:
    """Return the product of matrices (..., M, K) and (..., K, N), either one given transposed."""
    left, right = a._array, b._array
    if a_turned:
        left = left.T if left.ndim == 2 else left.swapaxes(-1, -2)
    if b_turned:
        right = right.T if right.ndim == 2 else right.swapaxes(-1, -2)
    array = EXTENSIONS[type(left)].gemm(left, right)
    return record(_matmul_backward, array, (a, b), (a, b, a_turned, b_turned))


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Return the matrix product.

    Args:
        input: (K) or (..., M, K); a 1-d operand counts as one row.
        other: (K) or (..., K, N); a 1-d operand counts as one column.

    Returns:
        (..., M, N) without the dimension of a 1-d operand; leading dimensions broadcast.

    Raises:
        ValueError: an operand is 0-d, the inner sizes differ, or batches do not broadcast.
        TypeError: the dtypes differ.
    """
    if mode.autocast is not None:
        input, other = mode.autocast.down(input, other)
    a, b = array_of("matmul", input), array_of("matmul", other, "other")
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(
            f"matmul: got shapes {a.shape} and {b.shape}, expected at least 1 dimension each"
        )
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(
            f"matmul: shapes {a.shape} and {b.shape} do not match: the first has {a.shape[-1]} "
            f"columns, the second {b.shape[-2 if b.ndim > 1 else 0]} rows"
        )
    if a.dtype not in FLOATING and b.dtype not in FLOATING:
        library, left = library_for(a)
        return wrap(like(library.asarray(library.matmul(left, library_for(b)[1])), a))
    if a.ndim == 1:
        product = matmul(unsqueeze(input, 0), other)
        return reshape(product, product.shape[:-2] + product.shape[-1:] if b.ndim > 1 else ())
    if b.ndim == 1:
        product = matmul(input, unsqueeze(other, 1))
        return reshape(product, product.shape[:-1])
    if a.ndim > 2 and b.ndim == 2:
        # One product of all rows: its gradient for the matrix needs no sum over batches.
        rows = reshape(input, (math.prod(a.shape[:-1]), a.shape[-1]))
        return reshape(matmul(rows, other), (*a.shape[:-1], b.shape[1]))
    return matrix_product(input, other)


@names_errors
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Return the product of two matrices, (M, K) and (K, N).

    Raises:
        ValueError: an operand is no matrix, or the inner sizes differ.
    """
    require_ndim("mm", "input", input, 2)
    require_ndim("mm", "mat2", mat2, 2)
    return matmul(input, mat2)


@names_errors
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Return the products of two batches of matrices, (B, M, K) and (B, K, N).

    Raises:
        ValueError: an operand is not 3-d, or the batches or inner sizes differ.
    """
    a, b = require_ndim("bmm", "input", input, 3), require_ndim("bmm", "mat2", mat2, 3)
    if a.shape[0] != b.shape[0]:
        raise ValueError(f"bmm: batches differ in size: shapes {a.shape} and {b.shape}")
    return matmul(input, mat2)


@names_errors
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Return the product of a matrix (M, K) and a vector (K)."""
    require_ndim("mv", "input", input, 2)
    require_ndim("mv", "vec", vec, 1)
    return matmul(input, vec)


def _dot_backward(node: Node, dy: Tensor) -> Any:
    a, b = node.saved
    return mul(b, dy) if node.needs(0) else None, mul(a, dy) if node.needs(1) else None


@names_errors
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Return the inner product of two vectors of equal length."""
    require_ndim("dot", "input", input, 1)
    require_ndim("dot", "tensor", tensor, 1)
    input, tensor = cast_down(input, tensor)
    product = matmul(input.detach(), tensor.detach())
    return record(_dot_backward, product._array, (input, tensor), (input, tensor))


@names_errors
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Return the products of all pairs of two vectors, (M) and (N) -> (M, N)."""
    require_ndim("outer", "input", input, 1)
    require_ndim("outer", "vec2", vec2, 1)
    return mul(unsqueeze(input, 1), unsqueeze(vec2, 0))


def scaled_sum(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    """Return ``beta * input + alpha * product``; with beta 0, NaN in the input is ignored."""
    scaled = product if alpha == 1 else mul(product, alpha)
    if beta == 0:
        return scaled
    return add(input if beta == 1 else mul(input, beta), scaled)


def check_addend(op: str, input: Any, shape: tuple[int, ...]) -> None:
    """Refuse a summand that does not broadcast to the shape of the product."""
    given = array_of(op, input).shape
    extra = len(shape) - len(given)
    if extra < 0 or any(s not in (1, shape[extra + d]) for d, s in enumerate(given)):
        raise ValueError(f"{op}: input of shape {given} does not broadcast to {shape}")


@names_errors
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """Return ``beta * input + alpha * (mat1 @ mat2)``; the input broadcasts to (M, N).

    Raises:
        ValueError: an operand is no matrix, or the shapes do not match.
    """
    input, mat1, mat2 = cast_down(input, mat1, mat2)
    a, b = require_ndim("addmm", "mat1", mat1, 2), require_ndim("addmm", "mat2", mat2, 2)
    check_addend("addmm", input, (a.shape[0], b.shape[1]))
    return scaled_sum(input, matmul(mat1, mat2), beta, alpha)


@names_errors
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """Return ``beta * input + alpha * (batch1 @ batch2)``; the input broadcasts to (B, M, N).

    Raises:
        ValueError: a batch is not 3-d, or the shapes do not match.
    """
    input, batch1, batch2 = cast_down(input, batch1, batch2)
    a = require_ndim("baddbmm", "batch1", batch1, 3)
    b = require_ndim("baddbmm", "batch2", batch2, 3)
    check_addend("baddbmm", input, (a.shape[0], a.shape[1], b.shape[2]))
    return scaled_sum(input, bmm(batch1, batch2), beta, alpha)


def _rows(x: Tensor) -> Tensor:
    """Return all but the last dimension as one."""
    return x if x.ndim == 2 else reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _through_activation(dy: Tensor, y: Tensor, activation: str) -> Tensor:
    """Return dy times the slope of the activation whose result is y."""
    if activation == "relu":
        return where(gt(y, 0), dy, 0)
    if activation == "tanh":
        return mul(dy, sub(1, mul(y, y)))
    return mul(dy, mul(y, sub(1, y)))


def _linear_backward(node: Node, dy: Tensor) -> Any:
    x, weight, activation, y = node.saved
    if not is_grad_enabled():
        grads = EXTENSIONS[type(dy._array)].linear_backward(
            x._array,
            weight._array,
            dy._array,
            None if y is None else y._array,
            activation,
            node.needs(0),
            node.needs(1),
            node.needs(2),
        )
        return wrap_each(grads)
    if y is not None:
        dy = _through_activation(dy, y, activation)
    dx = matmul(dy, weight) if node.needs(0) else None
    dweight = matrix_product(_rows(dy), _rows(x), True) if node.needs(1) else None
    dbias = sum(_rows(dy), 0) if node.needs(2) else None
    return dx, dweight, dbias


def activated_linear(
    input: Tensor, weight: Tensor, bias: Tensor | None, activation: str = "none"
) -> Tensor:
    """Return ``activation(input @ weight.T + bias)`` for a matrix ``weight``.

    Args:
        input: (..., K).
        weight: (N, K).
        bias: (N) or None.
        activation: ``"none"``, or one whose gradient follows from its result: ``"relu"``,
            ``"sigmoid"`` or ``"tanh"``.

    Raises:
        ValueError: the shapes do not match, or there is no such activation.
        TypeError: the dtypes differ.
    """
    if mode.autocast is not None:
        input, weight, bias = mode.autocast.down(input, weight, bias)
    x, w = array_of("linear", input), array_of("linear", weight, "weight")
    b = None if bias is None else array_of("linear", bias, "bias")
    array = EXTENSIONS[type(x)].linear_forward(x, w, b, activation)
    saved = (input, weight, activation, None if activation == "none" else OUTPUT)
    return record(_linear_backward, array, (input, weight, bias), saved)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``input @ weight.T + bias``.

    Args:
        input: (..., K).
        weight: (N, K), or (K) for an output without the last dimension.
        bias: (N), or 0-d with a 1-d weight.

    Raises:
        ValueError: the shapes do not match.
        TypeError: the dtypes differ.
    """
    if array_of("linear", weight, "weight").ndim != 1:
        return activated_linear(input, weight, bias)
    return _linear_of_vector(input, weight, bias)


def _linear_of_vector(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    input, weight, bias = cast_down(input, weight, bias)
    x, w = array_of("linear", input), weight._array
    if x.ndim == 0 or x.shape[-1] != w.shape[0]:
        given = x.shape[-1] if x.ndim else "no"
        raise ValueError(f"linear: input has {given} features, expected {w.shape[0]}")
    if w.dtype != x.dtype:
        raise TypeError(f"linear: weight is {w.dtype}, input is {x.dtype}")
    product = matmul(input, weight)
    if bias is None:
        return product
    if array_of("linear", bias, "bias").shape != ():
        raise ValueError(f"linear: bias has shape {bias.shape}, expected ()")
    return add(product, bias)


@names_errors
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``y[n] = input1 @ weight[n] @ input2 + bias[n]``.

    Args:
        input1: (..., I).
        input2: (..., J), of the same leading sizes.
        weight: (N, I, J).
        bias: (N).

    Raises:
        ValueError: the shapes do not match.
    """
    a, b = array_of("bilinear", input1, "input1"), array_of("bilinear", input2, "input2")
    w = require_ndim("bilinear", "weight", weight, 3)
    expected = ((*a.shape[:-1], w.shape[1]), (*a.shape[:-1], w.shape[2]))
    if a.ndim == 0 or (a.shape, b.shape) != expected:
        raise ValueError(
            f"bilinear: inputs have shapes {a.shape} and {b.shape}, expected (..., {w.shape[1]}) "
            f"and (..., {w.shape[2]}) of equal leading sizes"
        )
    if bias is not None and array_of("bilinear", bias, "bias").shape != w.shape[:1]:
        raise ValueError(f"bilinear: bias has shape {bias.shape}, expected {w.shape[:1]}")
    count, rows, columns = w.shape
    # (..., N * J), then (..., N, J) times input2 (..., J, 1)
    folded = matmul(input1, reshape(permute(weight, (1, 0, 2)), (rows, count * columns)))
    pairs = matmul(reshape(folded, (*a.shape[:-1], count, columns)), unsqueeze(input2, b.ndim))
    out = reshape(pairs, (*a.shape[:-1], count))
    return out if bias is None else add(out, bias)


@names_errors
def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Any] = 2) -> Tensor:
    """Return the sum of products over pairs of dimensions.

    Args:
        a: first operand.
        b: second operand.
        dims: how many of the last dimensions of ``a`` meet the first of ``b``, or two lists that
            name them.

    Raises:
        ValueError: the dimensions differ in number or size.
    """
    a_array, b_array = array_of("tensordot", a, "a"), array_of("tensordot", b, "b")
    if isinstance(dims, (int, np.integer)):
        if not 0 <= dims <= min(a_array.ndim, b_array.ndim):
            raise ValueError(
                f"tensordot: dims is {dims}, expected 0 to {min(a_array.ndim, b_array.ndim)}"
            )
        a_dims = list(range(a_array.ndim - dims, a_array.ndim))
        b_dims = list(range(dims))
    else:
        if len(dims) != 2:
            raise ValueError(f"tensordot: dims holds {len(dims)} lists, expected two")
        a_dims = [axis_of("tensordot", dim, a_array.ndim) for dim in dims[0]]
        b_dims = [axis_of("tensordot", dim, b_array.ndim) for dim in dims[1]]
    a_sizes = [a_array.shape[dim] for dim in a_dims]
    if a_sizes != [b_array.shape[dim] for dim in b_dims] or len(set(a_dims)) < len(a_dims):
        raise ValueError(
            f"tensordot: dims {dims} do not match for shapes {a_array.shape} and {b_array.shape}"
        )
    a_free = [dim for dim in range(a_array.ndim) if dim not in a_dims]
    b_free = [dim for dim in range(b_array.ndim) if dim not in b_dims]
    shape = [a_array.shape[dim] for dim in a_free] + [b_array.shape[dim] for dim in b_free]
    inner = math.prod(a_sizes)
    left = math.prod(a_array.shape[dim] for dim in a_free)
    right = math.prod(b_array.shape[dim] for dim in b_free)
    rows = reshape(permute(a, (*a_free, *a_dims)), (left, inner))
    columns = reshape(permute(b, (*b_dims, *b_free)), (inner, right))
    return reshape(matmul(rows, columns), tuple(shape))
