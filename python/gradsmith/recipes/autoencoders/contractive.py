# SPDX-License-Identifier: Apache-2.0
"""A contractive auto-encoder: its code changes little when the scan does.

Rifai, Vincent, Muller, Glorot, Bengio, "Contractive auto-encoders", 2011: the loss adds the squared
norm of the encoder's Jacobian. For ``h = sigmoid(W x + b)`` that is ``sum_j (h_j (1 - h_j))^2
|W_j|^2``; for any encoder double backward computes it, and both have to agree.
"""

from __future__ import annotations

from gradsmith import models, nn, viz
from gradsmith.autograd import grad
from gradsmith.models import Autoencoder
from gradsmith.nn import functional as F
from gradsmith.ops.random import randn_like
from gradsmith.optim import Adam
from gradsmith.recipes.autoencoders.scans import SIDE, scans, tell_reconstructions
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor

OPTIONS = {"weight": 1e-3, "code": 64}


def both_penalties(model: Autoencoder, images: Tensor) -> tuple[float, float]:
    """Return the largest relative differences of the two ways: of the penalty and its gradient."""
    weight = model.encoder[1].weight
    inputs = images.detach().requires_grad_()
    code = model.encode(inputs)
    closed = F.contractive_penalty(code, weight=weight)
    twice = F.contractive_penalty(code, input=inputs)
    slopes = [grad(each, weight, retain_graph=True)[0] for each in (closed, twice)]
    value = abs(closed.item() - twice.item()) / closed.item()
    return value, ((slopes[0] - slopes[1]).abs().max() / slopes[0].abs().max()).item()


def sensitivity(model: Autoencoder, images: Tensor) -> float:
    """Return how far codes move, by their spread, when a little noise is added to the scans."""
    codes = model.encode(images)
    moved = model.encode(images + 0.1 * randn_like(images))
    return float(((moved - codes).square().mean() / codes.var(0).mean()).item())


def trained(run: Run, images: Tensor, stage: str, weight: float) -> Autoencoder:
    """Return an auto-encoder of the images; its penalty counts ``weight``."""
    sizes = (784, run.option("code"))
    model = models.dense_autoencoder(sizes, code_activation=nn.Sigmoid).to(run.device)
    optimizer = Adam(model.parameters(), lr=2e-3)

    def step(batch: Tensor) -> dict[str, float]:
        code = model.encode(batch)
        penalty = F.contractive_penalty(code, weight=model.encoder[1].weight)
        error = F.mse_loss(model.decode(code), batch)
        minimise(optimizer, error + weight * penalty)
        return {"error": error.item(), "penalty": penalty.item()}

    states = {"model": model, "optimizer": optimizer}
    train(run, step, [images], states, epochs=run.epochs(full=80, quick=10), stage=stage)
    return model


def main(run: Run) -> None:
    """Train with and without the penalty."""
    training, _ = scans(run, "train")
    testing, labels = scans(run, "test")
    free = trained(run, training, "free", 0.0)
    model = trained(run, training, "contractive", run.option("weight"))
    moves = [sensitivity(each, testing) for each in (free, model)]
    values, slopes = both_penalties(model, testing[:16])
    run.figure("double backward against closed form", values, at_most=1e-5)
    run.figure("the same of their gradients", slopes, at_most=1e-4)
    run.figure("movement of codes under noise, without", moves[0])
    run.figure("with the penalty / without it", moves[1] / moves[0], at_most=0.7, quick=0.95)
    tell_reconstructions(run, model, testing, labels, at_least=17, quick=13)
    filters = model.encoder[1].weight[:48].reshape(-1, 1, SIDE, SIDE)
    run.picture("filters", viz.plot_filters(filters, 12), "What some units of the code look for.")
    run.model(model, (1, 1, 28, 28))
