# SPDX-License-Identifier: Apache-2.0
"""Norms in float32, forward and with all gradients, in both layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list

GROUPS = 32
EPS = 1e-5
FUSED = ("batch_relu", "batch_add_relu")
AXES = {"layer": (-1,), "rms": (-1,), "group": (2,), "instance": (2, 3)}


def _calls(functional: Any) -> dict[str, Callable[..., Any]]:
    """Return the functions of (x, weight, bias, residual, mean, var) in a functional module."""

    def train(x: Any, w: Any, b: Any, *_: Any) -> Any:
        return functional.batch_norm(x, None, None, w, b, training=True)

    return {
        "batch": train,
        "batch_eval": lambda x, w, b, r, m, v: functional.batch_norm(x, m, v, w, b),
        "batch_relu": lambda x, w, b, *_: functional.relu(train(x, w, b)),
        "batch_add_relu": lambda x, w, b, r, *_: functional.relu(train(x, w, b) + r),
        "layer": lambda x, w, b, *_: functional.layer_norm(x, (x.shape[-1],), w, b, EPS),
        "rms": lambda x, w, *_: functional.rms_norm(x, (x.shape[-1],), w, EPS),
        "group": lambda x, w, b, *_: functional.group_norm(x, GROUPS, w, b, EPS),
        "instance": lambda x, w, b, *_: functional.instance_norm(x, weight=w, bias=b),
    }


def _our_calls() -> dict[str, Callable[..., Any]]:
    functional = gs.nn.functional
    fused = functional.batch_norm_relu
    return {
        **_calls(functional),
        "batch_relu": lambda x, w, b, *_: fused(x, None, None, w, b, True),
        "batch_add_relu": lambda x, w, b, r, *_: fused(x, None, None, w, b, True, residual=r),
    }


def _definition(
    op: str, x: np.ndarray, w: np.ndarray, b: np.ndarray, *rest: np.ndarray
) -> np.ndarray:
    residual, mean, var = rest
    x = x.astype(np.float64)
    per_channel = (-1, 1, 1) if op in ("group", "instance") or op.startswith("batch") else (-1,)
    w, b = w.reshape(per_channel), b.reshape(per_channel)
    if op == "rms":
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + EPS) * w
    if op == "batch_eval":
        centred, var = x - mean.reshape(-1, 1, 1), var.reshape(-1, 1, 1)
    else:
        grouped = x.reshape(len(x), GROUPS, -1) if op == "group" else x
        axes = AXES.get(op, (0, 2, 3))
        centred = grouped - grouped.mean(axes, keepdims=True)
        var = (centred**2).mean(axes, keepdims=True)
    y = (centred / np.sqrt(var + EPS)).reshape(x.shape) * w + b
    if op == "batch_add_relu":
        y = y + residual
    return np.maximum(y, 0) if op in FUSED else y


def _laid(x: np.ndarray, channels_last: bool) -> np.ndarray:
    """Return x in C order, or with the memory of (N, H, W, C)."""
    if not channels_last:
        return x
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _arrays(op: str, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return x, weight, bias, residual, running mean and variance, and dy."""
    rng = np.random.default_rng(0)
    channels = shape[-1] if op in ("layer", "rms") else shape[1]
    x, residual, dy = (rng.standard_normal(shape).astype(np.float32) for _ in range(3))
    w, b, mean = (rng.standard_normal(channels).astype(np.float32) for _ in range(3))
    var = rng.uniform(0.5, 1.5, channels).astype(np.float32)
    return [x, w, b, residual, mean, var, dy]


def _step(library: Any, function: Any, tensors: list[Any], leaves: list[int]) -> Any:
    """Return the gradient of x, computed together with those of the other leaves."""
    *given, dy = tensors
    wanted = [given[i] for i in leaves]
    return library.autograd.grad(function(*given), wanted, dy)[0]


def _tensors(
    make: Callable[[np.ndarray], Any], arrays: list[np.ndarray], leaves: list[int], last: bool
) -> list[Any]:
    tensors = [make(_laid(each, last and each.ndim == 4)) for each in arrays]
    for i in leaves:
        tensors[i].requires_grad_()
    return tensors


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("norm"):
        op, sizes, *layout = text.split()
        channels_last = layout == ["channels_last"]
        arrays = _arrays(op, tuple(int(size) for size in sizes.split("x")))
        x = arrays[0]
        leaves = [0, 1, *([] if op == "rms" else [2]), *([3] if op == "batch_add_relu" else [])]
        ours = _our_calls()[op]
        given = _tensors(gs.from_numpy, arrays, [], channels_last)
        step_given = _tensors(gs.from_numpy, arrays, leaves, channels_last)
        added = 4.0 * x.size if op == "batch_add_relu" else 0.0
        forward = Problem(
            "norm",
            f"{name} forward",
            ours=lambda f=ours, a=given[:-1]: f(*a),
            check=close_to(_definition(op, *arrays[:-1]), 2e-5),
            bytes=8.0 * x.size + added,
        )
        step = Problem(
            "norm",
            f"{name} forward+backward",
            ours=lambda f=ours, a=step_given, i=leaves: _step(gs, f, a, i),
            check=_close_to_slope(op, arrays),
            bytes=20.0 * x.size + 2 * added,
        )
        if "torch" in against:
            import torch

            peer = _calls(torch.nn.functional)[op]
            forward.peers["torch"], step.peers["torch"] = {}, {}
            for last in (False, True) if channels_last else (False,):
                setting = "channels_last" if last else "contiguous_format"
                theirs = _tensors(torch.from_numpy, arrays, [], last)[:-1]
                their_step = _tensors(torch.from_numpy, arrays, leaves, last)
                forward.peers["torch"][setting] = lambda f=peer, a=theirs: f(*a)
                step.peers["torch"][setting] = lambda f=peer, a=their_step, i=leaves, t=torch: (
                    _step(t, f, a, i)
                )
        yield forward
        yield step


def _close_to_slope(op: str, arrays: list[np.ndarray]) -> Callable[[Any], None]:
    """Return a check of dx against the definition's central difference in a random direction."""
    x, *rest, dy = arrays
    direction = np.random.default_rng(1).standard_normal(x.shape)
    wide, h = x.astype(np.float64), 1e-5

    def at(t: float) -> float:
        return float((_definition(op, wide + t * direction, *rest) * dy).sum())

    expected = (at(h) - at(-h)) / (2 * h)

    def check(result: Any) -> None:
        dx = result.detach().numpy().astype(np.float64)
        error = abs((dx * direction).sum() - expected)
        scale = float(np.sqrt(((dx * direction) ** 2).sum()))
        assert error <= 1e-3 * scale, f"slope is off by {error:.3g} of {scale:.3g}"

    return check
