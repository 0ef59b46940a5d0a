# SPDX-License-Identifier: Apache-2.0
"""A small network labels pixels, sees its own labels, and corrects them, with the same weights.

After one round a pixel knows its neighbourhood of 5 x 5, after four one of 17 x 17: rounds act as
depth without parameters (Pinheiro and Collobert, 2014). The loss is the mean over all rounds, so
that each corrects the one before.
"""

from __future__ import annotations

from gradsmith import metrics, viz
from gradsmith.autograd import no_grad
from gradsmith.models import RecurrentLabeller
from gradsmith.nn import functional as F
from gradsmith.recipes.batches import Batch, fit_batches
from gradsmith.recipes.convolution.segmentation import CLASSES, SIDE, shape_masks, shown
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor


def main(run: Run) -> None:
    """Train, and measure each round."""
    training, testing = shape_masks(run)
    images, masks = (each.to(run.device) for each in training.tensors)
    model = RecurrentLabeller(CLASSES, rounds=4, kernel_size=3).to(run.device)

    def loss(batch: Batch) -> Tensor:
        found = model.labellings(images[batch.samples])
        losses = [F.cross_entropy(scores, masks[batch.samples]) for scores in found]
        return sum(losses[1:], losses[0]) / len(losses)

    epochs = run.epochs(full=25, quick=5)
    fit_batches(run, model, len(training), loss, epochs=epochs, batch_size=8, rate=4e-3)
    with no_grad():
        found = model.labellings(testing.tensors[0].to(run.device))
    overlaps = [metrics.iou(scores, testing.tensors[1]) for scores in found]
    rows = [[number + 1, overlap] for number, overlap in enumerate(overlaps)]
    run.table("Mean IoU by round", ["round", "IoU"], rows)
    run.figure("mean IoU, last round", overlaps[-1], at_least=0.75, quick=0.3)
    gained = overlaps[-1] - overlaps[0]
    run.figure("gain over the first round", gained, at_least=None if run.quick else 0.05)
    painted = [shown(each.cpu().numpy()[:8].argmax(1)) for each in found]
    scenes, true = testing.tensors[0].numpy()[:8], shown(testing.tensors[1].numpy()[:8])
    titles = ["scene", "true", *(f"round {number + 1}" for number in range(len(found)))]
    pictures = viz.reconstruction_rows(scenes, true, *painted, titles=titles)
    run.picture("rounds", pictures, "Unseen scenes, their classes, and the labels of each round.")
    run.picture("curves", viz.plot_history(run.history), "Mean loss of all rounds.")
    run.model(model, (1, 3, SIDE, SIDE))
