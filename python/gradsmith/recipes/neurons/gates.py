# SPDX-License-Identifier: Apache-2.0
"""McCulloch and Pitts' neurons compute logic, and networks of them whatever can be computed.

A neuron fires if no inhibitory input is on and at least ``threshold`` excitatory ones are: ``y = 1
if sum x_i >= threshold and no inhibitor else 0`` (McCulloch and Pitts, "A logical calculus of the
ideas immanent in nervous activity", 1943). Nothing learns here: the wiring is the program. One
neuron gives AND, OR, NOT and NOR; XOR takes two layers, and gates together add numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from gradsmith import nn
from gradsmith.nn import functional as F
from gradsmith.ops.creation import arange, tensor
from gradsmith.ops.joining import cat
from gradsmith.recipes.neurons.truth_tables import TABLES, plot_gates, table
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

BITS = 4


class Layer(nn.Module):
    """Neurons side by side: inputs (N, inputs) of 0 and 1 -> (N, neurons) of 0 and 1.

    ``signs`` has a row per neuron: 1 for an excitatory input, -1 for an inhibitory one, 0 for none.
    """

    excitatory: Tensor
    inhibitory: Tensor
    thresholds: Tensor

    def __init__(self, signs: Sequence[Sequence[int]], thresholds: Sequence[int]) -> None:
        """Wire the neurons."""
        super().__init__()
        wires = tensor(signs, dtype="float32").T
        self.register_buffer("excitatory", wires.clamp(min=0))
        self.register_buffer("inhibitory", (-wires).clamp(min=0))
        self.register_buffer("thresholds", tensor(thresholds, dtype="float32"))

    def forward(self, inputs: Tensor) -> Tensor:
        """Fire or not."""
        excited = F.step(inputs @ self.excitatory - self.thresholds)
        return excited * (1 - F.step(inputs @ self.inhibitory - 1))


_NOT = ([[-1]], [0])
_XOR = (([[1, -1], [-1, 1]], [1, 1]), ([[1, 1]], [1]))
WIRES = {
    "NOT": (_NOT,),
    "AND": (([[1, 1]], [2]),),
    "OR": (([[1, 1]], [1]),),
    "NOR": (([[-1, -1]], [0]),),
    "NAND": (([[1, 1]], [2]), _NOT),
    "XOR": _XOR,
    "XNOR": (*_XOR, _NOT),
}


def gate(name: str) -> nn.Sequential:
    """Return the network of a gate: inputs (N, 1 or 2) -> (N, 1)."""
    return nn.Sequential(*(Layer(signs, thresholds) for signs, thresholds in WIRES[name]))


def add(a: Tensor, b: Tensor) -> Tensor:
    """Return the sums (N, bits + 1) of numbers (N, bits), lowest bit first, by gates alone."""
    gates = {name: gate(name) for name in ("AND", "OR", "XOR")}

    def wired(name: str, left: Tensor, right: Tensor) -> Tensor:
        fired: Tensor = gates[name](cat([left, right], 1))
        return fired

    carry, digits = a[:, :1] * 0, []
    for bit in range(a.shape[1]):
        x, y = a[:, bit : bit + 1], b[:, bit : bit + 1]
        differ = wired("XOR", x, y)
        digits.append(wired("XOR", differ, carry))
        carry = wired("OR", wired("AND", x, y), wired("AND", differ, carry))
    return cat([*digits, carry], 1)


def bits_of(numbers: Tensor, count: int) -> Tensor:
    """Return the lowest bits (N, count) of whole numbers (N), lowest first."""
    return ((numbers.unsqueeze(1) // 2 ** arange(count)) % 2).float()


def single_neurons() -> dict[str, int]:
    """Return for each gate of two inputs how many of all single neurons compute it."""
    counts = dict.fromkeys([name for name, outputs in TABLES.items() if len(outputs) == 4], 0)
    for first, second, threshold in itertools.product((-1, 0, 1), (-1, 0, 1), (0, 1, 2)):
        neuron = Layer([[first, second]], [threshold])
        for name in counts:
            inputs, outputs = table(name)
            counts[name] += int((neuron(inputs) == outputs).all())
    return counts


def main(run: Run) -> None:
    """Check every gate, look for a neuron that computes XOR, and add."""
    right = 0
    for name in TABLES:
        inputs, outputs = table(name)
        right += int((gate(name)(inputs) == outputs).all())
    run.figure("gates that keep their truth table", right, at_least=len(TABLES))
    counts = single_neurons()
    run.table("Single neurons, of 27", ["gate", "neurons"], [[*item] for item in counts.items()])
    run.figure("single neurons that compute XOR", counts["XOR"], at_most=0)
    numbers = arange(2**BITS)
    a, b = numbers.repeat_interleave(2**BITS), numbers.repeat(2**BITS)
    sums = add(bits_of(a, BITS), bits_of(b, BITS))
    correct = (sums == bits_of(a + b, BITS + 1)).all(1).float().mean()
    run.figure(f"share of {BITS}-bit sums that are right", correct, at_least=1)
    drawn = {name: (name, gate(name)) for name in TABLES if name != "NOT"}
    run.picture("gates", plot_gates(drawn), "Where gates fire, by their two inputs.")
    run.model(gate("XOR"), (1, 2))
