# SPDX-License-Identifier: Apache-2.0
"""Products of vectors and chains of matrices, Kronecker's, powers of a vector, diagonals."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.cases import Case, CaseTests
from tests.reference import linalg as reference
from tests.test_gemm import normal


def product(
    name: str, call: Any, definition: Any, *shapes: tuple[int, ...], tolerance: str = "matmul"
) -> Case:
    return Case(
        name,
        call,
        definition,
        normal(*shapes),
        tolerance=tolerance,
        depth=32,
        dtypes=("float32", "float64"),
    )


CASES = [
    product("vdot", gs.vdot, np.vdot, (5,), (5,)),
    product("inner", gs.inner, np.inner, (2, 3, 4), (5, 4)),
    product("inner-number", gs.inner, np.inner, (), (2, 3)),
    product(
        "vecdot",
        lambda x, y: gs.linalg.vecdot(x, y, dim=1),
        lambda x, y: (x * y).sum(1),
        *((2, 3, 4), (3, 1)),
    ),
    product("ger", gs.ger, np.outer, (3,), (4,)),
    product(
        "cross",
        lambda a, b: gs.cross(a, b, 1),
        lambda a, b: np.cross(a, b, axis=1),
        *((2, 3, 4), (2, 3, 4)),
    ),
    product("linalg.cross", gs.linalg.cross, np.cross, (2, 1, 3), (2, 4, 3)),
    product("kron", gs.kron, np.kron, (2, 3), (2, 2, 2)),
    product(
        "multi_dot",
        lambda *chain: gs.linalg.multi_dot(chain),
        lambda *chain: np.linalg.multi_dot(chain),
        *((6,), (6, 2), (2, 5), (5, 3)),
    ),
    product("chain_matmul", gs.chain_matmul, lambda a, b, c: a @ b @ c, (2, 6), (6, 2), (2, 3)),
    product(
        "addmv",
        lambda x, a, v: gs.addmv(x, a, v, beta=0.5, alpha=2),
        lambda x, a, v: 0.5 * x + 2 * (a @ v),
        *((3,), (3, 4), (4,)),
    ),
    product(
        "addr",
        lambda x, a, b: gs.addr(x, a, b, alpha=-1),
        lambda x, a, b: x - np.outer(a, b),
        *((4,), (3,), (4,)),
    ),
    product(
        "addbmm",
        lambda x, a, b: gs.addbmm(x, a, b, beta=2, alpha=0.5),
        lambda x, a, b: 2 * x + 0.5 * (a @ b).sum(0),
        *((3, 4), (2, 3, 5), (2, 5, 4)),
    ),
    product(
        "vander",
        lambda x: gs.vander(x, 4),
        lambda x: reference.vander(x, 4),
        (5,),
        tolerance="transcendental",
    ),
    product(
        "linalg.vander",
        lambda x: gs.linalg.vander(x, N=3),
        lambda x: reference.vander(x, 3, increasing=True),
        (2, 3),
        tolerance="transcendental",
    ),
    product(
        "diagflat",
        lambda x: gs.diagflat(x, -1),
        lambda x: np.diagflat(x, -1),
        (2, 3),
        tolerance="exact",
    ),
    product(
        "diag_embed",
        lambda x: gs.diag_embed(x, 1, 0, -1),
        lambda x: np.moveaxis(np.stack([np.diag(row, 1) for row in x]), 1, 0),
        (2, 3),
        tolerance="exact",
    ),
    product(
        "linalg.diagonal",
        lambda x: gs.linalg.diagonal(x, offset=-1),
        lambda x: np.diagonal(x, -1, -2, -1),
        (2, 3, 4),
        tolerance="exact",
    ),
    product(
        "diagonal_scatter",
        lambda x, v: gs.diagonal_scatter(x, v, 1, -2, -1),
        lambda x, v: reference.diagonal_written(x, v, 1),
        *((2, 3, 4), (2, 3)),
        tolerance="exact",
    ),
]


class TestCases(CaseTests):
    pass


def test_integers() -> None:
    n = gs.tensor([1, 2, 3])
    assert gs.vdot(n, n).item() == 14
    assert gs.kron(n, n[:2]).tolist() == [1, 2, 2, 4, 3, 6]
    assert gs.vander(n).tolist() == [[1, 1, 1], [4, 2, 1], [9, 3, 1]]
    assert gs.cross(n, n.flip(0)).tolist() == [-4, 8, -4]


def test_nan_in_an_addend_of_weight_0_is_ignored() -> None:
    missing = gs.tensor(float("nan"))
    assert gs.addmv(missing, gs.ones(2, 2), gs.ones(2), beta=0).tolist() == [2.0, 2.0]
    assert gs.addr(missing, gs.ones(1), gs.ones(1), beta=0).item() == 1
    assert gs.addbmm(missing, gs.ones(2, 1, 1), gs.ones(2, 1, 1), beta=0).item() == 2


def test_a_chain_is_multiplied_in_the_cheapest_order() -> None:
    sizes = (30, 35, 15, 5, 10, 20, 25)
    chain = [gs.ones(a, b, requires_grad=True) for a, b in itertools.pairwise(sizes)]
    node = gs.linalg.multi_dot(chain).grad_fn
    assert node is not None
    # Cormen et al., section on matrix chains: ((A1 (A2 A3)) ((A4 A5) A6)).
    left, right, *_ = node.saved
    assert (left.shape, right.shape) == ((30, 5), (5, 25))


X = gs.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.inner(X, gs.ones(2)), ValueError, "inner: shapes"),
        (lambda: gs.cross(X, gs.ones(3)), ValueError, "cross: shapes"),
        (lambda: gs.cross(gs.ones(2, 2), gs.ones(2, 2)), ValueError, "cross: input has shape"),
        (lambda: gs.cross(X, X, 0), ValueError, "cross: shapes"),
        (lambda: gs.cross(X, X, 5), IndexError, "cross: dim 5"),
        (lambda: gs.linalg.vecdot(X, gs.ones(2)), ValueError, "vecdot: "),
        (lambda: gs.linalg.multi_dot([X]), ValueError, "multi_dot: got 1 tensors"),
        (lambda: gs.linalg.multi_dot([X, X]), ValueError, r"multi_dot: tensors\[1\] has shape"),
        (lambda: gs.addmv(X, X, gs.ones(3)), ValueError, "addmv: input of shape"),
        (lambda: gs.addr(gs.ones(4), gs.ones(2), gs.ones(3)), ValueError, "addr: input of shape"),
        (lambda: gs.addbmm(X, X[None], X[None]), ValueError, "addbmm: shapes"),
        (lambda: gs.ones(3).addmm_(X, X.T), ValueError, "addmm_: "),
        (lambda: gs.ones(2).addmv_(X, X), ValueError, "addmv_: .*vec has shape"),
        (lambda: gs.vander(gs.tensor(1.0)), ValueError, "vander: x has no dimension"),
        (lambda: gs.vander(gs.ones(2), -1), ValueError, "vander: N is -1"),
        (lambda: gs.diag_embed(X, 0, 1, 1), ValueError, "diag_embed: dim1 and dim2"),
        (lambda: gs.diagonal_scatter(X, gs.ones(3)), ValueError, "diagonal_scatter: src is"),
        (lambda: gs.diagonal_scatter(X, gs.ones(2).long()), TypeError, "diagonal_scatter: src is"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
