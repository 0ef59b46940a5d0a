# SPDX-License-Identifier: Apache-2.0
"""A deep network of sigmoids does not learn: on the way back its gradients vanish.

The slope of a sigmoid, ``s'(z) = s(z) (1 - s(z))``, is at most 1/4, so each layer shrinks the
gradient that passes it, and the first layers hardly move (Hochreiter 1991; Glorot and Bengio 2010).
The same depth learns with ReLU and He's initialisation, with batch normalisation, with tanh after
Glorot, or with shortcuts around the layers (He et al. 2016).
"""

from __future__ import annotations

from collections.abc import Callable

import gradsmith as gs
from gradsmith import metrics, models, nn, train, viz
from gradsmith.optim import SGD
from gradsmith.recipes.feed_forward.digits import Rows, digit_rows
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import MNIST

STANDARD = MNIST
OPTIONS = {"depth": 12}
WIDTH = 64


def _sizes(depth: int) -> list[int]:
    return [784, *[WIDTH] * depth, 10]


def sigmoid(depth: int) -> nn.Sequential:
    """Return the network that fails."""
    return nn.init.initialize(
        models.mlp(_sizes(depth), nn.Sigmoid), {nn.Linear: "xavier_uniform", "*bias": "zeros"}
    )


def relu(depth: int) -> nn.Sequential:
    """Return the network with rectifiers, weights after He."""
    return nn.init.initialize(
        models.mlp(_sizes(depth)), {nn.Linear: "kaiming_normal", "*bias": "zeros"}
    )


def tanh(depth: int) -> nn.Sequential:
    """Return the network with tanh, weights after Glorot."""
    return nn.init.initialize(
        models.mlp(_sizes(depth), nn.Tanh), {nn.Linear: "xavier_uniform", "*bias": "zeros"}
    )


def batch_norm(depth: int) -> nn.Sequential:
    """Return the network of sigmoids with batch normalisation."""
    return models.mlp(_sizes(depth), nn.Sigmoid, batch_norm=True)


def shortcuts(depth: int) -> nn.Sequential:
    """Return the network of sigmoids with a shortcut around each hidden layer."""
    blocks = [
        nn.Residual(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Sigmoid())) for _ in range(depth)
    ]
    return nn.Sequential(nn.Linear(784, WIDTH), *blocks, nn.Linear(WIDTH, 10))


NETS: dict[str, Callable[[int], nn.Sequential]] = {
    "sigmoid": sigmoid,
    "ReLU, He": relu,
    "tanh, Glorot": tanh,
    "batch norm": batch_norm,
    "shortcuts": shortcuts,
}


def weight_gradients(model: nn.Module, digits: Rows) -> list[float]:
    """Return the root mean square of each layer's gradient for the first 256 digits."""
    device = next(model.parameters()).device
    x, y = digits.train_x[:256].to(device), digits.train_y[:256].to(device)
    nn.functional.cross_entropy(model(x), y).backward()
    found = train.gradient_report(model).rows
    matrices = {name for name, each in model.named_parameters() if each.ndim > 1}
    model.zero_grad()
    return [row.rms for row in found if row.name in matrices]


def main(run: Run) -> None:
    """Train all networks alike."""
    digits = digit_rows(run)
    epochs = run.epochs(full=30, quick=8)
    accuracies, gradients, rows = {}, {}, []
    for name, make in NETS.items():
        gs.manual_seed(run.seed)
        model = make(run.option("depth")).to(run.device)
        gradients[name] = weight_gradients(model, digits)
        model.compile(SGD(model.parameters(), lr=0.02, momentum=0.9), "cross_entropy", ["accuracy"])
        data = digits.train_x, digits.train_y
        run.fit(model, *data, stage=name, epochs=epochs, batch_size=64, seed=run.seed)
        scores = model.predict(digits.test_x, verbose=0)
        accuracies[name] = metrics.accuracy(scores, digits.test_y)
        share = gradients[name][0] / gradients[name][-1]
        rows.append([name, share, run.history[f"{name}/loss"][-1], accuracies[name]])
    header = ["network", "gradient, first over last layer", "loss", "test accuracy"]
    run.table(f"{run.option('depth')} hidden layers", header, rows)
    run.figure("test accuracy, sigmoid: fails", accuracies.pop("sigmoid"), at_most=0.3)
    run.figure("first over last gradient, sigmoid", rows[0][1], at_most=1e-4)
    run.figure("first over last gradient, ReLU", rows[1][1], at_least=0.01)
    for name, accuracy in accuracies.items():
        run.figure(f"test accuracy, {name}: cured", accuracy, at_least=0.9, quick=0.6)
    picture = viz.plot_curves(
        gradients, xlabel="layer", ylabel="gradient (root mean square)", yscale="log"
    )
    run.picture("gradients", picture, "Before training: with sigmoids the first layers get none.")
    curves = {name: run.history[f"{name}/loss"] for name in NETS}
    run.picture("losses", viz.plot_curves(curves, xlabel="epoch", ylabel="loss"), "Training loss.")
