# SPDX-License-Identifier: Apache-2.0
"""The curves of a run that trains several models, in one plot."""

from __future__ import annotations

from typing import Any

from gradsmith.recipes.run import Run
from gradsmith.viz import canvas


def plot_stages(run: Run, quantity: str = "loss") -> Any:
    """Draw the curves ``stage/quantity`` of all stages; return the figure."""
    axes = canvas.new_axes(size=(6.0, 4.0))
    for name, values in run.history.items():
        stage, _, last = name.rpartition("/")
        if last == quantity:
            axes.plot(range(1, len(values) + 1), values, label=stage or quantity)
    axes.set(xlabel="epoch", ylabel=quantity)
    axes.legend()
    return axes.figure
