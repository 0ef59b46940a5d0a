# SPDX-License-Identifier: Apache-2.0
"""The Boltzmann machine (Ackley, Hinton, Sejnowski, "A learning algorithm for Boltzmann machines",
1985): binary units, any of them joined, with a temperature.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradsmith import nn
from gradsmith.models.binary import binary_states, check_units
from gradsmith.ops.creation import eye, ones, zeros
from gradsmith.ops.elementwise import where
from gradsmith.ops.random import bernoulli, randn
from gradsmith.tensor import Tensor


class BoltzmannMachine(nn.Module):
    """States (N, units) -> energies (N,): ``E(s) = -sum over pairs s_i w_ij s_j - sum b_i s_i``.

    At temperature T a state has a probability in proportion to ``exp(-E / T)``.
    """

    connections: Tensor

    def __init__(self, units: int, connections: Tensor | None = None) -> None:
        """Make weights from N(0, 0.5), which tell units apart, and zero biases.

        Args:
            units: binary ones.
            connections: (units, units), symmetric, 1 where two units are joined; None: all.

        Raises:
            ValueError: there is no unit, or the shape is another.
        """
        super().__init__()
        check_units("BoltzmannMachine", units=units)
        joined = ones(units, units) if connections is None else connections
        if joined.shape != (units, units):
            raise ValueError(
                f"BoltzmannMachine: connections have shape {joined.shape}, expected {units} squared"
            )
        self.weight = nn.Parameter(randn(units, units) * 0.5)
        self.bias = nn.Parameter(zeros(units))
        self.register_buffer("connections", joined.tril(-1))

    def couplings(self) -> Tensor:
        """Return the weights (units, units): symmetric, 0 where units are not joined."""
        lower = self.weight * self.connections
        return lower + lower.T

    def forward(self, states: Tensor) -> Tensor:
        """Return the energies."""
        return -((states @ self.couplings()) * states).sum(1) * 0.5 - states @ self.bias

    def probabilities(self, temperature: float = 1.0) -> Tensor:
        """Return the exact probability of each of the 2^units states, as `binary_states` has them.

        Raises:
            ValueError: there are more than 20 units.
        """
        states = binary_states("BoltzmannMachine", self.bias.numel(), self.bias)
        energies: Tensor = self(states)
        return (energies / -temperature).softmax(0)

    def gibbs(
        self, states: Tensor, temperatures: Iterable[float], clamped: Tensor | None = None
    ) -> Tensor:
        """Draw one unit after the other, given all others, once for each temperature.

        ``p(s_i = 1) = sigmoid((sum_j w_ij s_j + b_i) / T)``. Temperatures that fall are simulated
        annealing.

        Args:
            states: (N, units) to begin with.
            temperatures: one for each sweep.
            clamped: (units,), 1 for units that keep their state.
        """
        couplings, units = self.couplings(), eye(self.bias.numel(), device=states.device)
        free = [i for i in range(len(units)) if clamped is None or not clamped[i].item()]
        for temperature in temperatures:
            for i in free:
                inputs = (states @ couplings[i] + self.bias[i]) / temperature
                drawn = bernoulli(inputs.sigmoid()).unsqueeze(1)
                states = where(units[i] > 0, drawn, states)
        return states
