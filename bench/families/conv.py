# SPDX-License-Identifier: Apache-2.0
"""2-d convolutions in float32: forward, and forward with both gradients."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def _definition(x: np.ndarray, w: np.ndarray, stride: int, padding: int, groups: int) -> np.ndarray:
    """Return the convolution in float64, one product per position of the kernel."""
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    w = w.astype(np.float64)
    out, kernel = w.shape[0], w.shape[2]
    size = (x.shape[2] - kernel) // stride + 1
    y = np.zeros((x.shape[0], out, size, size))
    share_in, share_out = x.shape[1] // groups, out // groups
    for g in range(groups):
        inputs = x[:, g * share_in : (g + 1) * share_in]
        filters = w[g * share_out : (g + 1) * share_out]
        for i in range(kernel):
            for j in range(kernel):
                rows = slice(i, i + stride * (size - 1) + 1, stride)
                columns = slice(j, j + stride * (size - 1) + 1, stride)
                y[:, g * share_out : (g + 1) * share_out] += np.einsum(
                    "nchw,oc->nohw", inputs[:, :, rows, columns], filters[:, :, i, j]
                )
    return y


def _training_step(conv: Any, x: Any, w: Any, options: dict[str, int]) -> Any:
    x.grad = w.grad = None
    y = conv(x, w, **options)
    y.sum().backward()
    return w.grad


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("conv"):
        numbers = {key: int(size) for key, size in re.findall(r"([a-z])(\d+)", text)}
        n, c, h, o, k, g = (numbers[key] for key in "nchokg")
        rng = np.random.default_rng(0)
        x = rng.standard_normal((n, c, h, h)).astype(np.float32)
        w = rng.standard_normal((o, c // g, k, k)).astype(np.float32)
        options = {"stride": numbers["s"], "padding": numbers["p"], "groups": g}
        expected = _definition(x, w, numbers["s"], numbers["p"], g)
        flops = 2.0 * expected.size * (c // g) * k * k
        ours_x, ours_w = gs.from_numpy(x), gs.from_numpy(w)
        forward = Problem(
            "conv",
            f"{name} forward",
            ours=lambda a=ours_x, b=ours_w, o=options: gs.nn.functional.conv2d(a, b, **o),
            check=close_to(expected, 2e-5),
            flops=flops,
        )
        step_x = gs.tensor(x, requires_grad=True)
        step_w = gs.tensor(w, requires_grad=True)
        step = Problem(
            "conv",
            f"{name} forward+backward",
            ours=lambda a=step_x, b=step_w, o=options: _training_step(
                gs.nn.functional.conv2d, a, b, o
            ),
            check=lambda result, shape=w.shape: _assert_shape(result, shape),
            flops=3 * flops,
        )
        if "torch" in against:
            _add_torch(forward, step, x, w, options)
        yield forward
        yield step


def _assert_shape(result: Any, shape: tuple[int, ...]) -> None:
    assert tuple(result.shape) == shape
    assert np.isfinite(result.numpy()).all()


def _add_torch(
    forward: Problem, step: Problem, x: np.ndarray, w: np.ndarray, options: dict[str, int]
) -> None:
    """Give PyTorch both memory formats; its better one counts."""
    import torch

    conv = torch.nn.functional.conv2d
    forward.peers["torch"] = {}
    step.peers["torch"] = {}
    formats = {"default": torch.contiguous_format, "channels_last": torch.channels_last}
    for name, memory_format in formats.items():
        tx = torch.from_numpy(x).contiguous(memory_format=memory_format)
        tw = torch.from_numpy(w).contiguous(memory_format=memory_format)
        sx = tx.clone(memory_format=memory_format).requires_grad_()
        sw = tw.clone(memory_format=memory_format).requires_grad_()
        forward.peers["torch"][name] = lambda a=tx, b=tw: conv(a, b, **options)
        step.peers["torch"][name] = lambda a=sx, b=sw: _training_step(conv, a, b, options)
