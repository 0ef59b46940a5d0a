# SPDX-License-Identifier: Apache-2.0
"""The loop of the recipes whose loss is not one of outputs and targets: each gives its own step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from gradsmith import metrics
from gradsmith.data import DataLoader, TensorDataset
from gradsmith.optim import Optimizer
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor


def minimise(optimizer: Optimizer, loss: Tensor) -> float:
    """Take a step down the gradient of a loss, and return its value."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.item())


def train(
    run: Run,
    step: Callable[..., dict[str, float]],
    data: Sequence[Tensor],
    states: dict[str, Any],
    *,
    epochs: int,
    batch_size: int = 64,
    drop_last: bool = False,
    stage: str = "",
    after: Callable[[int], None] | None = None,
) -> None:
    """Call ``step(*batch)`` for shuffled batches of the data and log the means of what it returns.

    The orders depend on the run's seed and the epoch alone. ``states`` are the models and
    optimisers, which a run that resumes gets back; ``drop_last`` leaves out what does not fill a
    batch; ``after`` is called with the number of each epoch at its end.
    """
    loader = DataLoader(
        TensorDataset(*data), batch_size, shuffle=True, drop_last=drop_last, seed=run.seed
    )
    prefix = f"{stage}/" if stage else ""
    for epoch in run.rounds(epochs, states, stage=stage):
        loader.set_epoch(epoch)
        means: dict[str, metrics.Mean] = defaultdict(metrics.Mean)
        for batch in loader:
            for name, value in step(*(each.to(run.device) for each in batch)).items():
                means[name].update(value, len(batch[0]))
        run.log(**{prefix + name: mean.result() for name, mean in means.items()})
        if after is not None:
            after(epoch)
