# SPDX-License-Identifier: Apache-2.0
"""A GRU's reset gate stands before the product with the state (Cho et al., 2014) or after it.

Before: ``n = tanh(W x + U (r * h))``; after (cuDNN, PyTorch, Keras' default):
``n = tanh(W x + r * (U h + b))``. With the gate open (r = 1) both are the same function; weights
trained in one form do not serve the other. Task: add the two marked numbers of a sequence
(Hochreiter and Schmidhuber, 1997); always answering 1 has the error 0.167.
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.curves import plot_stages
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor


def adding(count: int, length: int, seed: int) -> tuple[Array, Array]:
    """Return numbers and marks (count, length, 2), and the sums of the two marked ones."""
    draw = np.random.default_rng(seed)
    numbers = draw.random((count, length))
    marks = np.zeros((count, length))
    first, second = (
        draw.integers(length // 2, size=count),
        draw.integers(length // 2, length, count),
    )
    marks[np.arange(count), first] = marks[np.arange(count), second] = 1
    sums = (numbers * marks).sum(axis=1, keepdims=True)
    return np.stack([numbers, marks], axis=2).astype(np.float32), sums.astype(np.float32)


class Adder(nn.Module):
    """Sequences (N, T, 2) -> (N, 1), from the last state of a GRU."""

    def __init__(self, hidden: int, reset_after: bool) -> None:
        """Make the layers."""
        super().__init__()
        self.recurrent = nn.GRU(2, hidden, batch_first=True, reset_after=reset_after)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums."""
        _, last = self.recurrent(x)
        result: Tensor = self.head(last[0])
        return result


def difference_with_open_gates(x: Tensor, hidden: int = 8) -> float:
    """Return the largest difference between both forms where every r is 1."""
    outputs = []
    after = nn.GRU(2, hidden, batch_first=True)
    before = nn.GRU(2, hidden, batch_first=True, reset_after=False)
    before.load_state_dict(after.state_dict())
    with no_grad():
        for model in (after, before):
            model.get_parameter("bias_ih_l0")[:hidden] = 100.0
            outputs.append(model(x)[0])
    return float((outputs[0] - outputs[1]).abs().max().item())


def main(run: Run) -> None:
    """Train both forms, and run each with the other's weights."""
    x, y = adding(run.choose(4000, 1500), run.choose(20, 8), 2 * run.seed)
    test_x, test_y = adding(500, x.shape[1], 2 * run.seed + 1)
    opened = difference_with_open_gates(from_numpy(test_x[:50]))
    run.figure("difference with gates open", opened, at_most=1e-5)
    trained = {}
    for reset_after, name in ((False, "reset before"), (True, "reset after")):
        model = trained[name] = Adder(32, reset_after).to(run.device)
        model.compile(Adam(model.parameters(), lr=1e-2), "mse")
        run.fit(model, x, y, stage=name, batch_size=64, epochs=run.epochs(full=20, quick=5))
        error = float(((model.predict(test_x, verbose=0).numpy() - test_y) ** 2).mean())
        run.figure(f"mean squared error, {name}", error, at_most=0.01, quick=0.1)
    swapped = Adder(32, True).to(run.device)
    swapped.load_state_dict(trained["reset before"].state_dict())
    error = float(((swapped.predict(test_x, verbose=0).numpy() - test_y) ** 2).mean())
    run.figure("error of one form with the other's weights", error)
    run.picture("curves", plot_stages(run), "Mean squared error of both forms.")
    run.model(trained["reset after"])
