# SPDX-License-Identifier: Apache-2.0
"""A convolutional auto-encoder keeps the plane: its code is a small stack of maps.

Convolutions of stride 2 lead down, ``h = relu(w * x + b)``, transposed ones up (Masci, Meier,
Ciresan, Schmidhuber, "Stacked convolutional auto-encoders", 2011). Kernels are shared by all
places: 11,909 parameters do what takes a flat one 50,992.
"""

from __future__ import annotations

from gradsmith import models, viz
from gradsmith.recipes.autoencoders.scans import scans, tell_reconstructions
from gradsmith.recipes.run import Run


def main(run: Run) -> None:
    """Train and measure."""
    training, _ = scans(run, "train")
    testing, labels = scans(run, "test")
    model = models.conv_autoencoder().to(run.device)
    model.compile("adam", "mse")
    epochs = run.epochs(full=30, quick=3)
    run.fit(model, training, training, epochs=epochs, seed=run.seed)
    tell_reconstructions(run, model, testing, labels, at_least=26, quick=15)
    maps = viz.plot_feature_maps(model, testing[:1], "encoder.4")
    run.picture("code", maps, "The code of the first digit: four maps of 7x7.")
    run.model(model, (1, 1, 28, 28))
