# SPDX-License-Identifier: Apache-2.0
"""Polynomials of degree 1, 2 and 4 through points of a noisy parabola.

A polynomial is a linear regression on the powers of x: least squares on the Vandermonde matrix
(Gergonne 1815). Degree 1 is too stiff for ``y = x^2 / 2 + x + 2``, degree 2 right, degree 4 finds
powers that are not there but close to 0; a high degree follows the noise.
"""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import viz
from gradsmith.metrics import mean_squared_error, r2_score
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"high_degree": 14}
TRUE = (2.0, 1.0, 0.5)


def points(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return x in [-3, 3] and y with noise of deviation 1, both (N,), float64."""
    random = np.random.default_rng(seed)
    x = random.uniform(-3, 3, size=count)
    powers = np.vander(x, len(TRUE), increasing=True)
    y = powers @ np.array(TRUE) + random.normal(size=count)
    return gs.tensor(x), gs.tensor(y)


def powers(x: Tensor, degree: int) -> Tensor:
    """Return 1, x, ..., x^degree, of shape (N, degree + 1)."""
    return gs.vander(x, degree + 1, increasing=True)


def fit(x: Tensor, y: Tensor, degree: int) -> Tensor:
    """Return the coefficients (degree + 1,) of least squares."""
    return gs.linalg.lstsq(powers(x, degree), y[:, None]).solution[:, 0]


def main(run: Run) -> None:
    """Fit each degree on 30 points and measure on 1,000 others."""
    x, y = (each.to(run.device) for each in points(30, run.seed))
    new_x, new_y = (each.to(run.device) for each in points(1000, run.seed + 1))
    line = gs.linspace(-3, 3, 200, dtype=gs.float64, device=run.device)
    rows, errors, curves = [], {}, {}
    high = run.option("high_degree")
    for degree in (1, 2, 4, high):
        found = fit(x, y, degree)
        errors[degree] = mean_squared_error(powers(new_x, degree) @ found, new_y)
        learned = mean_squared_error(powers(x, degree) @ found, y)
        score = r2_score(powers(new_x, degree) @ found, new_y)
        rows.append([degree, learned, errors[degree], score])
        curves[f"degree {degree}"] = (line, (powers(line, degree) @ found).clamp(-2, 12))
    run.table("Squared error", ["degree", "on its points", "on new points", "R2"], rows)
    wrong = (fit(x, y, 2).cpu() - gs.tensor(TRUE, dtype=gs.float64)).abs().max().item()
    run.figure("degree 2: coefficients off by", wrong, at_most=0.6)
    run.figure("degree 2: error on new points", errors[2], at_most=1.4)
    run.figure("degree 1: error over that of degree 2", errors[1] / errors[2], at_least=1.5)
    run.figure("degree 4: error over that of degree 2", errors[4] / errors[2], at_most=1.5)
    run.figure(
        f"degree {high}: error over that of degree 2", errors[high] / errors[2], at_least=1.5
    )
    picture = viz.plot_curves(curves, points=(x, y), xlabel="x", ylabel="y")
    run.picture("fits", picture, "Too stiff, right, nearly right, and after the noise.")
