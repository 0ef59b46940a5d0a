# SPDX-License-Identifier: Apache-2.0
"""`compile`: what a model is trained with, given as objects or by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gradsmith import nn, optim
from gradsmith.metrics import (
    Accuracy,
    BinaryAccuracy,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    TopKAccuracy,
)
from gradsmith.metrics.base import MeanMetric, to_array
from gradsmith.tensor import Tensor

Loss = Callable[[Any, Any], Tensor]

_LOSSES: dict[str, type[nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "nll": nn.NLLLoss,
    "mse": nn.MSELoss,
    "mean_squared_error": nn.MSELoss,
    "mae": nn.L1Loss,
    "l1": nn.L1Loss,
    "mean_absolute_error": nn.L1Loss,
    "huber": nn.HuberLoss,
    "smooth_l1": nn.SmoothL1Loss,
    "bce": nn.BCELoss,
    "binary_crossentropy": nn.BCELoss,
    "bce_with_logits": nn.BCEWithLogitsLoss,
}
_METRICS: dict[str, Callable[[str], Metric]] = {
    "accuracy": lambda name: Accuracy(name),
    "acc": lambda name: Accuracy(name),
    "binary_accuracy": lambda name: BinaryAccuracy(name=name),
    "top_k_accuracy": lambda name: TopKAccuracy(name=name),
    "mse": lambda name: MeanSquaredError(name),
    "mean_squared_error": lambda name: MeanSquaredError(name),
    "mae": lambda name: MeanAbsoluteError(name),
    "mean_absolute_error": lambda name: MeanAbsoluteError(name),
}
_ATTRIBUTE = "_compiled"


@dataclass
class Compiled:
    """What `compile` resolved."""

    optimizer: optim.Optimizer
    loss: Loss
    metrics: list[Metric]


class FunctionMetric(MeanMetric):
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


def _resolve_loss(spec: Any) -> Loss:
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


def _resolve_metric(spec: Any, loss: Loss) -> Metric:
    if isinstance(spec, Metric):
        return spec
    if isinstance(spec, str):
        if spec not in _METRICS:
            raise unknown_name("metric", spec, _METRICS)
        if spec in ("accuracy", "acc") and isinstance(loss, (nn.BCELoss, nn.BCEWithLogitsLoss)):
            return BinaryAccuracy(0.5 if isinstance(loss, nn.BCELoss) else 0.0, spec)
        return _METRICS[spec](spec)
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
) -> None:
    """Say what `fit` and `evaluate` train and measure the model with.

    Args:
        model: the model.
        optimizer: an `optim.Optimizer`, a class or function from parameters to one, or the name of
            a class in lower case, which is made with its defaults: ``"adam"``, ``"sgd"``.
        loss: a module or function (output, target) -> a tensor of one element, the mean over the
            batch; or a name: ``"cross_entropy"`` (scores before softmax, classes), ``"mse"``,
            ``"mae"``, ``"huber"``, ``"bce"``, ``"bce_with_logits"``, ``"nll"``, ``"smooth_l1"``.
        metrics: `Metric` objects, functions (output, target) -> number, or names:
            ``"accuracy"`` (binary with a binary loss), ``"top_k_accuracy"``, ``"mse"``, ``"mae"``.

    Raises:
        ValueError: a name is unknown, or two metrics share one.
        TypeError: an argument is something else.
    """
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        metrics = (metrics,)
    if loss is None:
        raise TypeError("compile: loss is missing, expected a name or a function")
    resolved_loss = _resolve_loss(loss)
    resolved = [_resolve_metric(metric, resolved_loss) for metric in metrics]
    names = ["loss", *(metric.name for metric in resolved)]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"compile: two metrics are called {name!r}; give one another name")
    made = Compiled(_resolve_optimizer(optimizer, model), resolved_loss, resolved)
    # Past Module.__setattr__: a loss that is a module is no part of the model.
    object.__setattr__(model, _ATTRIBUTE, made)
    object.__setattr__(model, "optimizer", made.optimizer)


def compiled(op: str, model: nn.Module) -> Compiled:
    """Return what `compile` resolved, or raise a RuntimeError that asks for it."""
    found = model.__dict__.get(_ATTRIBUTE)
    if not isinstance(found, Compiled):
        raise RuntimeError(
            f"{op}: this {type(model).__name__} is not compiled; call "
            "model.compile(optimizer, loss, metrics) first"
        )
    return found
