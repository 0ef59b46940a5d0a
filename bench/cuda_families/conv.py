# SPDX-License-Identifier: Apache-2.0
"""Convolutions, forward and with both gradients; ours take channels-last input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.device_cuda import Case
from bench.families.conv import _parse
from bench.problem import problem_list


def _last(x: Any) -> Any:
    import torch

    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _first(x: Any) -> Any:
    return x.contiguous()


def cases() -> Iterator[Case]:
    import torch

    for name, text in problem_list("cuda_conv"):
        layer = _parse(text.split()[0])
        dtype = getattr(torch, text.split()[1])
        x_shape, w_shape = layer.shapes
        reach = layer.dilation * (layer.kernel - 1) + 1
        out = [(h + 2 * layer.padding - reach) // layer.stride + 1 for h in layer.size]
        count = layer.filters * layer.batch * out[0] * out[1]
        weights = torch.Size(w_shape).numel()
        moved = torch.Size(x_shape).numel() + count + weights
        is_depthwise = layer.groups == layer.channels
        flops = 2.0 * count * weights / layer.filters

        def make(x: Any = x_shape, w: Any = w_shape, dtype: Any = dtype) -> list[Any]:
            fan = torch.Size(w[1:]).numel()
            given = torch.randn(x, device="cuda").to(dtype)
            return [_last(given), (torch.randn(w, device="cuda") / fan**0.5).to(dtype)]

        yield Case(
            "conv",
            name,
            lambda library, x, w, o=layer.options: library.nn.functional.conv2d(x, w, **o),
            make,
            leaves=(0, 1),
            flops=0.0 if is_depthwise else flops,
            bytes=float(dtype.itemsize * moved),
            settings={"channels_last": _last, "contiguous": _first},
        )
