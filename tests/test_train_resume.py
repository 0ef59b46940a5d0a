# SPDX-License-Identifier: Apache-2.0
"""Exact resume: a run killed by SIGKILL and called again ends with the bits of a whole run."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import data, train
from tests.resume_program import run
from tests.test_train import X, Y, regressor

ROOT = Path(__file__).resolve().parent.parent


def killed(kind: str, workers: int, folder: Path, at: int) -> None:
    command = [sys.executable, "-m", "tests.resume_program", kind, str(workers), str(folder)]
    ended = subprocess.run([*command, str(at)], cwd=ROOT, check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            if key != "batches":
                assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize(
    ("kind", "workers", "kills"),
    [
        ("mlp", 0, [12]),
        ("cnn", 2, [11]),
        ("lstm", 0, [13]),
        *(
            pytest.param(kind, workers, kills, marks=pytest.mark.slow)
            for kind in ("mlp", "cnn", "lstm")
            for workers in (0, 2)
            for kills in ([1], [8], [7, 5], [16, 1, 6])
        ),
    ],
)
def test_killed_runs_end_as_whole_ones(
    kind: str, workers: int, kills: list[int], tmp_path: Path
) -> None:
    whole = run(kind, workers, tmp_path / "whole")
    for at in kills:
        killed(kind, workers, tmp_path / "parts", at)
    resumed = run(kind, workers, tmp_path / "parts")
    assert_same(resumed, whole)
    assert kills[0] < 4 or resumed["batches"] < whole["batches"]


@pytest.mark.parametrize(
    ("kind", "every"), [("mlp", 1), ("cnn", 1), ("lstm", 1), ("mlp", 4), ("cnn", "epoch")]
)
def test_interrupted_at_many_steps(
    kind: str, every: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill is an exception here, so that many steps can be tried in little time."""

    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    whole = run(kind, 0, tmp_path / "whole", every=every)
    monkeypatch.setattr("os.kill", interrupt)
    for at in range(1, whole["batches"] + 1, 4):
        folder = tmp_path / f"{at}"
        with pytest.raises(KeyboardInterrupt):
            run(kind, 0, folder, at, every)
        assert_same(run(kind, 0, folder, every=every), whole)


def test_finished_runs_are_not_trained_again(tmp_path: Path) -> None:
    whole = run("mlp", 0, tmp_path / "run")
    again = run("mlp", 0, tmp_path / "run")
    assert_same(again, whole)
    assert again["batches"] == 0


def test_skipped_batches_are_not_read(tmp_path: Path) -> None:
    read: list[int] = []

    class Noting(data.Dataset[Any]):
        def __len__(self) -> int:
            return 50

        def __getitem__(self, index: int) -> Any:
            read.append(index)
            return X[index], Y[index]

    def stop(batch: int, logs: Any) -> None:
        if batch == 6:
            raise KeyboardInterrupt

    path = tmp_path / "run.gs"
    for callbacks in ([train.LambdaCallback(on_train_batch_end=stop)], [train.LambdaCallback()]):
        model = regressor()
        loader = data.DataLoader(Noting(), 5, shuffle=True, seed=3)
        parts = [train.Checkpointer(path, every=1), *callbacks]
        try:
            model.fit(loader, callbacks=parts, resume=path, verbose=0)
        except KeyboardInterrupt:
            assert len(read) == 35
    assert len(read) == 35 + 20  # the seventh batch was done, but not yet written
    assert sorted(set(read)) == list(range(50))


def test_seeds_come_from_the_checkpoint(tmp_path: Path) -> None:
    """A program that draws its seed from the system goes on in the order it began."""

    def stop(batch: int, logs: Any) -> None:
        if batch == 4:
            raise KeyboardInterrupt

    path = tmp_path / "run.gs"
    whole = regressor()
    whole.fit(X, Y, 5, epochs=2, verbose=0)
    callbacks = [train.LambdaCallback(on_train_batch_end=stop), train.Checkpointer(path, 1)]
    with pytest.raises(KeyboardInterrupt):
        regressor().fit(X, Y, 5, callbacks=callbacks, verbose=0)
    callbacks[0] = train.LambdaCallback()
    resumed = regressor(seed=77)
    resumed.fit(X, Y, 5, epochs=2, callbacks=callbacks, resume=path, verbose=0)
    np.testing.assert_array_equal(resumed.weight.detach().numpy(), whole.weight.detach().numpy())


def test_progress_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(batch: int, logs: Any) -> None:
        if batch == 2:
            raise KeyboardInterrupt

    path = tmp_path / "run.gs"
    callbacks = [train.LambdaCallback(on_train_batch_end=stop), train.Checkpointer(path, 1)]
    with pytest.raises(KeyboardInterrupt):
        regressor().fit(X, Y, 10, callbacks=callbacks, verbose=1)
    callbacks[0] = train.LambdaCallback()
    capsys.readouterr()
    regressor().fit(X, Y, 10, callbacks=callbacks, resume=path, verbose=1)
    shown = capsys.readouterr().err
    assert "2/5" in shown
    assert "5/5" in shown
    assert "1/5" not in shown


def test_streams_and_single_samples(tmp_path: Path) -> None:
    class Stream(data.IterableDataset[Any]):
        def __iter__(self) -> Any:
            return ((X[i], Y[i]) for i in range(20))

    def loaders() -> list[Any]:
        pairs = data.TensorDataset(X[:20, None], Y[:20, None])
        return [data.DataLoader(Stream(), 4), data.DataLoader(pairs, None, shuffle=True, seed=1)]

    def stop(batch: int, logs: Any) -> None:
        if batch == 3:
            raise KeyboardInterrupt

    for number in range(2):
        path = tmp_path / f"{number}.gs"
        whole = regressor()
        whole.fit(loaders()[number], epochs=2, verbose=0)
        parts = regressor()
        callbacks = [train.LambdaCallback(on_train_batch_end=stop), train.Checkpointer(path, 1)]
        with pytest.raises(KeyboardInterrupt):
            parts.fit(loaders()[number], epochs=2, callbacks=callbacks, verbose=0)
        other = regressor()
        other.weight.data[:] = 0.0
        callbacks = [train.LambdaCallback(), train.Checkpointer(path, 1)]
        other.fit(loaders()[number], epochs=2, callbacks=callbacks, resume=path, verbose=0)
        np.testing.assert_array_equal(other.weight.detach().numpy(), whole.weight.detach().numpy())


class Counter:
    """Stands for an object whose state only the program knows of."""

    def __init__(self) -> None:
        self.value = 0

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value = state["value"]


def test_objects_of_the_program(tmp_path: Path) -> None:
    path = tmp_path / "run.gs"
    counter = Counter()
    counter.value = 7
    saver = train.Checkpointer(path, objects={"scaler": counter})
    regressor().fit(X, Y, callbacks=[saver], verbose=0)
    fresh = Counter()
    saver = train.Checkpointer(path, objects={"scaler": fresh})
    regressor().fit(X, Y, epochs=2, callbacks=[saver], resume=path, verbose=0)
    assert fresh.value == 7


def test_callbacks_come_and_go(tmp_path: Path) -> None:
    """States go to callbacks of the same class in order; new ones begin anew."""

    class Noting(train.Callback):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.state = {"name": name}

        def state_dict(self) -> dict[str, Any]:
            return self.state

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.state = state

    path = tmp_path / "run.gs"
    stopping = train.EarlyStopping("loss", patience=9)
    before = [train.LambdaCallback(), Noting("a"), stopping, Noting("b")]
    whole = regressor()
    whole.fit(X, Y, epochs=2, callbacks=[*before, train.Checkpointer(path)], verbose=0)
    new = train.ReduceLROnPlateau("loss")
    after = [train.EarlyStopping("loss", patience=9), new, *(Noting("new") for _ in range(3))]
    after.append(train.ProgressBar(verbose=0))
    resumed = regressor(seed=5)
    history = resumed.fit(X, Y, epochs=2, callbacks=after, resume=path, verbose=0)
    assert history.epoch == [0, 1]
    np.testing.assert_array_equal(resumed.weight.detach().numpy(), whole.weight.detach().numpy())
    assert [each.state["name"] for each in after[2:5]] == ["a", "b", "new"]
    assert after[0].best == stopping.best
    assert new.best == float("inf")
    with pytest.raises(ValueError, match=r"state of a callback of the class Noting, expected one"):
        resumed.fit(X, Y, epochs=3, callbacks=after[:3], resume=path, verbose=0)
    with pytest.raises(ValueError, match=r"state of a callback of the class EarlyStopping"):
        resumed.fit(X, Y, epochs=3, callbacks=after[1:], resume=path, verbose=0)


def test_refusals(tmp_path: Path) -> None:
    path = tmp_path / "run.gs"
    loader = data.DataLoader(data.TensorDataset(X, Y), 25, seed=1)
    regressor().fit(loader, callbacks=[train.Checkpointer(path)], verbose=0)
    with pytest.raises(ValueError, match="one has validation data"):
        regressor().fit(
            loader,
            epochs=2,
            validation_data=loader,
            callbacks=[train.Checkpointer(path)],
            resume=path,
            verbose=0,
        )
    with pytest.raises(ValueError, match="exclude each other"):
        regressor().fit(loader, epochs=2, initial_epoch=1, resume=path, verbose=0)
    saver = train.Checkpointer(path, objects={"scaler": Counter()})
    with pytest.raises(ValueError, match=r"has the objects \[\], the Checkpointer \['scaler'\]"):
        regressor().fit(loader, epochs=2, callbacks=[saver], resume=path, verbose=0)
    gs.save({"epoch": 1}, path)
    with pytest.raises(ValueError, match="was not written by a Checkpointer"):
        regressor().fit(loader, resume=path, verbose=0)
    for every in (0, -1, True, "batch", 1.5):
        with pytest.raises(ValueError, match="every is"):
            train.Checkpointer(path, every=every)
    with pytest.raises(TypeError, match="'scaler' is a int"):
        train.Checkpointer(path, objects={"scaler": 3})
