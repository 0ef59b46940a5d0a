# SPDX-License-Identifier: Apache-2.0
"""A network of radial basis functions separates two spirals.

``y = sum_k v_k exp(-|x - c_k|^2 / (2 s_k^2)) + b`` (Broomhead and Lowe 1988), learnt in the three
steps of Moody and Darken (1989): centres by competition, widths from the distances between
neighbours, output weights by least squares. Back-propagation through all of it may follow.
"""

from __future__ import annotations

from gradsmith import nn, viz
from gradsmith.autograd import no_grad
from gradsmith.data import generators
from gradsmith.nn import functional as F
from gradsmith.ops.creation import ones, tensor
from gradsmith.ops.joining import cat
from gradsmith.ops.linalg import lstsq
from gradsmith.optim import Adam
from gradsmith.recipes.neurons.competition import compete, spread_samples, start_at
from gradsmith.recipes.neurons.truth_tables import plot_gates, table
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

UNITS, TURNS = 40, 1.5


def network(centers: Tensor, widths: Tensor) -> nn.Sequential:
    """Return a network with given centres (K, D) and widths (K)."""
    hidden = nn.RBF(centers.shape[1], len(centers), gaussian=True)
    hidden.load_state_dict({"centers": centers, "width": widths})
    return nn.Sequential(hidden, nn.Linear(len(centers), 1))


def solve_output(model: nn.Sequential, x: Tensor, t: Tensor) -> None:
    """Give the output weights that make the squared error smallest."""
    with no_grad():
        hidden = model[0](x)
        found = lstsq(cat([hidden, ones(len(x), 1)], 1), t).solution
        model[1].weight.copy_(found[:-1].T)
        model[1].bias.copy_(found[-1])


def neighbour_widths(centers: Tensor) -> Tensor:
    """Return the mean distance (K) of each centre to the two nearest others."""
    nearest = F.rbf(centers, centers).sort(1).values[:, 1:3]
    return nearest.sqrt().mean(1)


def _accuracy(model: nn.Module, x: Tensor, labels: Tensor) -> float:
    with no_grad():
        return float(((model(x)[:, 0] > 0) == (labels > 0)).float().mean())


def main(run: Run) -> None:
    """Solve XOR with two units, then the spirals step by step."""
    corners, outputs = table("XOR")
    xor = network(tensor([[0.0, 0.0], [1.0, 1.0]]), ones(2))
    solve_output(xor, corners, outputs * 2 - 1)
    error = (xor(corners) - (outputs * 2 - 1)).abs().max()
    run.figure("largest error on XOR with two units", error, at_most=1e-4)
    run.picture("xor", plot_gates({"XOR": ("XOR", xor)}), "XOR with centres at (0, 0) and (1, 1).")
    x, labels = generators.spirals(600, turns=TURNS, noise=0.02, seed=run.seed).tensors
    unseen, answers = generators.spirals(600, turns=TURNS, noise=0.02, seed=run.seed + 1).tensors
    targets = labels.float().unsqueeze(1) * 2 - 1
    units = start_at(nn.Competitive(2, UNITS), spread_samples(x, UNITS))
    compete(units, x, epochs=30)
    model = network(units.weight, neighbour_widths(units.weight))
    solve_output(model, x, targets)
    solved = _accuracy(model, unseen, answers)
    run.figure("test accuracy by least squares", solved, at_least=0.95)
    model.to(run.device).compile(Adam(model.parameters(), lr=0.01), "soft_margin")
    epochs = run.epochs(full=60, quick=8)
    run.fit(model, x.to(run.device), targets.to(run.device), epochs=epochs, batch_size=50)
    losses = run.history["loss"]
    run.figure(
        "loss of back-propagation, last over first", losses[-1] / losses[0], at_most=0.6, quick=0.9
    )
    model.to("cpu")
    run.figure(
        "test accuracy after back-propagation",
        _accuracy(model, unseen, answers),
        at_least=0.98,
        quick=0.95,
    )
    boundary = viz.plot_decision_boundary(model, x, labels, padding=0.2)
    boundary.axes[0].scatter(*model[0].centers.detach().numpy().T, marker="*", s=60, color="black")
    run.picture("spirals", boundary, "Both classes, and the centres as stars.")
    run.model(model, (1, 2))
