# SPDX-License-Identifier: Apache-2.0
"""Callbacks, and what training prints."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import train
from gradsmith.train.callbacks import Monitor
from tests.test_train import (
    CLASSES,
    X,
    Y,
    assert_same_weights,
    classifier,
    regressor,
    weights,
)

# ---- callbacks -----------------------------------------------------------------------------------


class Scripted(train.Callback):
    """Puts given values into the logs as ``score``, before the other callbacks see them."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        logs["score"] = self.values[epoch]


def test_events_come_in_order() -> None:
    events: list[str] = []

    def note(name: str) -> Any:
        return lambda *args: events.append(name)

    names = ["train_begin", "train_end", "epoch_begin", "epoch_end"]
    names += ["train_batch_begin", "train_batch_end"]
    callback = train.LambdaCallback(**{f"on_{name}": note(name) for name in names})
    regressor().fit(X, Y, batch_size=25, epochs=2, callbacks=[callback], verbose=0)
    batch = ["train_batch_begin", "train_batch_end"]
    epoch = ["epoch_begin", *batch, *batch, "epoch_end"]
    assert events == ["train_begin", *epoch, *epoch, "train_end"]
    with pytest.raises(TypeError, match="'on_batch' is no event"):
        train.LambdaCallback(on_batch=print)


def test_early_stopping() -> None:
    model = regressor()
    kept = []
    callbacks = [
        Scripted([3.0, 2.0, 2.5, 2.1, 1.0]),
        train.EarlyStopping("score", patience=2, restore_best_weights=True),
        train.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(weights(model))),
    ]
    history = model.fit(X, Y, epochs=5, callbacks=callbacks, verbose=0)
    assert history.epoch == [0, 1, 2, 3]
    assert callbacks[1].best_epoch == 1
    np.testing.assert_array_equal(weights(model)["weight"], kept[1]["weight"])
    assert not np.array_equal(kept[3]["weight"], kept[1]["weight"])


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({}, [3, 2, 2.5, 1], 3),
        ({"mode": "max"}, [3, 2, 5], 2),
        ({"mode": "max", "patience": 2}, [3, 2, 5, 4, 4], 5),
        ({"min_delta": 0.5}, [3, 2.8, 1], 2),
        ({"baseline": 1.0}, [3, 2, 1], 1),
        ({"start_from_epoch": 2}, [1, 2, 3, 4, 5], 4),
        ({}, [2, math.nan, 1], 2),
    ],
)
def test_when_early_stopping_stops(
    options: dict[str, Any], values: list[float], epochs: int
) -> None:
    callbacks = [Scripted(values), train.EarlyStopping("score", **options)]
    history = regressor().fit(X, Y, epochs=len(values), callbacks=callbacks, verbose=0)
    assert len(history.epoch) == epochs


def test_monitors_refuse() -> None:
    with pytest.raises(ValueError, match="monitor 'val_loss' is not in the logs, which have loss"):
        regressor().fit(X, Y, callbacks=[train.EarlyStopping()], verbose=0)
    with pytest.raises(ValueError, match="mode is 'up'"):
        train.EarlyStopping(mode="up")
    with pytest.raises(ValueError, match="patience is -1"):
        train.EarlyStopping(patience=-1)


def test_checkpoints(tmp_path: Path) -> None:
    model = regressor()
    scores = Scripted([3.0, 2.0, 2.5])
    every = train.ModelCheckpoint(tmp_path / "{epoch}-{score:.1f}.st", save_weights_only=True)
    best = train.ModelCheckpoint(tmp_path / "best.st", "score", save_best_only=True)
    model.fit(X, Y, epochs=3, seed=0, callbacks=[scores, every, best], verbose=0)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["1-3.0.st", "2-2.0.st", "3-2.5.st", "best.st"]
    other = regressor(seed=5)
    other.load_state_dict(gs.load(tmp_path / "3-2.5.st"))
    assert_same_weights(model, other)
    assert gs.load(tmp_path / "best.st")["epoch"] == 2
    wrong = train.ModelCheckpoint(tmp_path / "{acc}.st")
    with pytest.raises(ValueError, match="has the field 'acc'; the logs have epoch, loss, mae"):
        model.fit(X, Y, callbacks=[wrong], verbose=0)


def test_training_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    whole, resumed = classifier(), classifier(seed=9)
    path = tmp_path / "{epoch}.st"
    whole.fit(X, CLASSES, epochs=4, seed=1, verbose=0, callbacks=[train.ModelCheckpoint(path)])
    state = gs.load(tmp_path / "2.st")
    resumed.load_state_dict(state["model"])
    resumed.optimizer.load_state_dict(state["optimizer"])
    resumed.fit(X, CLASSES, epochs=4, initial_epoch=state["epoch"], seed=1, verbose=0)
    assert_same_weights(whole, resumed)


def test_csv_logger(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    model = regressor()
    history = model.fit(X, Y, epochs=2, callbacks=[train.CSVLogger(path)], verbose=0)
    model.fit(
        X, Y, epochs=3, initial_epoch=2, callbacks=[train.CSVLogger(path, append=True)], verbose=0
    )
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert float(rows[1]["loss"]) == history.history["loss"][1]


def test_terminate_on_nan(capsys: pytest.CaptureFixture[str]) -> None:
    x = X.copy()
    x[10] = np.nan
    history = regressor().fit(
        x, Y, batch_size=5, epochs=4, shuffle=False, callbacks=[train.TerminateOnNaN()], verbose=0
    )
    assert len(history.epoch) == 1
    assert "batch 2: the loss is nan" in capsys.readouterr().err


def test_learning_rate_scheduler() -> None:
    model = regressor()
    halving = train.LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr)
    history = model.fit(X, Y, epochs=3, callbacks=[halving], verbose=0)
    assert history.history["learning_rate"] == [0.05, 0.025, 0.0125]


def test_interruption_leaves_a_usable_model(tmp_path: Path) -> None:
    model = regressor()

    class Interrupt(train.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 1 and len(self.model.history.epoch) == 2:
                raise KeyboardInterrupt

    log = train.CSVLogger(tmp_path / "log.csv")
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=9, callbacks=[log, Interrupt()], verbose=1)
    assert model.history.epoch == [0, 1]
    assert math.isfinite(model.evaluate(X, Y, verbose=0)[0])
    model.fit(X, Y, verbose=0)
    assert (tmp_path / "log.csv").read_text().count("\n") == 3


def test_stop_training_from_outside() -> None:
    def stop(batch: int, logs: Any) -> None:
        model.stop_training = True

    model = regressor()
    history = model.fit(
        X, Y, epochs=5, callbacks=[train.LambdaCallback(on_train_batch_end=stop)], verbose=0
    )
    assert len(history.epoch) == 1
    assert len(model.fit(X, Y, epochs=2, verbose=0).epoch) == 2


# ---- what is printed -----------------------------------------------------------------------------


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    model = regressor()
    model.fit(X, Y, epochs=2, verbose=0)
    assert capsys.readouterr() == ("", "")
    model.fit(X, Y, epochs=2, validation_split=0.2)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2: ")
    assert "val_mae: " in lines[1]
    model.fit(X, Y, verbose=1)
    assert "epoch 1/1: 100%" in capsys.readouterr().err
    model.evaluate(X, Y, verbose=2)
    assert capsys.readouterr().err.startswith("evaluate: ")


@pytest.mark.parametrize(
    ("name", "rises"),
    [("val_accuracy", True), ("val_f1", True), ("auroc", True), ("r2_score", True), ("mae", False)],
)
def test_automatic_mode_knows_what_shall_rise(name: str, rises: bool) -> None:
    monitor = Monitor("EarlyStopping", name, "auto")
    assert monitor.is_better(0.75, 0.5) is rises
    assert monitor.is_better(0.5, 0.75) is not rises
