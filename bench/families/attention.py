# SPDX-License-Identifier: Apache-2.0
"""Scaled dot-product attention, forward and with the gradients of query, key and value.

Operations are those of the products (two forward, five backward), half of them if causal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np

import gradsmith as gs
from bench.problem import Problem, problem_list


def _head(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, dy: np.ndarray, added: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return y, dq, dk, dv of one head by the definition."""
    scale = 1 / math.sqrt(q.shape[-1])
    scores = scale * (q @ k.T) + added
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    dp = dy @ v.T
    ds = scale * p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    return p @ v, ds @ k, ds.T @ q, p.T @ dy


def _check(arrays: list[np.ndarray], added: np.ndarray, tolerance: float) -> Callable[[Any], None]:
    """Return a check of y, or of dq, dk and dv, on the first head and the last."""

    def check(result: Any) -> None:
        tensors = result if isinstance(result, tuple) else (result,)
        for index in ((0, 0), (-1, -1)):
            all_four = _head(*(a[index].astype(np.float64) for a in arrays), added)
            wanted = all_four[:1] if len(tensors) == 1 else all_four[1:]
            for got, want in zip(tensors, wanted, strict=True):
                got = got.detach().numpy()[index].astype(np.float64)
                scale = np.maximum(np.abs(want), np.sqrt(np.mean(want**2)))
                error = np.max(np.abs(got - want) / scale)
                assert error <= tolerance, f"error {error:.2e}, allowed {tolerance:.2e}"

    return check


def _step(attend: Any, leaves: list[Any], dy: Any) -> tuple[Any, ...]:
    for leaf in leaves:
        leaf.grad = None
    attend(*leaves).backward(dy)
    return tuple(leaf.grad for leaf in leaves)


def _slices(x: Any) -> list[Any]:
    """Return query, key and value (B, H, T, D) of a projection (B, T, 3, H, D)."""
    return [x[:, :, i].transpose(1, 2) for i in range(3)]


def _runners(
    attend: Any, make: Callable[[np.ndarray], Any], arrays: list[np.ndarray], qkv: bool
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what runs the forward pass, and both passes."""
    inputs = [make(np.ascontiguousarray(a)) for a in arrays]
    if qkv:
        stacked = np.stack([a.transpose(0, 2, 1, 3) for a in arrays[:3]], axis=2)
        inputs[:3] = _slices(make(stacked))
    leaves = [x.detach() for x in inputs[:3]]
    for leaf in leaves:
        leaf.requires_grad = True
    return lambda: attend(*inputs[:3]), lambda: _step(attend, leaves, inputs[3])


def _problem(name: str, text: str, against: list[str]) -> Iterator[Problem]:
    sizes, *flags = text.split()
    batch, heads, length, features = shape = tuple(int(size) for size in sizes.split("x"))
    rng = np.random.default_rng(0)
    dtype = ml_dtypes.bfloat16 if "bfloat16" in flags else np.float32
    arrays = [rng.standard_normal(shape).astype(dtype) for _ in range(4)]
    mask, added = None, np.zeros((length, length))
    if "causal" in flags:
        added[~np.tri(length, dtype=bool)] = -np.inf
    elif "boolean" in flags:
        mask = rng.random((length, length)) < 0.7
        added[~mask] = -np.inf
    elif "additive" in flags:
        mask = rng.standard_normal((length, length)).astype(np.float32)
        added = mask.astype(np.float64)
    options: dict[str, Any] = {"is_causal": "causal" in flags}
    given = None if mask is None else gs.from_numpy(mask)
    ours = _runners(
        lambda q, k, v: gs.nn.functional.scaled_dot_product_attention(q, k, v, given, **options),
        gs.from_numpy,
        arrays,
        "qkv" in flags,
    )
    flops = 4.0 * batch * heads * length * length * features / (2 if "causal" in flags else 1)
    check = _check(arrays, added, 2e-2 if "bfloat16" in flags else 2e-5)
    forward = Problem("attention", f"{name} forward", ours[0], check, flops=flops)
    step = Problem("attention", f"{name} forward+backward", ours[1], check, flops=3.5 * flops)
    if "torch" in against:
        import torch

        def make(array: np.ndarray) -> Any:
            if array.dtype == ml_dtypes.bfloat16:
                return torch.from_numpy(array.astype(np.float32)).bfloat16()
            return torch.from_numpy(array)

        attend = torch.nn.functional.scaled_dot_product_attention
        theirs_mask = None if mask is None else torch.from_numpy(mask)
        theirs = _runners(
            lambda q, k, v: attend(q, k, v, theirs_mask, **options), make, arrays, "qkv" in flags
        )
        forward.peers["torch"] = {"default": theirs[0]}
        step.peers["torch"] = {"default": theirs[1]}
    yield forward
    if "bfloat16" not in flags:
        yield step


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("attention"):
        yield from _problem(name, text, against)
