# SPDX-License-Identifier: Apache-2.0
"""Weights from which one step of gradient descent learns a new task.

For each task a step on the support gives ``w' = w - a grad L(w)``, and training lowers ``L(w')`` on
the queries as a function of w, through the step (a derivative of a derivative; Finn, Abbeel,
Levine, "Model-agnostic meta-learning", 2017). Tested on new tasks: other images, which three kinds,
and which of them is class 0, 1 or 2.
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn, viz
from gradsmith.autograd import grad
from gradsmith.nn import functional as F
from gradsmith.ops.joining import stack
from gradsmith.optim import Adam
from gradsmith.recipes.few_shot.tasks import UNSEEN, Task, by_class, draw
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

WAYS, SHOTS, QUERIES, TASKS, STEPS, RATE = len(UNSEEN), 5, 10, 4, 10, 0.4


class Learner(nn.Module):
    """Images (N, 1, 8, 8) -> scores (N, WAYS), under its own weights or others."""

    def __init__(self, width: int = 64) -> None:
        """Make two hidden layers."""
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Linear(64, width), nn.Linear(width, width), nn.Linear(width, WAYS)]
        )

    def forward(self, images: Tensor, weights: list[Tensor] | None = None) -> Tensor:
        """Return the scores; ``weights`` are in the order of ``parameters()``."""
        x = images.flatten(1)
        given = list(self.parameters()) if weights is None else weights
        for number in range(len(self.layers)):
            if number:
                x = F.relu(x)
            x = F.linear(x, given[2 * number], given[2 * number + 1])
        return x


def adapted(net: Learner, task: Task, steps: int) -> list[Tensor]:
    """Return the weights after steps on the support, as functions of the net's."""
    weights: list[Tensor] = list(net.parameters())
    for _ in range(steps):
        loss = F.cross_entropy(net(task.support, weights), task.support_labels)
        slopes = grad(loss, weights, create_graph=True)
        weights = [each - RATE * slope for each, slope in zip(weights, slopes, strict=True)]
    return weights


def query_loss(net: Learner, task: Task) -> Tensor:
    """Return the loss on the queries after one step on the support."""
    return F.cross_entropy(net(task.queries, adapted(net, task, 1)), task.query_labels)


def accuracies(run: Run, net: Learner, seen: bool) -> list[float]:
    """Return the mean accuracy on new tasks after 0, 1 and 3 steps."""
    random = np.random.default_rng(run.seed + 1)
    groups = by_class(seen, "test")
    tasks = [draw(groups, WAYS, SHOTS, 15, random) for _ in range(40)]
    rates = []
    for steps in (0, 1, 3):
        answers = [net(each.queries, adapted(net, each, steps)).argmax(1) for each in tasks]
        rights = [(a == t.query_labels).float().mean() for a, t in zip(answers, tasks, strict=True)]
        rates.append(stack(rights).mean().item())
    return rates


def main(run: Run) -> None:
    """Train over tasks, then take steps on new ones."""
    net = Learner()
    optimizer = Adam(net.parameters(), lr=3e-3)
    groups = by_class(True, "train")
    before = accuracies(run, net, seen=True)
    for epoch in run.rounds(run.epochs(full=60, quick=20), {"net": net, "optimizer": optimizer}):
        random = np.random.default_rng((run.seed, epoch))
        losses = []
        for _ in range(STEPS):
            tasks = [draw(groups, WAYS, SHOTS, QUERIES, random) for _ in range(TASKS)]
            loss = stack([query_loss(net, each) for each in tasks]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        run.log(loss=float(np.mean(losses)))
    after = accuracies(run, net, seen=True)
    new = accuracies(run, net, seen=False)
    rows = [["fresh weights", *before], ["MAML", *after], ["MAML, digits never seen", *new]]
    run.table("Accuracy on new tasks after steps", ["from", "0", "1", "3"], rows)
    run.figure("3-way 5-shot accuracy after 1 step", after[1], at_least=0.85, quick=0.65)
    run.figure("gain over fresh weights", after[1] - before[1], at_least=0.1, quick=0.05)
    run.picture("curves", viz.plot_history(run.history), "Loss after a step, by epoch.")
    run.model(net, (1, 1, 8, 8))
