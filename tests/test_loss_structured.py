# SPDX-License-Identifier: Apache-2.0
"""Losses of segmentations, images and boxes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops import boxes, loss_image, loss_region, loss_yolo
from gradsmith.ops.loss import binary_cross_entropy_with_logits
from gradsmith.ops.loss_class import cross_entropy
from gradsmith.tensor import Tensor
from tests.cases import CaseTests
from tests.loss_cases import composed
from tests.reference import loss_composed as ref

ALPHA = np.array([0.5, 2.0, 1.0])
ANCHORS = np.array([[0.2, 0.3], [0.6, 0.4]])
OBJECTS = [
    np.array([[1, 0.3, 0.8, 0.25, 0.3], [0, 0.31, 0.81, 0.2, 0.25], [0, 0.7, 0.2, 0.5, 0.5]]),
    np.zeros((0, 5)),
]


def _shares(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return rng.uniform(0.1, 0.9, (2, 3, 2, 2)), rng.uniform(0.1, 0.9, (2, 3, 2, 2))


def _images(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return (rng.standard_normal((2, 2, 3, 4)),)


def _class_focal(x: Tensor, t: Tensor) -> Tensor:
    alpha = Tensor(ALPHA.astype(x.dtype)).to(x.device)
    return loss_region.focal_loss(x, t, alpha, 2.0, "none")


def _yolo_inputs(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return (0.5 * rng.standard_normal((2, 14, 3, 3)),)


CASES = [
    composed(
        "focal",
        loss_region.focal_loss,
        ref.binary_focal,
        lambda rng: (2 * rng.standard_normal((3, 4)), rng.uniform(0, 1, (3, 4))),
        alpha=0.25,
        gamma=1.5,
    ),
    composed(
        "focal-classes",
        _class_focal,
        lambda x, t: ref.class_focal(x, t, ALPHA, 2.0, "none"),
        lambda rng: (rng.standard_normal((2, 3, 4)), rng.integers(0, 3, (2, 4))),
    ),
    composed("dice", loss_region.dice_loss, ref.dice, _shares, reduction="none"),
    composed("jaccard", loss_region.jaccard_loss, ref.jaccard, _shares),
    composed("total_variation", loss_image.total_variation_loss, ref.total_variation, _images),
    composed(
        "total_variation",
        loss_image.total_variation_loss,
        ref.total_variation,
        _images,
        isotropic=False,
        reduction="none",
    ),
    composed("gram_matrix", loss_image.gram_matrix, ref.gram, _images),
    composed(
        "yolo",
        lambda x: loss_yolo.yolo_loss(x, OBJECTS, ANCHORS, ignore_threshold=0.3),
        lambda x: ref.yolo(x, OBJECTS, ANCHORS, threshold=0.3),
        _yolo_inputs,
        # The overlap with the object is a target that moves with the prediction.
        differentiable=False,
    ),
    composed(
        "yolo_boxes",
        lambda x: loss_yolo.yolo_boxes(x, ANCHORS),
        lambda x: ref.yolo_boxes(x, ANCHORS),
        lambda rng: (0.5 * rng.standard_normal((1, 14, 2, 2)),),
    ),
]


class TestCases(CaseTests):
    pass


# ---- regions -------------------------------------------------------------------------------------


def test_focal_without_focus_is_cross_entropy() -> None:
    x = Tensor(np.random.default_rng(0).standard_normal((4, 3)))
    t = Tensor((np.arange(12).reshape(4, 3) % 2).astype(np.float64))
    expected = binary_cross_entropy_with_logits(x, t).item()
    assert loss_region.focal_loss(x, t, gamma=0).item() == pytest.approx(expected)
    labels = Tensor([0, 2, 1, 1])
    expected = cross_entropy(x, labels).item()
    assert loss_region.focal_loss(x, labels, gamma=0).item() == pytest.approx(expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_gradient_of_certain_scores_is_finite(gamma: float) -> None:
    for x, t in (
        (Tensor([[300.0, -300.0], [-300.0, 300.0]], requires_grad=True), Tensor([0, 0])),
        (Tensor([300.0, -300.0], requires_grad=True), Tensor([1.0, 1.0])),
    ):
        (dx,) = grad(loss_region.focal_loss(x, t, gamma=gamma), x)
        assert np.isfinite(dx.numpy()).all()
        assert np.abs(dx.numpy()).max() > 0


@pytest.mark.parametrize("op", [loss_region.dice_loss, loss_region.jaccard_loss])
def test_region_losses_of_class_indices(op: Any) -> None:
    labels = np.array([[[0, 2], [2, 1]]])
    perfect = Tensor(np.moveaxis(np.eye(4)[labels], -1, 1))
    np.testing.assert_allclose(op(perfect, Tensor(labels), reduction="none").numpy(), 0, atol=1e-12)
    wrong = op(perfect, Tensor(np.full((1, 2, 2), 3)), smooth=1e-9, reduction="none").numpy()
    np.testing.assert_allclose(wrong, 1, atol=1e-8)


X = Tensor(np.full((2, 3, 4), 0.5, np.float32))
REGION_BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "focal shape": (lambda: loss_region.focal_loss(X, X[0]), ValueError, "focal_loss: input has"),
    "focal classes": (
        lambda: loss_region.focal_loss(X, Tensor([0, 1])),
        ValueError,
        r"input has shape \(2, 3, 4\) and target \(2,\)",
    ),
    "focal class": (
        lambda: loss_region.focal_loss(X[..., 0], Tensor([0, 3])),
        IndexError,
        "focal_loss: target is 3 at element 1",
    ),
    "focal target": (lambda: loss_region.focal_loss(X, X + 1), ValueError, r"target is 1.5"),
    "focal gamma": (lambda: loss_region.focal_loss(X, X, gamma=-1), ValueError, "gamma is -1"),
    "focal alpha": (lambda: loss_region.focal_loss(X, X, 1.5), ValueError, "alpha is 1.5"),
    "focal alphas": (
        lambda: loss_region.focal_loss(X[..., 0], Tensor([0, 1]), Tensor([1.0])),
        ValueError,
        r"alpha has shape \(1,\), expected \(3,\)",
    ),
    "dice logits": (
        lambda: loss_region.dice_loss(X * 4, X),
        ValueError,
        "dice_loss: input is 2.0 at element 0, expected probabilities",
    ),
    "dice shape": (lambda: loss_region.dice_loss(X[0], X[0]), ValueError, r"expected \(N, C, d1"),
    "dice smooth": (lambda: loss_region.dice_loss(X, X, 0), ValueError, "smooth is 0"),
    "jaccard classes": (
        lambda: loss_region.jaccard_loss(X, Tensor([0, 1])),
        ValueError,
        r"expected class indices \(2, 4\)",
    ),
    "variation": (
        lambda: loss_image.total_variation_loss(X[0]),
        ValueError,
        r"total_variation_loss: input has shape \(3, 4\)",
    ),
    "gram": (lambda: loss_image.gram_matrix(X[0]), ValueError, "gram_matrix: input has shape"),
    "perceptual": (
        lambda: loss_image.perceptual_loss([X], [X, X], [1.0]),
        ValueError,
        "1 layers of input, 2 of target and 1 weights",
    ),
}


@pytest.mark.parametrize("name", REGION_BAD)
def test_refused(name: str) -> None:
    call, error, message = REGION_BAD[name]
    with pytest.raises(error, match=message):
        call()


# ---- images --------------------------------------------------------------------------------------


def test_total_variation_of_a_flat_image_has_no_slope() -> None:
    x = Tensor(np.ones((3, 2, 2)), requires_grad=True)
    y = loss_image.total_variation_loss(x)
    assert y.item() == 0
    assert not grad(y, x)[0].numpy().any()


def test_perceptual_loss_of_contents_and_styles() -> None:
    a, b = Tensor([[[1.0, 2.0]]]), Tensor([[[2.0, 1.0]]])
    assert loss_image.perceptual_loss([a, b], [b, b], [0.5, 3.0]).item() == 0.5
    assert loss_image.perceptual_loss([a, b], [b, b], [0.5, 3.0], style=True).item() == 0


def test_empty_images_and_batches() -> None:
    for shape in ((2, 3, 0, 4), (2, 3, 1, 1)):
        y = loss_image.total_variation_loss(Tensor(np.zeros(shape)), reduction="none")
        assert y.tolist() == [0.0, 0.0]
    none = Tensor(np.zeros((0, 3, 2)))
    for op in (loss_region.dice_loss, loss_region.jaccard_loss, loss_region.focal_loss):
        assert math.isnan(op(none, Tensor(np.zeros((0, 2), np.int64))).item())


# ---- boxes ---------------------------------------------------------------------------------------


def test_box_iou() -> None:
    rng = np.random.default_rng(0)
    a, b = (
        np.concatenate((c, c + rng.random((n, 2))), 1) for n in (4, 3) for c in [rng.random((n, 2))]
    )
    b[0] = [0.5, 0.5, 0.5, 0.5]
    expected = [[ref.iou(one, other) for other in b] for one in a]
    np.testing.assert_allclose(boxes.box_iou(a, b).numpy(), expected, rtol=1e-12)
    assert boxes.box_iou(b[:1], b[:1]).item() == 0
    assert boxes.box_iou(a[:0], b).shape == (0, 3)
    with pytest.raises(ValueError, match=r"box_iou: boxes2 has shape \(4,\)"):
        boxes.box_iou(a, a[0])


def test_yolo_gradient() -> None:
    """With the overlap of the moment as a constant, which a numeric slope cannot hold still."""
    x = np.random.default_rng(2).standard_normal((2, 14, 3, 3)) * 0.5
    leaf = Tensor(x, requires_grad=True)
    (dx,) = grad(loss_yolo.yolo_loss(leaf, OBJECTS, ANCHORS, object_weight=0.0), leaf)
    for place in ((0, 0, 2, 0), (0, 3, 2, 0), (0, 4, 0, 0), (0, 13, 0, 2), (1, 11, 1, 1)):
        step = np.zeros_like(x)
        step[place] = 1e-6
        up, down = (ref.yolo(each, OBJECTS, ANCHORS, (1, 0, 1, 1)) for each in (x + step, x - step))
        assert dx.numpy()[place] == pytest.approx((up - down) / 2e-6, abs=1e-6), place


def test_yolo_of_images_without_objects() -> None:
    x = Tensor(np.zeros((2, 14, 3, 3)), requires_grad=True)
    y = loss_yolo.yolo_loss(x, [[], []], ANCHORS)
    assert y.item() == pytest.approx(2 * 9 * 0.25)
    assert grad(y, x)[0].numpy()[:, 4].all()


PREDICTIONS = Tensor(np.zeros((2, 14, 3, 3), np.float32))
YOLO_BAD: list[tuple[Any, Any, type[Exception], str]] = [
    (OBJECTS[:1], ANCHORS, ValueError, "with 1 targets"),
    (OBJECTS, ANCHORS[0], ValueError, r"anchors have shape \(2,\)"),
    (OBJECTS, -ANCHORS, ValueError, "expected positive widths"),
    (OBJECTS, ANCHORS[[0, 1, 0]], ValueError, "14 channels, expected A .5 \\+ C. with 3 anchors"),
    ([[[2, 0.5, 0.5, 0.1, 0.1]], []], ANCHORS, IndexError, "classes 2 to 2, expected 0 to 1"),
    ([[[0, 1.0, 0.5, 0.1, 0.1]], []], ANCHORS, ValueError, r"targets\[0\] has places or sizes"),
    ([[], [[0, 0.5, 0.5, 0.0, 0.1]]], ANCHORS, ValueError, r"targets\[1\] has places or sizes"),
    ([[], [[0, 0.5]]], ANCHORS, ValueError, r"targets\[1\] has shape \(1, 2\)"),
]


@pytest.mark.parametrize(("targets", "anchors", "error", "message"), YOLO_BAD)
def test_yolo_refusals(targets: Any, anchors: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"yolo_loss: .*{message}"):
        loss_yolo.yolo_loss(PREDICTIONS, targets, anchors)


def test_yolo_refuses_other_shapes_and_weights() -> None:
    with pytest.raises(ValueError, match=r"predictions have shape \(14, 3, 3\)"):
        loss_yolo.yolo_loss(PREDICTIONS[0], OBJECTS, ANCHORS)
    with pytest.raises(ValueError, match="expected a square grid"):
        loss_yolo.yolo_loss(PREDICTIONS[..., 1:], OBJECTS, ANCHORS)
    with pytest.raises(ValueError, match="class_weight is -1, expected at least 0"):
        loss_yolo.yolo_loss(PREDICTIONS, OBJECTS, ANCHORS, class_weight=-1)
