# SPDX-License-Identifier: Apache-2.0
"""`gradsmith.doctor` looks at trainings that go wrong, and says why.

One healthy training, of a small network on the chemistry of wines, is spoilt in a dozen ways that
every learner meets; each is shown to the doctor before its first step, and trained anyway. Few of
them raise an error: most just learn little, which is why they are hard to find. The doctor looks at
data, losses and gradients, and at the length of a step, ``|dw| / |w|``, of which about 0.001 is
healthy (Stanford's course CS231n, 2015).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradsmith import nn
from gradsmith.data import StandardScaler, datasets
from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.utils import freeze
from gradsmith.optim import SGD, Optimizer
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import Finding, doctor, gradient_report
from gradsmith.viz import canvas

RATE, WIDTH = 0.1, 32


@dataclass
class Training:
    """A network, its optimiser and the data."""

    model: nn.Sequential
    optimizer: Optimizer
    x: Tensor
    labels: Tensor

    def run(self, steps: int) -> str:
        """Train, and return how it ended: the accuracy, or the error."""
        try:
            for _ in range(steps):
                self.optimizer.zero_grad()
                F.cross_entropy(self.model(self.x), self.labels).backward()
                self.optimizer.step()
        except (ValueError, IndexError, RuntimeError) as error:
            return type(error).__name__
        return f"{self.accuracy():.2f}"

    def accuracy(self) -> float:
        """Return the share of right answers on the training data."""
        return float((self.model(self.x).argmax(1) == self.labels).float().mean())


def _layers(depth: int = 1, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    sizes = [13, *[WIDTH] * depth]
    hidden = [
        layer
        for size, next_size in itertools.pairwise(sizes)
        for layer in (nn.Linear(size, next_size), activation())
    ]
    return nn.Sequential(*hidden, nn.Linear(WIDTH, 3))


def healthy(model: nn.Sequential | None = None, rate: float = RATE) -> Training:
    """Return the training as it should be, or with another network or rate."""
    x, labels = datasets.wine().tensors
    chosen = _layers() if model is None else model
    return Training(
        chosen, SGD(chosen.parameters(), lr=rate), StandardScaler().fit_transform(x), labels
    )


def _raw_inputs() -> Training:
    training = healthy()
    training.x = datasets.wine().tensors[0]
    return training


def _hole_in_data() -> Training:
    training = healthy()
    training.x[0, 0] = float("nan")
    return training


def _classes_from_one() -> Training:
    training = healthy()
    training.labels = training.labels + 1
    return training


def _head_replaced() -> Training:
    training = healthy()
    training.model[-1] = nn.Linear(WIDTH, 3)
    return training


def _all_frozen() -> Training:
    training = healthy()
    freeze(training.model)
    return training


def _dead_units() -> Training:
    training = healthy()
    init.constant_(training.model[0].bias, -20.0)
    return training


def _in_evaluation() -> Training:
    training = healthy(nn.Sequential(nn.Dropout(0.2), *_layers()))
    training.model.eval()
    return training


def _too_large_weights() -> Training:
    return healthy(
        init.initialize(_layers(3), {nn.Linear: lambda weight: init.normal_(weight, std=5)})
    )


# What was done -> the spoilt training, and a word of what the doctor should say.
FAULTS: dict[str, tuple[Callable[[], Training], str]] = {
    "inputs not scaled": (_raw_inputs, "deviation"),
    "NaN in the data": (_hole_in_data, "NaN"),
    "classes counted from 1": (_classes_from_one, "classes go from 1 to 3"),
    "softmax before the loss": (
        lambda: healthy(nn.Sequential(*_layers(), nn.Softmax(1))),
        "softmax",
    ),
    "head replaced after the optimiser": (_head_replaced, "not in the optimiser"),
    "all weights frozen": (_all_frozen, "frozen"),
    "left in evaluation mode": (_in_evaluation, "evaluation mode"),
    "weights all 0": (
        lambda: healthy(init.initialize(_layers(), {"*": "zeros"})),
        "the same for every",
    ),
    "biases kill all ReLUs": (_dead_units, "ReLU units are 0"),
    "ten sigmoid layers": (lambda: healthy(_layers(10, nn.Sigmoid)), "they vanish"),
    "far too large weights": (_too_large_weights, "explode"),
    "rate far too high": (lambda: healthy(rate=100.0), "one step changes"),
    "rate far too low": (lambda: healthy(rate=1e-8), "one step changes"),
}


def examine(training: Training) -> list[Finding]:
    """Return what the doctor finds."""
    batch = (training.x, training.labels)
    return doctor(training.model, training.optimizer, batch, "cross_entropy").findings


def main(run: Run) -> None:
    """Examine and train the healthy one and the spoilt ones."""
    steps = run.epochs(full=200, quick=60)
    sound = healthy()
    run.figure("findings where nothing is wrong", len(examine(sound)), at_most=0)
    sound.run(steps)
    run.figure("accuracy where nothing is wrong", sound.accuracy(), at_least=0.98, quick=0.95)
    rows, found = [], 0
    for name, (spoil, word) in FAULTS.items():
        training = spoil()
        findings = examine(training)
        named = [each for each in findings if word in each.what]
        found += bool(named)
        shown = named[0] if named else Finding("", "nothing found", "", "")
        rows.append([name, shown.where, shown.what, shown.fix, training.run(steps)])
    run.table("What the doctor says", ["fault", "where", "finding", "cure", "ends with"], rows)
    run.figure("faults found", found, at_least=len(FAULTS))
    run.picture(
        "gradients", _plot_gradients(), "Norm of the gradient of each layer, first to last."
    )
    run.model(sound.model, (1, 13))


def _plot_gradients() -> Any:
    """Draw how ten layers pass gradients back, with sigmoids and with ReLUs."""
    ax = canvas.new_axes()
    rectified = init.initialize(_layers(10), {nn.Linear: "kaiming_normal"})
    for name, model in {"sigmoid": _layers(10, nn.Sigmoid), "ReLU, He": rectified}.items():
        training = healthy(model)
        F.cross_entropy(model(training.x), training.labels).backward()
        norms = [row.norm for row in gradient_report(model).rows if row.name.endswith("weight")]
        ax.semilogy(range(1, len(norms) + 1), norms, marker="o", label=name)
    ax.set_xlabel("layer")
    ax.set_ylabel("norm of the gradient")
    ax.legend()
    return ax.figure
