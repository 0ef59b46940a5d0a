# SPDX-License-Identifier: Apache-2.0
"""Reductions of float32 arrays over rows, columns and other dimensions, and running sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def _call(library: Any, op: str, axes: tuple[int, ...]) -> Callable[[Any], Any]:
    function = getattr(library, op)
    one = op in ("argmax", "argmin", "prod", "cumsum")
    return lambda x: function(x, dim=axes[0] if one else axes)


def _numpy_call(op: str, axes: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    function = getattr(np, op)
    if op in ("argmax", "argmin", "cumsum"):
        return lambda x: np.asarray(function(x, axis=axes[0]))
    options = {"ddof": 1} if op in ("var", "std") else {}
    return lambda x: np.asarray(function(x, axis=axes, **options))


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("reduce"):
        op, sizes, where, *layout = text.split()
        rng = np.random.default_rng(0)
        x = rng.standard_normal(tuple(int(size) for size in sizes.split("x"))).astype(np.float32)
        if op == "prod":
            x = 1 + x / 64
        axes = tuple(range(x.ndim)) if where == "all" else tuple(map(int, where.split(",")))
        definition = _numpy_call(op, axes)
        expected = definition(x.astype(np.float64))
        if layout == ["channels_last"]:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        ours, given = _call(gs, op, axes), gs.from_numpy(x)
        problem = Problem(
            "reduce",
            name,
            ours=lambda f=ours, a=given: f(a),
            check=close_to(expected, 1e-5),
            bytes=(8.0 if op == "cumsum" else 4.0) * x.size,
        )
        if "numpy" in against:
            problem.peers["numpy"] = {"default": lambda f=definition, a=x: f(a)}
        if "torch" in against:
            import torch

            peer, theirs = _call(torch, op, axes), torch.from_numpy(x)
            problem.peers["torch"] = {"default": lambda f=peer, a=theirs: f(a)}
        yield problem
