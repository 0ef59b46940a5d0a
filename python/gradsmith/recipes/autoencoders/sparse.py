# SPDX-License-Identifier: Apache-2.0
"""Over-complete sparse auto-encoders: more code values than pixels, few of them on.

The loss adds ``weight * penalty(code)``: the L1 norm (``--set penalty=l1``), or the divergence of
each unit's mean activity from rho (``penalty=kl``; Ng, "Sparse autoencoder", 2011).
"""

from __future__ import annotations

from gradsmith import models, nn, viz
from gradsmith.models import Autoencoder
from gradsmith.nn import functional as F
from gradsmith.optim import Adam
from gradsmith.recipes.autoencoders.scans import SIDE, scans, tell_reconstructions
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor

OPTIONS = {"penalty": "kl", "code": 1024}
RHO = 0.05


def _penalty(kind: str, code: Tensor) -> Tensor:
    if kind == "l1":
        return F.sparsity_l1(code) * 1e-4
    if kind == "kl":
        return F.sparsity_kl(code, RHO) * 1e-4
    raise ValueError(f"option penalty is {kind!r}, expected l1 or kl")


def trained(run: Run, images: Tensor, penalty: str = "") -> Autoencoder:
    """Return an auto-encoder of the images, sparse if a penalty is named."""
    sizes = (784, run.option("code"))
    model = models.dense_autoencoder(sizes, code_activation=nn.Sigmoid).to(run.device)
    optimizer = Adam(model.parameters(), lr=1e-3)

    def step(batch: Tensor) -> dict[str, float]:
        code = model.encode(batch)
        loss = F.mse_loss(model.decode(code), batch)
        if penalty:
            loss = loss + _penalty(penalty, code)
        return {"loss": minimise(optimizer, loss)}

    states = {"model": model, "optimizer": optimizer}
    epochs = run.epochs(full=60, quick=5)
    train(run, step, [images], states, epochs=epochs, stage=penalty or "free")
    return model


def main(run: Run) -> None:
    """Train with and without the penalty."""
    training, _ = scans(run, "train")
    testing, labels = scans(run, "test")
    free = trained(run, training)
    model = trained(run, training, run.option("penalty"))
    run.figure("mean activity without the penalty", free.encode(testing).mean().item())
    run.figure("mean activity with it", model.encode(testing).mean().item(), at_most=0.1, quick=0.2)
    tell_reconstructions(run, model, testing, labels, at_least=20, quick=14)
    filters = model.encoder[1].weight[:48].reshape(-1, 1, SIDE, SIDE)
    run.picture("filters", viz.plot_filters(filters, 12), "What some units of the code look for.")
    run.model(model, (1, 1, 28, 28))
