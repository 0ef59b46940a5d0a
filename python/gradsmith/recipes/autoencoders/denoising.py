# SPDX-License-Identifier: Apache-2.0
"""A denoising auto-encoder sees damaged scans and restores the clean ones.

The damaged scan goes in, the clean one is asked for: the loss is ``|g(f(x + noise)) - x|^2``
(Vincent, Larochelle, Bengio, Manzagol, "Extracting and composing robust features with denoising
autoencoders", 2008). ``--set noise=gaussian`` adds normal numbers, ``noise=masking`` sets pixels to
0; the damage of the training scans is drawn anew at every step.
"""

from __future__ import annotations

from gradsmith import metrics, models
from gradsmith.nn import functional as F
from gradsmith.ops.random import bernoulli, randn_like
from gradsmith.optim import Adam
from gradsmith.recipes.autoencoders.scans import scans, show_rows
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor

OPTIONS = {"noise": "gaussian", "amount": 0.5}


def damaged(images: Tensor, noise: str, amount: float) -> Tensor:
    """Return images with noise of a standard deviation, or with a share of the pixels off."""
    if noise == "gaussian":
        return images + amount * randn_like(images)
    if noise == "masking":
        return images * bernoulli(images.new_full(images.shape, 1 - amount))
    raise ValueError(f"option noise is {noise!r}, expected gaussian or masking")


def main(run: Run) -> None:
    """Train and measure."""
    training, _ = scans(run, "train")
    testing, labels = scans(run, "test")
    noise, amount = run.option("noise"), run.option("amount")
    model = models.dense_autoencoder((784, 256, 64)).to(run.device)
    optimizer = Adam(model.parameters(), lr=1e-3)

    def step(images: Tensor) -> dict[str, float]:
        restored = model(damaged(images, noise, amount))
        return {"loss": minimise(optimizer, F.mse_loss(restored, images))}

    states = {"model": model, "optimizer": optimizer}
    train(run, step, [training], states, epochs=run.epochs(full=80, quick=6))
    noisy = damaged(testing, noise, amount)
    restored = model.predict(noisy, verbose=0)
    before, after = metrics.psnr(noisy, testing), metrics.psnr(restored, testing)
    run.figure("PSNR of the damaged scans, dB", before)
    run.figure("PSNR of the restored ones, dB", after)
    run.figure("gain, dB", after - before, at_least=8, quick=6)
    show_rows(run, labels, original=testing, damaged=noisy.clamp(0, 1), restored=restored)
    run.model(model, (1, 1, 28, 28))
