# SPDX-License-Identifier: Apache-2.0
"""Ridge, lasso and elastic net on the progression of diabetes.

All minimise ``|y - Xw|^2 / 2N + alpha (ratio |w|_1 + (1 - ratio) |w|_2^2 / 2)``: ridge has ratio 0
(Hoerl and Kennard 1970) and a closed form, the lasso ratio 1 (Tibshirani 1996), which makes weights
exactly 0, the elastic net something between (Zou and Hastie 2005). Steps along the gradient of the
smooth part, then the soft threshold, with momentum: FISTA (Beck and Teboulle 2009).
"""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import viz
from gradsmith.data import StandardScaler, datasets
from gradsmith.metrics import r2_score
from gradsmith.nn import functional as F
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"alpha": 0.1}
RATIOS = {"ridge": 0.0, "lasso": 1.0, "elastic net": 0.5}


def ridge(x: Tensor, y: Tensor, alpha: float) -> Tensor:
    """Return the ridge weights (D,) in closed form: ``(X'X / N + alpha I)^-1 X'y / N``."""
    count, size = x.shape
    return gs.linalg.solve(
        x.T @ x / count + alpha * gs.eye(size, dtype=x.dtype, device=x.device), x.T @ y / count
    )


def fista(x: Tensor, y: Tensor, alpha: float, ratio: float, steps: int) -> Tensor:
    """Return the weights (D,) that minimise the sum above."""
    count, size = x.shape
    squares, products = x.T @ x / count, x.T @ y / count
    curvature = gs.linalg.eigvalsh(squares).max().item() + alpha * (1 - ratio)
    weights = ahead = gs.zeros(size, dtype=x.dtype, device=x.device)
    age = 1.0
    for _ in range(steps):
        gradient = squares @ ahead - products + alpha * (1 - ratio) * ahead
        new = F.softshrink(ahead - gradient / curvature, alpha * ratio / curvature)
        older, age = age, (1 + (1 + 4 * age**2) ** 0.5) / 2
        ahead = new + (new - weights) * ((older - 1) / age)
        weights = new
    return weights


def violation(x: Tensor, y: Tensor, weights: Tensor, alpha: float, ratio: float) -> float:
    """Return how far the weights are from optimal: 0 where a subgradient is 0."""
    smooth = x.T @ (x @ weights - y) / x.shape[0] + alpha * (1 - ratio) * weights
    at_zero = (smooth.abs() - alpha * ratio).clamp(min=0.0)
    elsewhere = (smooth + alpha * ratio * weights.sign()).abs()
    return float(gs.where(weights == 0, at_zero, elsewhere).max().item())


def standardised(split: str, scalers: list[StandardScaler]) -> tuple[Tensor, Tensor]:
    """Return the patients of a split, inputs (N, 10) and target (N,), float64."""
    x, y = (each.numpy().astype(np.float64) for each in datasets.diabetes(split).tensors)
    if split == "train":
        scalers += [StandardScaler().fit(x), StandardScaler().fit(y)]
    return gs.tensor(scalers[0].transform(x)), gs.tensor(scalers[1].transform(y)[:, 0])


def main(run: Run) -> None:
    """Fit the three, then follow their weights over the penalty."""
    scalers: list[StandardScaler] = []
    x, y, test_x, test_y = (
        part.to(run.device) for split in ("train", "test") for part in standardised(split, scalers)
    )
    names = datasets.diabetes("train").feature_names
    alpha, steps = run.option("alpha"), run.choose(3000, 700)
    fitted = {"least squares": gs.linalg.lstsq(x, y[:, None]).solution[:, 0]}
    fitted |= {name: fista(x, y, alpha, ratio, steps) for name, ratio in RATIOS.items()}
    exact = ridge(x, y, alpha)
    run.figure(
        "ridge from its closed form", (fitted["ridge"] - exact).abs().max().item(), at_most=1e-6
    )
    for name, ratio in list(RATIOS.items())[1:]:
        far = violation(x, y, fitted[name], alpha, ratio)
        run.figure(f"{name}: distance from optimal", far, at_most=1e-6)
    zeros = {name: int((weights == 0).sum().item()) for name, weights in fitted.items()}
    run.figure("weights that the lasso makes 0", zeros["lasso"], at_least=3)
    run.figure("weights that ridge makes 0", zeros["ridge"], at_most=0)
    for name, weights in fitted.items():
        run.figure(f"test R2, {name}", r2_score(test_x @ weights, test_y), at_least=0.4)
    rows = [[name, *(f"{w:.3f}" for w in weights.tolist())] for name, weights in fitted.items()]
    run.table("Weights", ["way", *names], rows)
    alphas = np.geomspace(1e-3, 3.0, run.choose(25, 6))
    for name, ratio in RATIOS.items():
        paths = gs.stack([fista(x, y, each, ratio, steps // 3) for each in alphas.tolist()])
        curves = {names[k]: (alphas, paths[:, k]) for k in range(len(names))}
        picture = viz.plot_curves(curves, xlabel="alpha", ylabel="weight", xscale="log")
        run.picture(name.replace(" ", "-"), picture, f"Weights of {name} as the penalty grows.")
