# SPDX-License-Identifier: Apache-2.0
"""Matrix products in float32, float64, bfloat16 and float16, batched and transposed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list

DTYPES = {"float32": np.float32, "float64": np.float64}
DTYPES |= {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
TOLERANCE = {"float32": 1e-5, "float64": 1e-12, "bfloat16": 1e-2, "float16": 1e-3}


def operand(rng: np.random.Generator, shape: tuple[int, ...], transposed: bool, dtype: str) -> Any:
    """Return a random array of this shape, its last two dimensions swapped in memory or not."""
    if not transposed:
        return rng.standard_normal(shape).astype(DTYPES[dtype])
    swapped = (*shape[:-2], shape[-1], shape[-2])
    return rng.standard_normal(swapped).astype(DTYPES[dtype]).swapaxes(-1, -2)


def torch_operand(x: Any) -> Any:
    """Return the same values with the same strides for PyTorch."""
    import torch

    swapped = not x.flags.c_contiguous
    dense = x.swapaxes(-1, -2) if swapped else x
    if x.dtype == ml_dtypes.bfloat16:
        tensor = torch.from_numpy(dense.astype(np.float32)).to(torch.bfloat16)
    else:
        tensor = torch.from_numpy(dense)
    return tensor.swapaxes(-1, -2) if swapped else tensor


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("gemm"):
        size, *options = text.split()
        m, n, k = (int(number) for number in re.findall(r"\d+", size))
        dtype = next((option for option in options if option in DTYPES), "float32")
        order = next((option for option in options if re.fullmatch("[nt]{2}", option)), "nn")
        batch = next((int(option[1:]) for option in options if re.fullmatch(r"b\d+", option)), 1)
        leading = (batch,) if batch > 1 else ()
        rng = np.random.default_rng(0)
        a = operand(rng, (*leading, m, k), order[0] == "t", dtype)
        b = operand(rng, (*leading, k, n), order[1] == "t", dtype)
        x, y = gs.Tensor(a), gs.Tensor(b)
        problem = Problem(
            "gemm",
            name,
            ours=lambda x=x, y=y: gs.matmul(x, y),
            check=close_to(a.astype(np.float64) @ b.astype(np.float64), TOLERANCE[dtype]),
            flops=2.0 * batch * m * n * k,
            bytes=float(a.itemsize) * batch * (m * k + k * n + m * n),
        )
        if "numpy" in against and dtype not in ("bfloat16", "float16"):
            problem.peers["numpy"] = {"default": lambda a=a, b=b: a @ b}
        if "torch" in against:
            import torch

            ta, tb = torch_operand(a), torch_operand(b)
            problem.peers["torch"] = {"default": lambda ta=ta, tb=tb: torch.matmul(ta, tb)}
        yield problem
