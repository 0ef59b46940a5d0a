# SPDX-License-Identifier: Apache-2.0
"""Random numbers and dropout. What is drawn differs between libraries, so a result is judged by its
mean and spread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, problem_list


def _moments(mean: float, deviation: float) -> Callable[[Any], None]:
    def check(result: Any) -> None:
        got = result.detach().numpy().astype(np.float64)
        slack = 8 * max(deviation, 1.0) / math.sqrt(got.size)
        assert abs(got.mean() - mean) <= slack, f"mean {got.mean()}, expected {mean}"
        assert abs(got.std() - deviation) <= slack, f"deviation {got.std()}, expected {deviation}"

    return check


def _dropout_step(library: Any, x: Any, dy: Any) -> Any:
    x.grad = None
    library.nn.functional.dropout(x, 0.25).backward(dy)
    return x.grad


# name: the call on either library (x and dy are ones), mean, deviation, bytes per element
FUNCTIONS: dict[str, tuple[Callable[..., Any], float, float, int]] = {
    "uniform": (lambda m, x, dy: m.rand(x.shape), 0.5, math.sqrt(1 / 12), 4),
    "normal": (lambda m, x, dy: m.randn(x.shape), 0.0, 1.0, 4),
    "integers": (lambda m, x, dy: m.randint(0, 100, x.shape), 49.5, math.sqrt(833.25), 8),
    "dropout": (
        lambda m, x, dy: m.nn.functional.dropout(dy, 0.25),
        1.0,
        math.sqrt(1 / 3),
        8,
    ),
    "dropout_step": (_dropout_step, 1.0, math.sqrt(1 / 3), 16),
}


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("random"):
        op, number = text.split()
        run, mean, deviation, bytes_each = FUNCTIONS[op]
        ones = np.ones(int(number), np.float32)
        ours = gs.tensor(ones, requires_grad=True), gs.from_numpy(ones)
        problem = Problem(
            "random",
            name,
            ours=lambda f=run, a=ours: f(gs, *a),
            check=_moments(mean, deviation),
            bytes=float(bytes_each * ones.size),
        )
        if "torch" in against:
            import torch

            theirs = torch.tensor(ones, requires_grad=True), torch.from_numpy(ones)
            problem.peers["torch"] = {"default": lambda f=run, a=theirs, t=torch: f(t, *a)}
        yield problem
