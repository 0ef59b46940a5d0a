# SPDX-License-Identifier: Apache-2.0
"""Metrics of classes and of rankings against scikit-learn, over uneven batches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn

import gradsmith as gs
from gradsmith import metrics
from gradsmith.tensor import wrap

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(23, 5)).astype(np.float32)
SCORES[:, 3] -= 9  # a class that is never predicted
CLASSES = RNG.choice([0, 1, 3, 4], 23)  # and one that no target has
PREDICTED = SCORES.argmax(1)
LABELS = (RNG.random(23) < 0.4).astype(np.int64)
CHANCES = np.round(RNG.random(23), 1)  # with ties


def batched(metric: metrics.Metric, *arrays: np.ndarray) -> Any:
    """Feed 23 samples in batches of 7, 7, 7 and 2."""
    for start in range(0, 23, 7):
        metric.update(*(wrap(each[start : start + 7]) for each in arrays))
    return metric.result()


AVERAGED: dict[str, tuple[Any, Any, Any]] = {
    "precision": (metrics.Precision, metrics.precision, sklearn.precision_score),
    "recall": (metrics.Recall, metrics.recall, sklearn.recall_score),
    "f1": (metrics.F1Score, metrics.f1_score, sklearn.f1_score),
    "iou": (metrics.IoU, metrics.iou, sklearn.jaccard_score),
}


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("name", AVERAGED)
def test_averages(name: str, average: str) -> None:
    kind, function, judge = AVERAGED[name]
    expected = judge(CLASSES, PREDICTED, average=average, zero_division=0)
    assert batched(kind(average), SCORES, CLASSES) == pytest.approx(expected)
    assert batched(kind(average), PREDICTED, CLASSES) == pytest.approx(expected)
    one_hot = np.eye(5, dtype=np.float32)[CLASSES]
    assert function(SCORES, one_hot, average) == pytest.approx(expected)


@pytest.mark.parametrize("name", AVERAGED)
def test_each_class(name: str) -> None:
    kind, _, judge = AVERAGED[name]
    options = {"average": None, "zero_division": 1.0}
    expected = judge(CLASSES, PREDICTED, labels=range(5), **options)
    np.testing.assert_allclose(batched(kind(**options), SCORES, CLASSES), expected)


@pytest.mark.parametrize("name", AVERAGED)
def test_two_classes(name: str) -> None:
    kind, function, judge = AVERAGED[name]
    expected = judge(LABELS, CHANCES > 0.5)
    assert batched(kind("binary"), CHANCES, LABELS) == pytest.approx(expected)
    assert function(CHANCES > 0.5, LABELS, "binary") == pytest.approx(expected)
    logits = np.log(CHANCES + 0.05) - np.log(1.05 - CHANCES)
    assert function(logits, LABELS == 1, "binary", threshold=0.0) == pytest.approx(expected)


def test_zero_division() -> None:
    nothing, something = np.zeros(3, np.int64), np.ones(3, np.int64)
    assert metrics.precision(nothing, something) == 0
    assert metrics.precision(nothing, something, zero_division=1.0) == 1
    assert math.isnan(metrics.recall(something, nothing, zero_division=math.nan))
    assert metrics.precision([0, 1], [2, 1], "macro", zero_division=math.nan) == 0.5
    for kind in (metrics.Precision, metrics.F1Score):
        assert math.isnan(kind().result())


def test_ignored_targets() -> None:
    target = CLASSES.copy()
    target[::3] = 255
    kept = target != 255
    expected = sklearn.f1_score(CLASSES[kept], PREDICTED[kept], average="macro")
    assert batched(metrics.F1Score("macro", ignore_index=255), SCORES, target) == pytest.approx(
        expected
    )
    share = np.mean(CLASSES[kept] == PREDICTED[kept])
    pixels = metrics.PixelAccuracy(ignore_index=255)
    assert batched(pixels, SCORES, target) == pytest.approx(share)
    assert metrics.pixel_accuracy(SCORES, CLASSES) == metrics.accuracy(SCORES, CLASSES)


def test_masks() -> None:
    scores = np.moveaxis(SCORES[:12].reshape(3, 4, 5), 2, 1)  # (N, C, L)
    target, mask = CLASSES[:12].reshape(3, 4), np.arange(4) < np.array([[2], [4], [0]])
    accuracy = metrics.Accuracy()
    accuracy.update(scores, target, mask=gs.tensor(mask))
    assert accuracy.result() == np.mean((scores.argmax(1) == target)[mask])
    errors = metrics.MeanAbsoluteError()
    errors.update(np.arange(4.0), np.zeros(4), mask=[True, False, True, False])
    assert errors.result() == 1
    assert metrics.TopKAccuracy(2)(scores, np.eye(5)[target].swapaxes(1, 2), mask) <= 1
    with pytest.raises(ValueError, match=r"mask has shape \(3,\), expected that of the positions"):
        errors.update(np.arange(4.0), np.zeros(4), mask=[True, False, True])
    with pytest.raises(TypeError, match="mask is int64, expected bool"):
        errors.update(np.arange(4.0), np.zeros(4), mask=[1, 0, 1, 0])


@pytest.mark.parametrize("names", [None, ["cat", "dog", "a very long name", "owl", "bee"]])
def test_report(names: list[str] | None) -> None:
    labels = None if names is None else range(5)
    expected = sklearn.classification_report(
        CLASSES, PREDICTED, labels=labels, target_names=names, digits=3, zero_division=0
    )
    assert metrics.classification_report(SCORES, CLASSES, names, digits=3) == expected
    with pytest.raises(ValueError, match="got 2 target_names, expected at least 5"):
        metrics.classification_report(SCORES, CLASSES, ["a", "b"])


# ---- rankings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("drop", [True, False])
def test_roc_curve(drop: bool) -> None:
    for scores in (CHANCES, SCORES[:, 0]):
        expected = sklearn.roc_curve(LABELS, scores, drop_intermediate=drop)
        for got, want in zip(metrics.roc_curve(scores, LABELS, drop), expected, strict=True):
            np.testing.assert_allclose(got, want)


def test_precision_recall_curve() -> None:
    for scores in (CHANCES, SCORES[:, 0]):
        expected = sklearn.precision_recall_curve(LABELS, scores)
        for got, want in zip(metrics.precision_recall_curve(scores, LABELS), expected, strict=True):
            np.testing.assert_allclose(got, want)


def test_areas_of_two_classes() -> None:
    expected = sklearn.roc_auc_score(LABELS, CHANCES)
    assert batched(metrics.AUROC(), CHANCES, LABELS) == pytest.approx(expected)
    assert metrics.roc_auc(CHANCES[:, None], LABELS[:, None]) == pytest.approx(expected)
    expected = sklearn.average_precision_score(LABELS, CHANCES)
    assert batched(metrics.AveragePrecision(), CHANCES, LABELS) == pytest.approx(expected)
    assert metrics.average_precision(CHANCES, LABELS == 1) == pytest.approx(expected)


@pytest.mark.parametrize("average", ["macro", "weighted", None])
def test_areas_of_several_classes(average: str | None) -> None:
    classes = np.where(CLASSES == 3, 2, CLASSES)
    classes = np.where(classes == 4, 3, classes)  # four classes, all there
    scores = gs.nn.functional.softmax(gs.tensor(SCORES[:, [0, 1, 2, 4]]).double(), 1).numpy()
    expected = sklearn.roc_auc_score(classes, scores, multi_class="ovr", average=average)
    np.testing.assert_allclose(batched(metrics.AUROC(average), scores, classes), expected)
    expected = sklearn.average_precision_score(classes, scores, average=average)
    np.testing.assert_allclose(
        batched(metrics.AveragePrecision(average), scores, classes), expected
    )


def test_areas_that_are_undefined() -> None:
    assert math.isnan(metrics.AUROC().result())
    assert math.isnan(metrics.roc_auc([0.1, 0.2], [1, 1]))
    assert math.isnan(metrics.average_precision([0.1, 0.2], [0, 0]))
    assert math.isnan(metrics.roc_auc([], []))
    assert math.isnan(metrics.roc_auc([0.1, math.nan], [0, 1]))
    assert math.isnan(metrics.average_precision([0.1, math.nan], [0, 1]))


# ---- bad input -----------------------------------------------------------------------------------

BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "average": (lambda: metrics.Recall("mean"), ValueError, "Recall: average is 'mean'"),
    "threshold": (lambda: metrics.Recall(threshold="x"), TypeError, "threshold is a str"),
    "binary scores": (
        lambda: metrics.precision(SCORES, CLASSES),
        ValueError,
        "give average='macro' for several classes",
    ),
    "binary classes": (
        lambda: metrics.precision([0, 2], [0, 1]),
        IndexError,
        "precision: classes range from 0 to 2, expected 0 to 1",
    ),
    "negative class": (
        lambda: metrics.f1_score([0, 1], [-1, 1], "macro"),
        IndexError,
        "f1_score: classes range from -1",
    ),
    "too large a class": (
        lambda: metrics.iou(SCORES[:1], [5]),
        IndexError,
        "iou: classes range from 5 to 5, expected 0 to 4",
    ),
    "shapes": (
        lambda: metrics.recall([0, 1], [0, 1, 1], "macro"),
        ValueError,
        r"recall: output has shape \(2,\), target \(3,\)",
    ),
    "float classes": (
        lambda: metrics.recall([0, 1], [0.0, 1.0], "macro"),
        TypeError,
        "recall: target classes are float64",
    ),
    "curve": (
        lambda: metrics.roc_curve([0.1, 0.2], [1, 2]),
        ValueError,
        "roc_curve: target holds 1 to 2, expected 0 and 1",
    ),
    "curve shapes": (
        lambda: metrics.precision_recall_curve([[0.1]], [1]),
        ValueError,
        r"precision_recall_curve: output has shape \(1, 1\), target \(1,\)",
    ),
    "area class": (lambda: metrics.roc_auc(SCORES[:1], [5]), IndexError, "from 5 to 5"),
    "area floats": (lambda: metrics.roc_auc(SCORES[:1], [1.0]), TypeError, "target is float64"),
    "area average": (lambda: metrics.AUROC("micro"), ValueError, "AUROC: average is 'micro'"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


def test_refused_batches_of_another_width() -> None:
    metric = metrics.AUROC()
    metric.update(SCORES, CLASSES)
    with pytest.raises(ValueError, match=r"output has \(\) scores per sample, before \(5,\)"):
        metric.update(CHANCES, LABELS)
