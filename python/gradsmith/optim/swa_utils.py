# SPDX-License-Identifier: Apache-2.0
"""Averages of a model's parameters over steps: stochastic weight averaging and moving averages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from typing import Any, TypeAlias

from gradsmith.autograd import no_grad
from gradsmith.backend import FLOATING, int64
from gradsmith.nn.module import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.nn.norm_running import _BatchNorm
from gradsmith.nn.parameter import Parameter
from gradsmith.ops.creation import zeros
from gradsmith.optim.lr_scheduler.base import LRScheduler, check_optimizer, per_group
from gradsmith.optim.optimizer import Optimizer
from gradsmith.optim.options import check_number
from gradsmith.tensor import Tensor

AvgFn: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
MultiAvgFn: TypeAlias = Callable[[list[Tensor], list[Tensor], Tensor], None]


def _check_decay(name: str, decay: float) -> None:
    check_number(name, "decay", decay)
    if decay > 1:
        raise ValueError(f"{name}: decay is {decay}, expected a number from 0 to 1")


def get_ema_avg_fn(decay: float = 0.999) -> AvgFn:
    """Return the function that moves an average by ``1 - decay`` of the way to the next value.

    Raises:
        ValueError: the decay lies outside [0, 1].
    """
    _check_decay("get_ema_avg_fn", decay)

    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
        return averaged * decay + current * (1 - decay)

    return average


def get_swa_avg_fn() -> AvgFn:
    """Return the function that keeps the mean of all values so far (Izmailov et al. 2018)."""

    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
        return averaged + (current - averaged) / (int(num_averaged) + 1)

    return average


def _for_all(function: AvgFn) -> MultiAvgFn:
    @no_grad()
    def average(averaged: list[Tensor], current: list[Tensor], num_averaged: Tensor) -> None:
        for mean, value in zip(averaged, current, strict=True):
            mean.copy_(function(mean, value, num_averaged))

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAvgFn:
    """Return `get_ema_avg_fn`'s function for lists of tensors, in place.

    Raises:
        ValueError: the decay lies outside [0, 1].
    """
    _check_decay("get_ema_multi_avg_fn", decay)
    return _for_all(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> MultiAvgFn:
    """Return `get_swa_avg_fn`'s function for lists of tensors, in place."""
    return _for_all(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a model whose parameters are averages over calls of `update_parameters`.

    Attributes:
        module: the copy.
        n_averaged: number of updates, an int64 scalar.

    Example:
        >>> import gradsmith as gs
        >>> model = gs.nn.Linear(2, 1)
        >>> averages = gs.optim.swa_utils.AveragedModel(model)
        >>> averages.update_parameters(model)  # after steps of the optimiser
        >>> averages(gs.ones(3, 2)).shape
        (3, 1)
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: AvgFn | None = None,
        multi_avg_fn: MultiAvgFn | None = None,
        use_buffers: bool = False,
    ) -> None:
        """Copy the model.

        Args:
            model: whose parameters to average.
            device: where the copy lies, by default where the model does.
            avg_fn: ``avg_fn(averaged, current, n_averaged)`` returns the next average; the mean of
                all by default.
            multi_avg_fn: the same for lists of tensors of one dtype, in place.
            use_buffers: average buffers too instead of taking over their last values; integers
                have no average.

        Raises:
            TypeError: the model is no module.
            ValueError: both functions are given.
        """
        check_module(type(self).__name__, "model", model)
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError(
                f"{type(self).__name__}: got avg_fn and multi_avg_fn, expected one at most"
            )
        super().__init__()
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", zeros((), dtype=int64, device=device))
        self._average = multi_avg_fn or _for_all(avg_fn or get_swa_avg_fn())
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the averaged model makes of the arguments."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the model's parameters into the averages; the first time they are those.

        Raises:
            ValueError: the model has not as many tensors.
        """
        mine, theirs = list(_tensors_of(self.module)), list(_tensors_of(model))
        if len(mine) != len(theirs):
            raise ValueError(
                f"update_parameters: the model has {len(theirs)} parameters and buffers, expected "
                f"{len(mine)}"
            )
        is_first = int(self.n_averaged) == 0
        by_dtype: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
        for mean, value in zip(mine, theirs, strict=True):
            is_averaged = isinstance(mean, Parameter) or self.use_buffers
            if is_first or not is_averaged or mean.dtype not in FLOATING:
                mean.copy_(value.detach())
                continue
            means, values = by_dtype.setdefault(str(mean.dtype), ([], []))
            means.append(mean.detach())
            values.append(value.detach().to(mean.device))
        for means, values in by_dtype.values():
            self._average(means, values, self.n_averaged)
        self.n_averaged.add_(1)


class EMA(AveragedModel):
    """An exponential moving average of a model's parameters, to evaluate with.

    In its first steps it forgets faster: update n has the decay
    ``min(decay, (1 + n) / (10 + n))``, as in TensorFlow.

    Example:
        >>> import gradsmith as gs
        >>> model = gs.nn.Linear(2, 1)
        >>> ema = gs.optim.swa_utils.EMA(model, decay=0.99)
        >>> ema.update_parameters(model)  # after each step of the optimiser
        >>> with ema.average_parameters(model):
        ...     y = model(gs.ones(3, 2))
    """

    def __init__(
        self,
        model: Module,
        decay: float = 0.999,
        *,
        warmup: bool = True,
        use_buffers: bool = False,
        device: Any = None,
    ) -> None:
        """Copy the model.

        Args:
            model: whose parameters to average.
            decay: share of the old average that is kept.
            warmup: whether it forgets faster at first.
            use_buffers: average floating buffers too instead of taking over their last values.
            device: where the averages lie, by default where the model does.

        Raises:
            TypeError: the model is no module.
            ValueError: the decay lies outside [0, 1].
        """
        _check_decay("EMA", decay)

        def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
            count = int(num_averaged)
            rate = min(decay, (1 + count) / (10 + count)) if warmup else decay
            return averaged * rate + current * (1 - rate)

        super().__init__(model, device, average, use_buffers=use_buffers)

    @contextmanager
    def average_parameters(self, model: Module) -> Iterator[None]:
        """Let the model have the averages, buffers included, inside the ``with`` block."""
        held = [each.detach().clone() for each in _tensors_of(model)]
        self._copy(_tensors_of(model), list(_tensors_of(self.module)))
        try:
            yield
        finally:
            self._copy(_tensors_of(model), held)

    @staticmethod
    @no_grad()
    def _copy(targets: Iterable[Tensor], values: Sequence[Tensor]) -> None:
        for target, value in zip(targets, values, strict=True):
            target.copy_(value.detach())


def _tensors_of(model: Module) -> Iterator[Tensor]:
    return chain(model.parameters(), model.buffers())


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of batch norms anew, as means over a loader's batches.

    Averaged weights need that: the statistics are those of other weights.

    Args:
        loader: yields batches, or lists and tuples whose first element is one.
        model: called on each batch in training mode.
        device: where to move the batches.

    Raises:
        TypeError: the model is no module.
    """
    check_module("update_bn", "model", model)
    norms = [each for each in model.modules() if isinstance(each, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    modes = [(module, module.training) for module in model.modules()]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    try:
        for batch in loader:
            x = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(x if device is None else x.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode


class SWALR(LRScheduler):
    """Anneals each group's rate to a constant one in some steps, and keeps it there.

    For stochastic weight averaging, after a schedule of its own (Izmailov et al. 2018).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        """Take the rate in the end.

        Args:
            optimizer: whose rates to set.
            swa_lr: rate, one or one per group.
            anneal_epochs: number of steps until then.
            anneal_strategy: ``"cos"`` or ``"linear"``.
            last_epoch: see `LRScheduler`.

        Raises:
            TypeError: the optimizer is none, or a rate no number.
            ValueError: an option is unknown or out of range.
        """
        name = "SWALR"
        rates = per_group(name, "swa_lr", check_optimizer(name, optimizer), swa_lr)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"{name}: anneal_strategy is {anneal_strategy!r}, expected 'cos' or 'linear'"
            )
        if isinstance(anneal_epochs, bool) or not isinstance(anneal_epochs, int):
            kind = type(anneal_epochs).__name__
            raise TypeError(f"{name}: anneal_epochs is a {kind}, expected an int")
        check_number(name, "anneal_epochs", anneal_epochs)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """Return how far a step is on the way to the constant rate."""
        time = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * time)) / 2 if self._anneal_strategy == "cos" else time

    def get_lr(self) -> list[float]:
        """Return this step's rates from the present ones, which may have been set by others."""
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            end = group["swa_lr"]
            start = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates
