# SPDX-License-Identifier: Apache-2.0
"""Elementwise functions in float32, and the overhead of the tape on a chain of tiny adds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list

CHAIN = 1000

_erf = np.vectorize(math.erf)
DEFINITIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "add_row": np.add,
    "mul": np.multiply,
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + _erf(x / math.sqrt(2))),
    "relu": lambda x: np.maximum(x, 0),
}


def _operands(op: str, shape: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"add": [shape, shape], "mul": [shape, shape], "add_row": [shape, shape[-1:]]}
    return [rng.standard_normal(s).astype(np.float32) for s in shapes.get(op, [shape])]


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("elementwise"):
        op, sizes = text.split()
        arrays = _operands(op, tuple(int(size) for size in sizes.split("x")))
        function = getattr(gs, op.removesuffix("_row"), None) or getattr(gs.nn.functional, op)
        tensors = [gs.from_numpy(each) for each in arrays]
        expected = DEFINITIONS[op](*(each.astype(np.float64) for each in arrays))
        problem = Problem(
            "elementwise",
            name,
            ours=lambda f=function, t=tensors: f(*t),
            check=close_to(expected, 2e-6),
            bytes=4.0 * (sum(each.size for each in arrays) + expected.size),
        )
        if "numpy" in against and op in ("add", "add_row", "mul", "exp", "tanh"):
            problem.peers["numpy"] = {"default": lambda f=DEFINITIONS[op], a=arrays: f(*a)}
        if "torch" in against:
            import torch

            peer = getattr(torch, op.removesuffix("_row"), None)
            peer = peer or getattr(torch.nn.functional, op)
            given = [torch.from_numpy(each) for each in arrays]
            problem.peers["torch"] = {"default": lambda f=peer, t=given: f(*t)}
        yield problem
    yield chain_of_adds(against)


def chain_of_adds(against: list[str]) -> Problem:
    """1,000 chained adds of four numbers, forward and backward: the cost of an op as such."""
    start = np.arange(4, dtype=np.float32)

    def run(x: Any, ones: Any) -> Any:
        x.grad = None
        y = x
        for _ in range(CHAIN):
            y = y + x
        y.backward(ones)
        return x.grad

    ours = gs.tensor(start, requires_grad=True)
    problem = Problem(
        "elementwise",
        "chain_1000_adds_of_4",
        ours=lambda: run(ours, gs.ones(4)),
        check=close_to(np.full(4, CHAIN + 1.0), 1e-6),
    )
    if "torch" in against:
        import torch

        theirs = torch.tensor(start, requires_grad=True)
        problem.peers["torch"] = {"default": lambda: run(theirs, torch.ones(4))}
    return problem
