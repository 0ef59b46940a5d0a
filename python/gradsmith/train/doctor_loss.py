# SPDX-License-Identifier: Apache-2.0
"""What `doctor` knows of losses: which outputs and targets they take."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith import nn
from gradsmith.backend import FLOATING, Array, on_host
from gradsmith.tensor import Tensor
from gradsmith.train.findings import Diagnosis
from gradsmith.train.gradient_report import host_values

_KINDS: tuple[tuple[Any, str], ...] = (
    (nn.CrossEntropyLoss, "cross_entropy"),
    (nn.NLLLoss, "nll_loss"),
    (nn.BCEWithLogitsLoss, "binary_cross_entropy_with_logits"),
    (nn.BCELoss, "binary_cross_entropy"),
    (nn.MSELoss, "mse_loss"),
    (nn.L1Loss, "l1_loss"),
    (nn.HuberLoss, "huber_loss"),
    (nn.SmoothL1Loss, "smooth_l1_loss"),
)
_REGRESSION = ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss")
_CLASSES = ("cross_entropy", "nll_loss")


def kind_of(loss: Any) -> str:
    """Return the name of the function that a loss is, as far as it is known here."""
    for kind, name in _KINDS:
        if isinstance(loss, kind):
            return name
    return getattr(loss, "__name__", "")


def _made_by(output: Tensor) -> str:
    return "" if output._node is None else output._node.name.removesuffix("Backward")


def check_loss_inputs(diagnosis: Diagnosis, loss: Any, output: Any, target: Any) -> bool:
    """Look at what the loss will get; return whether it can be computed."""
    if not isinstance(output, Tensor) or not isinstance(target, Tensor):
        return True
    kind = kind_of(loss)
    before = len(diagnosis.errors)
    if kind in _CLASSES and target.dtype not in FLOATING:
        _check_classes(diagnosis, loss, output, target)
    elif kind and output.shape != target.shape and kind.startswith((*_REGRESSION, "binary")):
        diagnosis.error(
            f"output has shape {tuple(output.shape)}, target {tuple(target.shape)}: the difference "
            "would broadcast, or fail",
            "loss",
            "give both the same shape, as by target.unsqueeze(1) or output.squeeze(1)",
        )
    if kind in _REGRESSION and target.dtype not in FLOATING:
        diagnosis.error(
            f"the target of a regression is {target.dtype}",
            "target",
            "convert it to float, or use cross_entropy if these are classes",
        )
    can_run = len(diagnosis.errors) == before
    _check_scores(diagnosis, kind, output)
    return can_run


def _check_classes(diagnosis: Diagnosis, loss: Any, output: Tensor, target: Tensor) -> None:
    axis = 1 if output.ndim > 1 else 0
    expected = output.shape[:axis] + output.shape[axis + 1 :]
    if target.shape != expected:
        diagnosis.error(
            f"classes have shape {tuple(target.shape)}, expected {tuple(expected)} for scores "
            f"{tuple(output.shape)}",
            "target",
            "give one class per sample, as by target.squeeze(1)",
        )
        return
    labels = on_host(target._array)
    labels = labels[labels != getattr(loss, "ignore_index", -100)]
    if labels.size and (labels.min() < 0 or labels.max() >= output.shape[axis]):
        diagnosis.error(
            f"classes go from {labels.min()} to {labels.max()}, but there are scores for "
            f"{output.shape[axis]}",
            "target",
            "count classes from 0, and give the last layer an output for each",
        )


def _are_probabilities(values: Array) -> bool:
    return bool(
        values.ndim > 1
        and values.shape[1] > 1
        and (values >= 0).all()
        and np.allclose(values.sum(1), 1, atol=1e-3)
    )


def _check_scores(diagnosis: Diagnosis, kind: str, output: Tensor) -> None:
    made_by, values = _made_by(output), host_values(output)
    if not values.size:
        return
    if kind == "cross_entropy" and (made_by == "Softmax" or _are_probabilities(values)):
        diagnosis.error(
            "softmax stands before cross_entropy, which has one of its own",
            "output",
            "leave the softmax out of the model",
        )
    elif kind == "cross_entropy" and made_by == "Sigmoid":
        diagnosis.error(
            "sigmoid stands before cross_entropy, which takes scores",
            "output",
            "leave the sigmoid out of the model",
        )
    elif kind == "binary_cross_entropy_with_logits" and made_by in ("Sigmoid", "Softmax"):
        diagnosis.error(
            "sigmoid stands before bce_with_logits, which has one of its own",
            "output",
            "leave the sigmoid out, or use bce",
        )
    elif kind == "binary_cross_entropy" and ((values < 0) | (values > 1)).any():
        diagnosis.error(
            "bce takes probabilities, but outputs lie outside of [0, 1]",
            "output",
            "use bce_with_logits",
        )
    elif kind == "nll_loss" and not _are_probabilities(np.exp(np.minimum(values, 50.0))):
        diagnosis.error(
            "nll takes log-probabilities, but the outputs are none",
            "output",
            "use cross_entropy, or end the model with LogSoftmax",
        )
