# SPDX-License-Identifier: Apache-2.0
"""A deep belief network, trained layer by layer without labels, then fine-tuned to name digits.

Each restricted Boltzmann machine, ``E = -v'W h - b'v - c'h``, learns the hidden units of the one
below; the stack becomes a feed-forward net that back-propagation finishes (Hinton, Osindero, Teh,
"A fast learning algorithm for deep belief nets", 2006; Hinton and Salakhutdinov 2006). The first
training needs no labels, and the second starts where features are good already.
"""

from __future__ import annotations

from gradsmith import metrics, models, viz
from gradsmith.optim import Adam
from gradsmith.recipes.energy.data import as_images, pixels
from gradsmith.recipes.energy.machines import train_greedily
from gradsmith.recipes.run import Run

SIZES = (64, 128, 128, 128)


def main(run: Run) -> None:
    """Pre-train, fine-tune, measure."""
    training, classes = pixels(run, "train")
    testing, labels = pixels(run, "test")
    epochs = run.choose(40, 6)
    machines, _ = train_greedily(run, SIZES, training, epochs=epochs)
    network = models.DBN(SIZES).to(run.device)
    network.load_rbms(machines)
    restored = network.decode(network(testing))
    run.figure(
        "error of going up and down again",
        (restored - testing).square().mean(),
        at_most=0.05,
        quick=0.07,
    )
    chosen = [labels.numpy().tolist().index(digit) for digit in range(10)]
    rows = [as_images(each)[chosen] for each in (testing, restored)]
    picture = viz.reconstruction_rows(*rows, titles=["scan", "up and down again"])
    run.picture("reconstructions", picture, "What is left of scans after two layers and back.")
    filters = viz.plot_filters(as_images(machines[0].weight[:64]), 16)
    run.picture("filters", filters, "What 64 units of the first layer look for.")
    net = network.classifier(10).to(run.device)
    net.compile(Adam(net.parameters(), lr=5e-3, weight_decay=1e-4), "cross_entropy", ["accuracy"])
    epochs = run.epochs(full=60, quick=12)
    run.fit(net, training, classes, epochs=epochs, stage="fine-tuning", seed=run.seed)
    scores = net.predict(testing, verbose=0)
    run.figure("test accuracy", metrics.accuracy(scores, labels), at_least=0.97, quick=0.85)
    run.confusion(metrics.confusion_matrix(scores, labels, 10))
    run.model(net, (1, 64))
