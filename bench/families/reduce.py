# SPDX-License-Identifier: Apache-2.0
"""Reductions of float32 arrays over rows, columns and other dimensions, running sums, products and
extremes, forward and with gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list

SCANS = ("cumsum", "cumprod")
EXTREMES = {"cummax": np.maximum}


def _cumprod_slope(x: np.ndarray, axis: int) -> np.ndarray:
    after = np.cumsum(np.flip(np.cumprod(x, axis), axis), axis)
    return np.asarray(np.flip(after, axis) / x)


# The gradient of the sum of the results.
SLOPES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "prod": lambda x, axis: np.prod(x, axis, keepdims=True) / x,
    "cumprod": _cumprod_slope,
}


def _call(library: Any, op: str, axes: tuple[int, ...]) -> Callable[[Any], Any]:
    function = getattr(library, op)
    if op in EXTREMES:
        return lambda x: function(x, dim=axes[0]).values
    one = op in ("argmax", "argmin", "prod", *SCANS)
    return lambda x: function(x, dim=axes[0] if one else axes)


def _numpy_call(op: str, axes: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    if op in EXTREMES:
        return lambda x: np.asarray(EXTREMES[op].accumulate(x, axes[0]))
    function = getattr(np.linalg if op == "norm" else np, op)
    if op in ("argmax", "argmin", *SCANS):
        return lambda x: np.asarray(function(x, axis=axes[0]))
    options = {"ddof": 1} if op in ("var", "std") else {}
    return lambda x: np.asarray(function(x, axis=axes, **options))


def _step(function: Callable[[Any], Any], leaf: Any, dy: Any) -> Any:
    leaf.grad = None
    function(leaf).backward(dy)
    return leaf.grad


def _runner(function: Callable[[Any], Any], given: Any, dy: Any) -> Callable[[], Any]:
    """Return the call, or the step if there is a gradient to send back."""
    if dy is None:
        return lambda: function(given)
    leaf = given.requires_grad_()
    return lambda: _step(function, leaf, dy)


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("reduce"):
        op, sizes, where, *layout = text.split()
        rng = np.random.default_rng(0)
        x = rng.standard_normal(tuple(int(size) for size in sizes.split("x"))).astype(np.float32)
        if op in SLOPES:
            x = 1 + x / 64
        axes = tuple(range(x.ndim)) if where == "all" else tuple(map(int, where.split(",")))
        definition = _numpy_call(op, axes)
        expected = definition(x.astype(np.float64))
        dy = None
        if layout == ["backward"]:
            dy = np.ones(expected.shape, np.float32)
            expected = SLOPES[op](x.astype(np.float64), axes[0])
        if layout == ["channels_last"]:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        ours = _call(gs, op, axes)
        problem = Problem(
            "reduce",
            name,
            ours=_runner(ours, gs.from_numpy(x), None if dy is None else gs.from_numpy(dy)),
            check=close_to(expected, 1e-5),
            bytes=(16.0 if op in EXTREMES else 8.0 if op in SCANS else 4.0) * x.size,
        )
        if "numpy" in against and dy is None:
            problem.peers["numpy"] = {"default": lambda f=definition, a=x: f(a)}
        if "torch" in against:
            import torch

            sent = None if dy is None else torch.from_numpy(dy)
            peer = _runner(_call(torch, op, axes), torch.from_numpy(x), sent)
            problem.peers["torch"] = {"default": peer}
        yield problem
