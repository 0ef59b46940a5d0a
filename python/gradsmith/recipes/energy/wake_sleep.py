# SPDX-License-Identifier: Apache-2.0
"""A deep belief network that dreams digits of a class, fine-tuned by contrastive wake-sleep.

Awake, scans are drawn upwards and each layer's generation weights learn to restore the layer below,
``dG = rate h (v - p)'``; the top machine takes steps of contrastive divergence with the label among
its units; asleep, its states are drawn downwards and the recognition weights learn to find the
layer above. It is the procedure of Hinton, Osindero, Teh, "A fast learning algorithm for deep
belief nets", 2006, appendix B.
"""

from __future__ import annotations

from gradsmith import metrics, models, viz
from gradsmith.autograd import no_grad
from gradsmith.nn import functional as F
from gradsmith.ops.creation import eye
from gradsmith.ops.joining import cat
from gradsmith.optim import SGD
from gradsmith.recipes.autoencoders.neighbours import nearest, precision
from gradsmith.recipes.energy.data import as_images, pixels
from gradsmith.recipes.energy.machines import train_greedily, train_rbm
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor
from gradsmith.train import contrastive_divergence

OPTIONS = {"k": 3}
SIZES = (64, 128, 256)
CLASSES = 10


def wake_sleep_loss(network: models.DBN, visible: Tensor, labels: Tensor, k: int) -> Tensor:
    """Return a loss whose gradient is that of the three phases, for states drawn here."""
    with no_grad():
        awake = network.sample_up(visible)
        met = cat([awake[-1], labels], 1)
    top, end = contrastive_divergence(
        network.top.free_energy, network.top.sample_hidden, network.sample_top, met, k
    )
    with no_grad():
        asleep = network.sample_down(end[:, : end.shape[1] - CLASSES])
    loss = top
    for level, (down, up) in enumerate(zip(network.generation, network.recognition, strict=True)):
        loss = loss + _miss(down(awake[level + 1]), awake[level])
        loss = loss + _miss(up(asleep[level]), asleep[level + 1])
    return loss


def _miss(logits: Tensor, states: Tensor) -> Tensor:
    """Return the negative log-probability of states, averaged over the batch."""
    missed: Tensor = F.binary_cross_entropy_with_logits(logits, states, reduction="sum")
    return missed / len(states)


def main(run: Run) -> None:
    """Pre-train, fine-tune, name digits and dream them."""
    training, classes = pixels(run, "train")
    testing, labels = pixels(run, "test")
    names = F.one_hot(classes, CLASSES).float().to(run.device)
    epochs = run.choose(40, 8)
    machines, codes = train_greedily(run, SIZES[:-1], training, epochs=epochs)
    top = models.RBM(SIZES[-2] + CLASSES, SIZES[-1]).to(run.device)
    train_rbm(run, top, cat([codes, names], 1), epochs=2 * epochs, stage="top")
    network = models.DBN(SIZES, CLASSES).to(run.device)
    network.load_rbms([*machines, top])
    greedy = metrics.accuracy(network.label_scores(testing), labels)
    optimizer = SGD(network.parameters(), lr=0.03)

    def step(visible: Tensor, label: Tensor) -> dict[str, float]:
        loss = wake_sleep_loss(network, visible, label, run.option("k"))
        minimise(optimizer, loss)
        restored = network.decode(network(visible))
        return {"error of up and down": F.mse_loss(restored, visible).item()}

    states = {"network": network, "optimizer": optimizer}
    train(run, step, [training, names], states, epochs=run.epochs(full=150, quick=5))
    run.figure("test accuracy after the greedy stage", greedy)
    scores = network.label_scores(testing)
    run.figure("test accuracy", metrics.accuracy(scores, labels), at_least=0.92, quick=0.75)
    wanted = eye(CLASSES, device=run.device).repeat(16, 1)
    dreams = network.dream(wanted, run.choose(500, 100))
    found = classes[nearest(dreams, training, 1)]
    right = precision(found, wanted.argmax(1).cpu())
    run.figure("dreams of the class that was asked for", right, at_least=0.75, quick=0.5)
    grid = viz.image_grid(as_images(dreams), CLASSES)
    run.picture("dreams", grid, "Each column: what a label makes the network imagine.")
    run.confusion(metrics.confusion_matrix(scores, labels, CLASSES))
    run.model(network, (1, 64))
