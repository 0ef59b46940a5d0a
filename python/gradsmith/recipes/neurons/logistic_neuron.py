# SPDX-License-Identifier: Apache-2.0
"""A logistic neuron tells two kinds of iris apart, and says how sure it is.

``y = 1 / (1 + exp(-(w x + b)))`` is the probability of the second kind; the loss is its negative
log-likelihood (Cox 1958). The loss is convex: from whatever weights gradient descent starts, it
comes to the same ones.
"""

from __future__ import annotations

from gradsmith import metrics, nn, viz
from gradsmith.data import StandardScaler, datasets
from gradsmith.ops.elementwise_math import sigmoid
from gradsmith.optim import GD
from gradsmith.recipes.run import Run
from gradsmith.viz import canvas

KINDS, PETALS = (1, 2), slice(2, 4)


def main(run: Run) -> None:
    """Train from two starts and compare."""
    lengths, kinds = datasets.iris().tensors
    chosen = kinds >= KINDS[0]
    x = StandardScaler().fit_transform(lengths[chosen][:, PETALS]).to(run.device)
    t = (kinds[chosen] == KINDS[1]).float().unsqueeze(1).to(run.device)
    neurons = [nn.Linear(2, 1).to(run.device) for _ in range(2)]
    for number, neuron in enumerate(neurons, 1):
        neuron.compile(GD(neuron.parameters(), lr=3.0), "bce_with_logits", ["binary_accuracy"])
        options = {"epochs": run.epochs(full=400, quick=80), "batch_size": len(x), "verbose": 0}
        run.fit(neuron, x, t, stage=f"start {number}", **options)
    scores = neurons[0](x).detach()
    run.figure("accuracy", ((scores > 0) == (t > 0.5)).float().mean(), at_least=0.93)
    run.figure("area under the ROC curve", metrics.roc_auc(scores[:, 0], t[:, 0]), at_least=0.98)
    apart = (neurons[0].weight - neurons[1].weight).abs().max()
    run.figure("how far two starts end apart", apart, at_most=0.01, quick=0.5)
    boundary = viz.plot_decision_boundary(neurons[0].to("cpu"), x, t)
    caption = "Petal length and width, standardised: versicolor and virginica."
    run.picture("boundary", boundary, caption)
    run.picture("probabilities", _reliability(sigmoid(scores), t), "How sure it is of each flower.")
    run.model(neurons[0], (1, 2))


def _reliability(probabilities: object, targets: object) -> object:
    ax = canvas.new_axes()
    sure = canvas.as_array("probabilities", "probabilities", probabilities)[:, 0]
    is_second = canvas.as_array("probabilities", "targets", targets)[:, 0] > 0.5
    ax.hist([sure[~is_second], sure[is_second]], bins=10, label=["versicolor", "virginica"])
    ax.set_xlabel("probability of virginica")
    ax.set_ylabel("flowers")
    ax.legend()
    return ax.figure
