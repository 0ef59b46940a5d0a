# SPDX-License-Identifier: Apache-2.0
"""Metrics of numbers, detections, texts, images and actions, their state, and their names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.signal import convolve2d
from sklearn.metrics import r2_score, root_mean_squared_error

import gradsmith as gs
from gradsmith import metrics, nn
from tests.test_metrics_classes import CHANCES, CLASSES, LABELS, SCORES, batched

NUMBERS = np.random.default_rng(2).normal(size=(23, 3)) + 1e4
GUESSES = NUMBERS + np.random.default_rng(3).normal(size=(23, 3)) / 2
IMAGES = np.random.default_rng(4).random((23, 2, 13, 12))
NOISY = np.clip(IMAGES + np.random.default_rng(5).normal(size=IMAGES.shape) / 9, 0, 1)
TOKENS = np.random.default_rng(6).integers(0, 5, (23, 3))
LOGITS = np.random.default_rng(7).normal(size=(23, 5, 3))


def test_regression() -> None:
    expected = r2_score(NUMBERS, GUESSES)
    assert batched(metrics.R2Score(), GUESSES, NUMBERS) == pytest.approx(expected, abs=1e-9)
    assert metrics.r2_score(GUESSES[:, 0], NUMBERS[:, 0]) == pytest.approx(
        r2_score(NUMBERS[:, 0], GUESSES[:, 0]), abs=1e-9
    )
    assert metrics.r2_score([1.0, 1.0], [1.0, 1.0]) == 1
    assert metrics.r2_score([1.0, 2.0], [1.0, 1.0]) == 0
    assert math.isnan(metrics.r2_score([1.0], [1.0]))
    expected = root_mean_squared_error(NUMBERS[:, 0], GUESSES[:, 0])
    metric = metrics.RootMeanSquaredError()
    assert batched(metric, GUESSES[:, 0], NUMBERS[:, 0]) == pytest.approx(expected)
    assert metrics.root_mean_squared_error([3.0, 0.0], [0.0, 4.0]) == pytest.approx(12.5**0.5)
    metric = metrics.R2Score()
    metric.update(GUESSES, NUMBERS)
    with pytest.raises(ValueError, match="samples have 1 elements, before 3"):
        metric.update([1.0], [1.0])
    with pytest.raises(ValueError, match=r"r2_score: output has shape \(\), expected"):
        metrics.r2_score(1.0, 1.0)


def test_sum() -> None:
    total = metrics.Sum()
    assert total.result() == 0
    total.update([1.0, 2.0])
    assert total(4) == 7


# ---- detection -----------------------------------------------------------------------------------

OBJECTS = {"boxes": [[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]], "labels": [0, 0]}
FOUND = {
    # right at 0.5 (overlap 0.8), a second claim on the same object, right at 0.9, nowhere
    "boxes": [[0.0, 0, 8, 10], [0.0, 0, 10, 10], [20.0, 0, 30, 9.5], [50.0, 50, 60, 60]],
    "scores": [0.9, 0.8, 0.6, 0.7],
    "labels": [0, 0, 0, 0],
}


def test_mean_average_precision_by_hand() -> None:
    """By falling score: right, wrong, wrong, right; recalls 1/2 to 1 at precisions 1 and 1/2."""
    assert metrics.mean_average_precision([FOUND], [OBJECTS], points=None) == 0.75
    # Recalls 0.00 to 0.50 are 51 of 101 points, and 0.0 to 0.5 are 6 of 11.
    got = metrics.mean_average_precision([FOUND], [OBJECTS])
    assert got == pytest.approx((51 + 50 / 2) / 101)
    got = metrics.mean_average_precision([FOUND], [OBJECTS], points=11)
    assert got == pytest.approx((6 + 5 / 2) / 11)
    # At 0.85 the second box takes the first object: wrong, right, wrong, right.
    strict = metrics.mean_average_precision([FOUND], [OBJECTS], iou_thresholds=0.85, points=None)
    assert strict == 0.5
    both = metrics.MeanAveragePrecision([0.5, 0.85], points=None)
    assert both([FOUND], [OBJECTS]) == (0.75 + 0.5) / 2


def test_mean_average_precision_over_images_and_classes() -> None:
    other = {"boxes": [[0.0, 0.0, 5.0, 5.0]], "labels": [2]}
    missed = {"boxes": [], "labels": [], "scores": []}
    metric = metrics.MeanAveragePrecision(points=None, average=None)
    metric.update([missed], [other])
    metric.update([FOUND], [OBJECTS])
    np.testing.assert_array_equal(metric.result(), [0.75, np.nan, 0.0])
    metric = metrics.MeanAveragePrecision(points=None)
    metric.update([missed, FOUND], [other, OBJECTS])
    assert metric.result() == 0.375
    nothing = {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, np.int64)}
    assert math.isnan(metrics.mean_average_precision([FOUND], [nothing]))
    metric.update([FOUND], [nothing])  # four wrong ones, in the same order of scores
    assert metric.result() < 0.375


DETECTION_BAD: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: metrics.mean_average_precision([FOUND], []),
        ValueError,
        "got 1 outputs and 0 targets",
    ),
    (lambda: metrics.mean_average_precision([OBJECTS], [OBJECTS]), TypeError, "boxes, labels, sco"),
    (
        lambda: metrics.mean_average_precision([FOUND], [3]),
        TypeError,
        "target of an image is a int",
    ),
    (
        lambda: metrics.mean_average_precision([FOUND], [{**OBJECTS, "labels": [0]}]),
        ValueError,
        r"target labels have shape \(1,\), expected \(2,\)",
    ),
    (
        lambda: metrics.mean_average_precision([FOUND], [{**OBJECTS, "labels": [0.0, 1.0]}]),
        TypeError,
        "target labels are float64",
    ),
    (
        lambda: metrics.mean_average_precision([FOUND], [{**OBJECTS, "boxes": [[1.0]]}]),
        ValueError,
        r"target boxes have shape \(1, 1\)",
    ),
    (lambda: metrics.MeanAveragePrecision(0.0), ValueError, "iou_thresholds are 0.0"),
    (lambda: metrics.MeanAveragePrecision(points=1), ValueError, "points is 1"),
    (lambda: metrics.MeanAveragePrecision(average="micro"), ValueError, "average is 'micro'"),
]


@pytest.mark.parametrize(("call", "error", "message"), DETECTION_BAD)
def test_detection_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# ---- texts ---------------------------------------------------------------------------------------


def test_perplexity() -> None:
    loss = nn.functional.cross_entropy(gs.tensor(LOGITS), gs.tensor(TOKENS), reduction="none")
    losses = loss.numpy()
    got = batched(metrics.Perplexity(), LOGITS, TOKENS)
    assert got == pytest.approx(np.exp(losses.mean()))
    got = metrics.perplexity(LOGITS, TOKENS, ignore_index=2)
    assert got == pytest.approx(np.exp(losses[TOKENS != 2].mean()))
    lengths = np.arange(23) % 4
    kept = np.arange(3) < lengths[:, None]
    got = metrics.perplexity(LOGITS, TOKENS, lengths=lengths)
    assert got == pytest.approx(np.exp(losses[kept].mean()))
    assert metrics.perplexity(np.zeros((4, 9)), [0, 1, 2, 8]) == pytest.approx(9)
    assert math.isnan(metrics.Perplexity().result())
    assert metrics.perplexity([[0.0, 2000.0]], [0]) == math.inf
    with pytest.raises(IndexError, match="perplexity: classes range from 9 to 9"):
        metrics.perplexity(np.zeros((1, 9)), [9])
    with pytest.raises(ValueError, match=r"output has shape \(23, 5, 3\), target \(3,\)"):
        metrics.perplexity(LOGITS, [0, 1, 2])
    with pytest.raises(ValueError, match=r"lengths are int64 of shape \(2,\)"):
        metrics.perplexity(LOGITS, TOKENS, lengths=[1, 2])
    with pytest.raises(TypeError, match="target is float64"):
        metrics.perplexity(np.zeros((1, 9)), [1.0])


def test_bleu_of_the_paper() -> None:
    """Papineni et al. 2002: example 2 (clipped counts), and candidate 1 of example 1."""
    the = ["the", "the", "the", "the", "the", "the", "the"]
    references = [
        ["the", "cat", "is", "on", "the", "mat"],
        ["there", "is", "a", "cat", "on", "the", "mat"],
    ]
    assert metrics.bleu([the], [references], max_order=1) == pytest.approx(2 / 7)
    candidate = (
        "it is a guide to action which ensures that the military always obeys the commands of the "
        "party"
    )
    references = [
        "it is a guide to action that ensures that the military will forever heed party commands",
        "it is the guiding principle which guarantees the military forces always being under the "
        "command of the party",
        "it is the practical guide for the army always to heed the directions of the party",
    ]
    split = [each.split() for each in references]
    unigrams = metrics.bleu([candidate.split()], [split], max_order=1)
    assert unigrams == pytest.approx(17 / 18)
    bigrams = metrics.bleu([candidate.split()], [split], max_order=2)
    assert bigrams == pytest.approx(math.sqrt(17 / 18 * 10 / 17))


def test_bleu_of_a_corpus() -> None:
    """Counts and lengths add up over sentences; a short corpus is punished."""
    first, second = ["a", "b", "c", "d"], ["a", "b", "x"]
    references = [[["a", "b", "c", "d", "e", "f"]], [["a", "b", "c"], ["x"]]]
    matches, ngrams = [4 + 3, 3 + 1], [4 + 3, 3 + 2]  # x is in the second reference
    precision = math.sqrt(matches[0] / ngrams[0] * matches[1] / ngrams[1])
    expected = math.exp(1 - (6 + 3) / (4 + 3)) * precision
    metric = metrics.BLEU(max_order=2)
    metric.update([first], references[:1])
    metric.update([second], references[1:])
    assert metric.result() == pytest.approx(expected)
    assert metrics.bleu([second], [[["a", "b", "c"]]]) == 0
    smoothed = metrics.bleu([second], [[["a", "b", "c"]]], smoothing="add-one")
    assert smoothed == pytest.approx((2 / 3 * 2 / 3 * 1 / 2 * 1 / 1) ** 0.25)
    assert metrics.bleu([[]], [[["a"]]]) == 0
    assert math.isnan(metrics.BLEU().result())


def test_bleu_refusals() -> None:
    with pytest.raises(TypeError, match="bleu: a translation is a str, expected a list of tokens"):
        metrics.bleu(["a b"], [[["a", "b"]]])
    with pytest.raises(TypeError, match="bleu: a reference is a str"):
        metrics.bleu([["a", "b"]], [["a b"]])
    with pytest.raises(ValueError, match="got 1 translations and 0 lists"):
        metrics.bleu([["a"]], [])
    with pytest.raises(ValueError, match="a translation has no reference"):
        metrics.bleu([["a"]], [[]])
    with pytest.raises(ValueError, match="max_order is 0"):
        metrics.BLEU(0)
    with pytest.raises(ValueError, match="smoothing is 'floor'"):
        metrics.BLEU(smoothing="floor")


# ---- images --------------------------------------------------------------------------------------


def test_psnr() -> None:
    expected = np.mean(
        [-10 * np.log10(np.mean((a - b) ** 2)) for a, b in zip(IMAGES, NOISY, strict=True)]
    )
    assert batched(metrics.PSNR(), NOISY, IMAGES) == pytest.approx(expected)
    bytes_ = (IMAGES * 255).astype(np.uint8)
    assert metrics.psnr(bytes_ // 2 * 2, bytes_, 255) > 45
    assert metrics.psnr(IMAGES, IMAGES) == math.inf


def _ssim_of_a_channel(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2004, with a two-dimensional window."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(image: np.ndarray) -> np.ndarray:
        return convolve2d(image, window, mode="valid")

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x**2) - mx**2, mean(y**2) - my**2, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    values = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(values.mean())


def test_ssim() -> None:
    expected = np.mean(
        [
            _ssim_of_a_channel(a, b)
            for x, y in zip(IMAGES, NOISY, strict=True)
            for a, b in zip(x, y, strict=True)
        ]
    )
    assert batched(metrics.SSIM(), NOISY, IMAGES) == pytest.approx(expected, abs=1e-12)
    assert metrics.ssim(IMAGES * 255, IMAGES * 255, 255.0) == pytest.approx(1)
    assert metrics.ssim(NOISY, IMAGES, window_size=7) != pytest.approx(expected)


def test_no_images() -> None:
    assert math.isnan(metrics.ssim(IMAGES[:0], IMAGES[:0]))
    assert math.isnan(metrics.psnr(IMAGES[:0], IMAGES[:0]))
    assert math.isnan(metrics.r2_score(np.zeros((4, 0)), np.zeros((4, 0))))


def test_image_refusals() -> None:
    with pytest.raises(ValueError, match=r"ssim: images have shape \(23, 2, 9, 12\), expected at"):
        metrics.ssim(IMAGES[:, :, :9], IMAGES[:, :, :9])
    with pytest.raises(ValueError, match=r"psnr: output has shape \(2, 13, 12\), expected images"):
        metrics.psnr(IMAGES[0], IMAGES[0])
    with pytest.raises(ValueError, match="expected equal shapes"):
        metrics.psnr(IMAGES, IMAGES[:1])
    with pytest.raises(ValueError, match="PSNR: data_range is 0"):
        metrics.PSNR(0)
    with pytest.raises(ValueError, match="SSIM: window_size is 0"):
        metrics.SSIM(window_size=0)
    with pytest.raises(ValueError, match="SSIM: sigma is 0"):
        metrics.SSIM(sigma=0)


# ---- actions -------------------------------------------------------------------------------------


def test_regret() -> None:
    metric = metrics.Regret()
    metric.update([0.5, 1.0], [1.0, 1.0])
    assert metric(0.0, 2.0) == 2.5
    with pytest.raises(ValueError, match="expected equal shapes"):
        metric.update([1.0, 1.0], 1.0)


def test_episode_reward() -> None:
    metric = metrics.EpisodeReward()
    metric.update([1.0, 10.0], [False, False])
    assert math.isnan(metric.result())
    metric.update([2.0, 20.0], [True, False])
    assert metric.result() == 3
    metric.update([4.0, 30.0], [False, True])
    assert metric.result() == (3 + 60) / 2
    metric.update([5.0, 0.0], [True, False])
    assert metric.result() == (3 + 60 + 9) / 3
    with pytest.raises(ValueError, match="got 1 environments, before 2"):
        metric.update([1.0], [True])
    single = metrics.EpisodeReward()
    single.update(1.5, False)
    assert single(2.0, True) == 3.5


# ---- state ---------------------------------------------------------------------------------------

STREAMS: dict[str, tuple[Any, list[Any]]] = {
    "accuracy": (metrics.Accuracy, [(SCORES, CLASSES)]),
    "confusion": (lambda: metrics.ConfusionMatrix(5), [(SCORES, CLASSES)]),
    "f1": (lambda: metrics.F1Score(None), [(SCORES, CLASSES)]),
    "auroc": (metrics.AUROC, [(CHANCES, LABELS)]),
    "r2": (metrics.R2Score, [(GUESSES, NUMBERS)]),
    "map": (metrics.MeanAveragePrecision, [([FOUND], [OBJECTS])]),
    "perplexity": (metrics.Perplexity, [(LOGITS, TOKENS)]),
    "bleu": (metrics.BLEU, [([["a", "b", "c", "d", "e"]], [[["a", "b", "c", "d", "f"]]])]),
    "psnr": (metrics.PSNR, [(NOISY, IMAGES)]),
    "episodes": (metrics.EpisodeReward, [([1.0, 2.0], [False, True]), ([3.0, 4.0], [True, True])]),
    "regret": (metrics.Regret, [([1.0], [2.0])]),
    "mean": (metrics.Mean, [(1.5, 2.0), (0.1, 3.0)]),
    "sum": (metrics.Sum, [(0.1,), (0.2,)]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_metric_goes_on_from_a_file(name: str, tmp_path: Path) -> None:
    make, batches = STREAMS[name]
    whole, first, second = make(), make(), make()
    for batch in batches:
        whole.update(*batch)
        first.update(*batch)
    gs.save(first.state_dict(), tmp_path / "metric.safetensors")
    kept = first.state_dict()
    second.update(*batches[0])  # forgotten by loading
    second.load_state_dict(gs.load(tmp_path / "metric.safetensors"))
    for batch in batches:
        for metric in (whole, first, second):
            metric.update(*batch)
    np.testing.assert_array_equal(second.result(), whole.result())
    third = make()
    third.load_state_dict(kept)  # a copy: what came after is not in it
    third.update(*batches[0])
    first.load_state_dict(kept)
    first.update(*batches[0])
    np.testing.assert_array_equal(third.result(), first.result())


def test_states_of_other_metrics_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Accuracy.load_state_dict: got \['total'\], expected"):
        metrics.Accuracy().load_state_dict(metrics.Sum().state_dict())
    with pytest.raises(ValueError, match=r"counts has shape \(3, 3\), expected \(2, 2\)"):
        metrics.ConfusionMatrix(2).load_state_dict(metrics.ConfusionMatrix(3).state_dict())


# ---- names ---------------------------------------------------------------------------------------


def test_compile_takes_names() -> None:
    gs.manual_seed(0)
    x = gs.randn(40, 4)
    labels = (x[:, 0] > 0).to("int64")
    model = nn.Linear(4, 2)
    names = ["accuracy", "precision", "recall", "f1", "auroc", "average_precision", "iou"]
    model.compile("adam", "focal", names)
    model.fit(x, labels, epochs=1, verbose=0)
    logs = model.evaluate(x, labels, verbose=0, return_dict=True)
    scores = model.predict(x, verbose=0)
    assert logs["f1"] == pytest.approx(metrics.f1_score(scores, labels, "macro"))
    assert logs["auroc"] == pytest.approx(metrics.roc_auc(scores, labels))
    model = nn.Linear(4, 1)
    target = labels.to("float32").reshape(-1, 1)
    for loss, threshold in (("bce_with_logits", 0.0), ("mse", 0.5)):
        model.compile("adam", loss, ["rmse", "r2"] + ["precision"] * (loss != "mse"))
        logs = model.evaluate(x, target, verbose=0, return_dict=True)
        scores = model.predict(x, verbose=0)
        assert logs["r2"] == pytest.approx(metrics.r2_score(scores, target))
        if loss != "mse":
            expected = metrics.precision(scores, target, threshold=threshold)
            assert logs["precision"] == pytest.approx(expected)
    for loss in ("hinge", "squared_hinge", "soft_margin"):
        model.compile("sgd", loss)
        model.fit(x, target * 2 - 1, epochs=1, verbose=0)
    for loss in ("log_cosh", "pseudo_huber", "poisson_nll", "half_sum_squared_error"):
        model.compile("sgd", loss)
        assert math.isfinite(model.evaluate(x, target, verbose=0))
