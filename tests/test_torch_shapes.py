# SPDX-License-Identifier: Apache-2.0
"""The same expressions over PyTorch and gradsmith: values, shapes, dtypes and gradients agree."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import gradsmith as gs

pytestmark = pytest.mark.torch
if find_spec("torch") is not None:
    import torch

RNG = np.random.default_rng(0)
ARRAYS = {
    "x": RNG.standard_normal((3, 4)),
    "y": RNG.standard_normal((3, 4)),
    "s": RNG.standard_normal((4, 4)),
    "b": RNG.standard_normal((2, 3, 4)),
    "c": RNG.standard_normal((2, 4, 3)),
    "v": RNG.standard_normal(4),
    "w": RNG.standard_normal(3),
    "o": RNG.standard_normal(()),
    "e": RNG.standard_normal((0, 4)),
    "n": np.array([[3, -1, 2, 7], [0, 5, 5, 1], [9, 8, -3, 4]]),
    "ids": np.array([[0, 2, 1, 0], [2, 2, 0, 1]]),
    "k": np.array([2, 0, 2]),
    "mask": np.array([[True, False, True, False], [False] * 4, [True] * 4]),
}

# Evaluated with m for the library and the arrays above as its tensors; after ! values only, where
# PyTorch has no gradient or fails.
EXPRESSIONS = """
m.tril_indices(3, 4, -1, dtype=m.int32)
m.triu_indices(3, 4, 2)
!m.vander(v, 3)
!m.vander(v, increasing=True)
m.linalg.vander(b, N=3)
m.linalg.vander(n)
m.eye(3, 2, dtype=m.float64)
m.arange(5, 0, -2)
m.logspace(0, 2, 3, 2, dtype=m.float64)
m.full((2,), 7)
x.new_tensor([1, 2])
x.new_full((2, 1), 3)
m.meshgrid([v, w], indexing="xy")
x.index_put((k,), y)
x.index_put((k[:2], k[1:]), v[:2], accumulate=True)
x.index_put((mask,), o, accumulate=True)
n.index_put((mask,), n[0, 0])
x.index_fill(1, k, 2.5)
x.index_fill(0, k, o)
n.index_fill(-1, k, 3)
x.index_copy(0, k[:2], y[:2])
x.index_add(1, k, y[:, :3], alpha=2)
m.index_select(o, 0, k[1])
x.masked_scatter(mask, s)
x.masked_scatter(mask[:, :1], s)
n.masked_scatter(mask, n.flip(0))
x.put(k, w)
x.put(k, w, accumulate=True)
x.take(ids)
m.take_along_dim(x, ids, 0)
m.take_along_dim(x, ids[:1, :1], dim=1)
x.select_scatter(v, 0, -1)
x.slice_scatter(y[:, 1:3], 1, 0, None, 2)
x.slice_scatter(y[:1], start=2)
x.diagonal_scatter(w, 1)
x.diagonal_scatter(w[:2], -1)
b.diagonal_scatter(x[:, :1], 1, 2, 0)
m.argwhere(mask)
m.argwhere(o)
m.nonzero(mask, as_tuple=True)
!x.scatter(0, ids, s, reduce="add")
!x.scatter(0, ids, s, reduce="multiply")
x.scatter(1, ids, 2.0)
!x.scatter(0, ids, 2.0, reduce="multiply")
x.scatter_reduce(0, ids, s[:2], "sum", include_self=False)
x.scatter_reduce(0, ids, s[:2], "prod")
x.scatter_reduce(0, ids, s[:2], "mean")
x.scatter_reduce(0, ids, s[:2], "amax", include_self=False)
x.scatter_reduce(0, ids, s[:2], "amin")
n.scatter_reduce(0, ids, n, "mean")
n.scatter_reduce(0, ids, n, "prod", include_self=False)
n.scatter_reduce(0, ids, n, "amax")
m.gather(x, 0, ids)
m.unravel_index(ids, (2, 2))
m.unravel_index(k, (3,))
m.addmm(x, y, s).addmm_(y, s, beta=0.5, alpha=2)
(x * 1).addr_(w, v)
(w * 1).addmv_(x, v, alpha=-1)
(m.ones(3, 3).double() * o).addbmm_(b, c)
(b @ c).baddbmm_(b, c, beta=3)
b.adjoint()
m.ravel(b.mT)
m.broadcast_shapes((2, 1), 3, (1, 3))
m.fliplr(x)
m.flipud(x)
x.unfold(1, 2, 1)
x.unfold(0, 2, 2)
x.unfold(1, 0, 3)
b.unfold(-1, 3, 1)
x.as_strided((2, 2), (1, 5))
x.as_strided((2, 3), (4, 0), 1)
x.T.as_strided((3, 2), (1, 4))
e.as_strided((0, 2), (3, 1))
m.atleast_2d(o, v)
m.atleast_3d(v)
x.swapaxes(axis0=0, axis1=1)
m.movedim(b, (0, 1), (-1, 0))
x.repeat_interleave(2, dim=0, output_size=6)
m.rot90(b, 3, (1, 2))
m.cat((m.tensor([]).double(), x, y))
m.cat((m.tensor([]).double(), m.tensor([]).double()))
m.dstack((w, w))
m.dstack((x, y))
m.column_stack((w, x, w))
m.column_stack((o, o))
m.row_stack((v, x))
m.hstack((o, v))
m.tensor_split(v, 3)
m.tensor_split(x, (1, 3), dim=1)
m.tensor_split(x, (2, 1, 9))
m.tensor_split(x, k[:2], 1)
m.hsplit(v, 2)
m.hsplit(x, (1,))
m.vsplit(s, 2)
m.dsplit(b, (1, 3))
m.block_diag(x, v, o)
m.block_diag()
m.cartesian_prod(v, w, v)
m.cartesian_prod(v)
m.combinations(v)
m.combinations(v, 3)
m.combinations(w, 2, with_replacement=True)
m.combinations(w, 0)
m.combinations(w, 5)
m.vdot(v, v)
m.inner(x, y)
m.inner(b, v)
m.inner(o, x)
m.ger(v, w)
m.addmv(w, x, v, beta=0.5, alpha=2)
m.addmv(o, x, v)
m.addr(x, w, v, alpha=3)
m.addbmm(o, b, c, beta=2)
m.addbmm(m.full((3, 3), float("nan")).double(), b, c, beta=0)
m.kron(x, v)
m.kron(o, x)
m.kron(b, x)
m.cross(x, y)
m.linalg.cross(b.mT, x.T[None])
m.chain_matmul(x, s, s)
m.linalg.multi_dot([w, x, s, v])
m.linalg.vecdot(x, y, dim=0)
m.linalg.vecdot(b, x)
m.diagflat(x, 1)
m.diag_embed(x, -1, 0, 2)
m.linalg.diagonal(b, offset=1)
m.diagonal(b, 0, 1, 2)
m.trace(n)
m.linalg.inv(s)
m.inverse(s)
m.linalg.solve(s, c)
m.linalg.solve(s, x, left=False)
m.linalg.solve_triangular(s, c, upper=True)
m.linalg.solve_triangular(s, x, upper=False, left=False, unitriangular=True)
m.linalg.det(s)
m.det(s * 0)
m.det(m.diagflat(w - w[0]))
m.slogdet(s).logabsdet
!m.slogdet(s).sign
m.logdet(s @ s.T)
m.logdet(-m.diagflat(w * w))
m.linalg.cholesky(s @ s.T, upper=True)
m.linalg.qr(b.mT)
m.linalg.qr(x)
m.linalg.qr(x.detach().T, mode="complete").R
m.linalg.qr(x.detach(), mode="r").R
m.qr(s)
m.linalg.svd(x, full_matrices=False).S
m.svd(x).S
m.svd(x.detach(), compute_uv=False)
m.linalg.svdvals(b)
m.linalg.eigh(s @ s.T).eigenvalues
m.linalg.eigvalsh(s, UPLO="U")
m.linalg.lstsq(x.T, s).solution
m.linalg.lstsq(x.T.detach(), s.detach())
m.linalg.lstsq(b.mT.detach(), b[:, 0].detach(), driver="gels")
m.linalg.lstsq(x.T, v[:, None], driver="gelsd")[1:]
m.linalg.lstsq(b.mT.detach(), c.detach(), driver="gelsd").residuals
m.linalg.pinv(x)
m.linalg.pinv(x, rtol=0.6)
m.linalg.pinv(x, atol=1.0)
m.pinverse(b)
m.linalg.matrix_rank(x)
m.linalg.matrix_rank(b, atol=1.5)
m.linalg.matrix_rank(m.eye(3) * 0)
m.linalg.matrix_rank(e)
m.linalg.matrix_power(s, 3)
m.matrix_power(s, -2)
!m.matrix_power(s, 0)
m.matrix_exp(s)
m.linalg.matrix_exp(b @ c)
m.matrix_exp(s * 9) / 1e9
m.linalg.norm(x)
m.linalg.norm(x, 1)
m.linalg.norm(v, 3)
m.linalg.norm(b, dim=(1, 2))
m.linalg.norm(b, "nuc", dim=(0, 2), keepdim=True)
m.linalg.norm(b, float("-inf"), dim=1)
m.linalg.norm(x, 2, keepdim=True)
m.linalg.vector_norm(b, 3, (0, 2), keepdim=True)
m.linalg.vector_norm(x, 0.5)
m.linalg.matrix_norm(b, -2)
m.linalg.matrix_norm(b, float("inf"))
m.linalg.matrix_norm(b, -1, (2, 0), keepdim=True)
m.norm(x, "nuc")
m.norm(b, "nuc", (1, 2))
m.norm(x, dim=0)
m.norm(x, 3, 1, keepdim=True)
m.linalg.tensorinv(s.reshape(4, 2, 2), ind=1)
m.linalg.tensorinv(s.reshape(2, 2, 4))
m.linalg.tensorsolve(s.reshape(2, 2, 4), v.reshape(2, 2))
m.linalg.tensorsolve(s.reshape(2, 4, 2), v.reshape(2, 2), dims=(1,))
m.linalg.cond(x)
!m.linalg.cond(s, 1)
!m.linalg.cond(s, "fro")
m.linalg.cond(m.ones(2, 2), 1)
m.linalg.cond(x, -2)
m.cholesky_solve(c, m.linalg.cholesky(s @ s.T))
m.cholesky_solve(c, m.linalg.cholesky(s @ s.T, upper=True), upper=True)
m.cholesky_inverse(m.linalg.cholesky(s @ s.T))
m.tensor(2) in n
m.tensor(2.5).double() in x
7 in n
f"{o:.3f}|{m.tensor(7):04d}|{m.tensor([1, 2])}"
m.from_numpy(n.numpy()).tolist()
x.numpy(force=True).shape
""".strip().splitlines()


def evaluated(expression: str, library: Any) -> tuple[Any, list[Any]]:
    """Return the value of an expression, and the tensors it may depend on."""
    tensors = {name: library.tensor(array) for name, array in ARRAYS.items()}
    for name, array in ARRAYS.items():
        tensors[name].requires_grad_(array.dtype == np.float64)
    result = eval(expression, {"m": library, **tensors})
    return result, [each for each in tensors.values() if each.requires_grad]


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def same(got: Any, expected: Any) -> None:
    if not isinstance(expected, torch.Tensor):
        assert got == expected
        return
    assert str(got.dtype) == str(expected.dtype).removeprefix("torch.")
    assert tuple(got.shape) == tuple(expected.shape)
    np.testing.assert_allclose(
        got.detach().numpy(), expected.detach().numpy(), rtol=1e-7, atol=1e-9
    )


@pytest.mark.filterwarnings("ignore")  # PyTorch warns of functions that it renames
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expression(expression: str) -> None:
    differentiable = not expression.startswith("!")
    expression = expression.removeprefix("!")
    got, inputs = evaluated(expression, gs)
    expected, their_inputs = evaluated(expression, torch)
    pairs = list(zip(as_list(got), as_list(expected), strict=True))
    for mine, theirs in pairs:
        same(mine, theirs)
    smooth = [
        (mine, theirs)
        for mine, theirs in pairs
        if isinstance(theirs, torch.Tensor) and theirs.requires_grad and theirs.numel()
    ]
    if not smooth or not differentiable:
        return
    outs, their_outs = zip(*smooth, strict=True)
    grads = gs.autograd.grad([(out * out).sum() for out in outs], inputs, allow_unused=True)
    their_grads = torch.autograd.grad(
        [(out * out).sum() for out in their_outs], their_inputs, allow_unused=True
    )
    for mine, theirs in zip(grads, their_grads, strict=True):
        zero = mine if theirs is None else theirs
        if mine is None or theirs is None:
            assert zero is None or not zero.any()
        else:
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-6, atol=1e-8)
