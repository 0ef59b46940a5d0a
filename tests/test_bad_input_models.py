# SPDX-License-Identifier: Apache-2.0
"""What is no model, optimiser, axes, path or vocabulary is refused by name."""

from __future__ import annotations

import pytest

import gradsmith as gs
from gradsmith import nn
from tests.test_bad_input import Refusal, assert_refused, x

REFUSALS: dict[str, Refusal] = {
    "fit": (lambda: gs.train.fit("a", x()), TypeError, "fit: model is a str, expected a Module"),
    "evaluate": (lambda: gs.train.evaluate(x(), x()), TypeError, "evaluate: model is a Tensor"),
    "predict": (lambda: gs.train.predict(None, x()), TypeError, "predict: model is a NoneType"),
    "compile": (lambda: gs.train.compile(0, loss="mse"), TypeError, "compile: model is a int"),
    "summary": (lambda: gs.train.summary(1), TypeError, "summary: model is a int"),
    "doctor": (lambda: gs.doctor("a", batch=x()), TypeError, "doctor: model is a str"),
    "LRFinder": (lambda: gs.train.LRFinder(1), TypeError, "LRFinder: model is a int"),
    "report": (lambda: gs.train.gradient_report([]), TypeError, "gradient_report: model is a list"),
    "choice": (lambda: gs.train.set_trainable(1, "a"), TypeError, "set_trainable: model is a int"),
    "pretraining": (
        lambda: gs.train.greedy_pretrain([nn.ReLU(), 1], x()),
        TypeError,
        r"greedy_pretrain: layers\[1\] is a int",
    ),
    "freeze": (lambda: nn.utils.freeze(x()), TypeError, "freeze: module is a Tensor"),
    "unfreeze": (lambda: nn.utils.unfreeze(x()), TypeError, "unfreeze: module is a Tensor"),
    "features": (lambda: nn.PerceptualLoss(0, ["a"]), TypeError, "PerceptualLoss: features is a"),
    "batch norms": (
        lambda: gs.optim.swa_utils.update_bn([], "a"),
        TypeError,
        "update_bn: model is a str",
    ),
    "constraint": (
        lambda: nn.constraints.after_step(2.0, nn.constraints.NonNegative()),
        TypeError,
        "after_step: optimizer is a float, expected an Optimizer",
    ),
    "saliency": (lambda: gs.viz.saliency("a", x(1, 1, 2, 2)), TypeError, "saliency: model is a"),
    "saliency's input": (
        lambda: gs.viz.saliency(nn.ReLU(), []),
        TypeError,
        "saliency: inputs is a list",
    ),
    "Grad-CAM": (lambda: gs.viz.grad_cam("a", x(), "b"), TypeError, "grad_cam: model is a str"),
    "drawing": (lambda: gs.viz.draw_graph(None, x()), TypeError, "draw_graph: model is a None"),
    "surface": (
        lambda: gs.viz.plot_loss_surface("a", x),
        TypeError,
        "plot_loss_surface: model is a str",
    ),
    "chain": (lambda: gs.chain_matmul(0), TypeError, "chain_matmul: matrices is a int"),
    "truth": (
        lambda: gs.train.teacher_forcing(0.0, x(), 1.0),
        TypeError,
        "teacher_forcing: truth is a float",
    ),
    "axes": (
        lambda: gs.viz.plot_learning_rates([0.1], ax=1),
        TypeError,
        "plot_learning_rates: ax is a int, expected Axes",
    ),
    "path of an image": (lambda: gs.images.read(1), TypeError, "read: path is a int"),
    "vocabulary": (lambda: gs.text.one_hot(["a"], {}), TypeError, "one_hot: vocabulary is a dict"),
    "images": (
        lambda: gs.data.ImageDataset("a", "b", ["c"]),
        TypeError,
        "ImageDataset: data is a str, expected an array",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_is_refused(name: str) -> None:
    assert_refused(REFUSALS[name])
