# SPDX-License-Identifier: Apache-2.0
"""One step of each optimiser without a kernel, in the form of `optim`.

Sources: Dozat 2016 (NAdam), Liu 2019 (RAdam), Kingma & Ba 2014 (Adamax), Polyak & Juditsky 1992
(ASGD), Riedmiller & Braun 1993 (Rprop), Chen 2023 (Lion), You 2017 (LARS), You 2019 (LAMB); those
of the others are beside them. What PyTorch keeps as a float32 number (``mu_product``, ``eta``,
``mu``) is rounded to one here.
"""

import numpy as np

from . import Array
from .optim import State, _directed, _next_step


def _decayed(
    param: Array, grad: Array, lr: float, weight_decay: float, decoupled: bool, maximize: bool
) -> tuple[Array, Array]:
    if decoupled:
        return param * (1 - lr * weight_decay), -grad if maximize else grad
    return param, _directed(param, grad, weight_decay, maximize)


def _moments(grad: Array, state: State, betas: tuple[float, float]) -> tuple[Array, Array]:
    first = betas[0] * state.get("exp_avg", 0.0) + (1 - betas[0]) * grad
    return first, betas[1] * state.get("exp_avg_sq", 0.0) + (1 - betas[1]) * grad**2


def nadam(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> tuple[Array, State]:
    """The update mixes the gradient and the momentum, each corrected by its own product."""
    step = _next_step(state)
    param, grad = _decayed(param, grad, lr, weight_decay, decoupled_weight_decay, maximize)
    first, second = _moments(grad, state, betas)
    mu = betas[0] * (1 - 0.5 * 0.96 ** (step * momentum_decay))
    mu_next = betas[0] * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
    product = np.float32(np.float32(state.get("mu_product", 1.0)) * np.float32(mu))
    scale = np.sqrt(second / (1 - betas[1] ** step)) + eps
    blend = (1 - mu) / (1 - float(product)) * grad + mu_next / (
        1 - float(product) * mu_next
    ) * first
    new = {"step": step, "mu_product": product, "exp_avg": first, "exp_avg_sq": second}
    return param - lr * blend / scale, new


def radam(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> tuple[Array, State]:
    """Plain momentum until the length of the second average exceeds 5."""
    step = _next_step(state)
    param, grad = _decayed(param, grad, lr, weight_decay, decoupled_weight_decay, maximize)
    first, second = _moments(grad, state, betas)
    update = first / (1 - betas[0] ** step)
    end = 2 / (1 - betas[1]) - 1
    now = end - 2 * step * betas[1] ** step / (1 - betas[1] ** step)
    if now > 5:
        rectifier = np.sqrt((now - 4) * (now - 2) * end / ((end - 4) * (end - 2) * now))
        update = update * rectifier * np.sqrt(1 - betas[1] ** step) / (np.sqrt(second) + eps)
    return param - lr * update, {"step": step, "exp_avg": first, "exp_avg_sq": second}


def adamax(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, State]:
    """eps is added to the magnitude before the maximum."""
    step = _next_step(state)
    grad = _directed(param, grad, weight_decay, maximize)
    first = betas[0] * state.get("exp_avg", 0.0) + (1 - betas[0]) * grad
    largest = np.maximum(betas[1] * state.get("exp_inf", 0.0), np.abs(grad) + eps)
    rate = lr / (1 - betas[0] ** step)
    return param - rate * first / largest, {"step": step, "exp_avg": first, "exp_inf": largest}


def asgd(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-2,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, State]:
    """The average is the parameter itself up to step t0."""
    step = _next_step(state)
    grad = _directed(param, grad, weight_decay, maximize)
    eta, mu = float(np.float32(state.get("eta", lr))), float(state.get("mu", 1.0))
    param = param * (1 - lambd * eta) - eta * grad
    average = state.get("ax", np.zeros_like(param))
    new = {
        "step": step,
        "ax": average + mu * (param - average) if mu != 1 else param,
        "eta": np.float32(lr / (1 + lambd * lr * step) ** alpha),
        "mu": np.float32(1 / max(1, step - t0)),
    }
    return param, new


def rprop(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-2,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50),
    maximize: bool = False,
) -> tuple[Array, State]:
    """After a change of sign the element rests for a step, and its gradient is forgotten."""
    step = _next_step(state)
    grad = -grad if maximize else grad
    agreement = grad * state.get("prev", 0.0)
    length = state.get("step_size", np.full_like(param, lr))
    factor = np.where(agreement > 0, etas[1], np.where(agreement < 0, etas[0], 1.0))
    length = np.clip(length * factor, *step_sizes)
    grad = np.where(agreement < 0, 0.0, grad)
    new = {"step": step, "prev": grad, "step_size": length}
    return param - np.sign(grad) * length, new


def lion(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-4,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, State]:
    """The direction looks further at the gradient than the momentum that is kept."""
    grad = -grad if maximize else grad
    momentum = state.get("exp_avg", np.zeros_like(param))
    direction = np.sign(betas[0] * momentum + (1 - betas[0]) * grad)
    new = {"step": _next_step(state), "exp_avg": betas[1] * momentum + (1 - betas[1]) * grad}
    return param - lr * (direction + weight_decay * param), new


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
