# SPDX-License-Identifier: Apache-2.0
"""`gradient_report`: the gradients of every parameter, and which of them vanish or explode."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradsmith.backend import Array, on_host
from gradsmith.nn import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.tensor import Tensor
from gradsmith.train.tables import table

EXPLODING = 1e3  # norm of a parameter's gradient
VANISHING = 1e-5  # of the largest root mean square of all parameters


def host_values(tensor: Tensor) -> Array:
    """Return a tensor's numbers on the host, float64."""
    # Not by an op: watchers call this while they look at one.
    return np.asarray(on_host(tensor._array)).astype(np.float64, copy=False)


@dataclass(frozen=True)
class GradientRow:
    """One parameter's gradient.

    Attributes:
        name: the path of the parameter.
        norm: its Euclidean norm; NaN if there is none.
        rms: the norm over the root of the number of elements, comparable over layers.
        ratio: the norm over that of the parameter.
        verdict: "ok", "vanishing", "exploding", "zero", "not finite" or "missing".
    """

    name: str
    norm: float
    rms: float
    ratio: float
    verdict: str


@dataclass(frozen=True)
class GradientReport:
    """The rows of all parameters that are trained; its text is a table."""

    rows: list[GradientRow]

    @property
    def is_healthy(self) -> bool:
        """Whether every verdict is "ok"."""
        return all(row.verdict == "ok" for row in self.rows)

    def __str__(self) -> str:
        heading = ["parameter", "verdict", "norm", "rms", "norm / weights"]
        rows = [
            [row.name, row.verdict, *(f"{x:.3g}" for x in (row.norm, row.rms, row.ratio))]
            for row in self.rows
        ]
        return "\n".join(table(heading, rows, 3))


def norm_of(values: Array) -> float:
    """Return the Euclidean norm of an array, the same for any number of threads."""
    # Not by numpy.linalg.norm: BLAS adds up in an order that depends on its threads.
    with np.errstate(over="ignore"):
        return math.sqrt(float(np.square(values).sum()))


def _verdict(norm: float, rms: float, threshold: float) -> str:
    if not math.isfinite(norm):
        return "not finite"
    if norm == 0:
        return "zero"
    if norm > EXPLODING:
        return "exploding"
    return "vanishing" if rms < threshold else "ok"


def gradient_report(model: Module) -> GradientReport:
    """Return norms and verdicts of the gradients that a backward pass has left in the model.

    The gradient of a weight matrix or kernel vanishes if its root mean square is below 1e-5 of the
    largest of all layers; any gradient explodes with a norm above 1000. See Glorot and Bengio 2010
    for what initialisation does to them, and Pascanu, Mikolov and Bengio 2013 for recurrent
    networks.

    Raises:
        TypeError: the model is no module.
        ValueError: no parameter has a gradient.

    Example:
        >>> import gradsmith as gs
        >>> model = gs.nn.Linear(2, 1)
        >>> model(gs.ones(3, 2)).sum().backward()
        >>> gs.train.gradient_report(model).is_healthy
        True
    """
    check_module("gradient_report", "model", model)
    parameters = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if all(parameter.grad is None for _, parameter in parameters):
        raise ValueError("gradient_report: no parameter has a gradient; call backward() first")
    norms = {
        name: norm_of(host_values(parameter.grad))
        for name, parameter in parameters
        if parameter.grad is not None
    }
    sizes = {name: math.sqrt(max(parameter.numel(), 1)) for name, parameter in parameters}
    largest = max((v / sizes[n] for n, v in norms.items() if math.isfinite(v)), default=0.0)
    rows = []
    for name, parameter in parameters:
        if name not in norms:
            rows.append(GradientRow(name, math.nan, math.nan, math.nan, "missing"))
            continue
        norm, rms = norms[name], norms[name] / sizes[name]
        weights = norm_of(host_values(parameter))
        ratio = norm / weights if weights else math.inf
        # A bias before a normalisation has no gradient by nature, so only matrices can vanish.
        threshold = VANISHING * largest if parameter.ndim > 1 else 0.0
        rows.append(GradientRow(name, norm, rms, ratio, _verdict(norm, rms, threshold)))
    return GradientReport(rows)
