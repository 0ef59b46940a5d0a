# SPDX-License-Identifier: Apache-2.0
"""Metrics: against definitions written out here, over batches of uneven sizes, bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradsmith import metrics
from gradsmith.tensor import Tensor, wrap

SCORES = np.random.default_rng(0).normal(size=(23, 5)).astype(np.float32)
CLASSES = np.random.default_rng(1).integers(0, 5, 23)
NUMBERS = np.random.default_rng(2).normal(size=(23, 3))


def batched(metric: metrics.Metric, output: Any, target: Any) -> Any:
    """Feed 23 samples in batches of 7, 7, 7 and 2."""
    for start in range(0, 23, 7):
        metric.update(wrap(output[start : start + 7]), wrap(target[start : start + 7]))
    return metric.result()


@pytest.mark.parametrize(
    ("metric", "output", "target", "expected"),
    [
        (metrics.Accuracy(), SCORES, CLASSES, np.mean(SCORES.argmax(1) == CLASSES)),
        (metrics.Accuracy(), SCORES, np.eye(5)[CLASSES], np.mean(SCORES.argmax(1) == CLASSES)),
        (
            metrics.BinaryAccuracy(0.0),
            NUMBERS,
            (NUMBERS > 0.3).astype(np.int64),
            np.mean((NUMBERS > 0) == (NUMBERS > 0.3)),
        ),
        (
            metrics.TopKAccuracy(2),
            SCORES,
            CLASSES,
            np.mean([c in np.argsort(s)[-2:] for s, c in zip(SCORES, CLASSES, strict=True)]),
        ),
        (metrics.MeanSquaredError(), NUMBERS, NUMBERS**2, np.mean((NUMBERS - NUMBERS**2) ** 2)),
        (metrics.MeanAbsoluteError(), NUMBERS, NUMBERS**2, np.mean(abs(NUMBERS - NUMBERS**2))),
    ],
)
def test_exact_over_uneven_batches(
    metric: metrics.Metric, output: Any, target: Any, expected: float
) -> None:
    assert batched(metric, output, target) == pytest.approx(expected, abs=1e-12)
    metric.reset()
    assert math.isnan(metric.result())
    assert batched(metric, output, target) == pytest.approx(expected, abs=1e-12)


def test_confusion_matrix() -> None:
    matrix = batched(metrics.ConfusionMatrix(5), SCORES, CLASSES)
    expected = np.zeros((5, 5), dtype=np.int64)
    for scores, target in zip(SCORES, CLASSES, strict=True):
        expected[target, scores.argmax()] += 1
    np.testing.assert_array_equal(matrix, expected)
    predicted = SCORES.argmax(1)
    np.testing.assert_array_equal(metrics.confusion_matrix(predicted, CLASSES, 5), expected)
    assert metrics.confusion_matrix([0, 1], [1, 1], 2).tolist() == [[0, 0], [1, 1]]


def test_images_of_classes() -> None:
    scores = np.random.default_rng(3).normal(size=(2, 4, 3, 5))
    target = np.random.default_rng(4).integers(0, 4, (2, 3, 5))
    assert metrics.accuracy(scores, target) == pytest.approx(np.mean(scores.argmax(1) == target))
    assert metrics.top_k_accuracy(scores, target, 4) == 1


def test_functions() -> None:
    assert metrics.accuracy([[1.0, 2.0], [2.0, 1.0]], [1, 1]) == 0.5
    assert metrics.binary_accuracy([0.6, 0.4, 0.5], [1, 0, 0]) == 1
    assert metrics.mean_squared_error([1.0, 2.0], [1.0, 4.0]) == 2
    assert metrics.mean_absolute_error([1, 2], [1, 4]) == 1


def test_mean() -> None:
    mean = metrics.Mean()
    mean.update(1.0, 3)
    mean.update(5.0)
    assert mean.result() == 2
    assert mean([3.0, 3.0], 2.0) == pytest.approx(20 / 8)
    mean.reset()
    assert math.isnan(mean.result())


def test_reduced_precision_and_gradients() -> None:
    half = Tensor(SCORES).to("bfloat16")
    assert metrics.accuracy(half, CLASSES) == metrics.accuracy(half.to("float64"), CLASSES)
    tracked = Tensor(SCORES, requires_grad=True) * 2.0
    assert metrics.accuracy(tracked, CLASSES) == metrics.accuracy(SCORES, CLASSES)


def test_unsigned_numbers_do_not_wrap() -> None:
    assert metrics.mean_absolute_error(np.uint8([1]), np.uint8([2])) == 1


def test_nan_is_never_right() -> None:
    assert metrics.binary_accuracy([math.nan], [0.0]) == 0
    assert math.isnan(metrics.mean_squared_error([math.nan], [0.0]))


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"output has shape \(2, 1\), target \(2,\)"):
        metrics.mean_squared_error([[1.0], [2.0]], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"target has shape \(3,\), expected classes \(2,\)"):
        metrics.accuracy([[1.0, 2.0], [2.0, 1.0]], [1, 1, 0])
    with pytest.raises(TypeError, match="target classes are float64"):
        metrics.accuracy([[1.0, 2.0], [2.0, 1.0]], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"expected scores \(N, C"):
        metrics.accuracy([1.0, 2.0], [1, 0])
    with pytest.raises(ValueError, match="k is 3, but there are 2 classes"):
        metrics.top_k_accuracy([[1.0, 2.0]], [1], 3)
    with pytest.raises(ValueError, match="k is 0"):
        metrics.TopKAccuracy(0)
    with pytest.raises(IndexError, match="classes range from 2 to 2, expected 0 to 1"):
        metrics.confusion_matrix([0], [2], 2)
    with pytest.raises(IndexError, match="from -1 to 1"):
        metrics.top_k_accuracy([[1.0, 2.0], [1.0, 2.0]], [1, -1], 1)
    with pytest.raises(ValueError, match="num_classes is 0"):
        metrics.ConfusionMatrix(0)
    with pytest.raises(NotImplementedError, match="Metric does not define reset"):
        metrics.Metric("nothing")
