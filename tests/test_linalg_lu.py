# SPDX-License-Identifier: Apache-2.0
"""Factorisation by elimination and systems of equations by it: values, gradients, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import Case, CaseTests
from tests.reference import linalg as reference
from tests.test_gemm import normal
from tests.test_linalg_factor import SQUARE, TALL, WIDE, case

SQUARES = (2, 3, 3)


def exchanged(x: Any) -> Any:
    """Return matrices in which every column has its largest number in another row."""
    rows, columns = x.shape[-2:]
    far = 4.0 * np.roll(np.eye(rows, columns), 1, axis=-2) + np.eye(rows, columns)
    if isinstance(x, gs.Tensor):
        return 0.3 * x + gs.tensor(far, dtype=x.dtype, device=x.device)
    return 0.3 * x + far


def of_exchanged(name: str, call: Any, definition: Any, *shapes: tuple[int, ...]) -> list[Case]:
    return [
        case(
            f"{name}-{shape}",
            lambda x: call(exchanged(x)),
            lambda x: definition(exchanged(x)),
            shape,
        )
        for shape in shapes
    ]


def solved(left: bool, adjoint: bool) -> Case:
    def call(x: gs.Tensor, b: gs.Tensor) -> gs.Tensor:
        factors, pivots = gs.linalg.lu_factor(exchanged(x))
        return gs.linalg.lu_solve(factors, pivots, b, left=left, adjoint=adjoint)

    def definition(x: Any, b: Any) -> Any:
        inverse = np.linalg.inv(exchanged(x))
        inverse = np.swapaxes(inverse, -1, -2) if adjoint else inverse
        return inverse @ b if left else b @ inverse

    return Case(
        f"lu_solve-{left}-{adjoint}",
        call,
        definition,
        normal(SQUARES, (2, 3, 2) if left else (2, 2, 3)),
        tolerance="norm",
        depth=256,
        dtypes=("float32", "float64"),
        threads=False,
    )


CASES = [
    *of_exchanged(
        "lu_factor", gs.linalg.lu_factor, reference.lu_factor, SQUARE, TALL, WIDE, SQUARES
    ),
    *of_exchanged("lu", gs.linalg.lu, reference.lu, SQUARE, TALL, WIDE),
    *of_exchanged(
        "lu_factor without exchanges",
        lambda x: gs.linalg.lu_factor(x, pivot=False),
        lambda x: reference.lu_factor(x, pivot=False),
        SQUARE,
    ),
    *(solved(left, adjoint) for left in (True, False) for adjoint in (True, False)),
]


class TestCases(CaseTests):
    pass


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (2, 3, 5), (2, 0, 3, 3), (0, 3), (3, 0), (1, 1)])
def test_the_factors_make_the_matrix(shape: tuple[int, ...]) -> None:
    x = gs.tensor(np.random.default_rng(0).standard_normal(shape))
    p, lower, upper = gs.linalg.lu(x)
    np.testing.assert_allclose((p @ lower @ upper).numpy(), x.numpy(), atol=1e-12)
    assert lower.shape == (*shape[:-1], min(shape[-2:]))
    assert upper.shape == (*shape[:-2], min(shape[-2:]), shape[-1])
    factors, pivots = gs.lu(x)
    assert pivots.dtype == gs.int32
    for one, other in zip(gs.lu_unpack(factors, pivots), (p, lower, upper), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_matrix_with_a_column_of_zeros() -> None:
    p, lower, upper = gs.linalg.lu(gs.tensor([[0.0, 1.0], [0.0, 2.0]]))
    assert p.tolist() == [[1, 0], [0, 1]]
    assert lower.tolist() == [[1, 0], [0, 1]]
    assert upper.tolist() == [[0, 1], [0, 2]]
    x = gs.stack([gs.eye(2), upper, gs.tensor([[1.0, 1.0], [1.0, 1.0]])])
    assert gs.lu(x, get_infos=True)[2].tolist() == [0, 1, 2]
    assert gs.zeros(2, 0, 3).lu(get_infos=True)[2].tolist() == [0, 0]


def test_what_is_not_unpacked_is_empty() -> None:
    x = gs.randn(3, 3)
    p, lower, upper = gs.lu_unpack(*gs.linalg.lu_factor(x), unpack_data=False)
    assert [each.shape for each in (p, lower, upper)] == [(3, 3), (0,), (0,)]
    p, lower, upper = gs.lu_unpack(*x.lu(), unpack_pivots=False)
    assert [each.shape for each in (p, lower, upper)] == [(0,), (3, 3), (3, 3)]


def test_names_outside_linalg() -> None:
    x, b = gs.randn(3, 3), gs.randn(3, 2)
    factors, pivots = x.lu()
    expected = gs.linalg.solve(x, b).numpy()
    for got in (gs.lu_solve(b, factors, pivots), b.lu_solve(factors, pivots)):
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-3, atol=1e-4)


def test_low_precision_and_integers() -> None:
    x = gs.tensor([[1.0, 2.0], [4.0, 3.0]])
    for matrix in (x.bfloat16(), x.long()):
        factors, pivots = gs.linalg.lu_factor(matrix)
        assert factors.dtype == (gs.bfloat16 if matrix.dtype == gs.bfloat16 else gs.float32)
        assert factors.tolist() == [[4, 3], [0.25, 1.25]]
        assert pivots.tolist() == [2, 2]


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(4, 4), (2, 5, 3), (3, 6)])
def test_factors_and_gradients_are_those_of_pytorch(shape: tuple[int, ...]) -> None:
    import torch

    rng = np.random.default_rng(1)
    start, weights = rng.standard_normal(shape), rng.standard_normal(shape)
    mine, theirs = gs.tensor(start).requires_grad_(), torch.tensor(start).requires_grad_()
    factors, pivots = gs.linalg.lu_factor(mine)
    expected, rows = torch.linalg.lu_factor(theirs)
    np.testing.assert_allclose(factors.detach().numpy(), expected.detach(), atol=1e-12)
    np.testing.assert_array_equal(pivots, rows)
    (factors * gs.tensor(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    assert mine.grad is not None
    np.testing.assert_allclose(mine.grad.numpy(), theirs.grad, rtol=1e-8, atol=1e-9)


X, P = gs.eye(3), gs.tensor([1, 2, 3])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.linalg.lu_factor(gs.ones(3)), ValueError, "lu_factor: A has shape"),
        (lambda: gs.linalg.lu_factor(X, pivot=1), TypeError, "lu_factor: pivot is a int"),
        (lambda: gs.lu_unpack(X, P[:2]), ValueError, r"LU_pivots has shape \(2,\), expected \(3,"),
        (lambda: gs.lu_unpack(X, P.float()), TypeError, "LU_pivots is float32"),
        (lambda: gs.lu_unpack(X, P - 1), IndexError, "LU_pivots has a row that is not among 1 to"),
        (lambda: gs.lu_unpack(X[0], P), ValueError, "lu_unpack: LU_data has shape"),
        (lambda: gs.linalg.lu_solve(X[:2], P, X), ValueError, "lu_solve: LU has shape"),
        (lambda: gs.linalg.lu_solve(X, P + 1, X), IndexError, "lu_solve: pivots has a row"),
        (lambda: gs.linalg.lu_solve(0 * X, P, X), ValueError, "solve"),
        (lambda: gs.linalg.lu_solve(X, P, gs.ones(2, 2)), ValueError, "lu_solve"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
