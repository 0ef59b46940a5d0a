# SPDX-License-Identifier: Apache-2.0
"""Factorisations, inverses, systems of equations, norms, powers: values and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import Case, CaseTests
from tests.reference import linalg as reference
from tests.test_gemm import normal, quadratic, tensor_quadratic


def distinct(x: Any) -> Any:
    """Return matrices with singular values far apart, of an array or a tensor."""
    rows, columns = x.shape[-2:]
    diagonal = np.zeros((rows, columns))
    np.fill_diagonal(diagonal, 6.0 / 2.0 ** np.arange(min(rows, columns)))
    if isinstance(x, gs.Tensor):
        return 0.2 * x + gs.tensor(diagonal, dtype=x.dtype, device=x.device)
    return 0.2 * x + diagonal


def case(name: str, call: Any, definition: Any, *shapes: tuple[int, ...]) -> Case:
    return Case(
        name,
        call,
        definition,
        normal(*shapes),
        tolerance="norm",
        depth=256,
        dtypes=("float32", "float64"),
        threads=False,
    )


def of_distinct(name: str, call: Any, definition: Any, *shapes: tuple[int, ...]) -> list[Case]:
    """Return a case for each shape, of a matrix that `distinct` makes."""
    return [
        case(
            f"{name}-{shape}", lambda x: call(distinct(x)), lambda x: definition(distinct(x)), shape
        )
        for shape in shapes
    ]


def of_quadratic(name: str, call: Any, definition: Any) -> Case:
    """Return a case of symmetric positive definite matrices."""
    return case(
        name, lambda x: call(tensor_quadratic(x)), lambda x: definition(quadratic(x)), (2, 3, 3)
    )


def squared_vectors(result: Any) -> tuple[Any, ...]:
    """Return what does not depend on the signs of singular vectors: their squares."""
    u, s, vh = result
    return u * u, s, vh * vh


def squared_eigenvectors(result: Any) -> tuple[Any, Any]:
    return result[0], result[1] * result[1]


TALL, WIDE, SQUARE = (4, 3), (2, 2, 3), (3, 3)
NORMS = [
    (norm, shape)
    for norm, shape in (
        *((each, TALL) for each in ("fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf)),
        *((each, WIDE) for each in ("nuc", -2, math.inf)),
    )
]

CASES = [
    *of_distinct("qr", gs.linalg.qr, np.linalg.qr, TALL, SQUARE, WIDE),
    *of_distinct(
        "svd",
        lambda x: squared_vectors(gs.linalg.svd(x, full_matrices=False)),
        lambda x: squared_vectors(np.linalg.svd(x, full_matrices=False)),
        *(TALL, SQUARE, WIDE),
    ),
    *of_distinct(
        "svdvals", gs.linalg.svdvals, lambda x: np.linalg.svd(x, compute_uv=False), TALL, WIDE
    ),
    *of_distinct(
        "svd-full",
        lambda x: gs.linalg.svd(x).S,
        lambda x: np.linalg.svd(x, compute_uv=False),
        TALL,
    ),
    *of_distinct("pinv", gs.linalg.pinv, reference.pinv, TALL, SQUARE, WIDE),
    *of_distinct("cond", gs.linalg.cond, lambda x: np.linalg.cond(x), TALL, SQUARE),
    *of_distinct(
        "cond-1", lambda x: gs.linalg.cond(x, 1), lambda x: np.linalg.cond(x, 1), (2, 3, 3)
    ),
    *of_distinct(
        "matrix_power",
        lambda x: gs.linalg.matrix_power(x, 5),
        lambda x: np.linalg.matrix_power(x, 5),
        SQUARE,
    ),
    *of_distinct(
        "matrix_power-negative",
        lambda x: gs.linalg.matrix_power(x, -2),
        lambda x: np.linalg.matrix_power(x, -2),
        (2, 3, 3),
    ),
    *of_distinct("matrix_exp", gs.matrix_exp, reference.matrix_exp, (2, 3, 3)),
    of_quadratic(
        "eigh",
        lambda x: squared_eigenvectors(gs.linalg.eigh(x)),
        lambda x: squared_eigenvectors(np.linalg.eigh(x)),
    ),
    of_quadratic("eigvalsh", gs.linalg.eigvalsh, np.linalg.eigvalsh),
    of_quadratic(
        "cholesky-upper",
        lambda x: gs.linalg.cholesky(x, upper=True),
        lambda x: np.swapaxes(np.linalg.cholesky(x), -1, -2),
    ),
    of_quadratic("logdet", gs.logdet, lambda x: np.log(np.linalg.det(x))),
    of_quadratic(
        "cholesky_inverse",
        lambda x: gs.cholesky_inverse(gs.linalg.cholesky(x)),
        np.linalg.inv,
    ),
    case(
        "cholesky_solve",
        lambda a, b: gs.cholesky_solve(
            b, gs.linalg.cholesky(tensor_quadratic(a), upper=True), upper=True
        ),
        lambda a, b: np.linalg.solve(quadratic(a), b),
        *((3, 3), (3, 2)),
    ),
    case(
        "solve-right",
        lambda a, b: gs.linalg.solve(distinct(a), b, left=False),
        lambda a, b: b @ np.linalg.inv(distinct(a)),
        *((3, 3), (2, 3)),
    ),
    *(
        case(
            f"solve_triangular-{upper}-{left}-{unit}",
            lambda a, b, o=(upper, left, unit): gs.linalg.solve_triangular(
                distinct(a), b, upper=o[0], left=o[1], unitriangular=o[2]
            ),
            lambda a, b, o=(upper, left, unit): reference.solve_triangular(distinct(a), b, *o),
            *((3, 3), (2, 3, 3)),
        )
        for upper, left, unit in ((True, True, False), (False, True, True), (True, False, True))
    ),
    case(
        "tensorinv",
        lambda x: gs.linalg.tensorinv(distinct(x).reshape(2, 2, 4)),
        lambda x: np.linalg.tensorinv(distinct(x).reshape(2, 2, 4)),
        (4, 4),
    ),
    case(
        "tensorsolve",
        lambda a, b: gs.linalg.tensorsolve(distinct(a).reshape(4, 2, 2), b),
        lambda a, b: np.linalg.tensorsolve(distinct(a).reshape(4, 2, 2), b),
        *((4, 4), (4,)),
    ),
    *(
        case(
            f"lstsq-{shape}",
            lambda a, b: gs.linalg.lstsq(distinct(a), b).solution,
            lambda a, b: reference.pinv(distinct(a)) @ b,
            *(shape, (*shape[:-1], 2)),
        )
        for shape in (TALL, WIDE)
    ),
    *(
        case(
            f"matrix_norm-{order}-{shape}",
            lambda x, order=order: gs.linalg.matrix_norm(distinct(x), order, keepdim=True),
            lambda x, order=order: np.linalg.norm(distinct(x), order, (-2, -1), keepdims=True),
            shape,
        )
        for order, shape in NORMS
    ),
]


class TestCases(CaseTests):
    pass


def test_named_results() -> None:
    x = gs.tensor(np.random.default_rng(0).standard_normal((4, 3)))
    u, s, vh = gs.linalg.svd(x)
    assert (u.shape, s.shape, vh.shape) == ((4, 4), (3,), (3, 3))
    assert gs.allclose((u[:, :3] * s) @ vh, x)
    assert gs.linalg.svd(x).Vh is not None
    assert gs.allclose(gs.svd(x).U * gs.svd(x).S @ gs.svd(x).V.T, x)
    q, r = gs.linalg.qr(x, "complete")
    assert (q.shape, r.shape) == ((4, 4), (4, 3))
    assert gs.allclose(q @ r, x)
    assert gs.linalg.qr(x, "r").Q.shape == (0,)
    values, vectors = gs.linalg.eigh(x.T @ x)
    assert gs.allclose((vectors * values) @ vectors.T, x.T @ x)
    assert gs.slogdet(-gs.eye(3)).sign.item() == -1
    fit = gs.linalg.lstsq(x, gs.ones(4, 1, dtype=gs.float64))
    assert fit.rank.item() == 3
    assert fit.singular_values.shape == fit.residuals.shape == (0,)
    fit = gs.linalg.lstsq(x, gs.ones(4, 1, dtype=gs.float64), driver="gels")
    assert fit.rank.shape == (0,)
    assert gs.allclose(fit.residuals, ((x @ fit.solution - 1) ** 2).sum(0))


def test_gradient_of_the_determinant_of_singular_matrices() -> None:
    x = gs.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=gs.float64, requires_grad=True)
    x.det().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), [[4, -2], [-2, 1]], atol=1e-12)


def test_equal_eigenvalues_and_singular_values_have_gradients() -> None:
    for values in (gs.linalg.eigvalsh, gs.linalg.svdvals, lambda x: gs.linalg.svd(x, False).S):
        x = gs.eye(3, dtype=gs.float64, requires_grad=True)
        values(x).sum().backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), np.eye(3), atol=1e-15)


def test_least_squares_of_batches_of_vectors() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 4))
    fit = gs.linalg.lstsq(gs.tensor(a), gs.tensor(b), driver="gelsd")
    for i in range(2):
        solution, residual, rank, values = np.linalg.lstsq(a[i], b[i])
        np.testing.assert_allclose(fit.solution[i].numpy(), solution)
        np.testing.assert_allclose(fit.residuals[i].numpy(), residual)
        np.testing.assert_allclose(fit.singular_values[i].numpy(), values)
        assert fit.rank[i].item() == rank


def test_least_norm_of_matrices_without_full_rank() -> None:
    a = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    fit = gs.linalg.lstsq(gs.tensor(a), gs.ones(3, 1, dtype=gs.float64), driver="gelss")
    np.testing.assert_allclose(fit.solution.numpy(), [[0.5], [0.5]])
    assert fit.rank.item() == 1
    assert fit.residuals.shape == (0,)
    x = gs.tensor(a, requires_grad=True)
    assert gs.linalg.pinv(x).shape == (2, 3)


def test_rank_and_tolerances() -> None:
    x = gs.diag(gs.tensor([4.0, 1.0, 1e-9]))
    assert gs.linalg.matrix_rank(x).item() == 2
    assert gs.linalg.matrix_rank(x, atol=2.0).item() == 1
    assert gs.linalg.matrix_rank(x, rtol=0.5, atol=0.0).item() == 1
    assert gs.linalg.matrix_rank(x, atol=gs.tensor(1e-12), rtol=0.0).item() == 3
    np.testing.assert_allclose(gs.linalg.pinv(x).numpy(), np.diag([0.25, 1, 0]))
    np.testing.assert_allclose(gs.pinverse(x, 0.5).numpy(), np.diag([0.25, 0, 0]))


def test_exponential_of_many_sizes() -> None:
    sizes = np.array([1e-8, 0.1, 3.0, 20.0])
    rotation = np.array([[0.0, -1.0], [1.0, 0.0]])
    got = gs.matrix_exp(gs.tensor(sizes[:, None, None] * rotation)).numpy()
    np.testing.assert_allclose(got[:, 1, 0], np.sin(sizes), rtol=1e-12, atol=1e-13)
    assert gs.matrix_exp(gs.zeros(0, 2, 2)).shape == (0, 2, 2)
    assert gs.matrix_exp(gs.eye(2, dtype=gs.bfloat16)).dtype == gs.bfloat16


def test_orders_of_norms() -> None:
    x = gs.arange(6.0).reshape(2, 3)
    assert gs.linalg.norm(x).item() == gs.norm(x).item() == pytest.approx(math.sqrt(55))
    assert gs.linalg.norm(x, 1).item() == 7
    assert gs.linalg.norm(x, math.inf, 1).tolist() == [2, 5]
    assert gs.norm(x, "nuc").item() == pytest.approx(np.linalg.norm(x.numpy(), "nuc"))
    assert gs.linalg.norm(x, 2, (0, 1), keepdim=True).shape == (1, 1)


def test_condition_of_a_singular_matrix_is_infinite() -> None:
    assert gs.linalg.cond(gs.ones(2, 2), 1).item() == math.inf
    assert gs.linalg.cond(gs.zeros(2, 2), "fro").item() == math.inf


def on_the_tape(function: Callable[[gs.Tensor], gs.Tensor]) -> Callable[[], None]:
    return lambda: function(gs.eye(3, 2).requires_grad_()).sum().backward()


X, B = gs.ones(3, 2), gs.eye(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.linalg.qr(gs.ones(3)), ValueError, "qr: input has shape"),
        (lambda: gs.linalg.qr(X, "full"), ValueError, "qr: mode is 'full'"),
        (on_the_tape(lambda x: gs.linalg.qr(x, "complete").R), RuntimeError, "qr: mode 'complete'"),
        (on_the_tape(lambda x: gs.linalg.svd(x).U), RuntimeError, "svd: U and Vh"),
        (lambda: gs.linalg.svd(3), TypeError, "svd: input is a int|to: input"),
        (lambda: gs.linalg.svd(X, 1), TypeError, "svd: full_matrices"),
        (lambda: gs.linalg.svd(X * math.inf), ValueError, "svd: input holds NaN or infinity"),
        (lambda: gs.linalg.svdvals(X * math.nan), ValueError, "svdvals: input holds NaN"),
        (lambda: gs.linalg.eigh(B * math.inf), ValueError, "eigh: input holds NaN"),
        (lambda: gs.linalg.eigh(X), ValueError, "eigh: input has shape"),
        (lambda: gs.linalg.eigh(B, "X"), ValueError, "eigh: UPLO is 'X'"),
        (lambda: gs.linalg.solve(B, X, left=1), TypeError, "solve: left"),
        (lambda: gs.linalg.solve_triangular(X, X, upper=True), ValueError, "solve_triangular"),
        (lambda: gs.linalg.solve_triangular(0 * B, X, upper=True), ValueError, "Singular"),
        (lambda: gs.linalg.lstsq(X, gs.ones(2, 2)), ValueError, "lstsq: shapes"),
        (lambda: gs.linalg.lstsq(X, X.double()), TypeError, "lstsq: A is float32"),
        (lambda: gs.linalg.lstsq(X, X, driver="best"), ValueError, "lstsq: driver is 'best'"),
        (lambda: gs.linalg.pinv(X, atol="a"), TypeError, "pinv: atol is a str"),
        (lambda: gs.linalg.matrix_rank(gs.ones(3)), ValueError, "matrix_rank: .*shape"),
        (lambda: gs.linalg.cond(X, 1), ValueError, "cond: A has shape"),
        (lambda: gs.linalg.matrix_norm(X, 3), ValueError, "matrix_norm: ord is 3.0"),
        (lambda: gs.linalg.matrix_norm(X, 1, (0, 0)), ValueError, "matrix_norm: dim is"),
        (lambda: gs.linalg.matrix_norm(gs.ones(3)), IndexError, "matrix_norm: dim -2"),
        (lambda: gs.linalg.norm(gs.ones(1, 1, 1), 1), ValueError, "norm: A has shape"),
        (lambda: gs.linalg.norm(gs.ones(3), "fro"), ValueError, "norm: ord is 'fro'"),
        (lambda: gs.norm(gs.ones(3), "nuc"), ValueError, "norm: dim is None"),
        (lambda: gs.norm(X, "max"), ValueError, "norm: p is 'max'"),
        (lambda: gs.matrix_power(X, 2), ValueError, "matrix_power: input has shape"),
        (lambda: gs.matrix_power(B, 0.5), TypeError, "matrix_power: n is a float"),
        (lambda: gs.matrix_exp(X), ValueError, "matrix_exp: input has shape"),
        (lambda: gs.linalg.tensorinv(gs.ones(2, 3, 4)), ValueError, "tensorinv: A has shape"),
        (lambda: gs.linalg.tensorinv(B, 0), ValueError, "tensorinv: ind is 0"),
        (lambda: gs.linalg.tensorsolve(X, B), ValueError, "tensorsolve: shapes"),
        (lambda: gs.linalg.tensorsolve(B, B[0], (4,)), IndexError, "tensorsolve: .*dim 4"),
        (lambda: gs.logdet(X), ValueError, "logdet: .*shape"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
