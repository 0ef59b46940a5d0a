# SPDX-License-Identifier: Apache-2.0
"""Truth tables of the logic gates, and a picture of what decides them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradsmith.ops.creation import tensor
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas, plot_decision_boundary

SINGLES = ((0.0,), (1.0,))
PAIRS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))

# Outputs in the order of the inputs above.
TABLES = {
    "NOT": (1, 0),
    "AND": (0, 0, 0, 1),
    "OR": (0, 1, 1, 1),
    "NAND": (1, 1, 1, 0),
    "NOR": (1, 0, 0, 0),
    "XOR": (0, 1, 1, 0),
    "XNOR": (1, 0, 0, 1),
}


def table(gate: str) -> tuple[Tensor, Tensor]:
    """Return the inputs (rows, 1 or 2) and outputs (rows, 1) of a gate, as floats."""
    outputs = TABLES[gate]
    inputs = SINGLES if len(outputs) == 2 else PAIRS
    return tensor(inputs), tensor([[float(each)] for each in outputs])


def plot_gates(models: Mapping[str, tuple[str, Any]]) -> Any:
    """Draw models of two inputs side by side: title -> (gate, model)."""
    rows = 1 if len(models) <= 4 else 2
    figure, axes = canvas.new_grid(rows, -(-len(models) // rows), 2.6)
    for ax, (title, (gate, model)) in zip(axes.flat, models.items(), strict=True):
        inputs, outputs = table(gate)
        plot_decision_boundary(model, inputs, outputs, resolution=80, ax=ax)
        ax.set_title(title, fontsize=9)
    return figure
