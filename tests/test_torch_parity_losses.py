# SPDX-License-Identifier: Apache-2.0
"""Losses that PyTorch has: values and gradients, reductions, options, inputs without a batch."""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from tests.test_torch_parity import as_torch, assert_near, build, floats

pytestmark = pytest.mark.torch
if find_spec("torch") is not None:
    import torch

SIGNS = np.array([1.0, -1.0, -1.0, 1.0, 1.0], np.float32)
CLASSES = np.array([0, 3, 2, 1, 2])
LISTED = np.array([[3, 0, -1, 1], [-1, 2, 2, 2], [2, -1, -1, -1], [0, 1, 2, 3], [1, 1, -1, 0]])
COUNTS = np.array([[0, 1, 2, 7], [3, 0, 0, 1], [1, 5, 2, 2], [4, 4, 1, 0], [9, 0, 1, 2]], "f4")
X, Y, Z = floats(5, 4), floats(5, 4, seed=1), floats(5, 4, seed=2)
SHARES = np.random.default_rng(3).random((5, 4)).astype(np.float32)
WEIGHT = np.array([0.5, 2.0, 1.0, 1.5], np.float32)

# The loss, the inputs that get a gradient, the other inputs.
LOSSES: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {
    "PoissonNLLLoss()": ([X, COUNTS], []),
    "PoissonNLLLoss(full=True, reduction='sum')": ([X], [COUNTS]),
    "PoissonNLLLoss(False, True, reduction='none')": ([SHARES], [COUNTS]),
    "GaussianNLLLoss()": ([X, Y, SHARES], []),
    "GaussianNLLLoss(full=True, eps=0.5, reduction='none')": ([X, Y, SHARES], []),
    "GaussianNLLLoss(reduction='sum')": ([X, Y, SHARES[:, :1]], []),
    "GaussianNLLLoss(eps=1e-3)": ([X, Y, SHARES[:, 0]], []),
    "SoftMarginLoss()": ([X], [np.sign(Y)]),
    "SoftMarginLoss(reduction='none')": ([X * 20], [np.sign(Y)]),
    "MultiMarginLoss()": ([X], [CLASSES]),
    "MultiMarginLoss(2, 0.7, reduction='none')": ([X], [CLASSES]),
    "MultiMarginLoss(reduction='mean', margin=2)": ([X[0]], [CLASSES[1]]),
    "MultiLabelMarginLoss()": ([X], [LISTED]),
    "MultiLabelMarginLoss(reduction='none')": ([X], [LISTED]),
    "MultiLabelMarginLoss(reduction='sum')": ([X[0]], [LISTED[0]]),
    "MultiLabelSoftMarginLoss()": ([X], [SHARES.round()]),
    "MultiLabelSoftMarginLoss(reduction='none')": ([X], [SHARES]),
    "MarginRankingLoss()": ([X, Y], [np.sign(Z)]),
    "MarginRankingLoss(0.4, reduction='none')": ([X, Y], [np.sign(Z)]),
    "MarginRankingLoss(reduction='sum')": ([X, X.copy()], [np.sign(Z)]),
    "HingeEmbeddingLoss()": ([X], [np.sign(Y)]),
    "HingeEmbeddingLoss(0.2, reduction='none')": ([X], [np.sign(Y)]),
    "CosineEmbeddingLoss()": ([X, Y], [SIGNS]),
    "CosineEmbeddingLoss(0.3, reduction='none')": ([X, Y], [SIGNS]),
    "CosineEmbeddingLoss(reduction='sum')": ([X[0], Y[0]], [SIGNS[1]]),
    "TripletMarginLoss()": ([X, Y, Z], []),
    "TripletMarginLoss(2.0, 1.0, swap=True, reduction='none')": ([X, Y, Z], []),
    "TripletMarginLoss(p=3.0, reduction='sum')": ([X[0], Y[0], Z[0]], []),
    "TripletMarginWithDistanceLoss()": ([X, Y, Z], []),
    "TripletMarginWithDistanceLoss(swap=True, margin=3.0, reduction='sum')": ([X, Y, Z], []),
}


def compare(
    theirs: Any, ours: Any, leaves: list[np.ndarray], others: list[Any], limit: float = 1e-4
) -> None:
    """Compare two functions of arrays: value, and gradients of the leaves."""
    their_leaves = [as_torch(np.asarray(each)).requires_grad_() for each in leaves]
    our_leaves = [gs.tensor(each, requires_grad=True) for each in leaves]
    their_y = theirs(*their_leaves, *(as_torch(np.asarray(each)) for each in others))
    our_y = ours(*our_leaves, *(gs.tensor(np.asarray(each)) for each in others))
    assert_near(our_y.detach(), their_y.detach(), "loss", limit)
    dy = floats(*our_y.shape, seed=9)
    their_y.backward(as_torch(np.asarray(dy)))
    our_y.backward(gs.tensor(dy))
    for number, (mine, other) in enumerate(zip(our_leaves, their_leaves, strict=True)):
        assert_near(mine.grad, other.grad, f"gradient {number}", limit)


@pytest.mark.parametrize("expression", LOSSES)
def test_loss(expression: str) -> None:
    theirs, ours = build(expression, torch.nn), build(expression, nn)
    if "WithDistance" not in expression:
        assert repr(ours) == repr(theirs)
    compare(theirs, ours, *LOSSES[expression])


@pytest.mark.parametrize("name", ["MultiMarginLoss", "MultiLabelSoftMarginLoss"])
def test_class_weights(name: str) -> None:
    theirs = getattr(torch.nn, name)(weight=as_torch(WEIGHT))
    ours = getattr(nn, name)(weight=gs.tensor(WEIGHT))
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight"]
    compare(theirs, ours, [X], [CLASSES if name == "MultiMarginLoss" else SHARES])


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_element_weights(name: str, reduction: str) -> None:
    theirs, ours = getattr(torch.nn.functional, name), getattr(nn.functional, name)
    compare(
        lambda x, y, w: theirs(x, y, reduction=reduction, weight=w),
        lambda x, y, w: ours(x, y, reduction=reduction, weight=w),
        [X, Y, SHARES],
        [],
    )


def test_functions_take_the_same_arguments() -> None:
    """Names, order and defaults, but for those deprecated long ago."""
    compared = 0
    for name, ours in vars(nn.functional).items():
        theirs = getattr(torch.nn.functional, name, None)
        if not name.endswith(("loss", "kl_div", "cross_entropy")) or theirs is None:
            continue
        wanted = [
            (each.name, each.default)
            for each in inspect.signature(theirs).parameters.values()
            if each.name not in ("size_average", "reduce")
        ]
        if name == "binary_cross_entropy_with_logits":
            wanted.insert(3, wanted.pop())
        got = [(each.name, each.default) for each in inspect.signature(ours).parameters.values()]
        assert got == wanted, name
        compared += 1
    assert compared > 15


def test_variance_as_a_number() -> None:
    compare(
        lambda x, y: torch.nn.functional.gaussian_nll_loss(x, y, 0.3),
        lambda x, y: nn.functional.gaussian_nll_loss(x, y, 0.3),
        [X, Y],
        [],
    )


# ---- CTC -----------------------------------------------------------------------------------------

LOGITS = floats(7, 4, 5)
LABELS = np.array([[1, 1, 2], [3, 4, 1], [2, 1, 1], [4, 4, 4]])
STEPS, LENGTHS = np.array([7, 5, 6, 4]), np.array([3, 2, 0, 1])
PACKED = np.concatenate([row[:length] for row, length in zip(LABELS, LENGTHS, strict=True)])


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("labels", [LABELS, PACKED], ids=["padded", "packed"])
@pytest.mark.parametrize("blank", [0, 4])
def test_ctc(labels: np.ndarray, reduction: str, blank: int) -> None:
    labels = np.where(labels == blank, 0, labels)  # PyTorch's blank may be no label
    options = {"blank": blank, "reduction": reduction}
    theirs, ours = torch.nn.CTCLoss(**options), nn.CTCLoss(**options)
    log_probs = np.asarray(torch.log_softmax(as_torch(LOGITS), 2))
    others = [labels, STEPS, LENGTHS]
    compare(theirs, ours, [log_probs], others)
    compare(
        lambda x, *rest: theirs(x.log_softmax(2), *rest),
        lambda x, *rest: ours(nn.functional.log_softmax(x, 2), *rest),
        [LOGITS],
        others,
    )


def test_ctc_without_batch_and_with_lengths_as_tuples() -> None:
    log_probs = np.asarray(torch.log_softmax(as_torch(LOGITS[:, 0]), 1))
    for reduction in ("none", "mean"):
        compare(
            lambda x, t, r=reduction: torch.nn.CTCLoss(reduction=r)(x, t, (7,), (3,)),
            lambda x, t, r=reduction: nn.CTCLoss(reduction=r)(x, t, (7,), (3,)),
            [log_probs],
            [LABELS[0]],
        )
        theirs, ours = torch.nn.CTCLoss(reduction=reduction), nn.CTCLoss(reduction=reduction)
        compare(theirs, ours, [log_probs], [LABELS[0], np.array(7), np.array(3)])


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_ctc_of_impossible_alignments(reduction: str) -> None:
    log_probs = np.asarray(torch.log_softmax(as_torch(LOGITS[:2]), 2))
    steps, lengths = np.array([2, 2, 0, 0]), np.array([2, 2, 0, 1])  # 1 1 needs three steps
    options = {"reduction": reduction, "zero_infinity": True}
    others = [LABELS, steps, lengths]
    compare(torch.nn.CTCLoss(**options), nn.CTCLoss(**options), [log_probs], others)
    given = [gs.tensor(each) for each in others]
    losses = nn.functional.ctc_loss(gs.tensor(log_probs), *given, reduction="none")
    assert np.isinf(losses.numpy()).tolist() == [True, False, False, True]
