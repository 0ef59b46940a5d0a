# SPDX-License-Identifier: Apache-2.0
"""One step of each optimiser without a kernel, in the form of `optim`.

Sources: You 2017 (LARS), You 2019 (LAMB); those of the others are beside them.
"""

import numpy as np

from . import Array
from .optim import State, _decayed, _moments, _next_step


def lars(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    trust_coefficient: float = 1e-3,
    eps: float = 1e-8,
    maximize: bool = False,
) -> tuple[Array, State]:
    """Algorithm 1: the local rate is inside the momentum."""
    grad = -grad if maximize else grad
    size, slope = np.sqrt((param**2).sum()), np.sqrt((grad**2).sum())
    ratio = 1.0
    if size > 0 and slope > 0:
        ratio = trust_coefficient * size / (slope + weight_decay * size + eps)
    velocity = momentum * state.get("momentum_buffer", 0.0) + lr * ratio * (
        grad + weight_decay * param
    )
    return param - velocity, {"step": _next_step(state), "momentum_buffer": velocity}


def lamb(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, State]:
    """Algorithm 2 with the identity as phi."""
    step = _next_step(state)
    first, second = _moments(-grad if maximize else grad, state, betas)
    update = first / (1 - betas[0] ** step)
    update = update / (np.sqrt(second / (1 - betas[1] ** step)) + eps) + weight_decay * param
    size, length = np.sqrt((param**2).sum()), np.sqrt((update**2).sum())
    ratio = size / length if size > 0 and length > 0 else 1.0
    return param - lr * ratio * update, {"step": step, "exp_avg": first, "exp_avg_sq": second}


def _mean(x: Array, axis: int) -> Array:
    """The mean along an axis, 0 where that has no elements."""
    return np.asarray(x.sum(axis, keepdims=True) / max(x.shape[axis], 1))


def _root_mean_square(x: Array) -> float:
    return float(np.sqrt(np.square(x).mean())) if x.size else 0.0


def adafactor(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-2,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, State]:
    """Shazeer and Stern 2018, algorithm 4: a matrix's squares are an outer product."""
    step = _next_step(state)
    smallest = np.finfo(np.float64).eps if eps[0] is None else eps[0]
    weight = step**beta2_decay
    size = max(eps[1], _root_mean_square(param))
    param, grad = _decayed(param, grad, lr, weight_decay, True, maximize)

    def averaged(name: str, value: Array) -> Array:
        return (1 - weight) * state.get(name, 0.0) + weight * value

    if grad.ndim > 1:
        rows = averaged("row_var", _mean(np.square(grad), -1))
        columns = averaged("col_var", _mean(np.square(grad), -2))
        second = rows * columns / np.maximum(_mean(rows, -2), smallest)
        new = {"step": step, "row_var": rows, "col_var": columns}
    else:
        second = averaged("variance", np.square(grad))
        new = {"step": step, "variance": second}
    update = grad / np.sqrt(np.maximum(second, smallest**2))
    rate = size * min(lr, 1 / np.sqrt(step))
    return param - rate * update / max(1.0, _root_mean_square(update) / d), new


def muon(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-3,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
) -> tuple[Array, State]:
    """Jordan 2024: the iteration maps each singular value s to a s + b s^3 + c s^5."""
    param, grad = _decayed(param, grad, lr, weight_decay, True, False)
    average = momentum * state.get("momentum_buffer", 0.0) + (1 - momentum) * grad
    u, s, vh = np.linalg.svd(
        momentum * average + (1 - momentum) * grad if nesterov else average, full_matrices=False
    )
    s = s / np.linalg.norm(s)
    a, b, c = ns_coefficients
    for _ in range(ns_steps):
        s = a * s + b * s**3 + c * s**5
    rows, columns = param.shape
    factor = np.sqrt(max(1, rows / columns))
    if adjust_lr_fn == "match_rms_adamw":
        factor = 0.2 * np.sqrt(max(rows, columns))
    return param - lr * factor * (u * s @ vh), {"momentum_buffer": average}
