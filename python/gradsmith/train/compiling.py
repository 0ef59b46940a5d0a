# SPDX-License-Identifier: Apache-2.0
"""`compile`: what a model is trained with, given as objects or by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gradsmith import metrics as measures
from gradsmith import nn, optim
from gradsmith.amp import GradScaler
from gradsmith.metrics import Accuracy, BinaryAccuracy, Metric
from gradsmith.metrics.averaged import AveragedMetric
from gradsmith.metrics.base import RatioMetric, to_array
from gradsmith.nn.module_tree import check_module
from gradsmith.ops.options import check_flag
from gradsmith.tensor import Tensor

Loss = Callable[[Any, Any], Tensor]

_LOSSES: dict[str, type[nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "nll": nn.NLLLoss,
    "mse": nn.MSELoss,
    "mean_squared_error": nn.MSELoss,
    "sum_squared_error": nn.SumSquaredError,
    "half_sum_squared_error": nn.HalfSumSquaredError,
    "mae": nn.L1Loss,
    "l1": nn.L1Loss,
    "mean_absolute_error": nn.L1Loss,
    "huber": nn.HuberLoss,
    "pseudo_huber": nn.PseudoHuberLoss,
    "smooth_l1": nn.SmoothL1Loss,
    "log_cosh": nn.LogCoshLoss,
    "poisson_nll": nn.PoissonNLLLoss,
    "kl_div": nn.KLDivLoss,
    "bce": nn.BCELoss,
    "binary_crossentropy": nn.BCELoss,
    "bce_with_logits": nn.BCEWithLogitsLoss,
    "hinge": nn.HingeLoss,
    "squared_hinge": nn.SquaredHingeLoss,
    "soft_margin": nn.SoftMarginLoss,
    "multi_margin": nn.MultiMarginLoss,
    "multilabel_margin": nn.MultiLabelMarginLoss,
    "multilabel_soft_margin": nn.MultiLabelSoftMarginLoss,
    "hinge_embedding": nn.HingeEmbeddingLoss,
    "rbf_distance": nn.RBFDistanceLoss,
    "focal": nn.FocalLoss,
    "dice": nn.DiceLoss,
    "jaccard": nn.JaccardLoss,
}
_METRICS: dict[str, type[Metric]] = {
    "accuracy": measures.Accuracy,
    "acc": measures.Accuracy,
    "binary_accuracy": measures.BinaryAccuracy,
    "top_k_accuracy": measures.TopKAccuracy,
    "precision": measures.Precision,
    "recall": measures.Recall,
    "f1": measures.F1Score,
    "f1_score": measures.F1Score,
    "auroc": measures.AUROC,
    "auc": measures.AUROC,
    "average_precision": measures.AveragePrecision,
    "mse": measures.MeanSquaredError,
    "mean_squared_error": measures.MeanSquaredError,
    "rmse": measures.RootMeanSquaredError,
    "root_mean_squared_error": measures.RootMeanSquaredError,
    "mae": measures.MeanAbsoluteError,
    "mean_absolute_error": measures.MeanAbsoluteError,
    "r2": measures.R2Score,
    "r2_score": measures.R2Score,
    "iou": measures.IoU,
    "pixel_accuracy": measures.PixelAccuracy,
    "mean_average_precision": measures.MeanAveragePrecision,
    "perplexity": measures.Perplexity,
    "psnr": measures.PSNR,
    "ssim": measures.SSIM,
}
_ATTRIBUTE = "_compiled"


@dataclass
class Compiled:
    """What `compile` resolved."""

    optimizer: optim.Optimizer
    loss: Loss
    metrics: list[Metric]
    autocast: bool = False
    scaler: GradScaler | None = None


class FunctionMetric(RatioMetric):
    """A function ``f(output, target) -> number``, averaged over samples."""

    def __init__(self, function: Callable[[Any, Any], Any], name: str) -> None:
        """Wrap the function."""
        self.function = function
        super().__init__(name)

    def update(self, output: Any, target: Any) -> None:
        """Take in a batch; its number weighs as much as it has samples."""
        size = len(to_array(target))
        self.total += float(self.function(output, target)) * size
        self.count += size


def unknown_name(what: str, name: str, known: Iterable[str]) -> ValueError:
    """Return the error for a name that is not in a table, with the nearest that is."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return ValueError(f"compile: {what} {name!r} is unknown{guess} (known: {', '.join(names)})")


def _resolve_optimizer(spec: Any, model: nn.Module) -> optim.Optimizer:
    if isinstance(spec, optim.Optimizer):
        return spec
    if isinstance(spec, str):
        known = {
            name.lower(): value
            for name, value in vars(optim).items()
            if inspect.isclass(value) and issubclass(value, optim.Optimizer)
        }
        del known["optimizer"]
        if spec.lower() not in known:
            raise unknown_name("optimizer", spec, known)
        spec = known[spec.lower()]
    made = spec(model.parameters()) if callable(spec) else None
    if not isinstance(made, optim.Optimizer):
        raise TypeError(
            f"compile: optimizer is a {type(spec).__name__}, expected a name, an Optimizer or a "
            "function from parameters to one"
        )
    return made


def resolve_loss(spec: Any) -> Loss:
    """Return a loss given as a function or by name; ValueError, TypeError for others."""
    if isinstance(spec, str):
        if spec.endswith("categorical_crossentropy"):
            raise ValueError(
                f"compile: loss {spec!r} takes probabilities; use 'cross_entropy', which takes the "
                "scores before softmax"
            )
        if spec not in _LOSSES:
            raise unknown_name("loss", spec, _LOSSES)
        return _LOSSES[spec]()
    if not callable(spec):
        raise TypeError(
            f"compile: loss is a {type(spec).__name__}, expected a name or a function (output, "
            "target) -> Tensor"
        )
    return spec  # type: ignore[no-any-return]


def _named_metric(name: str, loss: Loss) -> Metric:
    """Return a metric by its name: that of two classes with a binary loss, else of several."""
    kind: Any = _METRICS[name]
    two_classes = isinstance(loss, (nn.BCELoss, nn.BCEWithLogitsLoss))
    threshold = 0.0 if isinstance(loss, nn.BCEWithLogitsLoss) else 0.5
    if kind is Accuracy and two_classes:
        return BinaryAccuracy(threshold, name)
    if issubclass(kind, AveragedMetric):
        average = "binary" if two_classes else "macro"
        return kind(average, threshold, name=name)  # type: ignore[no-any-return]
    return kind(name=name)  # type: ignore[no-any-return]


def _resolve_metric(spec: Any, loss: Loss) -> Metric:
    if isinstance(spec, Metric):
        return spec
    if isinstance(spec, str):
        if spec not in _METRICS:
            raise unknown_name("metric", spec, _METRICS)
        return _named_metric(spec, loss)
    if inspect.isclass(spec) and issubclass(spec, Metric):
        return spec()  # type: ignore[call-arg]
    if callable(spec):
        return FunctionMetric(spec, getattr(spec, "__name__", type(spec).__name__))
    raise TypeError(
        f"compile: a metric is a {type(spec).__name__}, expected a name, a Metric or a function "
        "(output, target) -> number"
    )


def compile(
    model: nn.Module,
    optimizer: Any = "adam",
    loss: Any = None,
    metrics: Sequence[Any] | Any = (),
    autocast: bool = False,
    scaler: GradScaler | None = None,
) -> None:
    """Say what `fit` and `evaluate` train and measure the model with.

    Args:
        model: the model.
        optimizer: an `optim.Optimizer`, a class or function from parameters to one, or the name of
            a class in lower case, which is made with its defaults: ``"adam"``, ``"sgd"``.
        loss: a module or function (output, target) -> a tensor of one element, the mean over the
            batch; or the name of one in `nn` in lower case: ``"cross_entropy"`` (scores before
            softmax, classes), ``"mse"``, ``"mae"``, ``"bce"``, ``"bce_with_logits"``, ``"hinge"``.
        metrics: `Metric` objects, functions (output, target) -> number, or names of those in
            `metrics` in lower case: ``"accuracy"``, ``"f1"`` (both binary with a binary loss, else
            of several classes), ``"auroc"``, ``"mae"``, ``"r2"``.
        autocast: train and measure in mixed precision (see `amp.autocast`).
        scaler: scales the loss and steps the optimiser (see `amp.GradScaler`).

    Raises:
        ValueError: a name is unknown, or two metrics share one.
        TypeError: an argument is something else.
    """
    check_module("compile", "model", model)
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        metrics = (metrics,)
    if loss is None:
        raise TypeError("compile: loss is missing, expected a name or a function")
    resolved_loss = resolve_loss(loss)
    resolved = [_resolve_metric(metric, resolved_loss) for metric in metrics]
    names = ["loss", *(metric.name for metric in resolved)]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"compile: two metrics are called {name!r}; give one another name")
    check_flag("compile", "autocast", autocast)
    if scaler is not None and not isinstance(scaler, GradScaler):
        kind = type(scaler).__name__
        raise TypeError(f"compile: scaler is a {kind}, expected an amp.GradScaler")
    made = Compiled(_resolve_optimizer(optimizer, model), resolved_loss, resolved, autocast, scaler)
    # Past Module.__setattr__: a loss that is a module is no part of the model.
    object.__setattr__(model, _ATTRIBUTE, made)
    object.__setattr__(model, "optimizer", made.optimizer)


def is_compiled(model: nn.Module) -> bool:
    """Whether `compile` was called."""
    return isinstance(model.__dict__.get(_ATTRIBUTE), Compiled)


def compiled(op: str, model: nn.Module) -> Compiled:
    """Return what `compile` resolved, or raise a RuntimeError that asks for it."""
    check_module(op, "model", model)
    found = model.__dict__.get(_ATTRIBUTE)
    if not isinstance(found, Compiled):
        raise RuntimeError(
            f"{op}: this {type(model).__name__} is not compiled; call "
            "model.compile(optimizer, loss, metrics) first"
        )
    return found
