# SPDX-License-Identifier: Apache-2.0
"""The deep Boltzmann machine of two hidden layers (Salakhutdinov and Hinton, "Deep Boltzmann
machines", 2009).
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.models.binary import binary_states, check_units
from gradsmith.models.rbm import RBM
from gradsmith.nn import functional as F
from gradsmith.ops.creation import zeros
from gradsmith.ops.random import bernoulli, randn
from gradsmith.tensor import Tensor


class DBM(nn.Module):
    """Visible units (N, visible) -> mean-field means of both hidden layers.

    ``E(v, h1, h2) = -h1 W1 v - h2 W2 h1 - b v - c1 h1 - c2 h2``: unlike in a belief network a
    layer hears from above and from below.
    """

    def __init__(self, visible: int, hidden: int, top: int, steps: int = 10) -> None:
        """Make weights from N(0, 0.01) and zero biases.

        Args:
            visible: units.
            hidden: units of the layer between.
            top: units of the last layer.
            steps: of mean field.

        Raises:
            ValueError: a number is below 1.
        """
        super().__init__()
        check_units("DBM", visible=visible, hidden=hidden, top=top, steps=steps)
        self.steps = steps
        self.weight1 = nn.Parameter(randn(hidden, visible) * 0.01)
        self.weight2 = nn.Parameter(randn(top, hidden) * 0.01)
        self.visible_bias = nn.Parameter(zeros(visible))
        self.hidden_bias = nn.Parameter(zeros(hidden))
        self.top_bias = nn.Parameter(zeros(top))

    def load_rbms(self, lower: RBM, upper: RBM) -> None:
        """Begin with machines trained one on the hidden units of the other.

        Their weights are halved, as the units between are driven from two sides instead of one.
        """
        with no_grad():
            self.weight1.copy_(lower.weight * 0.5)
            self.weight2.copy_(upper.weight * 0.5)
            self.visible_bias.copy_(lower.visible_bias)
            self.hidden_bias.copy_(lower.hidden_bias * 0.5)
            self.top_bias.copy_(upper.hidden_bias)

    def visible_given_hidden(self, hidden: Tensor) -> Tensor:
        """Return the probability that each visible unit is 1."""
        return F.linear(hidden, self.weight1.T, self.visible_bias).sigmoid()

    def hidden_given_both(self, visible: Tensor, top: Tensor) -> Tensor:
        """Return the probability that each unit between is 1, given the layers around it."""
        below = F.linear(visible, self.weight1, self.hidden_bias)
        return (below + top @ self.weight2).sigmoid()

    def top_given_hidden(self, hidden: Tensor) -> Tensor:
        """Return the probability that each unit of the last layer is 1."""
        return F.linear(hidden, self.weight2, self.top_bias).sigmoid()

    def forward(self, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means of the factorial distribution nearest to that of the hidden units.

        Each mean is set to what the others make of it, layer by layer, ``steps`` times; off the
        tape, as the learning rule takes them as given.
        """
        with no_grad():
            top = visible.new_full((len(visible), len(self.weight2)), 0.5)
            for _ in range(self.steps):
                hidden = self.hidden_given_both(visible, top)
                top = self.top_given_hidden(hidden)
        return hidden, top

    def gibbs(self, visible: Tensor, top: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the layer between, then both around it, and so on; return all three at the end."""
        for _ in range(steps):
            hidden = bernoulli(self.hidden_given_both(visible, top))
            visible = bernoulli(self.visible_given_hidden(hidden))
            top = bernoulli(self.top_given_hidden(hidden))
        return visible, hidden, top

    def energy(self, visible: Tensor, hidden: Tensor, top: Tensor) -> Tensor:
        """Return the energy (N,) of states, or its mean under independent units of these means."""
        pairs = (F.linear(visible, self.weight1) + top @ self.weight2) * hidden
        alone = visible @ self.visible_bias + hidden @ self.hidden_bias + top @ self.top_bias
        return -pairs.sum(1) - alone

    def _marginal(self, from_below: Tensor) -> Tensor:
        """Return the log of the sum over both hidden layers (N,), given inputs (N, hidden)."""
        states = binary_states("DBM", len(self.hidden_bias), self.hidden_bias)
        above = F.softplus(F.linear(states, self.weight2, self.top_bias)).sum(1)
        return (from_below @ states.T + above).logsumexp(1)

    def log_partition(self) -> Tensor:
        """Return log Z, from all states of the layer between (ValueError if it has over 20)."""
        states = binary_states("DBM", len(self.hidden_bias), self.hidden_bias)
        below = F.softplus(F.linear(states, self.weight1.T, self.visible_bias)).sum(1)
        above = F.softplus(F.linear(states, self.weight2, self.top_bias)).sum(1)
        return (below + above + states @ self.hidden_bias).logsumexp(0)

    def log_likelihood(self, visible: Tensor) -> Tensor:
        """Return the exact log-probability (N,) of visible units (errors: `log_partition`)."""
        inputs = F.linear(visible, self.weight1, self.hidden_bias)
        return visible @ self.visible_bias + self._marginal(inputs) - self.log_partition()

    def lower_bound(self, visible: Tensor) -> Tensor:
        """Return the variational bound (N,) below `log_likelihood` that mean field reaches."""
        hidden, top = self(visible)
        entropy = _entropy(hidden) + _entropy(top)
        return entropy - self.energy(visible, hidden, top) - self.log_partition()


def _entropy(means: Tensor) -> Tensor:
    """Return the entropy (N,) of independent binary units."""
    return F.binary_cross_entropy(means, means, reduction="none").sum(1)


def dbm(visible: int = 784, hidden: int = 500, top: int = 1000) -> DBM:
    """Return a machine with fresh weights; by default that of the paper for MNIST."""
    return DBM(visible, hidden, top)
