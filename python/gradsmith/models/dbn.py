# SPDX-License-Identifier: Apache-2.0
"""The deep belief network (Hinton, Osindero, Teh, "A fast learning algorithm for deep belief nets",
2006): a restricted Boltzmann machine on top of a net that generates downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.models.rbm import RBM
from gradsmith.nn import functional as F
from gradsmith.ops.creation import eye
from gradsmith.ops.joining import cat, stack
from gradsmith.ops.random import bernoulli, multinomial
from gradsmith.tensor import Tensor


class DBN(nn.Module):
    """Visible units (N, sizes[0]) -> codes (N, sizes[-2]), what the top machine sees.

    Recognition weights lead up and generation weights down; both begin as those of the machines
    trained one by one. With classes, the top machine also sees a label, one-hot behind the code.
    """

    def __init__(self, sizes: Sequence[int], num_classes: int = 0) -> None:
        """Make the layers.

        Args:
            sizes: visible units and each hidden layer, three or more.
            num_classes: of the label that the top machine sees; 0: none.

        Raises:
            ValueError: there are fewer than three sizes, or a number is too small.
        """
        super().__init__()
        if len(sizes) < 3 or min(sizes) < 1 or num_classes < 0:
            raise ValueError(
                f"DBN: sizes are {tuple(sizes)}, num_classes is {num_classes}, expected three "
                "sizes or more, each >= 1, and num_classes >= 0"
            )
        self.num_classes = num_classes
        self.recognition = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(sizes[:-1])])
        self.generation = nn.ModuleList([nn.Linear(b, a) for a, b in pairwise(sizes[:-1])])
        self.top = RBM(sizes[-2] + num_classes, sizes[-1])

    def load_rbms(self, machines: Sequence[RBM]) -> None:
        """Take over the weights of machines trained one on the codes of the other, the top last.

        Raises:
            ValueError: their number or sizes differ from the layers'.
        """
        if len(machines) != len(self.recognition) + 1:
            raise ValueError(
                f"DBN: got {len(machines)} machines, expected {len(self.recognition) + 1}"
            )
        with no_grad():
            for up, down, machine in zip(
                self.recognition, self.generation, machines[:-1], strict=True
            ):
                up.weight.copy_(machine.weight)
                up.bias.copy_(machine.hidden_bias)
                down.weight.copy_(machine.weight.T)
                down.bias.copy_(machine.visible_bias)
        self.top.load_state_dict(machines[-1].state_dict())

    def forward(self, visible: Tensor) -> Tensor:
        """Return the probabilities of the code, layer by layer."""
        for layer in self.recognition:
            visible = layer(visible).sigmoid()
        return visible

    def decode(self, code: Tensor) -> Tensor:
        """Return the probabilities of the visible units, layer by layer."""
        for layer in reversed(list(self.generation)):
            code = layer(code).sigmoid()
        return code

    def sample_up(self, visible: Tensor) -> list[Tensor]:
        """Draw the states of all layers up to the code; the first are the visible units."""
        states = [visible]
        for layer in self.recognition:
            states.append(bernoulli(layer(states[-1]).sigmoid()))
        return states

    def sample_down(self, code: Tensor) -> list[Tensor]:
        """Draw the states of all layers down from the code; the first are the visible units."""
        states = [code]
        for layer in reversed(list(self.generation)):
            states.append(bernoulli(layer(states[-1]).sigmoid()))
        return states[::-1]

    def sample_top(self, hidden: Tensor) -> Tensor:
        """Draw what the top machine sees, given its hidden units: a code, and one of the labels."""
        inputs = F.linear(hidden, self.top.weight.T, self.top.visible_bias)
        split = inputs.shape[1] - self.num_classes
        code = bernoulli(inputs[:, :split].sigmoid())
        if not self.num_classes:
            return code
        drawn = multinomial(inputs[:, split:].softmax(1), 1).reshape(-1)
        return cat([code, F.one_hot(drawn, self.num_classes).to(code.dtype)], 1)

    def label_scores(self, visible: Tensor) -> Tensor:
        """Return scores (N, num_classes): minus the top machine's free energy with each label."""
        code = self(visible)
        labels = eye(self.num_classes, dtype=code.dtype, device=code.device)
        pairs = [
            cat([code, label.unsqueeze(0).expand(len(code), self.num_classes)], 1)
            for label in labels
        ]
        return stack([-self.top.free_energy(each) for each in pairs], 1)

    def dream(self, labels: Tensor, steps: int) -> Tensor:
        """Return visible probabilities (N, sizes[0]) that labels (N, num_classes) make it imagine.

        The top machine draws for ``steps`` steps with the label held, then the code goes down.
        """
        split = self.top.weight.shape[1] - self.num_classes
        code = bernoulli(labels.new_full((len(labels), split), 0.5))
        for _ in range(steps):
            hidden = self.top.sample_hidden(cat([code, labels], 1))
            code = self.sample_top(hidden)[:, :split]
        return self.decode(code)

    def classifier(self, num_classes: int) -> nn.Sequential:
        """Return a feed-forward net that begins with a copy of the recognition weights.

        Every layer of the network, the top machine among them, becomes linear with a sigmoid; a
        fresh linear layer gives the scores.
        """
        inputs = self.top.weight.shape[1] - self.num_classes
        top = nn.Linear(inputs, len(self.top.weight))
        with no_grad():
            top.weight.copy_(self.top.weight[:, :inputs])
            top.bias.copy_(self.top.hidden_bias)  # type: ignore[union-attr]
        layers: list[nn.Module] = []
        for layer in self.recognition:
            copy = nn.Linear(layer.in_features, layer.out_features)
            copy.load_state_dict(layer.state_dict())
            layers += [copy, nn.Sigmoid()]
        return nn.Sequential(*layers, top, nn.Sigmoid(), nn.Linear(top.out_features, num_classes))


def dbn(sizes: Sequence[int] = (784, 500, 500, 2000), num_classes: int = 10) -> DBN:
    """Return a network with fresh weights; by default that of the paper."""
    return DBN(sizes, num_classes)
