# SPDX-License-Identifier: Apache-2.0
"""`doctor`: looks for the usual mistakes in a model, its optimiser, a batch and a loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import enable_grad
from gradsmith.backend import Array
from gradsmith.nn import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.optim import Optimizer
from gradsmith.optim.lr_scheduler.base import check_optimizer
from gradsmith.tensor import Tensor
from gradsmith.train import doctor_parts as parts
from gradsmith.train import feed
from gradsmith.train.closures import needs_closure
from gradsmith.train.compiling import compiled, is_compiled, resolve_loss
from gradsmith.train.doctor_loss import check_loss_inputs
from gradsmith.train.findings import Diagnosis, listed
from gradsmith.train.gradient_report import gradient_report, host_values, norm_of
from gradsmith.train.probing import ModuleWatcher, kept, probe_of, watched

_FEWEST_VALUES = 8  # per unit, to call it dead
_TOO_HIGH, _TOO_LOW = 0.5, 1e-7  # of a step over the weights
_FAILURES = (ValueError, TypeError, IndexError, RuntimeError)


class _Observer(ModuleWatcher):
    """Looks at the results of activations, and for the first number that is not finite."""

    def __init__(self, model: Module, diagnosis: Diagnosis) -> None:
        super().__init__()
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._diagnosis = diagnosis
        self._found_bad = False

    def _where(self) -> str:
        if self.module is None:
            return "outside of the model"
        return self._paths.get(id(self.module)) or type(self.module).__name__

    def forward(self, op: str, outs: Sequence[Any], inputs: tuple[Any, ...]) -> None:
        if op not in ("relu", "sigmoid", "tanh") and self._found_bad:
            return
        values = host_values(outs[0]) if outs[0].is_floating_point() else np.zeros(0)
        if np.isnan(values).any() and not self._found_bad:
            self._found_bad = True
            self._diagnosis.error(
                f"{op} gives NaN", self._where(), "see autograd.detect_anomaly for the place"
            )
        if op == "relu":
            self._check_dead(values)
        elif op in ("sigmoid", "tanh"):
            limits = np.abs(values - 0.5) > 0.49 if op == "sigmoid" else np.abs(values) > 0.99
            self._check_saturated(op, limits)

    def _check_dead(self, values: Array) -> None:
        share = _dead_share(values)
        if share > 0.5:
            self._diagnosis.warn(
                f"{share:.0%} of the ReLU units are 0 for the whole batch, so they learn nothing",
                self._where(),
                "lower the learning rate, check initial weights and biases, or use LeakyReLU",
            )

    def _check_saturated(self, op: str, is_at_limit: Array) -> None:
        share = float(is_at_limit.mean()) if is_at_limit.size else 0.0
        if share > 0.5:
            self._diagnosis.warn(
                f"{share:.0%} of the results of {op} are saturated, where its slope is 0",
                self._where(),
                "scale the inputs, use smaller initial weights or normalisation",
            )


def _dead_share(values: Array) -> float:
    """Return the share of units that are 0 for all samples; 0 where there are too few to say.

    Units are channels. Of three dimensions it is not known whether they are (N, C, L) or
    (N, L, C), so that the smaller share counts.
    """
    if values.ndim < 2 or not values.size:
        return 0.0
    shares = []
    for axis in (1, 2) if values.ndim == 3 else (1,):
        if values.size // values.shape[axis] < _FEWEST_VALUES:
            return 0.0
        others = tuple(d for d in range(values.ndim) if d != axis)
        shares.append(float((values <= 0).all(others).mean()))
    return min(shares)


def _check_output(diagnosis: Diagnosis, output: Any) -> None:
    if not isinstance(output, Tensor) or output.ndim == 0 or output.shape[0] < 2:
        return
    values = host_values(output)
    if not np.isfinite(values).all():
        diagnosis.error("the output has NaN or Inf", "output", "use autograd.detect_anomaly")
    elif values.size and np.ptp(values, 0).max() <= 1e-6 * np.abs(values).max():
        diagnosis.warn(
            "the output is the same for every sample of the batch",
            "output",
            "look for dead layers, a lost input, or an initialisation with zeros",
        )


def _check_gradients(diagnosis: Diagnosis, model: Module) -> None:
    """Turn the verdicts of `gradient_report` into findings."""
    reasons = {
        "missing": ("get no gradient: the loss does not depend on them", "use them in forward"),
        "not finite": ("have gradients with NaN or Inf", "use autograd.detect_anomaly"),
        "zero": ("have gradients of 0", "look for dead units before them"),
        "vanishing": (
            "have gradients below 1e-5 of the largest: they vanish",
            "use ReLU, normalisation, residual connections or another initialisation",
        ),
        "exploding": (
            "have gradients with a norm above 1000: they explode",
            "scale inputs and initial weights, clip gradients (clip_grad_norm_)",
        ),
    }
    rows = gradient_report(model).rows
    for verdict, (what, fix) in reasons.items():
        names = [row.name for row in rows if row.verdict == verdict]
        if names:
            is_error = verdict in ("missing", "not finite")
            (diagnosis.error if is_error else diagnosis.warn)(
                f"parameters {what}", listed(names), fix
            )


def _check_step(diagnosis: Diagnosis, model: Module, optimizer: Optimizer) -> None:
    """Take a step with a copy of the optimiser and compare it with the weights."""
    if needs_closure(optimizer):
        return
    held = {id(each) for group in optimizer.param_groups for each in group["params"]}
    weights = [
        (parameter, host_values(parameter).copy())
        for parameter in model.parameters()
        if parameter.ndim > 1 and parameter.grad is not None and id(parameter) in held
    ]
    if not any(np.any(host_values(p.grad) != 0) for p, _ in weights if p.grad is not None):
        return
    try:
        probe_of(optimizer).step()
    except _FAILURES as error:
        diagnosis.error(f"a step fails: {error}", "optimizer", "see the message")
        return
    ratios = [
        norm_of(host_values(parameter) - before) / norm_of(before)
        for parameter, before in weights
        if np.any(before)
    ]
    ratio = float(np.median(ratios)) if ratios else math.nan
    rates = listed([f"lr {group['lr']:g}" for group in optimizer.param_groups])
    if ratio > _TOO_HIGH or (ratios and not math.isfinite(ratio)):
        diagnosis.warn(
            f"one step changes weights by {ratio:.1%} of their norm (about 0.1% is usual)",
            rates,
            "lower the learning rate (train.LRFinder suggests one)",
        )
    elif 0 < ratio < _TOO_LOW:
        diagnosis.warn(
            f"one step changes weights by {ratio:.1e} of their norm (about 1e-3 is usual)",
            rates,
            "raise the learning rate (train.LRFinder suggests one)",
        )


def _run(
    diagnosis: Diagnosis,
    model: Module,
    optimizer: Optimizer | None,
    inputs: Any,
    target: Any,
    loss: Any,
) -> None:
    try:
        with watched(model, _Observer(model, diagnosis)):
            output = feed.call(model, inputs)
    except _FAILURES as error:
        diagnosis.error(f"the forward pass fails: {error}", "model", "see the message")
        return
    _check_output(diagnosis, output)
    if loss is None or target is None or not check_loss_inputs(diagnosis, loss, output, target):
        return
    try:
        value = loss(output, target)
    except _FAILURES as error:
        diagnosis.error(f"the loss fails: {error}", "loss", "see the message")
        return
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        diagnosis.error(f"the loss is {got}, not one number", "loss", "use reduction='mean'")
    elif not math.isfinite(value.item()):
        diagnosis.error(f"the loss is {value.item()}", "loss", "use autograd.detect_anomaly")
    elif not value.requires_grad:
        diagnosis.error("the loss requires no gradient", "loss", "look for detach, no_grad, frozen")
    else:
        value.backward()
        _check_gradients(diagnosis, model)
        if optimizer is not None:
            _check_step(diagnosis, model, optimizer)


def doctor(
    model: Module, optimizer: Optimizer | None = None, batch: Any = None, loss: Any = None
) -> Diagnosis:
    """Look for the usual mistakes of training, and leave everything as it was.

    The model runs forward and backward on the batch in its present mode, and a copy of the
    optimiser takes a step; parameters, buffers, gradients, optimiser and random numbers are put
    back. It finds parameters that the optimiser lacks, holds twice or has from another model;
    frozen models; gradients of an earlier pass; wrong modes; bad or unscaled inputs; shapes that
    would broadcast; softmax or sigmoid before a loss that has its own; classes out of range; dead
    ReLU units and saturated sigmoids; constant outputs; missing, vanishing and exploding gradients;
    learning rates out of all proportion; batch norm on one sample.

    Args:
        model: the model.
        optimizer: its optimiser; by default that of `compile`, if there was one.
        batch: (inputs, targets), as a DataLoader gives it, or inputs alone.
        loss: function (output, target) -> tensor, or a name as in `compile`; by default that of
            `compile`.

    Returns:
        The findings; ``print`` shows them as a table.

    Raises:
        TypeError: the batch is missing, the model is no module, or the optimizer none.

    Example:
        >>> import gradsmith as gs
        >>> model = gs.nn.Sequential(gs.nn.Linear(2, 3), gs.nn.Softmax(1))
        >>> x, y = gs.randn(8, 2), gs.zeros(8, dtype="int64")
        >>> report = gs.doctor(model, gs.optim.Adam(model.parameters()), (x, y), "cross_entropy")
        >>> print(report.findings[0].what)
        softmax stands before cross_entropy, which has one of its own
    """
    check_module("doctor", "model", model)
    if batch is None:
        raise TypeError("doctor: batch is missing, expected (inputs, targets) or inputs")
    if optimizer is not None:
        check_optimizer("doctor", optimizer)
    if is_compiled(model):
        settings = compiled("doctor", model)
        optimizer = settings.optimizer if optimizer is None else optimizer
        loss = settings.loss if loss is None else loss
    function = None if loss is None else resolve_loss(loss)
    pair = isinstance(batch, (list, tuple)) and len(batch) in (2, 3)
    x, y = (batch[0], batch[1]) if pair else (batch, None)
    data = feed.array_dataset("doctor", x, y, feed.parameter_dtype(model)).whole()
    inputs, target = feed.to_device(model, data if pair else (data, None))
    diagnosis = Diagnosis()
    parts.check_parameters(diagnosis, model)
    if optimizer is not None:
        parts.check_optimizer(diagnosis, model, optimizer)
    parts.check_modes(diagnosis, model, feed.length_of(inputs))
    parts.check_inputs(diagnosis, inputs)
    held = [] if optimizer is None else [p for g in optimizer.param_groups for p in g["params"]]
    with kept(model, held), enable_grad():
        _run(diagnosis, model, optimizer, inputs, target, function)
    return diagnosis
