# SPDX-License-Identifier: Apache-2.0
"""Callbacks that set rates and show training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradsmith import optim, train
from tests.test_train import CLASSES, X, Y, classifier, regressor
from tests.test_train_callbacks import Scripted

# ---- rates ---------------------------------------------------------------------------------------


def rates(values: list[float], **options: Any) -> list[float]:
    callbacks = [Scripted(values), train.ReduceLROnPlateau("score", **options)]
    model = regressor()
    history = model.fit(X, Y, epochs=len(values), callbacks=callbacks, verbose=0).history
    return [*history["learning_rate"], model.optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ([3, 2, 2, 2, 1], {"patience": 2, "factor": 0.5}, [1, 1, 1, 1, 0.5, 0.5]),
        ([3, 3, 3, 3], {"patience": 1, "factor": 0.5}, [1, 1, 0.5, 0.25, 0.125]),
        ([3] * 5, {"patience": 1, "factor": 0.5, "cooldown": 2}, [1, 1, 0.5, 0.5, 0.25, 0.25]),
        ([1, 2, 2, 2], {"patience": 1, "factor": 0.1, "mode": "max"}, [1, 1, 1, 0.1, 0.01]),
        ([3, 2.9, 2.8], {"patience": 1, "factor": 0.5, "min_delta": 0.5}, [1, 1, 0.5, 0.25]),
        ([3, 3, 3], {"patience": 1, "factor": 0.1, "min_lr": 0.02}, [1, 1, 0.4, 0.4]),
    ],
)  # fmt: skip
def test_reduce_on_plateau(
    values: list[float], options: dict[str, Any], expected: list[float]
) -> None:
    np.testing.assert_allclose(rates(values, **options), np.array(expected) * 0.05)


def test_plateau_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"factor is 1\.0, expected below 1"):
        train.ReduceLROnPlateau(factor=1.0)
    with pytest.raises(ValueError, match="patience is -1"):
        train.ReduceLROnPlateau(patience=-1)
    with pytest.raises(ValueError, match="mode is 'up'"):
        train.ReduceLROnPlateau(mode="up")
    with pytest.raises(ValueError, match="monitor 'val_loss' is not in the logs"):
        regressor().fit(X, Y, callbacks=[train.ReduceLROnPlateau()], verbose=0)
    rates([1, 1], patience=1, verbose=1)
    assert "epoch 2: the learning rate falls to 0.005" in capsys.readouterr().err


def test_schedules_of_optim() -> None:
    for interval, expected in (("epoch", [1, 0.5, 0.25]), ("batch", [0.25, 1 / 16, 1 / 64])):
        model = regressor()
        schedule = optim.lr_scheduler.ExponentialLR(model.optimizer, 0.5)
        callback = train.LearningRateScheduler(schedule, interval)
        history = model.fit(X, Y, batch_size=25, epochs=3, callbacks=[callback], verbose=0)
        np.testing.assert_allclose(history.history["learning_rate"], np.array(expected) * 0.05)
    with pytest.raises(TypeError, match="schedule is a int"):
        train.LearningRateScheduler(3)
    with pytest.raises(ValueError, match="interval is 'batch'"):
        train.LearningRateScheduler(lambda epoch, rate: rate, "batch")


# ---- shown ---------------------------------------------------------------------------------------


def test_tensorboard(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = train.TensorBoard(tmp_path, histograms=True)
    model = classifier()
    history = model.fit(
        X, CLASSES, epochs=2, validation_split=0.2, callbacks=[board], verbose=0
    ).history
    events = accumulator.EventAccumulator(str(tmp_path / "train"), {"histograms": 0})
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"epoch_loss", "epoch_accuracy"}
    assert [each.step for each in events.Scalars("epoch_loss")] == [0, 1]
    written = [each.value for each in events.Scalars("epoch_loss")]
    np.testing.assert_allclose(written, history["loss"], rtol=1e-6)
    parameters = [name for name, _ in model.named_parameters()]
    assert set(events.Tags()["histograms"]) == {
        *parameters,
        *(f"{name}/gradient" for name in parameters),
    }
    last = events.Histograms("0.weight")[1].histogram_value
    assert last.num == 24
    assert sum(last.bucket) == 24
    assert last.sum == pytest.approx(float(model[0].weight.detach().numpy().sum()), rel=1e-5)
    events = accumulator.EventAccumulator(str(tmp_path / "validation"))
    events.Reload()
    assert events.Scalars("epoch_loss")[1].value == pytest.approx(history["val_loss"][1])


@pytest.mark.parametrize(
    ("make", "package", "extra"),
    [
        (train.TensorBoard, "tensorboard.summary.writer.event_file_writer", "tensorboard"),
        (train.PlotHistory, "matplotlib.pyplot", "viz"),
    ],
)
def test_missing_packages(
    make: Any, package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install 'gradsmith\[{extra}\]'"):
        regressor().fit(X, Y, callbacks=[make(tmp_path / "x")], verbose=0)


def test_plot_history(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "curves.png"
    plot = train.PlotHistory(path)
    regressor().fit(X, Y, epochs=2, validation_split=0.2, callbacks=[plot], verbose=0)
    one = image.imread(path)
    assert one.std() > 0.05
    assert one.shape[1] > one.shape[0]
    regressor().fit(X, Y, epochs=1, callbacks=[plot], verbose=0)
    assert not np.array_equal(one, image.imread(path))
    train.PlotHistory(tmp_path / "curves.svg").on_epoch_end(0, {"loss": 1.0})
    assert "<svg" in (tmp_path / "curves.svg").read_text()


@pytest.mark.parametrize("window", [1, 2])
def test_gradient_statistics(window: int) -> None:
    seen: list[list[float]] = []

    def note(batch: int, logs: Any) -> None:
        if (batch + 1) % window == 0 or batch == 4:
            seen.append([float(np.linalg.norm(p.grad.numpy())) for p in model.parameters()])

    model = regressor()
    statistics = train.GradientStatistics(bins=5)
    callbacks = [train.LambdaCallback(on_train_batch_end=note), statistics]
    history = model.fit(
        X, Y, 10, epochs=1, callbacks=callbacks, accumulate_grad_batches=window, verbose=0
    ).history
    norms = np.array(seen)
    assert len(norms) == (5 if window == 1 else 3)
    assert history["grad_norm/weight"][0] == pytest.approx(norms[:, 0].mean(), rel=1e-6)
    total = np.sqrt((norms**2).sum(1)).mean()
    assert history["grad_norm"][0] == pytest.approx(total, rel=1e-6)
    counts, edges = statistics.histograms["weight"][0]
    assert counts.sum() == 3
    assert len(edges) == 6
    with pytest.raises(ValueError, match="bins is 0"):
        train.GradientStatistics(bins=0)


def test_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    regressor().fit(X, Y, epochs=2, callbacks=[train.ProgressBar(2)], verbose=1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2: ")
    regressor().fit(X, Y, 10, callbacks=[train.ProgressBar(1)], verbose=0)
    assert "5/5" in capsys.readouterr().err
    with pytest.raises(ValueError, match="verbose is 3"):
        train.ProgressBar(3)
