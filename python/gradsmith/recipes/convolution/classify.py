# SPDX-License-Identifier: Apache-2.0
"""What the classifiers of this group share: digits at any size, training, and judging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith import metrics, viz
from gradsmith.data import DataLoader, ImageDataset, datasets, transforms
from gradsmith.nn import Module
from gradsmith.optim import AdamW, lr_scheduler
from gradsmith.recipes.digits_lenet import enlarged
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import LambdaCallback


def digits(
    size: int,
    border: int = 0,
    channels: int = 1,
    shift: int = 0,
    splits: Sequence[ImageDataset] | None = None,
) -> tuple[ImageDataset, ImageDataset]:
    """Return the scanned digits for training, moved by up to ``shift`` pixels, and for testing.

    ``splits``: other images of digits to take, for training and for testing.
    """
    splits = splits or (datasets.digits("train"), datasets.digits("test"))
    training, testing = (enlarged(each, size=size, border=border) for each in splits)
    for each in (training, testing):
        each.data = np.repeat(each.data, channels, axis=1)
    training.transform = transforms.RandomShift(shift) if shift else None
    return training, testing


def fit_classifier(
    run: Run,
    model: Module,
    training: Any,
    *,
    epochs: int,
    rate: float = 2e-3,
    batch_size: int = 32,
    loss: Any = "cross_entropy",
    measures: Any = ("accuracy",),
    stage: str = "",
) -> None:
    """Train what requires gradients by AdamW, at a rate that falls along a cosine to 0."""
    loader = DataLoader(training, batch_size, shuffle=True, seed=run.seed)
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = AdamW(trained, lr=rate)
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    step = LambdaCallback(on_epoch_end=lambda epoch, logs: schedule.step())
    model.compile(optimizer, loss, measures)
    objects = {"schedule": schedule}
    run.fit(model, loader, epochs=epochs, callbacks=[step], objects=objects, stage=stage)


def judged(model: Module, testing: Any) -> tuple[Tensor, Tensor]:
    """Return the outputs (N, ...) for a dataset without a transform, and its targets."""
    inputs, targets = testing.take(np.arange(len(testing)))
    return model.predict(inputs, verbose=0), targets


def accuracy(model: Module, testing: Any) -> float:
    """Return the share of a dataset's samples that a model classifies rightly."""
    return metrics.accuracy(*judged(model, testing))


def tell_classifier(
    run: Run, model: Module, testing: Any, *, at_least: float, quick: float
) -> None:
    """Tell the accuracy on unseen samples, and show confusions, curves and the layers."""
    scores, labels = judged(model, testing)
    found = metrics.accuracy(scores, labels)
    run.figure("test accuracy", found, at_least=at_least, quick=quick)
    run.confusion(metrics.confusion_matrix(scores, labels, scores.shape[1]))
    run.picture("curves", viz.plot_history(run.history), "Loss and accuracy by epoch.")
    run.model(model, (1, *testing[0][0].shape))
