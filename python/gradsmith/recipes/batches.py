# SPDX-License-Identifier: Apache-2.0
"""Training by hand where a batch is more than inputs and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gradsmith.backend import Array
from gradsmith.nn import Module
from gradsmith.optim import AdamW, lr_scheduler
from gradsmith.recipes.run import Run
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
    state = {"model": model, "optimizer": optimizer, "schedule": schedule}
    for epoch in run.rounds(epochs, state):
        rng = np.random.default_rng((run.seed, epoch))
        order = rng.permutation(count)
        total = 0.0
        for number, begin in enumerate(range(0, count, batch_size)):
            samples = order[begin : begin + batch_size]
            optimizer.zero_grad()
            loss = loss_of(Batch(samples, number, rng))
            loss.backward()
            optimizer.step()
            total += loss.item() * len(samples)
        schedule.step()
        run.log(loss=total / count)
