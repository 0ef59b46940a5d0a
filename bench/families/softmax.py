# SPDX-License-Identifier: Apache-2.0
"""Softmax and its logarithm over one dimension in float32, forward and with the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def _definition(op: str, x: np.ndarray, dim: int) -> np.ndarray:
    shifted = x - x.max(axis=dim, keepdims=True)
    exponentials = np.exp(shifted)
    total = exponentials.sum(axis=dim, keepdims=True)
    return exponentials / total if op == "softmax" else shifted - np.log(total)


def _gradient(op: str, y: np.ndarray, dy: np.ndarray, dim: int) -> np.ndarray:
    if op == "softmax":
        return y * (dy - (dy * y).sum(axis=dim, keepdims=True))
    return dy - np.exp(y) * dy.sum(axis=dim, keepdims=True)


def _step(function: Any, x: Any, dy: Any, dim: int) -> Any:
    x.grad = None
    function(x, dim).backward(dy)
    return x.grad


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("softmax"):
        op, sizes, *given_dim = text.split()
        dim = int(given_dim[0]) if given_dim else -1
        shape = tuple(int(size) for size in sizes.split("x"))
        rng = np.random.default_rng(0)
        x = rng.standard_normal(shape).astype(np.float32)
        dy = rng.standard_normal(shape).astype(np.float32)
        y = _definition(op, x.astype(np.float64), dim)
        function = getattr(gs.nn.functional, op)
        ours, ours_dy = gs.from_numpy(x), gs.from_numpy(dy)
        leaf = gs.tensor(x, requires_grad=True)
        forward = Problem(
            "softmax",
            f"{name} forward",
            ours=lambda f=function, a=ours, d=dim: f(a, d),
            check=close_to(y, 1e-5),
            bytes=8.0 * x.size,
        )
        step = Problem(
            "softmax",
            f"{name} forward+backward",
            ours=lambda f=function, a=leaf, b=ours_dy, d=dim: _step(f, a, b, d),
            check=close_to(_gradient(op, y, dy.astype(np.float64), dim), 1e-5),
            bytes=20.0 * x.size,
        )
        if "torch" in against:
            import torch

            peer = getattr(torch.nn.functional, op)
            given, given_dy = torch.from_numpy(x), torch.from_numpy(dy)
            given_leaf = torch.tensor(x, requires_grad=True)
            forward.peers["torch"] = {"default": lambda f=peer, a=given, d=dim: f(a, d)}
            step.peers["torch"] = {
                "default": lambda f=peer, a=given_leaf, b=given_dy, d=dim: _step(f, a, b, d)
            }
        yield forward
        yield step
