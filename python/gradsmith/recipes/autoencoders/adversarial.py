# SPDX-License-Identifier: Apache-2.0
"""An adversarial auto-encoder: a discriminator makes the codes look like draws from N(0, 1).

Each step restores the scans, then trains the discriminator of codes on ``log D(z) + log(1 -
D(E(x)))`` with z drawn from the prior, then the encoder E to fool it (Makhzani, Shlens, Jaitly,
Goodfellow, Frey, "Adversarial autoencoders", 2015). All rates fall along a cosine. No formula for
the divergence is needed, so the prior may be anything that one can draw from.
"""

from __future__ import annotations

from gradsmith import models, nn, viz
from gradsmith.nn import functional as F
from gradsmith.ops.random import randn, randn_like
from gradsmith.optim import Adam, lr_scheduler
from gradsmith.recipes.autoencoders.principal import tell_plane
from gradsmith.recipes.autoencoders.scans import scans, tell_reconstructions
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor

OPTIONS = {"latent": 4}


def main(run: Run) -> None:
    """Train both games and compare the codes with the prior."""
    training, _ = scans(run, "train")
    testing, labels = scans(run, "test")
    latent = run.option("latent")
    model = models.dense_autoencoder((784, 256, 128, latent)).to(run.device)
    judge = nn.Sequential(
        nn.Linear(latent, 64),
        nn.LeakyReLU(0.2),
        nn.Linear(64, 64),
        nn.LeakyReLU(0.2),
        nn.Linear(64, 1),
    ).to(run.device)
    restoring = Adam(model.parameters(), lr=1e-3)
    fooling = Adam(model.encoder.parameters(), lr=5e-4, betas=(0.5, 0.999))
    judging = Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.999))

    def step(images: Tensor) -> dict[str, float]:
        error = minimise(restoring, F.mse_loss(model(images), images))
        code = model.encode(images)
        told = F.gan_non_saturating_loss(judge(code.detach()), judge(randn_like(code)))
        judged = minimise(judging, told)
        fooled = minimise(fooling, F.gan_non_saturating_loss(judge(code), role="generator"))
        return {"error": error, "discriminator": judged, "encoder": fooled}

    epochs = run.epochs(full=60, quick=12)
    games = {"restoring": restoring, "fooling": fooling, "judging": judging}
    # Players that never settle would be judged in the middle of a swing.
    rates = {
        f"{name} rate": lr_scheduler.CosineAnnealingLR(each, epochs) for name, each in games.items()
    }

    def slow(_: int) -> None:
        for each in rates.values():
            each.step()

    states = {"model": model, "judge": judge, **games, **rates}
    train(run, step, [training], states, epochs=epochs, after=slow)
    codes = model.encode(testing).detach()
    run.figure("largest mean of a code value", codes.mean(0).abs().max(), at_most=0.5, quick=0.8)
    spread = codes.std(0)
    run.figure("smallest spread of a code value", spread.min(), at_least=0.7, quick=0.4)
    run.figure("largest spread of a code value", spread.max(), at_most=1.4, quick=2)
    plane = tell_plane(run, training, testing, latent)
    tell_reconstructions(run, model, testing, labels, at_least=plane, quick=14)
    samples = viz.image_grid(model.decode(randn(64, latent, device=run.device)), 16)
    run.picture("samples", samples, "Codes drawn from the prior, decoded.")
    run.picture("codes", viz.plot_embeddings(codes, labels), "Codes of the test scans.")
    run.model(model, (1, 1, 28, 28))
