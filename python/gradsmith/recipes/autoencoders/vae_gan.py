# SPDX-License-Identifier: Apache-2.0
"""A VAE-GAN: the reconstruction need not match pixels but the features of a discriminator.

Encoder and decoder lower ``KL + gamma |F(x') - F(x)|^2 - log D(x')``, where F are the features of
the discriminator D (Larsen, Sonderby, Larochelle, Winther, "Autoencoding beyond pixels using a
learned similarity metric", 2016). D learns to tell scans from reconstructions and samples. What it
looks at is what counts in a picture, so edges come out sharp.
"""

from __future__ import annotations

from gradsmith import metrics, models, viz
from gradsmith.nn import functional as F
from gradsmith.ops.joining import cat
from gradsmith.ops.random import randn_like
from gradsmith.optim import Adam
from gradsmith.recipes.autoencoders.neighbours import nearest, precision
from gradsmith.recipes.autoencoders.scans import scans, show_rows
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor

OPTIONS = {"latent": 16, "gamma": 5.0}


def main(run: Run) -> None:
    """Train the three parts, and let their neighbours among real scans name the classes."""
    training, known = scans(run, "train")
    testing, labels = scans(run, "test")
    model = models.vae(run.option("latent"), sizes=(784, 256, 128)).to(run.device)
    judge = models.FeatureDiscriminator().to(run.device)
    painting = Adam(model.parameters(), lr=2e-3, betas=(0.5, 0.999))
    judging = Adam(judge.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step(images: Tensor) -> dict[str, float]:
        logits, mu, logvar = model(images)
        dreamt = model.decode(randn_like(mu))
        painted = cat([logits.sigmoid(), dreamt])
        told = F.gan_non_saturating_loss(judge(painted.detach()), judge(images))
        judged = minimise(judging, told)
        wanted, features = judge.features(images).detach(), judge.features(painted)
        distance = (features[: len(images)] - wanted).square().sum(1).mean()
        fooled = F.gan_non_saturating_loss(judge.head(features), role="generator")
        kl = F.vae_kl_divergence(mu, logvar)
        minimise(painting, kl + run.option("gamma") * distance + fooled)
        return {
            "discriminator": judged,
            "feature distance": distance.item(),
            "KL": kl.item(),
            "generator": fooled.item(),
        }

    states = {"model": model, "judge": judge, "painting": painting, "judging": judging}
    train(run, step, [training], states, epochs=run.epochs(full=60, quick=8))
    model.eval()
    restored = model.decode(model.encode(testing)[0])
    found = known[nearest(restored, training, 1)]
    run.figure(
        "reconstructions keep their class", precision(found, labels), at_least=0.9, quick=0.6
    )
    run.figure("PSNR of the test scans, dB", metrics.psnr(restored, testing), at_least=13, quick=11)
    samples = model.sample(200)
    classes = set(known[nearest(samples, training, 1)[:, 0]].numpy().tolist())
    run.figure("classes among 200 samples", len(classes), at_least=9, quick=5)
    show_rows(run, labels, original=testing, reconstruction=restored)
    run.picture("samples", viz.image_grid(samples[:64], 16), "Codes drawn from the prior, decoded.")
    run.model(model, (1, 1, 28, 28))
