# SPDX-License-Identifier: Apache-2.0
"""Anomaly detection: an auto-encoder of one digit cannot restore any other.

It learns from scans of the normal class alone; the error of a reconstruction, ``|g(f(x)) - x|^2``,
is the score (Japkowicz, Myers, Gluck, "A novelty detection approach to classification", 1995). The
area under its ROC curve says how well it tells the other classes. Each digit is the normal one in
turn.
"""

from __future__ import annotations

import numpy as np

from gradsmith import metrics, models, viz
from gradsmith.recipes.autoencoders.scans import scans, show_rows
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor


def scores(model: models.Autoencoder, images: Tensor) -> Tensor:
    """Return the mean square error (N,) of each reconstruction."""
    restored = model.predict(images, verbose=0)
    errors: Tensor = (restored - images).square()
    return errors.flatten(1).mean(1)


def main(run: Run) -> None:
    """Train ten detectors and measure each."""
    training, classes = scans(run, "train")
    testing, labels = scans(run, "test")
    digits = run.choose(range(10), range(3))
    rows, restored = [], {}
    for digit in digits:
        normal = training[(classes == digit).to(run.device)]
        model = models.dense_autoencoder((784, 64, 8)).to(run.device)
        model.compile("adam", "mse")
        epochs = run.epochs(full=200, quick=40)
        stage = f"digit-{digit}"
        run.fit(model, normal, normal, epochs=epochs, stage=stage, seed=run.seed, verbose=0)
        errors, strange = scores(model, testing), labels != digit
        rows.append([digit, metrics.roc_auc(errors, strange)])
        if digit in (digits[0], digits[-1]):
            restored[f"by_the_detector_of_{digit}"] = model.predict(testing, verbose=0)
    run.table("Area under the ROC curve", ["normal digit", "AUC"], rows)
    mean = np.mean([row[1] for row in rows])
    run.figure("mean area under the ROC curve", mean, at_least=0.95, quick=0.9)
    run.figure("lowest of them", min(row[1] for row in rows))
    show_rows(run, labels, original=testing, **restored)
    curve = metrics.roc_curve(errors, strange)
    run.picture("roc", viz.plot_roc(*curve[:2]), f"{digits[-1]} is normal, all others are not.")
    run.model(model, (1, 1, 28, 28))
