# SPDX-License-Identifier: Apache-2.0
"""Penalties on weights and outputs, which `penalty` collects for the loss (Keras's).

>>> import gradsmith as gs
>>> model = gs.nn.Sequential(gs.nn.Linear(4, 8), gs.nn.ReLU(), gs.nn.Linear(8, 2))
>>> handle = gs.nn.regularizers.L2(1e-4).attach(model)
>>> handle = gs.nn.regularizers.ActivityL1(1e-3).attach(model[1])
>>> loss = model(gs.ones(3, 4)).square().mean() + gs.nn.regularizers.penalty(model)
>>> loss.backward()

For L2 alone an optimiser's ``weight_decay`` does the same at no cost: ``L2(c)`` has the gradient of
``weight_decay = 2 c``.
"""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import is_grad_enabled
from gradsmith.hooks import HookHandle
from gradsmith.nn.module import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.ops.creation import zeros
from gradsmith.ops.options import check_number
from gradsmith.tensor import Tensor, array_of

# Attributes of modules; copies of a model have lists of their own.
_ATTACHED, _NOTED = "_regularizers", "_activity_penalties"


def _factor(owner: str, name: str, value: float) -> float:
    if not check_number(owner, name, value) >= 0:
        raise ValueError(f"{owner}: {name} is {value}, expected at least 0")
    return float(value)


class Regularizer:
    """Base of the penalties on weights: call it on a tensor, or attach it to a module."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return the penalty, a scalar on the tape."""
        raise NotImplementedError

    def attach(self, module: Module, name: str = "weight") -> HookHandle:
        """Let `penalty` count the parameters called ``name`` in the module and below.

        Returns:
            A handle whose ``remove()`` takes the penalty away again.

        Raises:
            TypeError: the module is none.
            ValueError: there is no such parameter.
        """
        owner = type(self).__name__
        check_module(owner, "module", module)
        if not _named(module, name):
            raise ValueError(f"{owner}: the module has no parameter called {name!r}")
        attached = vars(module).setdefault(_ATTACHED, [])
        attached.append((self, name))
        return HookHandle(attached, attached[-1])


def _named(module: Module, name: str) -> list[Tensor]:
    return [x for path, x in module.named_parameters() if path.rpartition(".")[2] == name]


class L1(Regularizer):
    """``l1 sum |w|`` (Tibshirani 1996): drives weights to 0."""

    def __init__(self, l1: float = 0.01) -> None:
        """Take the factor.

        Raises:
            ValueError: it is negative.
        """
        self.l1 = _factor("L1", "l1", l1)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the penalty, a scalar on the tape."""
        array_of("L1", x)
        return x.abs().sum() * self.l1


class L2(Regularizer):
    """``l2 sum w^2`` (Hoerl and Kennard 1970)."""

    def __init__(self, l2: float = 0.01) -> None:
        """Take the factor.

        Raises:
            ValueError: it is negative.
        """
        self.l2 = _factor("L2", "l2", l2)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the penalty, a scalar on the tape."""
        array_of("L2", x)
        return x.square().sum() * self.l2


class ElasticNet(Regularizer):
    """``l1 sum |w| + l2 sum w^2`` (Zou and Hastie 2005; Keras's L1L2)."""

    def __init__(self, l1: float = 0.01, l2: float = 0.01) -> None:
        """Take the factors.

        Raises:
            ValueError: one is negative.
        """
        self.l1 = _factor("ElasticNet", "l1", l1)
        self.l2 = _factor("ElasticNet", "l2", l2)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the penalty, a scalar on the tape."""
        array_of("ElasticNet", x)
        return x.abs().sum() * self.l1 + x.square().sum() * self.l2


class ActivityL1:
    """``l1 sum |y| / N`` for the outputs y of a module for a batch of N: makes them sparse."""

    def __init__(self, l1: float = 0.01) -> None:
        """Take the factor.

        Raises:
            ValueError: it is negative.
        """
        self.l1 = _factor("ActivityL1", "l1", l1)

    def __call__(self, output: Tensor) -> Tensor:
        """Return the penalty of outputs whose first dimension is the batch."""
        array_of("ActivityL1", output, "output")
        batch = output.shape[0] if output.ndim else 1
        return output.abs().sum() * (self.l1 / max(batch, 1))

    def attach(self, module: Module) -> HookHandle:
        """Let the module's calls in training be noted, for `penalty`.

        Returns:
            A handle whose ``remove()`` takes the penalty away again.

        Raises:
            TypeError: the module is none.
        """
        check_module("ActivityL1", "module", module)
        return module.register_forward_hook(self._note)

    def _note(self, module: Module, args: Any, output: Tensor) -> None:
        if module.training and is_grad_enabled():
            vars(module).setdefault(_NOTED, []).append(self(output))


def penalty(model: Module) -> Tensor:
    """Return the sum of all penalties attached to a model or its parts, a scalar on the tape.

    Those of outputs are of the calls since the last `penalty`: take it once per step.

    Raises:
        TypeError: the model is no module.
    """
    check_module("penalty", "model", model)
    terms: list[Tensor] = []
    for module in model.modules():
        for regularizer, name in vars(module).get(_ATTACHED, ()):
            terms += [regularizer(x) for x in _named(module, name)]
        terms += vars(module).pop(_NOTED, [])
    if not terms:
        first = next(model.parameters(), None)
        return zeros(()) if first is None else zeros((), dtype=first.dtype, device=first.device)
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
