# SPDX-License-Identifier: Apache-2.0
"""A deep auto-encoder, 784-128-64-32 and back.

``x' = g3(g2(g1(f3(f2(f1(x))))))``: hidden layers between let the code bend with the data (Hinton
and Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006). It learns to
give back what went in, and has to beat half as many principal components.
"""

from __future__ import annotations

from gradsmith import models, viz
from gradsmith.recipes.autoencoders.principal import tell_plane
from gradsmith.recipes.autoencoders.scans import scans, tell_reconstructions
from gradsmith.recipes.run import Run


def main(run: Run) -> None:
    """Train and measure."""
    training, _ = scans(run, "train")
    testing, labels = scans(run, "test")
    model = models.dense_autoencoder((784, 128, 64, 32)).to(run.device)
    model.compile("adam", "mse")
    run.fit(model, training, training, epochs=run.epochs(full=120, quick=8), seed=run.seed)
    half = tell_plane(run, training, testing, 16)
    tell_reconstructions(run, model, testing, labels, at_least=half, quick=14)
    codes = model.encode(testing).detach()
    run.figure("share of code values that are 0", (codes == 0).float().mean().item())
    run.picture(
        "codes",
        viz.plot_embeddings(codes, labels),
        "Codes of the test scans on their two principal components: classes form clouds, although "
        "the model saw no labels.",
    )
    run.model(model, (1, 1, 28, 28))
