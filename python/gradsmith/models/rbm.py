# SPDX-License-Identifier: Apache-2.0
"""Restricted Boltzmann machines: of binary units (Smolensky 1986; Hinton 2002), and of ratings
(Salakhutdinov, Mnih, Hinton, "Restricted Boltzmann machines for collaborative filtering", 2007).

No unit is joined to one of its own layer, so each layer is drawn at once, given the other.
`gradsmith.train.contrastive_divergence` gives the gradient.
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.binary import binary_states, check_units
from gradsmith.nn import functional as F
from gradsmith.ops.creation import arange, zeros
from gradsmith.ops.gemm_einsum import einsum
from gradsmith.ops.random import bernoulli, multinomial, randn
from gradsmith.tensor import Tensor

# Hinton, "A practical guide to training restricted Boltzmann machines", 2010, section 8.
_SPREAD = 0.01


class RBM(nn.Module):
    """Visible units (N, visible) -> probabilities of the hidden ones (N, hidden).

    ``E(v, h) = -h W v - b v - c h``, and a pair (v, h) has a probability in proportion to
    ``exp(-E)``.
    """

    def __init__(self, visible: int, hidden: int) -> None:
        """Make weights from N(0, 0.01) and zero biases; ValueError if a number is below 1."""
        super().__init__()
        check_units("RBM", visible=visible, hidden=hidden)
        self.weight = nn.Parameter(randn(hidden, visible) * _SPREAD)
        self.visible_bias = nn.Parameter(zeros(visible))
        self.hidden_bias = nn.Parameter(zeros(hidden))

    def hidden_given_visible(self, visible: Tensor) -> Tensor:
        """Return the probability that each hidden unit is 1."""
        return F.linear(visible, self.weight, self.hidden_bias).sigmoid()

    def visible_given_hidden(self, hidden: Tensor) -> Tensor:
        """Return the probability that each visible unit is 1."""
        return F.linear(hidden, self.weight.T, self.visible_bias).sigmoid()

    def sample_hidden(self, visible: Tensor) -> Tensor:
        """Draw the hidden units."""
        return bernoulli(self.hidden_given_visible(visible))

    def sample_visible(self, hidden: Tensor) -> Tensor:
        """Draw the visible units."""
        return bernoulli(self.visible_given_hidden(hidden))

    def forward(self, visible: Tensor) -> Tensor:
        """Return the probability that each hidden unit is 1."""
        return self.hidden_given_visible(visible)

    def gibbs(self, visible: Tensor, steps: int) -> Tensor:
        """Draw all hidden and all visible units by turns; return the visible ones of the end."""
        for _ in range(steps):
            visible = self.sample_visible(self.sample_hidden(visible))
        return visible

    def reconstruct(self, visible: Tensor) -> Tensor:
        """Return the visible probabilities, given the hidden ones, given visible units."""
        return self.visible_given_hidden(self.hidden_given_visible(visible))

    def free_energy(self, visible: Tensor) -> Tensor:
        """Return ``-b v - sum log(1 + exp(W v + c))`` (N,): -log of the unscaled probability."""
        inputs = F.linear(visible, self.weight, self.hidden_bias)
        return -(visible @ self.visible_bias) - F.softplus(inputs).sum(1)

    def log_partition(self) -> Tensor:
        """Return log Z, from all states of the smaller layer.

        Raises:
            ValueError: both layers have more than 20 units.
        """
        hidden, visible = self.weight.shape
        if visible < hidden:
            states = binary_states("RBM", visible, self.weight)
            return (-self.free_energy(states)).logsumexp(0)
        states = binary_states("RBM", hidden, self.weight)
        inputs = F.linear(states, self.weight.T, self.visible_bias)
        return (states @ self.hidden_bias + F.softplus(inputs).sum(1)).logsumexp(0)

    def log_likelihood(self, visible: Tensor) -> Tensor:
        """Return the exact log-probability (N,) of visible units (errors: `log_partition`)."""
        return -self.free_energy(visible) - self.log_partition()


class RatingsRBM(nn.Module):
    """Ratings (N, films, grades), one-hot and all zero where unknown -> hidden (N, hidden).

    A film without a rating is as if it were not there: its units are off and stay off, so each
    user has a machine of the films he saw, and all of them share their weights.
    """

    def __init__(self, films: int, grades: int, hidden: int) -> None:
        """Make weights from N(0, 0.01) and zero biases; ValueError if a number is below 1."""
        super().__init__()
        check_units("RatingsRBM", films=films, grades=grades, hidden=hidden)
        self.weight = nn.Parameter(randn(hidden, films, grades) * _SPREAD)
        self.visible_bias = nn.Parameter(zeros(films, grades))
        self.hidden_bias = nn.Parameter(zeros(hidden))

    def _inputs(self, ratings: Tensor) -> Tensor:
        return einsum("nfg,hfg->nh", ratings, self.weight) + self.hidden_bias

    def hidden_given_visible(self, ratings: Tensor) -> Tensor:
        """Return the probability that each hidden unit is 1."""
        return self._inputs(ratings).sigmoid()

    def visible_given_hidden(self, hidden: Tensor) -> Tensor:
        """Return the probability (N, films, grades) of each grade of each film."""
        scores = einsum("nh,hfg->nfg", hidden, self.weight) + self.visible_bias
        return scores.softmax(-1)

    def sample_hidden(self, ratings: Tensor) -> Tensor:
        """Draw the hidden units."""
        return bernoulli(self.hidden_given_visible(ratings))

    def sample_visible(self, hidden: Tensor, rated: Tensor) -> Tensor:
        """Draw a grade for each film where ``rated`` (N, films) is 1."""
        shares = self.visible_given_hidden(hidden)
        grades = shares.shape[-1]
        drawn = multinomial(shares.reshape(-1, grades), 1).reshape(shares.shape[:2])
        return F.one_hot(drawn, grades).to(shares.dtype) * rated.unsqueeze(-1)

    def free_energy(self, ratings: Tensor) -> Tensor:
        """Return the free energy (N,) of ratings."""
        kept = (ratings * self.visible_bias).sum((1, 2))
        return -kept - F.softplus(self._inputs(ratings)).sum(1)

    def forward(self, ratings: Tensor) -> Tensor:
        """Return the expected grade (N, films), counted from 1, of every film."""
        shares = self.visible_given_hidden(self.hidden_given_visible(ratings))
        grades = arange(1, shares.shape[-1] + 1, dtype=shares.dtype, device=shares.device)
        return shares @ grades


def rbm(visible: int = 784, hidden: int = 500) -> RBM:
    """Return a machine with fresh weights."""
    return RBM(visible, hidden)
