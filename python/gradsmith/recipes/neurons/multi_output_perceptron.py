# SPDX-License-Identifier: Apache-2.0
"""A layer of perceptrons, one for each class, reads scanned digits.

Every unit learns "my digit or another" by Rosenblatt's rule ``W += (t - y) x`` (1958); the unit
with the largest score names the digit. The rule has no loss and stops at no optimum, so that the
weights of the last rounds are averaged (Freund and Schapire 1999).
"""

from __future__ import annotations

from gradsmith import metrics, nn, viz
from gradsmith.data import DataLoader, TensorDataset
from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.optim import PerceptronRule
from gradsmith.optim.swa_utils import AveragedModel
from gradsmith.recipes.run import Run
from gradsmith.recipes.scans import scan_rows
from gradsmith.tensor import Tensor


def main(run: Run) -> None:
    """Train and measure."""
    images, labels = scan_rows(run, "train")
    wanted = F.one_hot(labels, 10).float()
    unseen, answers = scan_rows(run, "test")
    layer = init.initialize(nn.Linear(64, 10), {"*": "zeros"}).to(run.device)
    rule = PerceptronRule(layer.parameters())

    def correct(x: Tensor, t: Tensor) -> int:
        return int(rule.step(lambda: (layer(x), t)))

    average = AveragedModel(layer)
    loader = DataLoader(TensorDataset(images, wanted), 8, shuffle=True, seed=run.seed)
    count = run.epochs(full=30, quick=6)
    for number in run.rounds(count, {"layer": layer, "average": average, "loader": loader}):
        errors = sum(correct(*batch) for batch in loader)
        if number >= count // 2:
            average.update_parameters(layer)
        run.log(errors=errors / wanted.numel(), accuracy=metrics.accuracy(layer(images), labels))
    last = metrics.accuracy(layer(unseen), answers)
    scores = average(unseen)
    run.figure("test accuracy", metrics.accuracy(scores, answers), at_least=0.92, quick=0.88)
    run.figure("test accuracy of the last weights", last)
    run.confusion(metrics.confusion_matrix(scores, answers, 10))
    weights = viz.plot_filters(average.module.get_parameter("weight").reshape(10, 1, 8, 8))
    run.picture("weights", weights, "What speaks for each digit (bright) and against it (dark).")
    run.model(layer, (1, 64))
