# SPDX-License-Identifier: Apache-2.0
"""Matrix products in float32."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("gemm"):
        m, n, k = (int(size) for size in re.findall(r"\d+", text))
        rng = np.random.default_rng(0)
        a = rng.standard_normal((m, k)).astype(np.float32)
        b = rng.standard_normal((k, n)).astype(np.float32)
        x, y = gs.from_numpy(a), gs.from_numpy(b)
        problem = Problem(
            "gemm",
            name,
            ours=lambda x=x, y=y: gs.matmul(x, y),
            check=close_to(a.astype(np.float64) @ b.astype(np.float64), 1e-5),
            flops=2.0 * m * n * k,
            bytes=4.0 * (m * k + k * n + m * n),
        )
        if "numpy" in against:
            problem.peers["numpy"] = {"default": lambda a=a, b=b: a @ b}
        if "torch" in against:
            import torch

            ta, tb = torch.from_numpy(a), torch.from_numpy(b)
            problem.peers["torch"] = {"default": lambda ta=ta, tb=tb: torch.matmul(ta, tb)}
        yield problem
