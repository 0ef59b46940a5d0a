# SPDX-License-Identifier: Apache-2.0
"""One step of each optimiser as a pure function (param, grad, state, options) -> (param, state).

The state starts as {} and holds PyTorch's names; "step" is a 0-d array. Options have PyTorch's
names and defaults, and the placement of eps and of the bias corrections is PyTorch's too.
Sources: Sutskever 2013 (momentum, Nesterov), Duchi 2011 (Adagrad), Zeiler 2012 (Adadelta),
Hinton 2012 and Graves 2013 (RMSprop, centred), Kingma & Ba 2014 (Adam), Reddi 2018 (AMSGrad),
Loshchilov & Hutter 2017 (AdamW).
"""

from typing import TypeAlias

import numpy as np

from . import Array

State: TypeAlias = dict[str, Array]


def _next_step(state: State) -> Array:
    return np.asarray(state.get("step", 0.0) + 1.0)


def _directed(param: Array, grad: Array, weight_decay: float, maximize: bool) -> Array:
    """The gradient to descend: negated to maximise, plus the L2 penalty's."""
    return (-grad if maximize else grad) + weight_decay * param


def sgd(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[Array, State]:
    """The first momentum buffer is the gradient itself, undamped."""
    grad = _directed(param, grad, weight_decay, maximize)
    if momentum == 0:
        return param - lr * grad, {}
    buffer = grad
    if "momentum_buffer" in state:
        buffer = momentum * state["momentum_buffer"] + (1 - dampening) * grad
    direction = grad + momentum * buffer if nesterov else buffer
    return param - lr * direction, {"momentum_buffer": buffer}


def adagrad(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    maximize: bool = False,
) -> tuple[Array, State]:
    step = _next_step(state)
    grad = _directed(param, grad, weight_decay, maximize)
    total = state.get("sum", np.full_like(param, initial_accumulator_value)) + grad**2
    rate = lr / (1 + (step - 1) * lr_decay)
    return param - rate * grad / (np.sqrt(total) + eps), {"step": step, "sum": total}


def adadelta(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, State]:
    grad = _directed(param, grad, weight_decay, maximize)
    zeros = np.zeros_like(param)
    square_avg = rho * state.get("square_avg", zeros) + (1 - rho) * grad**2
    past_delta = state.get("acc_delta", zeros)
    delta = np.sqrt(past_delta + eps) / np.sqrt(square_avg + eps) * grad
    acc_delta = rho * past_delta + (1 - rho) * delta**2
    new_state = {"step": _next_step(state), "square_avg": square_avg, "acc_delta": acc_delta}
    return param - lr * delta, new_state


def rmsprop(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    maximize: bool = False,
) -> tuple[Array, State]:
    grad = _directed(param, grad, weight_decay, maximize)
    zeros = np.zeros_like(param)
    square_avg = alpha * state.get("square_avg", zeros) + (1 - alpha) * grad**2
    new_state = {"step": _next_step(state), "square_avg": square_avg}
    second_moment = square_avg
    if centered:
        grad_avg = alpha * state.get("grad_avg", zeros) + (1 - alpha) * grad
        new_state["grad_avg"] = grad_avg
        second_moment = square_avg - grad_avg**2
    direction = grad / (np.sqrt(second_moment) + eps)
    if momentum > 0:
        direction = momentum * state.get("momentum_buffer", zeros) + direction
        new_state["momentum_buffer"] = direction
    return param - lr * direction, new_state


def adam(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    maximize: bool = False,
) -> tuple[Array, State]:
    """param -= lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)."""
    step = _next_step(state)
    grad = _directed(param, grad, weight_decay, maximize)
    zeros = np.zeros_like(param)
    exp_avg = betas[0] * state.get("exp_avg", zeros) + (1 - betas[0]) * grad
    exp_avg_sq = betas[1] * state.get("exp_avg_sq", zeros) + (1 - betas[1]) * grad**2
    new_state = {"step": step, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
    second_moment = exp_avg_sq
    if amsgrad:
        second_moment = np.maximum(state.get("max_exp_avg_sq", zeros), exp_avg_sq)
        new_state["max_exp_avg_sq"] = second_moment
    corrected_mean = exp_avg / (1 - betas[0] ** step)
    corrected_square = second_moment / (1 - betas[1] ** step)
    return param - lr * corrected_mean / (np.sqrt(corrected_square) + eps), new_state


def adamw(
    param: Array,
    grad: Array,
    state: State,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    maximize: bool = False,
) -> tuple[Array, State]:
    """Adam after the decay param *= 1 - lr weight_decay, which the moments do not see."""
    decayed = param * (1 - lr * weight_decay)
    return adam(decayed, grad, state, lr, betas, eps, 0.0, amsgrad, maximize)
