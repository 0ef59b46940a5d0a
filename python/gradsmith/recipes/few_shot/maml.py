# SPDX-License-Identifier: Apache-2.0
"""Weights from which a few steps of gradient descent learn a new task.

For each task a few steps on the support give ``w' = w - a grad L(w)``, and training lowers
``L(w')`` on the queries as a function of w, through the steps (a derivative of a derivative; Finn,
Abbeel, Levine, "Model-agnostic meta-learning", 2017). The filters step at a smaller rate than the
classifier; batch norm takes its statistics from the images at hand, in the test too. Tested on
three digits that it never saw, against the same net trained on the same few samples from fresh
weights.
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn, viz
from gradsmith.autograd import grad
from gradsmith.nn import functional as F
from gradsmith.ops.joining import stack
from gradsmith.optim import Adam, lr_scheduler
from gradsmith.recipes.few_shot.tasks import (
    KNOWN,
    UNSEEN,
    Task,
    accuracy,
    digits_of,
    draw,
    nearest_pixels,
    show_task,
    unseen_tasks,
)
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import new_axes

WAYS, SHOTS, QUERIES, TASKS, ROUND = len(UNSEEN), 5, 10, 4, 20
STEPS, RATES = 5, (0.005, 0.005, 0.005, 0.005, 0.03, 0.03)
LOOKS, FRESH_STEPS = (0, 1, 2, 5, 10, 20, 30), 60


class Learner(nn.Module):
    """Images (N, 1, 8, 8) -> scores (N, WAYS), under its own weights or others."""

    def __init__(self, width: int = 32) -> None:
        """Make two convolutions and a classifier."""
        super().__init__()
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(inputs, width, 3, padding=1) for inputs in (1, width)]
        )
        self.classifier = nn.Linear(4 * width, WAYS)

    def forward(self, images: Tensor, weights: list[Tensor] | None = None) -> Tensor:
        """Return the scores; ``weights`` are in the order of ``parameters()``."""
        given = list(self.parameters()) if weights is None else weights
        for weight, bias in (given[:2], given[2:4]):
            maps = F.conv2d(images, weight, bias, padding=1)
            maps = F.batch_norm(maps, None, None, training=True)
            images = F.max_pool2d(F.relu(maps), 2)
        return F.linear(images.flatten(1), *given[4:])


def stepped(
    net: Learner, task: Task, weights: list[Tensor], create_graph: bool = True
) -> list[Tensor]:
    """Return the weights after a step on the support, as functions of those before."""
    loss = F.cross_entropy(net(task.support, weights), task.support_labels)
    slopes = grad(loss, weights, create_graph=create_graph)
    return [each - rate * slope for each, rate, slope in zip(weights, RATES, slopes, strict=True)]


def query_loss(net: Learner, task: Task) -> Tensor:
    """Return the loss on the queries after steps on the support."""
    weights: list[Tensor] = list(net.parameters())
    for _ in range(STEPS):
        weights = stepped(net, task, weights)
    return F.cross_entropy(net(task.queries, weights), task.query_labels)


def accuracies(net: Learner, tasks: list[Task]) -> list[float]:
    """Return the mean accuracy on tasks after each number of LOOKS of steps."""
    found = []
    for task in tasks:
        weights: list[Tensor] = [each.detach().requires_grad_() for each in net.parameters()]
        for step in range(LOOKS[-1] + 1):
            if step in LOOKS:
                found.append(accuracy(net(task.queries, weights).argmax(1), task))
            weights = stepped(net, task, weights, create_graph=False)
            weights = [each.detach().requires_grad_() for each in weights]
    return [float(each) for each in np.reshape(found, (len(tasks), len(LOOKS))).mean(0)]


def from_scratch(task: Task) -> float:
    """Return the accuracy of fresh weights that Adam trains on the support."""
    net = Learner()
    optimizer = Adam(net.parameters(), lr=3e-3)
    for _ in range(FRESH_STEPS):
        minimise(optimizer, F.cross_entropy(net(task.support), task.support_labels))
    return accuracy(net(task.queries).argmax(1), task)


def main(run: Run) -> None:
    """Train over tasks, then take steps on those of digits never seen."""
    net = Learner()
    epochs = run.epochs(full=24, quick=3)
    optimizer = Adam(net.parameters(), lr=3e-3)
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    parts = {"net": net, "optimizer": optimizer, "schedule": schedule}
    groups, tests = digits_of(KNOWN), unseen_tasks(run, SHOTS)
    before = accuracies(net, tests)
    for epoch in run.rounds(epochs, parts):
        random = np.random.default_rng((run.seed, epoch))
        losses = []
        for _ in range(ROUND):
            tasks = [draw(groups, WAYS, SHOTS, QUERIES, random, script=True) for _ in range(TASKS)]
            losses.append(
                minimise(optimizer, stack([query_loss(net, each) for each in tasks]).mean())
            )
        schedule.step()
        run.log(loss=float(np.mean(losses)))
    after = accuracies(net, tests)
    fresh = float(np.mean([from_scratch(task) for task in tests[: run.choose(None, 5)]]))
    pixels = float(np.mean([nearest_pixels(task) for task in tests]))
    rows = [["fresh weights", *before], ["MAML", *after]]
    run.table("Accuracy on digits never seen, after steps", ["from", *map(str, LOOKS)], rows)
    run.figure("nearest by pixels", pixels)
    run.figure(f"fresh weights, {FRESH_STEPS} steps of Adam", fresh)
    run.figure("3-way 5-shot accuracy on unseen digits", after[-1], at_least=0.77, quick=0.7)
    sooner = after[LOOKS.index(STEPS)] - before[LOOKS.index(STEPS)]
    run.figure(f"gain over fresh weights, {STEPS} steps each", sooner, at_least=0.1, quick=0.05)
    gained = after[-1] - fresh
    run.figure("gain over fresh weights and Adam", gained, at_least=None if run.quick else 0.02)
    run.figure("gain over pixels", after[-1] - pixels, at_least=0.1, quick=0.05)
    ax = new_axes()
    for name, values in (("MAML", after), ("fresh weights", before)):
        ax.plot(LOOKS, values, marker="o", label=name)
    ax.axhline(fresh, linestyle=":", color="grey", label=f"fresh, {FRESH_STEPS} steps of Adam")
    ax.set(xlabel="steps on five samples of each class", ylabel="accuracy")
    ax.legend()
    run.picture("steps", ax.figure, "Accuracy on digits never seen, after steps of descent.")
    show_task(run)
    run.picture("curves", viz.plot_history(run.history), "Loss after the steps, by epoch.")
    run.model(net, (1, 1, 8, 8))
