# SPDX-License-Identifier: Apache-2.0
"""Batch, layer, RMS and group norm in float32, forward and with all gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list

GROUPS = 32
EPS = 1e-5


def _calls(functional: Any) -> dict[str, Callable[..., Any]]:
    """Return the four functions of (x, weight, bias) in a library's own functional module."""
    return {
        "batch": lambda x, w, b: functional.batch_norm(x, None, None, w, b, training=True),
        "layer": lambda x, w, b: functional.layer_norm(x, (x.shape[-1],), w, b, EPS),
        "rms": lambda x, w, b: functional.rms_norm(x, (x.shape[-1],), w, EPS),
        "group": lambda x, w, b: functional.group_norm(x, GROUPS, w, b, EPS),
    }


def _definition(op: str, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    if op in ("layer", "rms"):
        centred = x - x.mean(-1, keepdims=True) if op == "layer" else x
        z = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
        return z * w + b if op == "layer" else z * w
    grouped = x.reshape(len(x), GROUPS, -1)
    axes = (2,)
    if op == "batch":
        grouped, axes = x.reshape(len(x), x.shape[1], -1), (0, 2)
    centred = grouped - grouped.mean(axes, keepdims=True)
    z = (centred / np.sqrt((centred**2).mean(axes, keepdims=True) + EPS)).reshape(x.shape)
    return z * w.reshape(-1, 1, 1) + b.reshape(-1, 1, 1)


def _step(function: Any, x: Any, w: Any, b: Any, dy: Any) -> Any:
    x.grad = w.grad = b.grad = None
    function(x, w, b).backward(dy)
    return x.grad


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("norm"):
        op, sizes = text.split()
        shape = tuple(int(size) for size in sizes.split("x"))
        channels = shape[1] if op in ("batch", "group") else shape[-1]
        rng = np.random.default_rng(0)
        x, dy = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
        w, b = (rng.standard_normal(channels).astype(np.float32) for _ in range(2))
        ours = _calls(gs.nn.functional)[op]
        given = [gs.from_numpy(each) for each in (x, w, b)]
        leaves = [gs.tensor(each, requires_grad=True) for each in (x, w, b)]
        ours_dy = gs.from_numpy(dy)
        forward = Problem(
            "norm",
            f"{name} forward",
            ours=lambda f=ours, a=given: f(*a),
            check=close_to(_definition(op, x, w, b), 2e-5),
            bytes=8.0 * x.size,
        )
        step = Problem(
            "norm",
            f"{name} forward+backward",
            ours=lambda f=ours, a=leaves, d=ours_dy: _step(f, *a, d),
            check=_close_to_slope(op, x, w, b, dy),
            bytes=20.0 * x.size,
        )
        if "torch" in against:
            import torch

            peer = _calls(torch.nn.functional)[op]
            theirs = [torch.from_numpy(each) for each in (x, w, b)]
            their_leaves = [torch.tensor(each, requires_grad=True) for each in (x, w, b)]
            their_dy = torch.from_numpy(dy)
            forward.peers["torch"] = {"default": lambda f=peer, a=theirs: f(*a)}
            step.peers["torch"] = {
                "default": lambda f=peer, a=their_leaves, d=their_dy: _step(f, *a, d)
            }
        yield forward
        yield step


def _close_to_slope(
    op: str, x: np.ndarray, w: np.ndarray, b: np.ndarray, dy: np.ndarray
) -> Callable[[Any], None]:
    """Return a check of dx against the definition's central difference in a random direction."""
    direction = np.random.default_rng(1).standard_normal(x.shape)
    wide, h = x.astype(np.float64), 1e-5

    def at(t: float) -> float:
        return float((_definition(op, wide + t * direction, w, b) * dy).sum())

    expected = (at(h) - at(-h)) / (2 * h)

    def check(result: Any) -> None:
        dx = result.detach().numpy().astype(np.float64)
        error = abs((dx * direction).sum() - expected)
        scale = float(np.sqrt(((dx * direction) ** 2).sum()))
        assert error <= 1e-3 * scale, f"slope is off by {error:.3g} of {scale:.3g}"

    return check
