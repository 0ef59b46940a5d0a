# SPDX-License-Identifier: Apache-2.0
"""Reductions of float32 planes over rows, columns and everything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("reduce"):
        op, sizes, where = text.split()
        rng = np.random.default_rng(0)
        x = rng.standard_normal(tuple(int(size) for size in sizes.split("x"))).astype(np.float32)
        axes = tuple(range(x.ndim)) if where == "all" else (int(where),)
        numpy_op = getattr(np, op)
        function, ours = getattr(gs, op), gs.from_numpy(x)
        problem = Problem(
            "reduce",
            name,
            ours=lambda f=function, a=ours, d=axes: f(a, dim=d),
            check=close_to(np.asarray(numpy_op(x.astype(np.float64), axis=axes)), 1e-5),
            bytes=4.0 * x.size,
        )
        if "numpy" in against:
            problem.peers["numpy"] = {"default": lambda f=numpy_op, a=x, d=axes: f(a, axis=d)}
        if "torch" in against:
            import torch

            peer, given = getattr(torch, op), torch.from_numpy(x)
            problem.peers["torch"] = {"default": lambda f=peer, a=given, d=axes: f(a, dim=d)}
        yield problem
