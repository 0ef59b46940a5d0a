# SPDX-License-Identifier: Apache-2.0
"""Powers of matrices, the matrix exponential, and the matrix of the powers of a vector."""

from __future__ import annotations

import math

from gradsmith.autograd.mode import in_float32
from gradsmith.backend import FLOATING, compute_dtype, float32, float64, int64
from gradsmith.ops.elementwise import add, as_floating, div, eq, gt, mul, pow, sub, to, where
from gradsmith.ops.elementwise_math import exp2, log2
from gradsmith.ops.elementwise_round import ceil, clamp
from gradsmith.ops.gemm import matmul
from gradsmith.ops.linalg_factor import identity_like
from gradsmith.ops.linalg_norm import matrix_norm
from gradsmith.ops.linalg_solve import inv, solve
from gradsmith.ops.options import check_flag, check_int, names_errors
from gradsmith.ops.shape import broadcast_to, unsqueeze
from gradsmith.ops.shape_copy import flip
from gradsmith.tensor import Tensor, array_of


def _check_square(op: str, x: Tensor) -> None:
    shape = array_of(op, x).shape
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{op}: input has shape {shape}, expected square matrices")


@names_errors
def matrix_power(A: Tensor, n: int) -> Tensor:
    """Return square matrices (..., N, N) to the power n, of their inverses where n is negative.

    Raises:
        ValueError: a matrix is not square, or is singular and n negative.
        TypeError: n is no integer.
    """
    _check_square("matrix_power", A)
    exponent = check_int("matrix_power", "n", n)
    if exponent < 0:
        return matrix_power(inv(A), -exponent)
    if exponent == 0:
        return broadcast_to(identity_like(A), A.shape).clone()
    power: Tensor | None = None
    square = A
    while True:
        if exponent & 1:
            power = square if power is None else matmul(power, square)
        exponent >>= 1
        if exponent == 0:
            break
        square = matmul(square, square)
    assert power is not None
    return power.clone() if power is A else power


# Higham 2005, table 2.3: norm up to which the approximant of a degree is exact to the precision.
_DEGREES = {float32: (7, 3.925724783138660), float64: (13, 5.371920351148152)}


def _pade_exponential(x: Tensor, degree: int) -> Tensor:
    """Return Pade's approximant of the exponential, numerator and denominator of one degree."""
    terms = [
        math.factorial(2 * degree - j)
        * math.factorial(degree)
        / (math.factorial(2 * degree) * math.factorial(j) * math.factorial(degree - j))
        for j in range(degree + 1)
    ]
    square = matmul(x, x)
    even, odd = mul(identity_like(x), terms[0]), mul(identity_like(x), terms[1])
    power = square
    for j in range(2, degree, 2):
        even = add(even, mul(power, terms[j]))
        odd = add(odd, mul(power, terms[j + 1]))
        power = matmul(power, square) if j + 2 < degree else power
    odd = matmul(x, odd)
    return solve(sub(even, odd), add(even, odd))


@in_float32
@names_errors
def matrix_exp(A: Tensor) -> Tensor:
    """Return the exponentials of square matrices (..., N, N): the sum of ``A ** k / k!``.

    By scaling and squaring (Higham, "The Scaling and Squaring Method for the Matrix Exponential
    Revisited", 2005).

    Raises:
        ValueError: a matrix is not square.

    >>> import gradsmith as gs
    >>> gs.matrix_exp(gs.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    _check_square("matrix_exp", A)
    x = as_floating(A)
    if x.dtype != compute_dtype(x.dtype):
        return to(matrix_exp(to(x, compute_dtype(x.dtype))), x.dtype)
    if x.numel() == 0:
        return x.clone()
    degree, limit = _DEGREES[x.dtype]
    size = matrix_norm(x.detach(), 1)
    ratio = clamp(div(size, limit), min=1.0)
    halvings = where(gt(ratio, 1), ceil(log2(ratio)), 0.0)
    scale = exp2(mul(halvings, -1.0))
    result = _pade_exponential(mul(x, unsqueeze(unsqueeze(scale, -1), -1)), degree)
    most = halvings.max().item()
    for done in range(int(most) if math.isfinite(most) else 0):
        squared = matmul(result, result)
        again = unsqueeze(unsqueeze(gt(halvings, done), -1), -1)
        result = where(again, squared, result)
    return result


@names_errors
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Return the powers of the elements of a vector (..., M) as columns (..., M, N).

    Args:
        x: the elements.
        N: the number of powers, M by default.
        increasing: whether the first column is the power 0; else it is the last.

    Raises:
        ValueError: the tensor has no dimension, or ``N`` is negative.

    >>> import gradsmith as gs
    >>> gs.vander(gs.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    array = array_of("vander", x, "x")
    if array.ndim == 0:
        raise ValueError("vander: x has no dimension")
    count = array.shape[-1] if N is None else check_int("vander", "N", N)
    if count < 0:
        raise ValueError(f"vander: N is {N}, expected a number >= 0")
    if array.dtype not in FLOATING:
        x = to(x, int64)
    base = unsqueeze(x, -1)
    exponents = x.new_tensor(range(count))
    # 0 ** 0 has slope 0, which pow() knows of tensors of exponents.
    powers = where(eq(exponents, 0), x.new_tensor(1), pow(base, exponents))
    return powers if check_flag("vander", "increasing", increasing) else flip(powers, -1)
