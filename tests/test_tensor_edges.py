# SPDX-License-Identifier: Apache-2.0
"""Edges that the Cases of the families do not reach: dtypes, empty indices, 0-d, argument names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn, optim

F = nn.functional
BYTES = gs.tensor([200, 100], dtype="uint8")
TRUE = gs.tensor([True, False])
ONE = gs.tensor(-2.0)


def drawn(*shape: int) -> gs.Tensor:
    return gs.tensor(np.random.default_rng(0).standard_normal(shape))


@pytest.mark.parametrize(
    ("result", "expected", "dtype"),
    [
        (lambda: gs.sum(BYTES, dtype="uint8"), 44, "uint8"),
        (lambda: gs.prod(BYTES, dtype="uint8"), 32, "uint8"),
        (lambda: gs.cumsum(BYTES, 0, dtype="uint8"), [200, 44], "uint8"),
        (lambda: gs.cumprod(BYTES, 0, dtype="int32"), [200, 20000], "int32"),
        (lambda: gs.all(BYTES), 1, "uint8"),
        (lambda: gs.any(BYTES, 0), 1, "uint8"),
        (lambda: gs.any(TRUE), True, "bool"),
        (lambda: gs.square(TRUE), [1, 0], "int64"),
        (lambda: gs.sign(TRUE), [True, False], "bool"),
        (lambda: gs.arange(False, True), [0], "int64"),
        (lambda: gs.arange(0.0, -8.5, -4.0, dtype="int64"), [0, -4], "int64"),
        (lambda: gs.arange(0.1, 1.1, dtype="uint8"), [0], "uint8"),
        (lambda: gs.arange(0, 1, 0.5, dtype="uint8"), [0, 0], "uint8"),
        (lambda: gs.linspace(4.3, -3, 4, dtype="int64"), [4, 1, 0, -3], "int64"),
        (lambda: gs.linspace(5, 9, 1, dtype="int64"), [5], "int64"),
        (lambda: gs.linspace(0, 9, 4, dtype="uint8"), [0, 3, 6, 9], "uint8"),
        (lambda: gs.logspace(0, 2, 3, dtype="int64"), [1, 10, 100], "int64"),
        (lambda: gs.vander(BYTES), [[200, 1], [100, 1]], "int64"),
        (lambda: gs.linalg.vander(ONE, N=3), [[1.0, -2.0, 4.0]], "float32"),
        (lambda: gs.narrow(gs.arange(5), 0, gs.tensor(2), 2), [2, 3], "int64"),
        (lambda: gs.gather(gs.zeros(5), 0, gs.zeros(2, 0).long()), [[], []], "float32"),
        (lambda: gs.scatter(gs.arange(2), 0, gs.zeros(2, 0).long(), 1), [0, 1], "int64"),
        (lambda: gs.take_along_dim(gs.arange(3), gs.tensor([-1, 0]), 0), [2, 0], "int64"),
        (lambda: gs.take_along_dim(gs.arange(3), gs.tensor([-3, -1])), [0, 2], "int64"),
        (
            lambda: gs.arange(3).index_add(0, gs.tensor([1]), gs.tensor([3]), alpha=-2),
            [0, -5, 2],
            "int64",
        ),
        (lambda: F.prelu(ONE, gs.tensor([0.5])), -1.0, "float32"),
        (lambda: gs.linalg.norm(gs.zeros(0, 5), 2), 0.0, "float32"),
        (lambda: gs.linalg.norm(gs.zeros(5, 0), 1), 0.0, "float32"),
        (lambda: gs.linalg.norm(gs.zeros(0, 5), float("inf")), 0.0, "float32"),
        (lambda: gs.diff(gs.arange(2), n=0, prepend=gs.tensor([7])), [0, 1], "int64"),
        (lambda: gs.gradient(gs.tensor([1.0, 4.0]), spacing=None)[0], [3.0, 3.0], "float32"),
        (lambda: gs.histogram(ONE, 1).bin_edges, [-2.5, -1.5], "float32"),
        (lambda: gs.special.xlog1py(BYTES, 0 * BYTES), [0.0, 0.0], "float32"),
        (
            lambda: gs.ones(1, 2).addmm_(mat1=gs.ones(1, 3), mat2=gs.ones(3, 2), alpha=2),
            [[7.0, 7.0]],
            "float32",
        ),
        (lambda: gs.zeros(2).copy_(TRUE, non_blocking=True), [1.0, 0.0], "float32"),
        (lambda: gs.zeros(1, 2).swapaxes_(axis0=0, axis1=1), [[0.0], [0.0]], "float32"),
        (lambda: gs.split(tensor=gs.arange(2), split_size_or_sections=1)[1], [1], "int64"),
    ],
)
def test_value(result: Callable[[], gs.Tensor], expected: Any, dtype: str) -> None:
    got = result()
    assert str(got.dtype) == dtype
    assert got.tolist() == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.arange(0, 1, 0.5, dtype="int64"), ValueError, "arange: no range"),
        (lambda: gs.narrow(gs.arange(5), 0, gs.tensor(0.5), 2), TypeError, "narrow: start"),
        (lambda: gs.linalg.norm(gs.zeros(0, 5), -2), ValueError, "norm: "),
        (lambda: gs.gradient(gs.zeros(3, 3), dim=(1, -1)), ValueError, "distinct dimensions"),
        (
            lambda: gs.linalg.solve(gs.ones(3, 2, 2), gs.ones(3, 2), left=False),
            ValueError,
            "expected matrices for left=False",
        ),
        (lambda: gs.ones(2, 2).addmm_(gs.ones(2, 2)), TypeError, "addmm_: missing"),
        (
            lambda: F.gaussian_nll_loss(drawn(4, 3), drawn(4, 3), gs.ones(2, 3).double()),
            ValueError,
            "var",
        ),
    ],
)
def test_error(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_systems_with_a_vector_each() -> None:
    a, b = drawn(3, 2, 2), drawn(3, 2)
    expected = np.stack([np.linalg.solve(a[i].numpy(), b[i].numpy()) for i in range(3)])
    np.testing.assert_allclose(gs.linalg.solve(a, b).numpy(), expected)
    # Triangles take the same shape for a matrix of right-hand sides that all systems share.
    lower = gs.eye(2, dtype="float64") * gs.tensor([[[2.0]], [[4.0]]]).double()
    shared = gs.linalg.solve_triangular(lower, drawn(2, 2), upper=False)
    assert shared.shape == (2, 2, 2)
    np.testing.assert_allclose(shared[1].numpy(), drawn(2, 2).numpy() / 4)


def test_gradients_of_scalars_and_vectors() -> None:
    x = gs.tensor(3.0, requires_grad=True)
    gs.prod(x, 0).backward()
    assert x.grad is not None
    assert x.grad.item() == 1
    a, b = drawn(3, 2, 2).requires_grad_(), drawn(3, 2).requires_grad_()
    assert gs.autograd.gradcheck(gs.linalg.solve, (a, b))


def test_variances_of_columns() -> None:
    input, target, var = drawn(4, 3), drawn(4, 3) + 1, gs.tensor([[0.5, 1.0, 2.0]]).double()
    every = F.gaussian_nll_loss(input, target, var.expand(4, 3))
    assert F.gaussian_nll_loss(input, target, var).item() == pytest.approx(every.item())


def test_labels_as_integers() -> None:
    scores, labels = drawn(4, 3), gs.tensor([[0, 1, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0]])
    expected = F.multilabel_soft_margin_loss(scores, labels.double()).item()
    assert F.multilabel_soft_margin_loss(scores, labels).item() == expected


def test_weights_of_covariances_widen() -> None:
    out = gs.cov(drawn(2, 3).bfloat16(), aweights=gs.tensor([1.0, 2.0, 3.0]))
    assert out.dtype == gs.float32


def test_dropout2d_of_sequences_drops_channels() -> None:
    gs.manual_seed(0)
    out = F.dropout2d(gs.ones(8, 16, 5), 0.5)
    kept = out.amax(2)
    assert out.amin(2).tolist() == kept.tolist()
    assert sorted(set(kept.flatten().tolist())) == [0.0, 2.0]


def test_adam_with_decoupled_decay_is_adamw() -> None:
    weights = []
    for make in (
        lambda p: optim.AdamW(p, weight_decay=0.1),
        lambda p: optim.Adam(p, weight_decay=0.1, decoupled_weight_decay=True),
        lambda p: optim.Adam(p, weight_decay=0.1),
    ):
        w = gs.tensor([1.0, -2.0], requires_grad=True)
        optimizer = make([w])
        for _ in range(3):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
        weights.append(w.tolist())
    assert weights[0] == weights[1] != weights[2]
