# SPDX-License-Identifier: Apache-2.0
"""Epochs of so many steps, and validation on some batches or after some epochs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradsmith import data, nn, optim, train
from tests.test_train import X, Y, assert_same_weights, regressor


class Stream(data.IterableDataset[Any]):
    """Samples that give ``count`` of them a pass, without a length."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Any]:
        return ((X[i], Y[i]) for i in range(self.count))


class Steps(train.Callback):
    """Notes the numbers of the batches of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[list[int]] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append([])

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.epochs[-1].append(batch)


def test_epochs_go_on_in_the_data() -> None:
    """Six epochs of 5 batches are the batches of three passes over 10, in their order."""
    by_passes, by_steps, steps = regressor(), regressor(), Steps()
    by_passes.fit(X, Y, 5, epochs=3, seed=4, verbose=0)
    history = by_steps.fit(
        X, Y, 5, epochs=6, steps_per_epoch=5, callbacks=[steps], seed=4, verbose=0
    )
    assert_same_weights(by_steps, by_passes)
    assert history.epoch == list(range(6))
    assert steps.epochs == [[0, 1, 2, 3, 4]] * 6
    assert steps.params["steps"] == 5


@pytest.mark.parametrize("workers", [0, 2])
def test_epochs_longer_than_a_pass(workers: int) -> None:
    by_passes, by_steps = regressor(), regressor()
    by_passes.fit(X, Y, 5, epochs=6, seed=4, verbose=0)
    loader = data.DataLoader(data.TensorDataset(X, Y), 5, shuffle=True, seed=4, num_workers=workers)
    by_steps.fit(loader, epochs=4, steps_per_epoch=15, verbose=0)
    assert_same_weights(by_steps, by_passes)


def test_endless_streams_and_empty_ones() -> None:
    class Endless(Stream):
        def __iter__(self) -> Iterator[Any]:
            while True:
                yield from super().__iter__()

    endless, finite = regressor(), regressor()
    endless.fit(data.DataLoader(Endless(20), 4), epochs=2, steps_per_epoch=8, verbose=0)
    finite.fit(data.DataLoader(Stream(20), 4), epochs=2, steps_per_epoch=8, verbose=0)
    assert_same_weights(endless, finite)
    with pytest.raises(ValueError, match="fit: the data gave no batch"):
        finite.fit(data.DataLoader(Stream(0), 4), steps_per_epoch=3, verbose=0)


def test_accumulated_gradients_step_at_the_end_of_an_epoch() -> None:
    model, by_hand = regressor(), regressor()
    options: dict[str, Any] = {"shuffle": False, "accumulate_grad_batches": 2, "verbose": 0}
    model.fit(X[:30], Y[:30], 10, epochs=1, steps_per_epoch=3, **options)
    for part in (slice(0, 20), slice(20, 30)):
        by_hand.train_on_batch(X[part], Y[part])
    np.testing.assert_allclose(model.weight.detach(), by_hand.weight.detach(), rtol=1e-6)


@pytest.mark.parametrize("stop_at", [1, 4, 6, 10, 15])
@pytest.mark.parametrize("streams", [False, True])
def test_resume_is_exact(stop_at: int, streams: bool, tmp_path: Path) -> None:
    """Epochs of 6 batches over passes of 5, interrupted before, at and after the end of a pass."""

    def train_on(callback: train.Callback, folder: str) -> nn.Module:
        model = regressor()
        optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        model.compile(optimizer, "mse", ["mae"])
        samples: Any = Stream(20) if streams else data.TensorDataset(X[:20], Y[:20])
        loader = data.DataLoader(samples, 4, shuffle=None if streams else True)
        path = tmp_path / f"{folder}.gs"
        model.fit(
            loader,
            epochs=3,
            steps_per_epoch=6,
            validation_data=(X[20:], Y[20:]),
            validation_steps=1,
            validation_batch_size=7,
            validation_freq=2,
            callbacks=[train.Checkpointer(path, every=1), callback],
            resume=path,
            verbose=0,
        )
        return model

    batches = 0

    def stop(batch: int, logs: Any) -> None:
        nonlocal batches
        batches += 1
        if batches == stop_at + 1:  # the batch before has been written
            raise KeyboardInterrupt

    whole = train_on(train.LambdaCallback(), "whole")
    with pytest.raises(KeyboardInterrupt):
        train_on(train.LambdaCallback(on_train_batch_end=stop), "parts")
    resumed = train_on(train.LambdaCallback(), "parts")
    assert_same_weights(resumed, whole)
    assert resumed.history.history == whole.history.history  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("every", "validated"), [(1, [0, 1, 2, 3]), (2, [1, 3]), ((1, 4), [0, 3]), ({9}, [])]
)
def test_validation_comes_after_some_epochs(every: Any, validated: list[int]) -> None:
    model, seen = regressor(), []

    def note(epoch: int, logs: Any) -> None:
        if "val_loss" in logs:
            seen.append(epoch)

    callbacks = [
        train.LambdaCallback(on_epoch_end=note),
        train.EarlyStopping(patience=9),
        train.ReduceLROnPlateau(),
    ]
    options: dict[str, Any] = {"validation_data": (X, Y), "validation_freq": every, "verbose": 0}
    history = model.fit(X, Y, epochs=4, callbacks=callbacks, **options).history
    assert seen == validated
    assert len(history["loss"]) == len(history["learning_rate"]) == 4
    assert len(history.get("val_loss", [])) == len(validated)


def test_watching_waits_for_the_validation(tmp_path: Path) -> None:
    """Epochs without validation neither count as bad ones nor write a file."""
    model = regressor()
    stopping = train.EarlyStopping(patience=2, baseline=-1.0)
    best = train.ModelCheckpoint(tmp_path / "{epoch}.gs", save_best_only=True)
    options: dict[str, Any] = {"validation_data": (X, Y), "validation_freq": 3, "verbose": 0}
    history = model.fit(X, Y, epochs=20, callbacks=[stopping, best], **options)
    assert history.epoch == list(range(6))
    assert {each.stem for each in tmp_path.iterdir()} <= {"3", "6"}
    with pytest.raises(ValueError, match="monitor 'val_loss' is not in the logs"):
        model.fit(X, Y, callbacks=[train.EarlyStopping()], verbose=0)
    with pytest.raises(ValueError, match="monitor 'val_nothing' is not in the logs"):
        model.fit(X, Y, epochs=3, callbacks=[train.EarlyStopping("val_nothing")], **options)


def test_a_search_compares_the_epochs_with_validation() -> None:
    def build(lr: float) -> nn.Module:
        model = regressor()
        model.compile(optim.SGD(model.parameters(), lr=lr), "mse")
        return model

    options: dict[str, Any] = {"validation_data": (X, Y), "validation_freq": 2, "epochs": 4}
    found = train.grid_search(build, {"lr": [0.1, 1e-5]}, X, Y, **options)
    assert found.best_params == {"lr": 0.1}


def test_steps_of_validation_evaluation_and_prediction() -> None:
    model = regressor()
    options: dict[str, Any] = {"validation_steps": 2, "validation_batch_size": 5, "verbose": 0}
    history = model.fit(X, Y, epochs=1, validation_data=(X, Y), **options).history
    expected = model.evaluate(X[:10], Y[:10], verbose=0, return_dict=True)
    assert history["val_loss"] == [pytest.approx(expected["loss"])]
    assert model.evaluate(X, Y, 5, steps=2, verbose=0)[0] == pytest.approx(expected["loss"])
    pairs = data.DataLoader(Stream(50), 5)
    assert model.evaluate(pairs, steps=2, verbose=0)[0] == pytest.approx(expected["loss"])
    output = model.predict(X, 5, steps=2, verbose=0)
    np.testing.assert_array_equal(output, model.predict(X[:10], 5, verbose=0))
    np.testing.assert_array_equal(output, model.predict(pairs, steps=2, verbose=0))


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"steps_per_epoch": 0}, ValueError, "fit: steps_per_epoch is 0, expected >= 1"),
        ({"steps_per_epoch": 1.5}, TypeError, "fit: steps_per_epoch is a float, expected an int"),
        ({"validation_steps": -1}, ValueError, "fit: validation_steps is -1, expected >= 1"),
        ({"validation_steps": 4}, ValueError, "validation_steps is 4, expected at most 2"),
        ({"validation_batch_size": 0}, ValueError, "batch_size is 0"),
        ({"validation_freq": 0}, ValueError, "validation_freq is 0, expected >= 1"),
        ({"validation_freq": [1, 0]}, ValueError, r"validation_freq is \[1, 0\], expected >= 1"),
        ({"validation_freq": "1"}, TypeError, "validation_freq is a str, expected an int"),
    ],
)
def test_fit_refuses(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        regressor().fit(**{"x": X, "y": Y, "validation_data": (X, Y), "verbose": 0, **options})


def test_passes_refuse_more_steps_than_batches() -> None:
    model = regressor()
    with pytest.raises(ValueError, match="evaluate: steps is 3, expected at most 2, all batches"):
        model.evaluate(X, Y, steps=3, verbose=0)
    with pytest.raises(ValueError, match="predict: steps is 0, expected >= 1"):
        model.predict(X, steps=0, verbose=0)
    stream = data.DataLoader(Stream(8), 4)
    with pytest.raises(ValueError, match="evaluate: the data gave 2 batches, expected 3"):
        model.evaluate(stream, steps=3, verbose=0)
    with pytest.raises(ValueError, match="predict: the data gave 2 batches, expected 3"):
        model.predict(stream, steps=3, verbose=0)
