# SPDX-License-Identifier: Apache-2.0
"""Convolutions in float32: forward, and forward with both gradients."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


@dataclass(frozen=True)
class Layer:
    """One line of the problem list."""

    batch: int
    channels: int
    size: tuple[int, ...]
    filters: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    groups: int
    transposed: bool
    winograd: str  # the tile that ours may use

    @property
    def function(self) -> str:
        """Its name in torch.nn.functional, and ours."""
        return f"conv{'_transpose' if self.transposed else ''}{len(self.size)}d"

    @property
    def options(self) -> dict[str, int]:
        names = ("stride", "padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of input and weight."""
        first, second = self.filters, self.channels
        if self.transposed:
            first, second = second, first
        weight = (first, second // self.groups, *(self.kernel,) * len(self.size))
        return (self.batch, self.channels, *self.size), weight


def _parse(text: str) -> Layer:
    text, _, winograd = text.partition("winograd")
    numbers = re.findall(r"([a-z])(\d+(?:x\d+)*)", text.removesuffix("transposed"))
    n, c, i, o, k, s, p, d, g = (tuple(int(x) for x in value.split("x")) for _, value in numbers)
    single = (each[0] for each in (o, k, s, p, d, g))
    return Layer(n[0], c[0], i, *single, text.endswith("transposed"), winograd or "off")


def _taps(layer: Layer, short: tuple[int, ...]) -> Iterator[Any]:
    """Yield each kernel offset, and where the short side meets the padded long side there."""
    for offset in itertools.product(range(layer.kernel), repeat=len(short)):
        starts = [k * layer.dilation for k in offset]
        slices = [
            slice(start, start + layer.stride * (count - 1) + 1, layer.stride)
            for start, count in zip(starts, short, strict=True)
        ]
        yield (slice(None), slice(None), *offset), (slice(None), *slices)


def _definition(
    layer: Layer, x: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the result and, for a gradient of ones, both gradients; in float64, per kernel offset.

    A convolution is a linear map from its padded input, the long side, to its result, the short
    one; a transposed convolution goes back. Channels are the last dimension here.
    """
    reach, p = layer.dilation * (layer.kernel - 1) + 1, layer.padding
    x, w = np.moveaxis(x.astype(np.float64), 1, -1), w.astype(np.float64)
    if layer.transposed:
        short, long = layer.size, tuple((h - 1) * layer.stride + reach for h in layer.size)
    else:
        long = tuple(h + 2 * p for h in layer.size)
        short = tuple((h - reach) // layer.stride + 1 for h in long)
    inner = (slice(None), *(slice(p, h - p) for h in long))
    shares = w.shape[0] // layer.groups, w.shape[1]
    small = np.ones((layer.batch, *short, w.shape[0]))
    large = np.zeros((layer.batch, *long, w.shape[1] * layer.groups))
    large[inner] = 1.0
    if layer.transposed:
        small = x
    else:
        large[inner] = x
    to_small, to_large, dw = np.zeros_like(small), np.zeros_like(large), np.zeros_like(w)
    axes = list(range(len(short) + 1))
    for offset, seen in _taps(layer, short):
        for g in range(layer.groups):
            rows = slice(g * shares[0], (g + 1) * shares[0])
            columns = slice(g * shares[1], (g + 1) * shares[1])
            taps = w[offset][rows]
            to_small[..., rows] += large[seen][..., columns] @ taps.T
            to_large[(*seen, columns)] += small[..., rows] @ taps
            part = np.tensordot(small[..., rows], large[seen][..., columns], (axes, axes))
            dw[offset][rows] += part
    to_large = to_large[inner]
    y, dx = (to_large, to_small) if layer.transposed else (to_small, to_large)
    return np.moveaxis(y, -1, 1), np.moveaxis(dx, -1, 1), dw


def _training_step(conv: Callable[..., Any], x: Any, w: Any, dy: Any, options: Any) -> Any:
    x.grad = w.grad = None
    conv(x, w, **options).backward(dy)
    return x, w


def _with_winograd(tile: str, ours: Callable[[], Any]) -> Callable[[], Any]:
    """Return what runs ours with this tile allowed."""
    if tile == "off":
        return ours

    def run() -> Any:
        with gs.config.winograd(tile):
            return ours()

    return run


def _check_step(dx: np.ndarray, dw: np.ndarray) -> Callable[[Any], None]:
    check_dx, check_dw = close_to(dx, 1e-4), close_to(dw, 1e-4)

    def check(result: Any) -> None:
        x, w = result
        check_dx(x.grad)
        check_dw(w.grad)

    return check


def _handed_over(array: np.ndarray, requires_grad: bool = False) -> Any:
    """Return a tensor of our own memory in the layout that our convolutions give their results.

    Within a network that is how it arrives; its first layer takes what the user has.
    """
    if array.shape[1] >= 16:
        array = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    tensor = gs.from_numpy(array).clone()
    tensor.requires_grad = requires_grad
    return tensor


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("conv"):
        layer = _parse(text)
        rng = np.random.default_rng(0)
        x, w = (rng.standard_normal(shape).astype(np.float32) for shape in layer.shapes)
        y, dx, dw = _definition(layer, x, w)
        places = layer.size if layer.transposed else y.shape[2:]
        flops = 2.0 * layer.batch * float(np.prod(places)) * w.size
        ones = np.ones(y.shape, np.float32)
        ours_dy = _handed_over(ones)
        function = getattr(gs.nn.functional, layer.function)
        a, b = _handed_over(x), gs.from_numpy(w)
        forward = Problem(
            "conv",
            f"{name} forward",
            ours=_with_winograd(layer.winograd, partial(function, a, b, **layer.options)),
            check=close_to(y, 3e-5),
            flops=flops,
        )
        a, b = _handed_over(x, requires_grad=True), gs.tensor(w, requires_grad=True)
        step = Problem(
            "conv",
            f"{name} forward+backward",
            ours=_with_winograd(
                layer.winograd, partial(_training_step, function, a, b, ours_dy, layer.options)
            ),
            check=_check_step(dx, dw),
            flops=3 * flops,
        )
        if "torch" in against:
            _add_torch(forward, step, x, w, ones, layer)
        yield forward
        yield step


def _add_torch(
    forward: Problem, step: Problem, x: np.ndarray, w: np.ndarray, dy: np.ndarray, layer: Layer
) -> None:
    """Give PyTorch both memory formats; its better one counts."""
    import torch

    conv, options = getattr(torch.nn.functional, layer.function), layer.options
    forward.peers["torch"] = {}
    step.peers["torch"] = {}
    formats = {"default": torch.contiguous_format}
    if len(layer.size) > 1:
        last = torch.channels_last if len(layer.size) == 2 else torch.channels_last_3d
        formats["channels_last"] = last
    for name, memory_format in formats.items():
        tx, tw, td = (
            torch.from_numpy(each).contiguous(memory_format=memory_format) for each in (x, w, dy)
        )
        sx = tx.clone(memory_format=memory_format).requires_grad_()
        sw = tw.clone(memory_format=memory_format).requires_grad_()
        forward.peers["torch"][name] = lambda a=tx, b=tw: conv(a, b, **options)
        step.peers["torch"][name] = lambda a=sx, b=sw, d=td: _training_step(conv, a, b, d, options)
