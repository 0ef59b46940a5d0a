# SPDX-License-Identifier: Apache-2.0
"""A network that knows the digits 0 to 6 learns 7 to 9 from one sample each.

The habit of transfer learning (Yosinski et al. 2014): train on the task with many samples, replace
the head h of ``y = h(f(x))``, train it alone while the layers f that look at the picture are
frozen, then unfreeze them at a smaller rate. A network that starts from random weights gets the
same samples and as many epochs. The head is the whole classifier: its layers know the old digits
too well to serve new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradsmith import models, train
from gradsmith.data import datasets
from gradsmith.nn.utils import unfreeze
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.digits_lenet import enlarged
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas

OPTIONS = {"samples": 1}
FIRST, SECOND = range(7), range(7, 10)
HEAD = "classifier.*"

Pair = tuple[Tensor, Tensor]


def digits_of(split: str, digits: range, samples: slice = slice(None)) -> Pair:
    """Return images (N, 1, 32, 32) of some digits, and their numbers counted from 0.

    ``samples`` says which ones of each digit.
    """
    found = datasets.digits(split)
    chosen = np.concatenate([np.flatnonzero(found.targets == each)[samples] for each in digits])
    found.data, found.targets = found.data[chosen], found.targets[chosen] - digits.start
    images = enlarged(found)
    return from_numpy(images.data), from_numpy(images.targets)


def with_new_head(base: models.LeNet5, classes: int) -> models.LeNet5:
    """Return a network with the features of another one, frozen, and a fresh classifier."""
    model = models.lenet5(classes)
    model.features.load_state_dict(base.features.state_dict())
    train.set_trainable(model, HEAD)
    return model


def _train(model: models.LeNet5, data: Pair, rate: float, epochs: int, **more: Any) -> list[float]:
    """Train what is not frozen; return the accuracies after each epoch on ``validation_data``."""
    chosen = [each for each in model.parameters() if each.requires_grad]
    model.compile(Adam(chosen, lr=rate), "cross_entropy", ["accuracy"])
    history = model.fit(*data, epochs=epochs, batch_size=16, verbose=0, **more).history
    return list(history["val_accuracy"])


@dataclass
class Draw:
    """Accuracies by epoch on unseen digits, and the largest change of a frozen weight."""

    head: list[float]
    all: list[float]
    fresh: list[float]
    change: float
    model: models.LeNet5


def tune(run: Run, base: models.LeNet5, few: Pair, unseen: Pair) -> Draw:
    """Train on few samples: the new head, then everything; and a network from random weights."""
    half, more = run.epochs(full=20, quick=15), {"validation_data": unseen}
    model = with_new_head(base, len(SECOND)).to(run.device)
    head = _train(model, few, 2e-3, half, **more)
    change = float((model.features[0].weight - base.features[0].weight).abs().max())
    tuned = _train(unfreeze(model), few, 3e-4, half, **more)
    other = models.lenet5(len(SECOND)).to(run.device)
    return Draw(head, tuned, _train(other, few, 2e-3, 2 * half, **more), change, model)


def main(run: Run) -> None:
    """Train on one task, tune for the other, compare with a fresh start."""
    base, count = models.lenet5(len(FIRST)).to(run.device), run.option("samples")
    base.compile(Adam(base.parameters(), lr=2e-3), "cross_entropy", ["accuracy"])
    run.fit(base, *digits_of("train", FIRST), batch_size=16, epochs=run.epochs(full=12, quick=3))
    known = train.evaluate(base, *digits_of("test", FIRST), verbose=0, return_dict=True)
    run.figure("first task: test accuracy", known["accuracy"], at_least=0.98, quick=0.9)
    unseen, draws = digits_of("test", SECOND), []
    for number in run.progress(range(run.choose(full=10, quick=3)), "draws"):
        samples = slice(number * count, (number + 1) * count)
        draws.append(tune(run, base, digits_of("train", SECOND, samples), unseen))
    rows = [[each.head[-1], each.all[-1], each.fresh[-1]] for each in draws]
    head, tuned, fresh = np.mean(rows, axis=0)
    run.table("Test accuracy, a row per draw", ["head", "fine-tuned", "from random weights"], rows)
    changed = max(each.change for each in draws)
    run.figure("largest change of a frozen weight", changed, at_most=0)
    run.figure("second task: the new head, frozen rest", head, at_least=0.75, quick=0.7)
    run.figure("second task: fine-tuned", tuned, at_least=0.78, quick=0.7)
    run.figure("second task: from random weights", fresh)
    run.figure("gain by what was known", tuned - fresh, at_least=0.05, quick=0.03)
    run.picture("accuracy", _plot(draws), "Mean test accuracy on 7 to 9 by epoch.")
    run.model(draws[0].model, (1, 1, 32, 32))


def _plot(draws: list[Draw]) -> Any:
    head, tuned, fresh = (
        np.mean([getattr(each, name) for each in draws], axis=0)
        for name in ("head", "all", "fresh")
    )
    ax = canvas.new_axes()
    ax.plot(range(1, len(head) + 1), head, label="new head, rest frozen")
    ax.plot(range(len(head) + 1, len(fresh) + 1), tuned, label="unfrozen")
    ax.plot(range(1, len(fresh) + 1), fresh, label="from random weights")
    ax.set_xlabel("epoch")
    ax.set_ylabel("test accuracy")
    ax.legend()
    return ax.figure
