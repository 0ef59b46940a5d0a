# SPDX-License-Identifier: Apache-2.0
"""A linear support vector machine: the widest street between two classes.

It minimises ``l2 |w|^2 / 2 + mean max(0, 1 - y (w'x + b))`` for labels of +-1 (Cortes and Vapnik
1995) by stochastic steps of rate ``1 / (l2 t)``: Pegasos (Shalev-Shwartz et al. 2007). The weights
are those of the mean over the second half of the steps. Only points on or within the street, the
support vectors, hold it.
"""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import nn, viz
from gradsmith.data import StandardScaler, datasets
from gradsmith.optim import SGD
from gradsmith.optim.swa_utils import AveragedModel
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"l2": 0.01}


def objective(model: nn.Linear, x: Tensor, y: Tensor, l2: float) -> Tensor:
    """Return the sum above; the bias pays no penalty."""
    return nn.functional.hinge_loss(model(x)[:, 0], y) + l2 / 2 * model.weight.square().sum()


def fit(x: Tensor, y: Tensor, l2: float, steps: int) -> tuple[nn.Linear, list[float]]:
    """Return the mean model for points (N, D) and labels +-1 (N,), and objectives on the way."""
    model = nn.init.initialize(nn.Linear(x.shape[1], 1), {"*": "zeros"}).to(x.device)
    optimizer = SGD(model.parameters(), lr=1.0)
    mean = AveragedModel(model)  # of the steps of the second half
    values = []
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = min(1.0, 1 / (l2 * step))
        some = gs.randint(len(x), (16,), device=x.device)
        optimizer.zero_grad()
        objective(model, x[some], y[some], l2).backward()
        optimizer.step()
        if step > steps // 2:
            mean.update_parameters(model)
        if step % 50 == 0:
            with gs.no_grad():
                values.append(objective(model, x, y, l2).item())
    model.load_state_dict(mean.module.state_dict())
    return model, values


def main(run: Run) -> None:
    """Tell Iris virginica from versicolor by two lengths of their petals."""
    x, species = datasets.iris().tensors
    chosen = (species > 0).numpy()
    points = StandardScaler().fit_transform(x.numpy()[chosen][:, 2:])
    labels = np.where(species.numpy()[chosen] == 2, 1.0, -1.0)
    x, y = (gs.tensor(each.astype(np.float32), device=run.device) for each in (points, labels))
    l2 = run.option("l2")
    model, values = fit(x, y, l2, run.epochs(full=10_000, quick=2000))
    for value in values:
        run.log(objective=value)
    scores = model(x)[:, 0].detach()
    run.figure("accuracy", ((scores > 0) == (y > 0)).to(gs.float32).mean().item(), at_least=0.92)
    reached = objective(model, x, y, l2).item()
    run.figure("objective", reached, at_most=0.2, quick=0.22)
    *weight, bias = (each for part in model.parameters() for each in part.reshape(-1).tolist())
    run.figure("width of the street", 2 / float(np.hypot(*weight)))
    run.figure("support vectors", int((scores * y < 1).sum().item()), at_most=60)
    picture = viz.plot_decision_boundary(model, x, y > 0)
    for level, style in ((-1, "--"), (0, "-"), (1, "--")):
        start = (0.0, (level - bias) / weight[1])
        picture.axes[0].axline(start, slope=-weight[0] / weight[1], color="black", linestyle=style)
    run.picture("street", picture, "The border and both edges of the street.")
    run.model(model, (1, 2))
