# SPDX-License-Identifier: Apache-2.0
"""Distances of all pairs of rows in float32, forward and with the gradients of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def _norms(x: np.ndarray, y: np.ndarray, p: float) -> np.ndarray:
    return np.stack([np.linalg.norm(row - y, p, axis=-1) for row in x])


def _slopes(x: np.ndarray, y: np.ndarray, table: np.ndarray, p: float) -> np.ndarray:
    """Return how the distances of rows x from rows y, each times one of the table, move x."""
    moved = np.zeros(x.shape)
    for row, weights, into in zip(x, table, moved, strict=True):
        d = row - y
        far = np.linalg.norm(d, p, axis=-1, keepdims=True)
        ratio = np.abs(d) / np.where(far == 0, 1, far)
        slopes = ratio == 1 if np.isinf(p) else ratio ** (p - 1)
        into += weights @ (np.sign(d) * slopes)
    return moved


def _step(function: Callable[..., Any], inputs: list[Any], dy: Any) -> Any:
    for x in inputs:
        x.grad = None
    function(*inputs).backward(dy)
    return inputs[0].grad


def _pairs(name: str, rows: str, p: float) -> tuple[list[np.ndarray], Any, Any, Any]:
    """Return the inputs, a function of a library, and NumPy's distances and gradient."""
    sizes = [int(size) for size in rows.split("x")]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((sizes[0], sizes[-1])).astype(np.float32)
    wide = x.astype(np.float64)
    if name == "pdist":
        upper = np.triu_indices(len(x), 1)
        table = np.zeros((len(x), len(x)))

        def gradient(dy: np.ndarray) -> np.ndarray:
            table[upper] = dy
            return _slopes(wide, wide, table + table.T, p)

        return [x], "nn.functional.pdist", _norms(wide, wide, p)[upper], gradient
    y = rng.standard_normal((sizes[1], sizes[-1])).astype(np.float32)
    other = y.astype(np.float64)
    return [x, y], "cdist", _norms(wide, other, p), lambda dy: _slopes(wide, other, dy, p)


def _function(library: Any, path: str, p: float) -> Callable[..., Any]:
    for name in path.split("."):
        library = getattr(library, name)
    return lambda *inputs: library(*inputs, p)


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("distance"):
        op, rows, order = text.split()
        p = float(order)
        arrays, path, distances, gradient = _pairs(op, rows, p)
        dy = np.random.default_rng(1).standard_normal(distances.shape).astype(np.float32)
        ours, seed = _function(gs, path, p), gs.from_numpy(dy)
        inputs = [gs.from_numpy(x) for x in arrays]
        leaves = [gs.tensor(x, requires_grad=True) for x in arrays]
        forward = Problem(
            "distance",
            f"{name} forward",
            ours=lambda f=ours, x=inputs: f(*x),
            check=close_to(distances, 1e-4),
            bytes=4.0 * distances.size,
        )
        step = Problem(
            "distance",
            f"{name} forward+backward",
            ours=lambda f=ours, x=leaves, d=seed: _step(f, x, d),
            check=close_to(gradient(dy.astype(np.float64)), 1e-3),
            bytes=12.0 * distances.size,
        )
        if "torch" in against:
            import torch

            theirs, given_dy = _function(torch, path, p), torch.from_numpy(dy)
            given = [torch.from_numpy(x) for x in arrays]
            given_leaves = [torch.tensor(x, requires_grad=True) for x in arrays]
            forward.peers["torch"] = {"default": lambda f=theirs, x=given: f(*x)}
            step.peers["torch"] = {
                "default": lambda f=theirs, x=given_leaves, d=given_dy: _step(f, x, d)
            }
        yield forward
        yield step
