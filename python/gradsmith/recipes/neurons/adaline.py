# SPDX-License-Identifier: Apache-2.0
"""Adaline: a linear unit learns by the size of its errors, on measurements of breast tumours.

Widrow and Hoff's rule (1960) moves the weights by ``lr (t - y) x`` where y = w x + b itself is
compared with the target of -1 or 1, not its sign: that is gradient descent on the squared error, a
bowl with one lowest point. It goes down there for every rate below 2 / (largest eigenvalue of the
Hessian ``2 X'X / n``) and climbs the walls for every rate above.
"""

from __future__ import annotations

from typing import Any

from gradsmith import nn
from gradsmith.data import StandardScaler, datasets
from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.ops.creation import ones
from gradsmith.ops.joining import cat
from gradsmith.ops.linalg import eigvalsh, lstsq
from gradsmith.optim import GD
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas

# Of the largest rate that converges.
SHARES = (0.1, 0.9, 1.05)


def measurements() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return standardised inputs and targets of -1 and 1, for training and testing."""
    x, classes = datasets.breast_cancer("train").tensors
    unseen, answers = datasets.breast_cancer("test").tensors
    scaler = StandardScaler().fit(x)
    signs, wanted = (each.float().unsqueeze(1) * 2 - 1 for each in (classes, answers))
    return scaler.transform(x), signs, scaler.transform(unseen), wanted


def descend(run: Run, name: str, x: Tensor, t: Tensor, rate: float, steps: int) -> nn.Linear:
    """Return a unit after some steps of gradient descent from weights of 0."""
    unit = init.initialize(nn.Linear(x.shape[1], 1).to(x.device), {"*": "zeros"})
    optimizer = GD(unit.parameters(), lr=rate)
    for _ in run.progress(range(steps), name):
        optimizer.zero_grad()
        loss = F.mse_loss(unit(x), t)
        loss.backward()
        optimizer.step()
        run.log(**{name: loss.item()})
    return unit


def main(run: Run) -> None:
    """Compare three rates with the least-squares solution."""
    x, t, unseen, answers = (each.to(run.device) for each in measurements())
    extended = cat([x, ones(len(x), 1, device=x.device)], 1)
    limit = 2 / float(eigvalsh(extended.T @ extended * (2 / len(x))).max())
    best = extended @ lstsq(extended, t).solution
    lowest = F.mse_loss(best, t).item()
    steps = run.epochs(full=3000, quick=400)
    names = {share: f"{share:g} of the limit" for share in SHARES}
    units = {
        share: descend(run, name, x, t, share * limit, 100 if share > 1 else steps)
        for share, name in names.items()
    }
    middle = SHARES[1]
    accuracy = ((units[middle](unseen) >= 0) == (answers > 0)).float().mean()
    run.figure("rate at which descent turns to climbing", limit)
    run.figure("test accuracy", accuracy, at_least=0.93, quick=0.92)
    excess = run.history[names[middle]][-1] / lowest
    run.figure("loss over that of least squares", excess, at_most=1.02, quick=1.2)
    growth = run.history[names[SHARES[2]]][-1] / run.history[names[SHARES[2]]][0]
    run.figure("growth of the loss above the limit", growth, at_least=10)
    run.picture("rates", _plot(run.history, lowest), "Loss by step for three learning rates.")
    run.model(units[middle], (1, x.shape[1]))


def _plot(history: dict[str, list[float]], lowest: float) -> Any:
    ax = canvas.new_axes()
    for name, losses in history.items():
        ax.loglog(range(1, len(losses) + 1), losses, label=name)
    ax.axhline(lowest, color="black", linestyle=":", label="least squares")
    ax.set_ylim(lowest / 1.5, 10)
    ax.set_xlabel("step")
    ax.set_ylabel("squared error")
    ax.legend()
    return ax.figure
