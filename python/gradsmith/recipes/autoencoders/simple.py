# SPDX-License-Identifier: Apache-2.0
"""The simplest auto-encoder: one layer to a code of 32 values, one layer back.

``code = relu(W x + b)``, ``x' = sigmoid(V code + c)``; the loss is the mean of ``(x' - x)^2``, and
the target is the input itself (Rumelhart, Hinton, Williams 1986).
"""

from __future__ import annotations

from gradsmith import models
from gradsmith.recipes.autoencoders.principal import tell_plane
from gradsmith.recipes.autoencoders.scans import scans, tell_reconstructions
from gradsmith.recipes.run import Run


def main(run: Run) -> None:
    """Train and measure."""
    training, _ = scans(run, "train")
    testing, labels = scans(run, "test")
    model = models.dense_autoencoder((784, 32)).to(run.device)
    model.compile("adam", "mse")
    run.fit(model, training, training, epochs=run.epochs(full=80, quick=5), seed=run.seed)
    half = tell_plane(run, training, testing, 16)
    tell_reconstructions(run, model, testing, labels, at_least=half, quick=15)
    run.model(model, (1, 1, 28, 28))
