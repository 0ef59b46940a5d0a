# SPDX-License-Identifier: Apache-2.0
"""Scaled dot-product attention, forward and with the gradients of query, key and value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.device_cuda import Case
from bench.problem import problem_list


def cases() -> Iterator[Case]:
    import torch

    for name, text in problem_list("cuda_attention"):
        sizes, dtype_name, *flags = text.split()
        shape = [int(size) for size in sizes.split("x")]
        batch, heads, length, features = shape
        causal = "causal" in flags
        dtype = getattr(torch, dtype_name)

        def run(library: Any, q: Any, k: Any, v: Any, causal: bool = causal) -> Any:
            attend = library.nn.functional.scaled_dot_product_attention
            return attend(q, k, v, is_causal=causal)

        def make(shape: list[int] = shape, dtype: Any = dtype) -> list[Any]:
            return [torch.randn(shape, device="cuda").to(dtype) for _ in range(3)]

        yield Case(
            "attention",
            name,
            run,
            make,
            leaves=(0, 1, 2),
            flops=4.0 * batch * heads * length * length * features / (2 if causal else 1),
            step_factor=3.5,
            sample=lambda x: x[:1, :1],
        )
