# SPDX-License-Identifier: Apache-2.0
"""Interpolation and sampling at the points of a grid in float32: forward, and forward with backward
(of a grid too). PyTorch gets both memory formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def _call(functional: Any, op: str, size: tuple[int, ...]) -> Callable[..., Any]:
    if op == "grid_sample":
        return lambda x, grid: functional.grid_sample(x, grid, align_corners=False)
    if op == "antialias":
        return lambda x: functional.interpolate(x, size, mode="bilinear", antialias=True)
    if op == "nearest":
        return lambda x: functional.interpolate(x, size)
    return lambda x: functional.interpolate(x, size, mode=op, align_corners=False)


def _inputs(op: str, shape: tuple[int, ...], size: tuple[int, ...]) -> list[np.ndarray]:
    """Return the image, and for sampling a grid whose neighbours are neighbours, as a warp's."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32)]
    if op == "grid_sample":
        axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in size), indexing="ij")
        turned = 0.9 * axes[1] + 0.3 * axes[0], 0.9 * axes[0] - 0.3 * axes[1]
        points = np.stack(turned, -1) + 0.02 * rng.standard_normal((shape[0], *size, 2))
        arrays.append(points.astype(np.float32))
    return arrays


def _in_layout(array: np.ndarray, layout: str) -> np.ndarray:
    if layout == "NCHW" or array.shape[-1] == 2:
        return np.ascontiguousarray(array)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def _step(run: Callable[..., Any], leaves: list[Any], dy: Any) -> Any:
    for leaf in leaves:
        leaf.grad = None
    run(*leaves).backward(dy)
    return leaves[0].grad


def _cubic(distance: np.ndarray) -> np.ndarray:
    d, a = np.abs(distance), -0.75
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, (((d - 5) * d + 8) * d - 4) * a
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


def _matrix(op: str, n: int, out: int) -> np.ndarray:
    """Return the (out, n) weights of one dimension."""
    if op == "nearest":
        return np.eye(n)[np.arange(out) * n // out]
    scale = n / out
    centres = (np.arange(out)[:, None] + 0.5) * scale - 0.5
    width = max(scale, 1.0) if op == "antialias" else 1.0
    # Pixels outside are those of the border, but for averages, which leave them out.
    pixels = np.arange(-3, n + 3)
    distance = (pixels - centres) / width
    weights = _cubic(distance) if op == "bicubic" else (1 - np.abs(distance)).clip(0)
    if op == "antialias":
        weights = np.where((pixels >= 0) & (pixels < n), weights, 0.0)
        weights /= weights.sum(1, keepdims=True)
    return weights @ np.eye(n)[pixels.clip(0, n - 1)]


def _sampled(x: np.ndarray, grid: np.ndarray) -> list[np.ndarray]:
    n, channels, height, width = x.shape
    position = ((grid.astype(np.float64) + 1) * (width, height) - 1) / 2
    first = np.floor(position)
    y, dx = np.zeros((n, *grid.shape[1:3], channels)), np.zeros((n, height, width, channels))
    rows, sample = np.moveaxis(x, 1, -1).astype(np.float64), np.arange(n)[:, None, None]
    for corner in np.ndindex(2, 2):
        at = first + corner
        weight = (1 - np.abs(position - at)).prod(-1)
        weight *= ((at >= 0) & (at < (width, height))).all(-1)
        column, row = (at[..., d].clip(0, m - 1).astype(int) for d, m in ((0, width), (1, height)))
        y += weight[..., None] * rows[sample, row, column]
        np.add.at(dx, (sample, row, column), weight[..., None])
    return [np.moveaxis(y, -1, 1), np.moveaxis(dx, -1, 1)]


def _definition(op: str, size: tuple[int, ...], arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Return y and, for a dy of ones, dx, in float64."""
    if op == "grid_sample":
        return _sampled(*arrays)
    x = arrays[0].astype(np.float64)
    down, across = (_matrix(op, n, out) for n, out in zip(x.shape[2:], size, strict=True))
    y = down @ x @ across.T
    return [y, down.T @ np.ones(y.shape) @ across]


def _add_torch(
    forward: Problem,
    step: Problem,
    arrays: list[np.ndarray],
    op: str,
    size: tuple[int, ...],
    y_shape: tuple[int, ...],
) -> None:
    """Give PyTorch both memory formats, dy as well; its better one counts."""
    import torch

    run = _call(torch.nn.functional, op, size)
    forward.peers["torch"], step.peers["torch"] = {}, {}
    formats = {"default": torch.contiguous_format, "channels_last": torch.channels_last}
    for name, order in formats.items():
        image, *grid = (torch.tensor(each) for each in arrays)
        given = [image.contiguous(memory_format=order), *grid]
        leaves = [each.detach().clone().requires_grad_() for each in given]
        dy = torch.ones(y_shape).contiguous(memory_format=order)
        forward.peers["torch"][name] = lambda a=given: run(*a)
        step.peers["torch"][name] = lambda a=leaves, b=dy: _step(run, a, b)


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("resampling"):
        op, layout, *sizes = text.split()
        shape, size = (tuple(int(n) for n in each.split("x")) for each in sizes)
        arrays = [_in_layout(each, layout) for each in _inputs(op, shape, size)]
        y, dx = _definition(op, size, arrays)
        run = _call(gs.nn.functional, op, size)
        given = [gs.from_numpy(each) for each in arrays]
        leaves = [gs.from_numpy(each).requires_grad_() for each in arrays]
        dy = gs.from_numpy(_in_layout(np.ones(y.shape, np.float32), layout))
        touched = 4.0 * (sum(each.size for each in arrays) + y.size)
        forward = Problem(
            "resampling",
            f"{name} forward",
            ours=lambda f=run, a=given: f(*a),
            check=close_to(y, 1e-3),
            bytes=touched,
        )
        step = Problem(
            "resampling",
            f"{name} forward+backward",
            ours=lambda f=run, a=leaves, b=dy: _step(f, a, b),
            check=close_to(dx, 1e-3),
            bytes=2 * touched,
        )
        if "torch" in against:
            _add_torch(forward, step, arrays, op, size, y.shape)
        yield forward
        yield step
