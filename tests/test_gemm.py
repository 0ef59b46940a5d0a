# SPDX-License-Identifier: Apache-2.0
"""Matrix products of all ranks, linear layers, einsum, and linear algebra of small matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.ops import gemm as ops
from tests.cases import Case, CaseTests
from tests.reference import gemm as reference


def normal(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


def product(name: str, call: Any, definition: Any, shapes: Any, **kw: Any) -> Case:
    return Case(name, call, definition, normal(*shapes), tolerance="matmul", depth=16, **kw)


RANKS = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((3, 4), (2, 4, 5)),
    ((1, 2, 3, 4), (3, 1, 4, 2)),
    ((4,), (2, 4, 3)),
    ((2, 2, 3, 4), (4,)),
]


def quadratic(x: np.ndarray) -> np.ndarray:
    """A symmetric positive definite matrix of each square one."""
    return x @ np.swapaxes(x, -1, -2) + 3 * np.eye(x.shape[-1])


def tensor_quadratic(x: gs.Tensor) -> gs.Tensor:
    return x @ x.mT + 3 * gs.eye(x.shape[-1], dtype=x.dtype, device=x.device)


def linalg(name: str, call: Any, definition: Any, *shapes: tuple[int, ...]) -> Case:
    return Case(
        name,
        call,
        definition,
        normal(*shapes),
        tolerance="norm",
        depth=64,
        dtypes=("float32", "float64"),
        threads=False,
    )


def einsum_case(equation: str, *shapes: tuple[int, ...]) -> Case:
    return product(
        f"einsum-{equation}",
        lambda *x: gs.einsum(equation, *x),
        lambda *x: np.einsum(equation, *x),
        shapes,
    )


CASES = [
    *(
        product(
            f"matmul-{a}-{b}",
            gs.matmul,
            reference.matmul,
            (a, b),
            backward=reference.matmul_backward,
        )
        for a, b in RANKS
    ),
    product("bmm", gs.bmm, reference.bmm, ((2, 3, 4), (2, 4, 5)), backward=reference.bmm_backward),
    *(
        product(
            f"linear-{shape}",
            ops.linear,
            reference.linear,
            (shape, (5, 4), (5,)),
            backward=lambda dy, x, w, b: reference.linear_backward(dy, x, w),
        )
        for shape in ((3, 4), (2, 3, 4))
    ),
    product("linear-vector", ops.linear, reference.linear, ((4,), (5, 4), (5,))),
    product(
        "linear-without-bias",
        ops.linear,
        reference.linear,
        ((3, 4), (5, 4)),
        backward=lambda dy, x, w: reference.linear_backward(dy, x, w)[:2],
    ),
    product(
        "addmm",
        lambda x, a, b: gs.addmm(x, a, b, beta=0.5, alpha=2.0),
        lambda x, a, b: reference.addmm(x, a, b, 0.5, 2.0),
        ((5,), (3, 4), (4, 5)),
        backward=lambda dy, x, a, b: reference.addmm_backward(dy, x, a, b, 0.5, 2.0),
    ),
    product(
        "baddbmm",
        lambda x, a, b: gs.baddbmm(x, a, b, beta=0.5, alpha=2.0),
        lambda x, a, b: 0.5 * x + 2.0 * (a @ b),
        ((3, 1), (2, 3, 4), (2, 4, 5)),
    ),
    product(
        "bilinear",
        ops.bilinear,
        lambda a, b, w, c: np.einsum("ni,oij,nj->no", a, w, b) + c,
        ((2, 3), (2, 4), (5, 3, 4), (5,)),
    ),
    product("outer", gs.outer, np.outer, ((4,), (5,))),
    product("dot", gs.dot, np.dot, ((6,), (6,))),
    product("mv", gs.mv, np.matmul, ((3, 4), (4,))),
    product(
        "tensordot",
        lambda a, b: gs.tensordot(a, b, ([1, 2], [0, -1])),
        lambda a, b: np.tensordot(a, b, ([1, 2], [0, -1])),
        ((2, 3, 4), (3, 5, 4)),
    ),
    einsum_case("ij,jk->ik", (2, 3), (3, 4)),
    einsum_case("bij,bjk->bik", (2, 2, 3), (2, 3, 4)),
    einsum_case("bhtd,bhsd->bhts", (2, 2, 3, 4), (2, 2, 5, 4)),
    einsum_case("bi,oij,bj->bo", (2, 3), (5, 3, 4), (2, 4)),
    einsum_case("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    einsum_case("iij->j", (3, 3, 4)),
    einsum_case("ij,kj->ik", (2, 1), (3, 4)),
    linalg(
        "inv",
        lambda x: gs.linalg.inv(tensor_quadratic(x)),
        lambda x: np.linalg.inv(quadratic(x)),
        (2, 3, 3),
    ),
    linalg(
        "det",
        lambda x: gs.det(tensor_quadratic(x)),
        lambda x: np.linalg.det(quadratic(x)),
        (2, 3, 3),
    ),
    linalg(
        "slogdet",
        lambda x: gs.slogdet(tensor_quadratic(x)),
        lambda x: tuple(np.linalg.slogdet(quadratic(x))),
        (2, 3, 3),
    ),
    linalg(
        "solve",
        lambda a, b: gs.linalg.solve(tensor_quadratic(a), b),
        lambda a, b: np.linalg.solve(quadratic(a), b),
        (2, 3, 3),
        (3, 2),
    ),
    linalg(
        "solve-vector",
        lambda a, b: gs.linalg.solve(tensor_quadratic(a), b),
        lambda a, b: np.linalg.solve(quadratic(a), b),
        (3, 3),
        (3,),
    ),
    linalg(
        "cholesky",
        lambda x: gs.cholesky(tensor_quadratic(x)),
        lambda x: np.linalg.cholesky(quadratic(x)),
        (2, 3, 3),
    ),
    *(
        Case(
            f"{name}-{offset}",
            lambda x, name=name, offset=offset: getattr(gs, name)(x, offset),
            lambda x, name=name, offset=offset: getattr(np, name)(x, offset),
            normal((2, 3, 4)),
            tolerance="exact",
        )
        for name in ("tril", "triu")
        for offset in (-1, 0, 2)
    ),
    Case("trace", gs.trace, np.trace, normal((3, 4)), tolerance="reduce"),
    Case("diag-vector", lambda x: gs.diag(x, 1), lambda x: np.diag(x, 1), normal((2,))),
    Case("diag-matrix", lambda x: gs.diag(x, -1), lambda x: np.diag(x, -1), normal((3, 4))),
    Case(
        "diagonal",
        lambda x: gs.diagonal(x, 1, 0, 2),
        lambda x: np.diagonal(x, 1, 0, 2),
        normal((3, 2, 4)),
        tolerance="exact",
    ),
    Case(
        "diag_embed",
        gs.diag_embed,
        lambda x: x[..., None] * np.eye(3),
        normal((1, 3)),
        tolerance="exact",
    ),
]


class TestCases(CaseTests):
    pass


EQUATIONS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij->ji", [(2, 3)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("ij,ij->", [(2, 3), (2, 3)]),
    ("i,j->ij", [(2,), (3,)]),
    ("b...,b...->...", [(2, 3, 4), (2, 3, 4)]),
    ("ijk,kl,lm->im", [(2, 3, 4), (4, 5), (5, 2)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ba", [(2, 3)]),
    ("i...->...", [(3, 2)]),
    ("...->...", [(2, 3)]),
    ("ijij->ij", [(2, 3, 2, 3)]),
    ("i,i,i->i", [(3,), (3,), (3,)]),
    (",->", [(), ()]),
    (" i j , j k -> i k ", [(2, 3), (3, 4)]),
    ("...i,...i", [(2, 1, 3), (4, 3)]),
    ("ij,jk->ik", [(2, 0), (0, 4)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum_agrees_with_numpy(equation: str, shapes: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(0)
    arrays = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    got = gs.einsum(equation, *(gs.tensor(each) for each in arrays))
    expected = np.einsum(equation, *arrays)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)


def test_einsum_takes_a_list_and_integers() -> None:
    x = gs.arange(6).reshape(2, 3)
    assert gs.einsum("ij,ij->i", [x, x]).tolist() == [5, 50]
    assert gs.einsum("ij,kj->ik", x, x).tolist() == [[5, 14], [14, 50]]


def test_einsum_sums_an_ellipsis_that_the_result_lacks() -> None:
    assert gs.einsum("a...->a", gs.ones(2, 3, 4)).tolist() == [12.0, 12.0]


def test_integer_and_empty_products() -> None:
    a = gs.tensor([[1, 2], [3, 4]])
    assert (a @ a).tolist() == [[7, 10], [15, 22]]
    assert (gs.ones(2, 0) @ gs.ones(0, 3)).tolist() == [[0.0] * 3] * 2
    assert gs.matmul(gs.ones(0, 3), gs.ones(3, 2)).shape == (0, 2)
    assert ops.linear(gs.ones(0, 3), gs.ones(2, 3), gs.ones(2)).shape == (0, 2)
    assert (np.ones((1, 2)) @ gs.ones(2, 1, dtype=gs.float64)).tolist() == [[2.0]]


def test_beta_zero_ignores_nan() -> None:
    nan = gs.full((2,), float("nan"))
    assert gs.addmm(nan, gs.ones(2, 2), gs.ones(2, 2), beta=0).tolist() == [[2.0, 2.0]] * 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ops.linear(gs.ones(2, 3), gs.ones(5, 4)),
            ValueError,
            "linear: input has 3 features, expected 4",
        ),
        (
            lambda: ops.linear(gs.ones(2, 4), gs.ones(5, 4), gs.ones(3)),
            ValueError,
            "linear: bias has shape",
        ),
        (
            lambda: ops.linear(gs.ones(2, 4), gs.ones(5, 4, dtype=gs.float64)),
            TypeError,
            "linear: weight is float64, input is float32",
        ),
        (lambda: gs.ones(2, 3) @ gs.ones(2, 3), ValueError, "matmul: shapes"),
        (lambda: gs.ones(()) @ gs.ones(2), ValueError, "matmul: got shapes"),
        (lambda: gs.ones(2, 2, 3) @ gs.ones(3, 3, 1), ValueError, "matmul"),
        (lambda: gs.ones(2, 2) @ gs.tensor([[1, 2], [3, 4]]), TypeError, "matmul"),
        (lambda: gs.mm(gs.ones(2, 2, 2), gs.ones(2, 2)), ValueError, "mm: input has shape"),
        (lambda: gs.bmm(gs.ones(2, 2, 2), gs.ones(3, 2, 2)), ValueError, "bmm: batches differ"),
        (lambda: gs.dot(gs.ones(2), gs.ones(3)), ValueError, "shapes"),
        (
            lambda: gs.addmm(gs.ones(3, 3), gs.ones(2, 3), gs.ones(3, 2)),
            ValueError,
            "addmm: input of shape",
        ),
        (lambda: gs.einsum("ij,jk->ik", gs.ones(2, 2)), ValueError, "names 2 operands, got 1"),
        (lambda: gs.einsum("ij->ij", gs.ones(2)), ValueError, "einsum: operand 0"),
        (lambda: gs.einsum("ij->ik", gs.ones(2, 2)), ValueError, "einsum: the result"),
        (lambda: gs.einsum("i1->i", gs.ones(2, 2)), ValueError, "einsum: 'i1'"),
        (lambda: gs.einsum("ij,jk", gs.ones(2, 3), gs.ones(4, 2)), ValueError, "label 'j'"),
        (lambda: gs.einsum("ii", gs.ones(2, 3)), ValueError, "label 'i'"),
        (lambda: gs.einsum("i..j->ij", gs.ones(2, 3)), ValueError, "einsum"),
        (lambda: gs.einsum(3, gs.ones(2)), TypeError, "einsum: equation is a int"),
        (lambda: gs.tensordot(gs.ones(2, 3), gs.ones(2, 3), 1), ValueError, "tensordot: dims"),
        (lambda: gs.linalg.inv(gs.ones(2, 3)), ValueError, "inv: input has shape"),
        (lambda: gs.linalg.inv(gs.ones(2, 2)), ValueError, "inv: Singular"),
        (lambda: gs.cholesky(-gs.eye(2)), ValueError, "cholesky"),
        (lambda: gs.trace(gs.ones(3)), ValueError, "trace: input has shape"),
        (lambda: gs.diag(gs.ones(1, 1, 1)), ValueError, "diag: input has shape"),
        (lambda: gs.tril(gs.ones(3)), ValueError, "tril: input has shape"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
