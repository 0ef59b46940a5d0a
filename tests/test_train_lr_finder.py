# SPDX-License-Identifier: Apache-2.0
"""The learning-rate range test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import data, nn, optim, train
from tests.test_train import CLASSES, X, Y, classifier, regressor, weights


def test_rates_and_losses_equal_the_loop_by_hand() -> None:
    model, by_hand = regressor(), regressor()
    loader = data.DataLoader(data.TensorDataset(X, Y), 20)
    finder = train.LRFinder(model, model.optimizer, "mse")
    finder.run(loader, start=1e-3, end=1e-1, steps=5, smoothing=0.5)
    np.testing.assert_allclose(finder.rates, 10 ** np.linspace(-3, -1, 5))
    mean, expected = 0.0, []
    batches = [*loader, *loader]
    for number in range(5):
        x, y = batches[number]
        by_hand.optimizer.param_groups[0]["lr"] = finder.rates[number]
        by_hand.optimizer.zero_grad()
        loss = nn.MSELoss()(by_hand(x), y)
        loss.backward()
        by_hand.optimizer.step()
        mean = 0.5 * mean + 0.5 * loss.item()
        expected.append(mean / (1 - 0.5 ** (number + 1)))
    np.testing.assert_allclose(finder.losses, expected, rtol=1e-6)


def test_suggestion_lies_where_the_loss_falls() -> None:
    model = classifier()
    finder = train.LRFinder(model).run(X, CLASSES, end=100.0, batch_size=25)
    best = finder.rates[int(np.argmin(finder.losses))]
    assert 1e-4 < finder.suggestion() < best
    assert len(finder.rates) < 100  # it diverged
    assert finder.losses[-1] < 4 * min(finder.losses)


def test_everything_is_left_as_it_was() -> None:
    gs.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    model.compile(optim.Adam(model.parameters(), lr=0.01), "mse")
    model.fit(X, Y, verbose=0)
    model.eval()
    loader = data.DataLoader(data.TensorDataset(X, Y), 10, shuffle=True, seed=1)
    before, place, epoch = weights(model), gs.get_rng_state().tolist(), loader.epoch
    state = {k: v.numpy().copy() for k, v in model.optimizer.state[model[0].weight].items() if v is not None}  # fmt: skip # noqa: E501
    train.LRFinder(model).run(loader, steps=10)
    for name, value in weights(model).items():
        np.testing.assert_array_equal(value, before[name])
    for name, value in state.items():
        np.testing.assert_array_equal(model.optimizer.state[model[0].weight][name].numpy(), value)
    assert model.optimizer.param_groups[0]["lr"] == 0.01
    assert gs.get_rng_state().tolist() == place
    assert loader.epoch == epoch
    assert not model.training
    model.fit(X, Y, verbose=0)


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    finder = train.LRFinder(regressor()).run(X, Y, steps=20)
    figure = finder.plot(tmp_path / "rates.svg")
    assert "<svg" in (tmp_path / "rates.svg").read_text()
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), finder.losses)
    assert axes.lines[1].get_xdata()[0] == finder.suggestion()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 0.0}, "start is 0.0 and end 10.0"),
        ({"start": 1.0, "end": 0.5}, "expected 0 < start < end"),
        ({"steps": 1}, "steps is 1"),
        ({"smoothing": 1.0}, "smoothing is 1.0"),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train.LRFinder(regressor()).run(X, Y, **options)


def test_refuses_without_loss_or_steps() -> None:
    with pytest.raises(RuntimeError, match="expected an optimizer and a loss"):
        train.LRFinder(nn.Linear(3, 1))
    with pytest.raises(RuntimeError, match="0 steps were taken"):
        train.LRFinder(regressor()).suggestion()
