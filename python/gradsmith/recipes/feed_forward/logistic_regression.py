# SPDX-License-Identifier: Apache-2.0
"""Logistic regression tells benign tumours from malignant ones.

``p = sigmoid(w'x + b)`` with the cross-entropy of two classes and a little L2 (Berkson 1944; Cox
1958). The loss is convex, so L-BFGS finds its only minimum in a few steps, and there the predicted
numbers of both classes equal the true ones.
"""

from __future__ import annotations

import gradsmith as gs
from gradsmith import metrics, nn, viz
from gradsmith.data import StandardScaler, datasets
from gradsmith.optim import LBFGS
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"l2": 0.01}


def fit(x: Tensor, y: Tensor, l2: float, steps: int) -> tuple[nn.Linear, list[float]]:
    """Return the model for inputs (N, D) and classes 0 and 1 (N,), and its losses."""
    model = nn.init.initialize(nn.Linear(x.shape[1], 1, dtype=x.dtype), {"*": "zeros"}).to(x.device)
    optimizer = LBFGS(model.parameters(), line_search_fn="strong_wolfe", max_iter=5)

    def loss() -> Tensor:
        optimizer.zero_grad()
        entropy = nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], y)
        total = entropy + l2 / 2 * model.weight.square().sum()
        total.backward()
        return total

    return model, [float(optimizer.step(loss)) for _ in range(steps)]


def main(run: Run) -> None:
    """Train, measure, and show the weights that count most."""
    scaler = StandardScaler()
    (x, y), (test_x, test_y) = (
        datasets.breast_cancer(split).tensors for split in ("train", "test")
    )
    x, test_x = scaler.fit_transform(x), scaler.transform(test_x)
    x, y, test_x = x.to(run.device), y.to(run.device, gs.float32), test_x.to(run.device)
    model, losses = fit(x, y, run.option("l2"), run.epochs(full=20, quick=8))
    for loss in losses:
        run.log(loss=loss)
    scores = model(test_x).detach()[:, 0].cpu()
    run.figure("test accuracy", metrics.binary_accuracy(scores, test_y, 0.0), at_least=0.95)
    run.figure("area under the ROC curve", metrics.roc_auc(scores, test_y), at_least=0.99)
    balance = (model(x).sigmoid()[:, 0] - y).mean().item()
    run.figure("predicted minus true share", abs(balance), at_most=1e-3)
    false_rate, true_rate, _ = metrics.roc_curve(scores, test_y)
    run.picture("roc", viz.plot_roc(false_rate, true_rate), "True against false alarms.")
    run.confusion(
        metrics.confusion_matrix((scores > 0).to(gs.int64), test_y, 2), ["malignant", "benign"]
    )
    names = datasets.breast_cancer("train").feature_names
    ranked = sorted(
        zip(model.weight[0].tolist(), names, strict=True), key=lambda each: -abs(each[0])
    )
    run.table("Weights that count most", ["weight", "measurement"], [list(e) for e in ranked[:8]])
    run.model(model, (1, x.shape[1]))
