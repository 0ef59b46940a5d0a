# SPDX-License-Identifier: Apache-2.0
"""The well-known convolutional networks, at the size of the problem, learn scanned digits.

``--set model=NAME`` takes one of resnet, densenet, alexnet, zfnet, vgg, googlenet, googlenet-naive,
mobilenet and darknet; papers stand in `gradsmith.models`. A residual block gives ``relu(x + f(x))``
(He et al., 2016), a dense one ``[x, f(x)]`` (Huang et al., 2017): both let a gradient pass
unhindered.
"""

from __future__ import annotations

from typing import Any

from gradsmith.recipes.convolution.classify import digits, fit_classifier, tell_classifier
from gradsmith.recipes.convolution.small_networks import NETWORKS, helped_cross_entropy
from gradsmith.recipes.run import Run

OPTIONS: dict[str, Any] = {"model": "resnet"}
_GOAL, _OTHERS = 0.985, 0.97


def main(run: Run) -> None:
    """Train and measure."""
    name = run.option("model")
    if name not in NETWORKS:
        raise ValueError(f"option model is {name!r}, expected one of {', '.join(NETWORKS)}")
    network = NETWORKS[name]
    moved = 1 if network.size < 28 else 2
    training, testing = digits(network.size, network.border, network.channels, shift=moved)
    model = network.make().to(run.device)
    epochs = run.epochs(full=15, quick=network.quick)
    helped = name.startswith("googlenet")
    loss = helped_cross_entropy if helped else "cross_entropy"
    measures = () if helped else ("accuracy",)
    fit_classifier(run, model, training, epochs=epochs, loss=loss, measures=measures)
    goal = _GOAL if name in ("resnet", "densenet") else _OTHERS
    tell_classifier(run, model, testing, at_least=goal, quick=0.7)
