# SPDX-License-Identifier: Apache-2.0
"""Under-complete auto-encoders: the narrower the code, the more is lost.

Without activations the best an auto-encoder ``x' = V W x`` can do is the plane of the principal
components (Baldi and Hornik, "Neural networks and principal component analysis", 1989). With them
it can follow a curved surface, and does better.
"""

from __future__ import annotations

from typing import Any

from gradsmith import metrics, models, nn
from gradsmith.ops.linalg_factor import svd
from gradsmith.optim import Adam
from gradsmith.recipes.autoencoders.scans import scans, show_rows
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import LearningRateScheduler


def principal_errors(images: Tensor, sizes: tuple[int, ...]) -> list[float]:
    """Return the mean square error of the best planes of some dimensions through the images."""
    flat = images.flatten(1)
    centred = flat - flat.mean(0)
    strengths = svd(centred, full_matrices=False)[1].square()
    return [float(strengths[size:].sum().item()) / flat.numel() for size in sizes]


def _linear(size: int) -> nn.Module:
    identity = nn.Identity
    return models.dense_autoencoder((784, size), activation=identity, output_activation=identity)


def _bent(size: int) -> nn.Module:
    return models.dense_autoencoder((784, 128, size))


def trained(run: Run, model: nn.Module, images: Tensor, stage: str, rate: float) -> nn.Module:
    """Return the model, trained on the images at a rate that falls to 0."""
    model = model.to(run.device)
    epochs = run.epochs(full=60, quick=10)
    falling = LearningRateScheduler(lambda epoch, _: rate * (1 - epoch / epochs))
    model.compile(Adam(model.parameters(), lr=rate), "mse")
    options: dict[str, Any] = {"epochs": epochs, "stage": stage, "seed": run.seed, "verbose": 0}
    run.fit(model, images, images, callbacks=[falling], **options)
    return model


def main(run: Run) -> None:
    """Train a linear and a bent one for several sizes of the code."""
    training, _ = scans(run, "train")
    testing, labels = scans(run, "test")
    centred = training - training.mean(0)
    sizes = run.choose((2, 4, 8, 16, 32), (2, 8))
    planes = principal_errors(training, sizes)
    rows, restored = [], {}
    for size, plane in zip(sizes, planes, strict=True):
        linear = trained(run, _linear(size), centred, f"linear-{size}", 1e-2)
        bent = trained(run, _bent(size), training, f"bent-{size}", 3e-3)
        errors = [
            metrics.mean_squared_error(model.predict(images, verbose=0), images)
            for model, images in ((linear, centred), (bent, training))
        ]
        restored[f"code_of_{size}"] = bent.predict(testing, verbose=0)
        rows.append([size, plane, *errors])
    header = ["values of the code", "principal components", "linear", "with activations"]
    run.table("Mean square error of the training scans", header, rows)
    ratio = max(row[2] / row[1] for row in rows)
    run.figure("linear error / principal components'", ratio, at_least=0.999)
    run.figure("the same at most", ratio, at_most=1.02, quick=1.5)
    run.figure(
        f"bent error / principal components', {sizes[0]} values",
        rows[0][3] / rows[0][1],
        at_most=0.7,
        quick=0.95,
    )
    show_rows(run, labels, original=testing, **restored)
    run.model(bent, (1, 1, 28, 28))
