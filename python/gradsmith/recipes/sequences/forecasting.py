# SPDX-License-Identifier: Apache-2.0
"""An LSTM forecasts the next half day of a noisy hourly series from the last two days.

The net reads two days and says twelve hours, ``x_(t+1) .. x_(t+12) = W h_t + b`` (Hochreiter and
Schmidhuber, 1997). It is measured in time behind what it learnt from, beside two naive forecasts:
as now, and as a day ago. Synthetic series: a daily wave whose height swings over weeks, a slow
drift, and noise with a memory of its own, ``e_t = 0.8 e_(t-1) + N(0, 0.15)``.
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn, viz
from gradsmith.backend import Array
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas

PAST, AHEAD, DAY = 48, 12, 24


def hours(count: int, seed: int) -> Array:
    """Return the series."""
    draw = np.random.default_rng(seed)
    time = np.arange(count)
    height = 1 + 0.5 * np.sin(2 * np.pi * time / (24 * 17))
    noise = np.zeros(count)
    for step in range(1, count):
        noise[step] = 0.8 * noise[step - 1] + draw.normal(0, 0.15)
    wave = np.sin(2 * np.pi * time / DAY) + 0.4 * np.sin(4 * np.pi * time / DAY + 1)
    return np.asarray(height * wave + 0.5 * np.sin(time / 900) + noise, dtype=np.float32)


def windows(series: Array) -> tuple[Array, Array]:
    """Return what is known (N, PAST, 1) and what is asked (N, AHEAD)."""
    rows = np.lib.stride_tricks.sliding_window_view(series, PAST + AHEAD)
    return rows[:, :PAST, None].copy(), rows[:, PAST:].copy()


class Forecaster(nn.Module):
    """Series (N, PAST, 1) -> (N, AHEAD), as differences from the last value."""

    def __init__(self, hidden: int) -> None:
        """Make the layers."""
        super().__init__()
        self.recurrent = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, AHEAD)

    def forward(self, past: Tensor) -> Tensor:
        """Return the forecast."""
        _, (last, _) = self.recurrent(past)
        result: Tensor = past[:, -1] + self.head(last[0])
        return result


def _rmse(forecast: Array, truth: Array) -> float:
    return float(np.sqrt(((forecast - truth) ** 2).mean()))


def main(run: Run) -> None:
    """Train, and compare with naive forecasts."""
    series = hours(run.choose(6000, 1500), run.seed)
    edge = len(series) * 4 // 5
    (x, y), (test_x, test_y) = windows(series[:edge]), windows(series[edge:])
    model = Forecaster(run.choose(48, 32)).to(run.device)
    model.compile(Adam(model.parameters(), lr=run.choose(3e-3, 1e-2)), "mse")
    epochs = run.epochs(full=25, quick=12)
    run.fit(model, x, y, batch_size=64, epochs=epochs, validation_data=(test_x, test_y))
    forecast = model.predict(test_x, verbose=0).numpy()
    as_now = np.repeat(test_x[:, -1], AHEAD, axis=1)
    as_yesterday = test_x[:, PAST - DAY : PAST - DAY + AHEAD, 0]
    errors = {
        "LSTM": _rmse(forecast, test_y),
        "as now": _rmse(as_now, test_y),
        "as a day ago": _rmse(as_yesterday, test_y),
    }
    run.table(
        "Root mean squared errors", ["forecast", "error"], [[*each] for each in errors.items()]
    )
    run.figure(
        "error over that of a day ago",
        errors["LSTM"] / errors["as a day ago"],
        at_most=0.9,
        quick=1.6,
    )
    run.figure("error over that of now", errors["LSTM"] / errors["as now"], at_most=0.5, quick=0.8)
    axes = canvas.new_axes(size=(8.0, 3.0))
    axes.plot(range(-PAST, AHEAD), np.concatenate([test_x[100, :, 0], test_y[100]]), label="series")
    axes.plot(range(AHEAD), forecast[100], label="forecast")
    axes.plot(range(AHEAD), as_yesterday[100], ":", label="as a day ago")
    axes.legend()
    axes.set_xlabel("hours")
    run.picture("forecast", axes.figure, "The last two days and the half day ahead.")
    run.picture("curves", viz.plot_history(run.history), "Mean squared error by epoch.")
    run.model(model)
