# SPDX-License-Identifier: Apache-2.0
"""Training by hand where a batch is more than inputs and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gradsmith.backend import Array
from gradsmith.nn import Module
from gradsmith.ops.creation import arange
from gradsmith.optim import AdamW, lr_scheduler
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor


class Batch(NamedTuple):
    """A batch: the numbers of its samples, its own number in the epoch, the epoch's generator."""

    samples: Array
    number: int
    rng: np.random.Generator


def fit_batches(
    run: Run,
    model: Module,
    count: int,
    loss_of: Callable[[Batch], Tensor],
    *,
    epochs: int,
    batch_size: int,
    rate: float,
) -> None:
    """Train on ``count`` samples in random order, by AdamW at a rate that falls along a cosine.

    ``loss_of`` gives the mean loss of a batch; that of an epoch joins the history.
    """
    optimizer = AdamW(model.parameters(), lr=rate)
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    last: Batch | None = None

    def step(samples: Tensor) -> dict[str, float]:
        nonlocal last
        if last is None:
            rng = np.random.default_rng((run.seed, schedule.last_epoch))
            last = Batch(samples.cpu().numpy(), 0, rng)
        else:
            last = Batch(samples.cpu().numpy(), last.number + 1, last.rng)
        return {"loss": minimise(optimizer, loss_of(last))}

    def after(epoch: int) -> None:
        nonlocal last
        last = None
        schedule.step()

    states = {"model": model, "optimizer": optimizer, "schedule": schedule}
    data = [arange(count)]
    train(run, step, data, states, epochs=epochs, batch_size=batch_size, after=after)
