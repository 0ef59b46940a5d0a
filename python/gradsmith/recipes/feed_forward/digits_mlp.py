# SPDX-License-Identifier: Apache-2.0
"""A multi-layer perceptron learns digits from their 784 pixels.

Each layer is ``h = relu(W x + b)``, the last one gives ten scores (Rumelhart, Hinton and Williams
1986). ``net`` chooses the network: ``relu`` is 784-300-100-10, ``batchnorm`` the same with batch
normalisation (Ioffe and Szegedy 2015), ``sigmoid`` 784-256-128-10 with sigmoids, ``small``
784-128-64-10. Cross-entropy, Adam, a learning rate that falls along a cosine.
"""

from __future__ import annotations

from functools import partial

from gradsmith import metrics, models, nn, viz
from gradsmith.optim import Adam, lr_scheduler
from gradsmith.recipes.feed_forward.digits import SIDE, digit_rows
from gradsmith.recipes.options import chosen
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import MNIST
from gradsmith.train import LambdaCallback

STANDARD = MNIST
OPTIONS = {"net": "relu"}
NETS = {
    "relu": partial(models.mlp, [784, 300, 100, 10]),
    "batchnorm": partial(models.mlp, [784, 300, 100, 10], batch_norm=True),
    "sigmoid": partial(models.mlp, [784, 256, 128, 10], nn.Sigmoid),
    "small": partial(models.mlp, [784, 128, 64, 10]),
}


def main(run: Run) -> None:
    """Train and measure."""
    model = chosen(run, "net", NETS)().to(run.device)
    digits = digit_rows(run)
    epochs = run.epochs(full=30, quick=8)
    optimizer = Adam(model.parameters(), lr=2e-3)
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.compile(optimizer, "cross_entropy", ["accuracy"])
    run.fit(
        model,
        digits.train_x,
        digits.train_y,
        epochs=epochs,
        callbacks=[LambdaCallback(on_epoch_end=lambda epoch, logs: schedule.step())],
        objects={"schedule": schedule},
        validation_data=(digits.test_x, digits.test_y),
        seed=run.seed,
    )
    scores = model.predict(digits.test_x, verbose=0)
    run.figure("test accuracy", metrics.accuracy(scores, digits.test_y), at_least=0.97, quick=0.9)
    run.confusion(metrics.confusion_matrix(scores, digits.test_y, 10))
    run.picture("curves", viz.plot_history(run.history), "Training and test digits by epoch.")
    weights = model[0].weight[:32].reshape(-1, 1, SIDE, SIDE)
    run.picture("weights", viz.plot_filters(weights), "What 32 hidden neurons look for.")
    run.model(model, (1, SIDE * SIDE))
