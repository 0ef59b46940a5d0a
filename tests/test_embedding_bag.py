# SPDX-License-Identifier: Apache-2.0
"""Bags of rows of a table: sums, means, maxima, weights, padding, offsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import _cpu, nn
from gradsmith.autograd import grad
from gradsmith.tensor import Tensor
from tests.cases import ISAS, NUMPY_DTYPES, Case, CaseTests, backend
from tests.reference import embedding as reference
from tests.simulator import assert_same_refusal, needs_simulator
from tests.tolerance import assert_close

IDS = np.array([3, 1, 1, 2, 6, 2, 4])
OFFSETS = np.array([0, 3, 3, 5])
BAGS = np.split(IDS, OFFSETS[1:])


def bag_case(mode: str) -> Case:
    return Case(
        f"embedding_bag_{mode}",
        lambda ids, offsets, weight: F.embedding_bag(ids, weight, offsets, mode=mode),
        lambda ids, offsets, weight: reference.embedding_bag(BAGS, weight, mode),
        lambda rng: (IDS, OFFSETS, rng.standard_normal((7, 3))),
        tolerance="reduce",
        depth=3,
        layouts=False,  # offsets have to rise
    )


CASES = [
    *map(bag_case, ("sum", "mean", "max")),
    Case(
        "embedding_bag_weighted",
        lambda ids, weight, factors: F.embedding_bag(
            ids, weight, mode="sum", per_sample_weights=factors, padding_idx=2
        ),
        lambda ids, weight, factors: reference.embedding_bag(
            [row[row != 2] for row in ids],
            weight,
            "sum",
            [f[row != 2] for f, row in zip(factors, ids, strict=True)],
        ),
        lambda rng: (
            np.array([[3, 2, 5], [2, 2, 2], [1, 1, 0]]),
            rng.standard_normal((7, 3)),
            rng.standard_normal((3, 3)),
        ),
        tolerance="reduce",
        depth=3,
    ),
]


class TestCases(CaseTests):
    pass


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_wide_rows(dtype: str, isa: str) -> None:
    """Several vectors of columns and a part of one; empty bags at both ends and between."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((30, 149)).astype(NUMPY_DTYPES[dtype])
    ids, starts = rng.integers(0, 30, 25), np.array([0, 0, 9, 9, 10, 25, 25])
    bags = np.split(ids, starts[1:-1])
    for mode in ("sum", "mean"):
        with backend(isa):
            y = _cpu.embedding_bags(weight, ids, starts, mode == "mean")
        expected = reference.embedding_bag(bags, weight.astype(np.float64), mode)
        assert_close(y, expected, dtype, "reduce", 15)


def test_gradients_of_both_orders_by_frequency() -> None:
    weight = Tensor(np.random.default_rng(0).standard_normal((4, 2)), requires_grad=True)
    ids = gs.tensor([[1, 1, 3], [0, 1, 2]])

    def call(w: Tensor) -> Tensor:
        return F.embedding_bag(ids, w.square(), scale_grad_by_freq=True, padding_idx=2)

    dy = gs.ones(2, 2).double()
    first = grad(call(weight), weight, dy, create_graph=True)[0]
    shares = np.array([1 / 2, (2 / 3 + 1 / 2) / 3, 0, 1 / 3])[:, None]
    np.testing.assert_allclose(first.detach().numpy(), 2 * weight.detach().numpy() * shares)
    second = grad(first, weight, gs.ones(4, 2).double())[0]
    np.testing.assert_allclose(second.numpy(), 2 * shares.repeat(2, 1))


@pytest.mark.parametrize("starts", [[1, 3], [0, 2], [0, 2, 1, 3], [0, 5, 3], [-1, 3]])
@needs_simulator
def test_kernels_refuse_starts(starts: list[int]) -> None:
    def call(m: Any, place: Any) -> tuple[Any, ...]:
        ids = place(np.array([0, 1, 1]))
        return (m.embedding_bags(place(np.ones((2, 3))), ids, place(np.array(starts)), True),)

    assert_same_refusal(call)


@needs_simulator
def test_kernels_refuse_ids() -> None:
    def call(m: Any, place: Any) -> tuple[Any, ...]:
        ids, starts = place(np.array([0, 2])), place(np.array([0, 2]))
        return (m.embedding_bags(place(np.ones((2, 3))), ids, starts, False),)

    assert_same_refusal(call)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_without_any_id(mode: str) -> None:
    weight = gs.ones(4, 3, requires_grad=True)
    empty = gs.zeros(0, dtype=gs.int64)
    y = F.embedding_bag(empty, weight, gs.tensor([0, 0]), mode=mode)
    assert y.tolist() == [[0.0] * 3] * 2
    y.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[0.0] * 3] * 4
    padded = F.embedding_bag(gs.tensor([[1, 1]]), weight, mode=mode, padding_idx=-3)
    assert padded.tolist() == [[0.0] * 3]


def test_last_offset() -> None:
    weight = gs.arange(8.0).reshape(4, 2)
    module = nn.EmbeddingBag.from_pretrained(weight, mode="sum", include_last_offset=True)
    assert not module.weight.requires_grad
    y = module(gs.tensor([0, 1, 3]), gs.tensor([0, 2, 3]))
    assert y.tolist() == [[2.0, 4.0], [6.0, 7.0]]
    with pytest.raises(ValueError, match="last of offsets is 2, expected 3"):
        module(gs.tensor([0, 1, 3]), gs.tensor([0, 2]))


def test_max_norm_and_frequency() -> None:
    weight = gs.tensor([[3.0, 4.0], [0.3, 0.4]], requires_grad=True)
    y = F.embedding_bag(
        gs.tensor([[0, 0], [0, 1]]), weight, max_norm=1.0, scale_grad_by_freq=True, mode="sum"
    )
    np.testing.assert_allclose(y.detach().numpy(), [[1.2, 1.6], [0.9, 1.2]], rtol=1e-5)
    y.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_module() -> None:
    module = nn.EmbeddingBag(5, 3, padding_idx=-1, max_norm=2.0)
    assert module.padding_idx == 4
    assert module.weight[4].tolist() == [0.0] * 3
    assert list(module.state_dict()) == ["weight"]
    assert repr(module) == "EmbeddingBag(5, 3, max_norm=2.0, mode='mean', padding_idx=4)"


def bag(ids: Any, offsets: Any = None, **options: Any) -> Tensor:
    given = None if offsets is None else gs.tensor(offsets)
    return F.embedding_bag(gs.tensor(ids), gs.ones(4, 2), given, **options)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bag([1, 2]), ValueError, "offsets is None"),
        (lambda: bag([[1, 2]], [0]), ValueError, "offsets is given, expected None"),
        (lambda: bag([[[1]]]), ValueError, r"input has shape \(1, 1, 1\), expected 1 or 2"),
        (lambda: bag([1, 2], [1]), ValueError, r"offsets is \[1\], expected rising places from 0"),
        (lambda: bag([1, 2], [0, 2, 1]), ValueError, "expected rising places"),
        (lambda: bag([1, 2], [0, 3]), ValueError, "to at most 2"),
        (lambda: bag([1, 2], [[0]]), ValueError, r"offsets has shape \(1, 1\)"),
        (lambda: bag([1, 2], [0.0]), TypeError, "offsets"),
        (lambda: bag([1.0], [0]), TypeError, "input"),
        (lambda: bag([4], [0]), IndexError, "embedding_bag: .*4"),
        (lambda: bag([1], [0], mode="min"), ValueError, "mode is 'min', expected 'sum'"),
        (lambda: bag([1], [0], sparse=True), ValueError, "sparse"),
        (lambda: bag([1], [0], padding_idx=4), ValueError, "padding_idx is 4"),
        (lambda: bag([1], [0], mode="max", scale_grad_by_freq=True), ValueError, "mode 'max'"),
        (
            lambda: bag([1], [0], per_sample_weights=gs.ones(1)),
            ValueError,
            "per_sample_weights are given, expected None with mode 'mean'",
        ),
        (
            lambda: bag([1], [0], mode="sum", per_sample_weights=gs.ones(2)),
            ValueError,
            r"per_sample_weights has shape \(2,\), expected \(1,\)",
        ),
        (
            lambda: bag([1], [0], mode="sum", per_sample_weights=gs.ones(1, dtype=gs.int64)),
            TypeError,
            "per_sample_weights is int64, expected float32",
        ),
        (
            lambda: F.embedding_bag(gs.tensor([[0]]), gs.ones(4)),
            ValueError,
            r"weight has shape \(4,\)",
        ),
        (lambda: nn.EmbeddingBag(3, 2, mode="min"), ValueError, "mode is 'min'"),
        (lambda: nn.EmbeddingBag(3, 2, _weight=[1.0]), TypeError, "_weight is a list"),
        (lambda: nn.EmbeddingBag.from_pretrained(3), TypeError, "embeddings is a int"),
        (lambda: nn.EmbeddingBag(3, 2, padding_idx=3), ValueError, "padding_idx is 3"),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 2])
def test_values_and_gradients_of_torch(mode: str, padding_idx: int | None) -> None:
    import torch

    table = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    theirs = torch.tensor(table, requires_grad=True)
    ours = gs.tensor(table, requires_grad=True)
    options = {"mode": mode, "padding_idx": padding_idx}
    offsets = torch.tensor(OFFSETS)
    want = torch.nn.functional.embedding_bag(torch.tensor(IDS), theirs, offsets, **options)
    got = F.embedding_bag(gs.tensor(IDS), ours, gs.tensor(OFFSETS), **options)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), atol=1e-6)
    want.square().sum().backward()
    got.square().sum().backward()
    assert ours.grad is not None
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), atol=1e-5)
