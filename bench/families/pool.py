# SPDX-License-Identifier: Apache-2.0
"""Maximum and average pooling in float32, both layouts: forward, and forward with backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def _pool(functional: Any, op: str, ndim: int, size: int, *options: int) -> Callable[[Any], Any]:
    if op == "adaptive":
        function = getattr(functional, f"adaptive_avg_pool{ndim}d")
        return lambda x: function(x, size)
    function = getattr(functional, f"{op}_pool{ndim}d")
    return lambda x: function(x, size, *options)


def _definition(
    op: str, x: np.ndarray, size: int, stride: int, padding: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return y and, for a dy of ones, dx, in float64."""
    axes = tuple(range(2, x.ndim))
    if op == "adaptive":
        size = stride = x.shape[2] // size
    border = ((0, 0), (0, 0), *[(padding, padding)] * len(axes))
    empty = -np.inf if op == "max" else 0.0
    padded = np.pad(x.astype(np.float64), border, constant_values=empty)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size,) * len(axes), axis=axes)
    windows = windows[(slice(None), slice(None), *[slice(None, None, stride)] * len(axes))]
    inner = tuple(range(x.ndim, x.ndim + len(axes)))
    y = windows.max(inner) if op == "max" else windows.mean(inner)
    dx = np.zeros(padded.shape)
    for tap in np.ndindex(*(size,) * len(axes)):
        places = tuple(
            slice(k, k + stride * (n - 1) + 1, stride)
            for k, n in zip(tap, y.shape[2:], strict=True)
        )
        chosen = padded[(..., *places)] == y if op == "max" else 1.0 / size ** len(axes)
        dx[(..., *places)] += chosen
    inside = tuple(slice(padding, padding + n) for n in x.shape[2:])
    return y, dx[(..., *inside)]


def _in_layout(array: np.ndarray, layout: str) -> np.ndarray:
    if layout == "NCHW":
        return np.ascontiguousarray(array)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def _training_step(run: Callable[[Any], Any], x: Any, dy: Any) -> Any:
    x.grad = None
    run(x).backward(dy)
    return x.grad


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("pool"):
        op, *numbers, layout, sizes = text.split()
        options = [int(number) for number in numbers]
        shape = tuple(int(size) for size in sizes.split("x"))
        # No two elements of a window are equal, so that the definition finds the maxima by value.
        rng = np.random.default_rng(0)
        x = rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32) / 2**20 - 4
        y, dx = _definition(op, x, *options)
        run = _pool(gs.nn.functional, op, len(shape) - 2, *options)
        ours = gs.from_numpy(_in_layout(x, layout))
        ours_step = gs.from_numpy(_in_layout(x, layout)).requires_grad_()
        dy = gs.from_numpy(_in_layout(np.ones(y.shape, np.float32), layout))
        forward = Problem(
            "pool",
            f"{name} forward",
            ours=lambda f=run, a=ours: f(a),
            check=close_to(y, 1e-5),
            bytes=4.0 * (x.size + y.size),
        )
        step = Problem(
            "pool",
            f"{name} forward+backward",
            ours=lambda f=run, a=ours_step, b=dy: _training_step(f, a, b),
            check=close_to(dx, 1e-5),
            bytes=8.0 * (x.size + y.size),
        )
        if "torch" in against:
            _add_torch(forward, step, x, y.shape, op, options)
        yield forward
        yield step


def _add_torch(
    forward: Problem,
    step: Problem,
    x: np.ndarray,
    y_shape: tuple[int, ...],
    op: str,
    options: list[int],
) -> None:
    """Give PyTorch both memory formats, dy as well; its better one counts."""
    import torch

    run = _pool(torch.nn.functional, op, x.ndim - 2, *options)
    settings = {"default": torch.contiguous_format}
    if x.ndim > 3:
        last = {4: torch.channels_last, 5: torch.channels_last_3d}
        settings["channels_last"] = last[x.ndim]
    forward.peers["torch"] = {}
    step.peers["torch"] = {}
    for name, memory_format in settings.items():
        given = torch.from_numpy(x).contiguous(memory_format=memory_format)
        leaf = given.clone(memory_format=memory_format).requires_grad_()
        dy = torch.ones(y_shape).contiguous(memory_format=memory_format)
        forward.peers["torch"][name] = lambda a=given: run(a)
        step.peers["torch"][name] = lambda a=leaf, b=dy: _training_step(run, a, b)
