# SPDX-License-Identifier: Apache-2.0
"""Losses of margins between scores, and of distances."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops import loss_distance, loss_margin
from gradsmith.tensor import Tensor
from tests.cases import Case, CaseTests
from tests.loss_cases import composed
from tests.reference import loss_composed as ref

LISTED = np.array([[3, 0, -1, 1], [-1, 2, 2, 2], [1, 2, 1, -1]])


def _scores(rng: np.random.Generator) -> np.ndarray:
    """Scores whose differences from margins of 1 and from each other are no kinks."""
    return rng.permutation(np.linspace(-2.05, 2.05, 12)).reshape(3, 4)


def _signed(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return _scores(rng), rng.choice([-1, 1], (3, 4))


def _classes(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return _scores(rng), rng.integers(0, 4, 3)


def _pairs(labels: tuple[int, int]) -> Any:
    return lambda rng: (_scores(rng), _scores(rng) / 2, np.array([labels[0], *labels]))


def _triplets(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return tuple(rng.standard_normal((3, 4)) for _ in range(3))


def _distances(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return rng.uniform(0.1, 3, (3, 4)), rng.integers(0, 4, 3)


def _weighted(reduction: str) -> Case:
    weight = np.array([0.5, 2.0, 1.0, 1.5])

    def call(x: Tensor, t: Tensor) -> Tensor:
        w = Tensor(weight.astype(x.dtype)).to(x.device)
        return loss_margin.multi_margin_loss(x, t, 2, 0.6, w, reduction)

    def reference(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        return ref.multi_margin(x, t, 2, 0.6, weight, reduction)

    return composed(f"multi_margin-weighted-{reduction}", call, reference, _classes)


def _soft_labels(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return _scores(rng), rng.uniform(0, 1, (3, 4)), rng.uniform(0.5, 2, 4)


CASES = [
    composed("hinge", loss_margin.hinge_loss, ref.hinge, _signed, reduction="none"),
    composed("squared_hinge", loss_margin.squared_hinge_loss, partial(ref.hinge, power=2), _signed),
    composed("soft_margin", loss_margin.soft_margin_loss, ref.soft_margin, _signed),
    composed("multi_margin", loss_margin.multi_margin_loss, ref.multi_margin, _classes),
    _weighted("none"),
    composed(
        "multilabel_margin",
        loss_margin.multilabel_margin_loss,
        ref.multilabel_margin,
        lambda rng: (_scores(rng), LISTED),
        reduction="none",
    ),
    composed(
        "multilabel_soft_margin",
        loss_margin.multilabel_soft_margin_loss,
        ref.multilabel_soft_margin,
        _soft_labels,
        reduction="none",
    ),
    composed(
        "margin_ranking",
        loss_margin.margin_ranking_loss,
        ref.margin_ranking,
        lambda rng: (_scores(rng), _scores(rng) / 2, rng.choice([-1, 1], (3, 4))),
        margin=0.3,
        reduction="none",
    ),
    composed(
        "hinge_embedding",
        loss_margin.hinge_embedding_loss,
        ref.hinge_embedding,
        _signed,
        margin=0.7,
        reduction="none",
    ),
    composed(
        "cosine_embedding",
        loss_distance.cosine_embedding_loss,
        ref.cosine_embedding,
        _pairs((1, -1)),
        margin=-0.9,
        reduction="none",
    ),
    composed(
        "contrastive",
        loss_distance.contrastive_loss,
        ref.contrastive,
        _pairs((1, 0)),
        margin=5.0,
        reduction="none",
    ),
    composed(
        "triplet", loss_distance.triplet_margin_loss, ref.triplet_margin, _triplets, margin=3.0
    ),
    composed(
        "triplet-l3",
        lambda a, p, n: loss_distance.triplet_margin_loss(a, p, n, 4.0, 3.0, swap=True),
        lambda a, p, n: ref.triplet_margin(a, p, n, 4.0, 3.0, swap=True),
        _triplets,
    ),
    composed("rbf", loss_distance.rbf_distance_loss, ref.rbf_distance, _distances, offset=0.5),
]


class TestCases(CaseTests):
    pass


def test_labels_of_any_dtype() -> None:
    x = Tensor([0.5, -0.5])
    for labels in ([1, -1], [1.0, -1.0], np.array([1, -1], np.int32), np.array([1.0, -1.0])):
        assert loss_margin.hinge_loss(x, Tensor(labels)).item() == 0.5
    for labels in (np.array([1, 1], np.uint8), np.array([True, True])):
        assert loss_margin.hinge_loss(x, Tensor(labels)).item() == 1.0


def test_soft_margin_of_large_scores() -> None:
    y = loss_margin.soft_margin_loss(Tensor([-500.0, 500.0]), Tensor([1, 1]), "none")
    assert y.tolist() == [500.0, 0.0]


def test_contrastive_gradient_of_equal_vectors_is_zero() -> None:
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    y = loss_distance.contrastive_loss(x, x.detach(), Tensor([1, 0]), reduction="none")
    assert y.tolist() == [0.5, 0.0]
    assert grad(y.sum(), x)[0].tolist() == [[0.0] * 3] * 2


def test_triplets_with_a_distance_of_ones_own() -> None:
    a, p, n = Tensor([[0.0, 1.0]]), Tensor([[1.0, 1.0]]), Tensor([[0.0, 2.0]])
    y = loss_distance.triplet_margin_with_distance_loss(
        a, p, n, distance_function=lambda u, v: (u - v).abs().sum(1), margin=0.25
    )
    assert y.item() == 0.25


def test_without_a_batch() -> None:
    x = Tensor([0.1, 0.9, 0.2])
    assert loss_margin.multi_margin_loss(x, Tensor(1)).item() == pytest.approx(0.5 / 3)
    assert loss_margin.multilabel_margin_loss(x, Tensor([1, -1, 0])).item() == pytest.approx(
        0.5 / 3
    )
    assert loss_distance.cosine_embedding_loss(x, x, Tensor(1)).item() == pytest.approx(0, abs=1e-6)


def test_empty_batches() -> None:
    none, no_class = Tensor(np.zeros((0, 3), np.float32)), Tensor(np.zeros(0, np.int64))
    for y in (
        loss_margin.hinge_loss(none, none),
        loss_margin.multi_margin_loss(none, no_class),
        loss_margin.multilabel_margin_loss(none, Tensor(np.zeros((0, 3), np.int64))),
        loss_distance.cosine_embedding_loss(none, none, no_class),
        loss_distance.rbf_distance_loss(none, no_class),
    ):
        assert math.isnan(y.item())
    assert loss_margin.multi_margin_loss(none, no_class, reduction="none").shape == (0,)


SIGNED = [loss_margin.hinge_loss, loss_margin.squared_hinge_loss, loss_margin.soft_margin_loss]
SIGNED.append(loss_margin.hinge_embedding_loss)


@pytest.mark.parametrize("op", SIGNED)
def test_refused_labels(op: Any) -> None:
    name, x = op.__name__, Tensor([0.5, 0.5])
    with pytest.raises(ValueError, match=f"{name}: target is 0 at element 1, expected -1 or 1"):
        op(x, Tensor([1, 0]))
    with pytest.raises(ValueError, match=rf"{name}: target has shape \(2, 1\), expected \(2,\)"):
        op(x, Tensor([[1], [1]]))
    with pytest.raises(TypeError, match=f"{name}: input is int64, expected a floating"):
        op(Tensor([1, 1]), Tensor([1, 1]))
    with pytest.raises(ValueError, match=f"{name}: reduction is 'avg'"):
        op(x, Tensor([1, 1]), reduction="avg")


X, PAIR = Tensor(np.ones((2, 3), np.float32)), Tensor([1, 1])
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "class": (
        lambda: loss_margin.multi_margin_loss(X, Tensor([0, 3])),
        IndexError,
        "multi_margin_loss: target is 3 at element 1, expected 0 to 2",
    ),
    "class shape": (
        lambda: loss_margin.multi_margin_loss(X, Tensor([0])),
        ValueError,
        r"input has shape \(2, 3\) and target \(1,\)",
    ),
    "power": (lambda: loss_margin.multi_margin_loss(X, PAIR, p=3), ValueError, "p is 3"),
    "weight": (
        lambda: loss_margin.multi_margin_loss(X, PAIR, weight=X),
        ValueError,
        r"weight has shape \(2, 3\), expected \(3,\)",
    ),
    "listed": (
        lambda: loss_margin.multilabel_margin_loss(X, Tensor([[0, 5, 1], [1, -1, 9]])),
        IndexError,
        "multilabel_margin_loss: target is 5 at element 1",
    ),
    "listed shape": (
        lambda: loss_margin.multilabel_margin_loss(X, PAIR),
        ValueError,
        r"multilabel_margin_loss: input has shape \(2, 3\) and target \(2,\)",
    ),
    "cube": (
        lambda: loss_margin.multi_margin_loss(X.reshape(1, 2, 3), PAIR),
        ValueError,
        r"expected \(N, C\) or \(C\)",
    ),
    "pair": (
        lambda: loss_margin.margin_ranking_loss(X, X[0], X),
        ValueError,
        r"margin_ranking_loss: input1 has shape \(2, 3\) and input2 \(3,\)",
    ),
    "cosine": (
        lambda: loss_distance.cosine_embedding_loss(X, X, X),
        ValueError,
        r"cosine_embedding_loss: target has shape \(2, 3\), expected \(2,\)",
    ),
    "contrastive": (
        lambda: loss_distance.contrastive_loss(X, X, -PAIR),
        ValueError,
        "contrastive_loss: target is -1 at element 0, expected 0 or 1",
    ),
    "no margin": (
        lambda: loss_distance.contrastive_loss(X, X, PAIR, margin=0),
        ValueError,
        "margin is 0, expected a positive",
    ),
    "triplet": (
        lambda: loss_distance.triplet_margin_loss(X, X, X[:1]),
        ValueError,
        r"anchor has shape \(2, 3\) and negative \(1, 3\)",
    ),
    "triplet margin": (
        lambda: loss_distance.triplet_margin_loss(X, X, X, margin=-1.0),
        ValueError,
        "triplet_margin_loss: margin is -1",
    ),
    "rbf": (
        lambda: loss_distance.rbf_distance_loss(X, Tensor([0, 3])),
        IndexError,
        "rbf_distance_loss: target is 3 at element 1",
    ),
    "rbf shape": (lambda: loss_distance.rbf_distance_loss(X, X), TypeError, "target is float32"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()
