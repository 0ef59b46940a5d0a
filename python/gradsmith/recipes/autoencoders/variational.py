# SPDX-License-Identifier: Apache-2.0
"""A variational auto-encoder: codes are drawn, and the prior N(0, 1) gives new digits.

Kingma and Welling, "Auto-encoding variational Bayes", 2014. The loss is minus the ELBO,
``reconstruction + beta * KL(q(z | x) || N(0, 1))``, in nats per image; with two values in a code
(``--set latent=2``) the plane of all codes can be drawn.
"""

from __future__ import annotations

from gradsmith import metrics, models, viz
from gradsmith.nn import functional as F
from gradsmith.optim import Adam
from gradsmith.recipes.autoencoders.neighbours import nearest, precision
from gradsmith.recipes.autoencoders.principal import principal_plane, tell_plane
from gradsmith.recipes.autoencoders.scans import scans, show_rows
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor

OPTIONS = {"latent": 2, "beta": 1.0}


def trained_vae(run: Run, images: Tensor, latent: int, beta: float, epochs: int) -> models.VAE:
    """Return a VAE of the images."""
    model = models.vae(latent, sizes=(784, 256, 128)).to(run.device)
    optimizer = Adam(model.parameters(), lr=2e-3)

    def step(batch: Tensor) -> dict[str, float]:
        logits, mu, logvar = model(batch)
        loss = F.elbo_loss(logits, batch, mu, logvar, beta)
        return {
            "negative ELBO": minimise(optimizer, loss),
            "KL divergence": F.vae_kl_divergence(mu, logvar).item(),
        }

    train(run, step, [images], {"model": model, "optimizer": optimizer}, epochs=epochs)
    return model


def certain_logits(images: Tensor) -> Tensor:
    """Return logits whose sigmoids are the images, but for extremes."""
    known = images.clamp(1e-4, 1 - 1e-4)
    logits: Tensor = (known / (1 - known)).log()
    return logits


def main(run: Run) -> None:
    """Train, and show the samples and the plane of codes."""
    training, known = scans(run, "train")
    testing, labels = scans(run, "test")
    latent = run.option("latent")
    epochs = run.epochs(full=150, quick=12)
    model = trained_vae(run, training, latent, run.option("beta"), epochs)
    logits, mu, logvar = model(testing)
    bound = F.elbo_loss(logits, testing, mu, logvar).item()
    mean = training.mean(0, keepdim=True).expand_as(testing)
    # Grey pixels cost nats even where each is known: what a code can save lies between the two.
    blind, perfect = (
        F.elbo_loss(certain_logits(each), testing, mu * 0, logvar * 0).item()
        for each in (mean, testing)
    )
    run.figure("negative ELBO of the test scans, nats", bound)
    run.figure("the same of a model that knows the mean", blind)
    run.figure("the same of a free copy", perfect)
    saved = (blind - bound) / (blind - perfect)
    run.figure("share of the nats between that are saved", saved, at_least=0.5, quick=0.25)
    run.figure("KL divergence, nats", F.vae_kl_divergence(mu, logvar).item(), at_least=2)
    model.eval()
    codes = [model.encode(each)[0] for each in (training, testing)]
    plane = principal_plane(training, latent)
    near = nearest(plane.encode(testing), plane.encode(training), 1)
    run.figure("class of the nearest by principal components", precision(known[near], labels))
    found = known[nearest(codes[1], codes[0], 1)]
    run.figure("class of the nearest code", precision(found, labels), at_least=0.7, quick=0.5)
    least = tell_plane(run, training, testing, latent)
    rebuilt = model.decode(codes[1])
    quality = metrics.psnr(rebuilt, testing)
    run.figure("PSNR of the test scans, dB", quality, at_least=least, quick=14)
    show_rows(run, labels, original=testing, reconstruction=rebuilt)
    samples = viz.image_grid(model.sample(64), 16)
    run.picture("samples", samples, "Digits that no one wrote: codes drawn from N(0, 1), decoded.")
    run.picture("codes", viz.plot_embeddings(codes[1], labels), "Codes of the test scans.")
    if latent == 2:
        walk = viz.plot_latent_walk(model.decode, steps=16)
        run.picture("plane", walk, "What the codes from -2 to 2 stand for.")
    run.model(model, (1, 1, 28, 28))
