# SPDX-License-Identifier: Apache-2.0
"""Hopfield's associative memory (1982): patterns are valleys of an energy, recall runs downhill."""

from __future__ import annotations

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.ops.creation import zeros
from gradsmith.ops.elementwise import where
from gradsmith.ops.linalg import pinv
from gradsmith.ops.random import randperm
from gradsmith.tensor import Tensor

_RULES = ("hebb", "projection")


class Hopfield(nn.Module):
    """States of -1 and 1 (N, units) -> the states (N, units) in which they come to rest.

    Attributes:
        weight: (units, units), symmetric, its diagonal 0; it is computed by `store`, not trained.
    """

    weight: Tensor

    def __init__(self, units: int) -> None:
        """Make an empty memory; ValueError unless there is a unit."""
        super().__init__()
        if units < 1:
            raise ValueError(f"Hopfield: units is {units}, expected at least 1")
        self.register_buffer("weight", zeros(units, units))

    def store(self, patterns: Tensor, rule: str = "hebb") -> None:
        """Store patterns (P, units) of -1 and 1 in place of what was there.

        ``"hebb"`` takes ``P^T P / units``, right for up to about 0.138 patterns per unit if they
        are independent (Amit, Gutfreund and Sompolinsky 1985). ``"projection"`` takes the
        projection on the patterns' span (Personnaz, Guyon and Dreyfus 1985), which holds
        correlated patterns too.

        Raises:
            ValueError: the rule is unknown, or the patterns have another size.
        """
        units = self.weight.shape[0]
        if rule not in _RULES:
            raise ValueError(f"Hopfield: rule is {rule!r}, expected one of {', '.join(_RULES)}")
        if patterns.ndim != 2 or patterns.shape[1] != units:
            raise ValueError(
                f"Hopfield: patterns have shape {tuple(patterns.shape)}, expected (P, {units})"
            )
        with no_grad():
            weight = (patterns.T / units if rule == "hebb" else pinv(patterns)) @ patterns
            self.weight.copy_(weight - weight.diag().diag())

    def forward(self, states: Tensor, sweeps: int = 20) -> Tensor:
        """Return where the states come to rest, or are after some sweeps.

        One unit after the other, in an order drawn for each sweep, takes the sign of what it
        receives, or stays if that is 0; the energy never rises.
        """
        with no_grad():
            states = states.clone()
            for _ in range(sweeps):
                before = states.clone()
                for unit in randperm(states.shape[1]).tolist():
                    received = states @ self.weight[unit]
                    states[:, unit] = where(received == 0, states[:, unit], received.sign())
                if bool((states == before).all()):
                    break
            return states

    def energy(self, states: Tensor) -> Tensor:
        """Return ``-1/2 s W s`` (N) of states (N, units)."""
        return ((states @ self.weight) * states).sum(-1) * -0.5


def hopfield(units: int) -> Hopfield:
    """Return an empty memory."""
    return Hopfield(units)
