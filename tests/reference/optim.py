# SPDX-License-Identifier: Apache-2.0
"""One step of each optimiser as a pure function (param, grad, state, options) -> (param, state).

The state starts as {} and holds PyTorch's names; "step" is a 0-d array. Options have PyTorch's
names and defaults, and the placement of eps and of the bias corrections is PyTorch's too.
Sources: Sutskever 2013 (momentum, Nesterov), Duchi 2011 (Adagrad), Zeiler 2012 (Adadelta),
Hinton 2012 and Graves 2013 (RMSprop, centred), Kingma & Ba 2014 (Adam), Reddi 2018 (AMSGrad),
Loshchilov & Hutter 2017 (AdamW), Dozat 2016 (NAdam), Liu 2019 (RAdam), Polyak & Juditsky 1992
(ASGD), Riedmiller & Braun 1993 (Rprop), Chen 2023 (Lion). What PyTorch keeps as a float32 number
(``mu_product``, ``eta``, ``mu``) is rounded to one here.
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
