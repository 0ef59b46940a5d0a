# SPDX-License-Identifier: Apache-2.0
"""2-d maximum and average pooling in float32, forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def _pool(functional: Any, op: str, kernel: int, stride: int, padding: int) -> Callable[..., Any]:
    if kernel == 0:
        return lambda x: functional.adaptive_avg_pool2d(x, 1)
    function = functional.max_pool2d if op == "max" else functional.avg_pool2d
    return lambda x: function(x, kernel, stride, padding)


def _definition(op: str, x: np.ndarray, kernel: int, stride: int, padding: int) -> np.ndarray:
    if kernel == 0:
        return x.astype(np.float64).mean((2, 3), keepdims=True)
    border = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(x.astype(np.float64), border, constant_values=-np.inf if op == "max" else 0)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    return windows.max((4, 5)) if op == "max" else windows.mean((4, 5))


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("pool"):
        op, *numbers, sizes = text.split()
        options = [int(number) for number in numbers]
        rng = np.random.default_rng(0)
        x = rng.standard_normal(tuple(int(size) for size in sizes.split("x"))).astype(np.float32)
        expected = _definition(op, x, *options)
        run, ours = _pool(gs.nn.functional, op, *options), gs.from_numpy(x)
        problem = Problem(
            "pool",
            name,
            ours=lambda f=run, a=ours: f(a),
            check=close_to(expected, 1e-5),
            bytes=4.0 * (x.size + expected.size),
        )
        if "torch" in against:
            import torch

            problem.peers["torch"] = {}
            for setting in ("contiguous_format", "channels_last"):
                given = torch.from_numpy(x).contiguous(memory_format=getattr(torch, setting))
                peer = _pool(torch.nn.functional, op, *options)
                problem.peers["torch"][setting] = lambda f=peer, a=given: f(a)
        yield problem
