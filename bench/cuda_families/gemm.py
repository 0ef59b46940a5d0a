# SPDX-License-Identifier: Apache-2.0
"""Matrix products, and the linear layer with its activation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bench.device_cuda import Case
from bench.problem import problem_list


def _operand(shape: tuple[int, ...], swapped: bool, dtype: Any) -> Any:
    import torch

    if not swapped:
        return torch.randn(shape, device="cuda").to(dtype)
    return torch.randn(*shape[:-2], shape[-1], shape[-2], device="cuda").to(dtype).mT


# How each library makes a product of float32.
_PRECISIONS = {
    "tf32": {"gradsmith": "medium", "torch": "high"},
    "tf32x3": {"gradsmith": "high", "torch": "highest"},
}


def _matmul(library: Any, a: Any, b: Any, precisions: dict[str, str] | None) -> Any:
    if precisions is None:
        return library.matmul(a, b)
    library.set_float32_matmul_precision(precisions[library.__name__])
    try:
        return library.matmul(a, b)
    finally:
        library.set_float32_matmul_precision("highest")


def _linear_gelu(library: Any, x: Any, weight: Any, bias: Any) -> Any:
    functional = library.nn.functional
    return functional.gelu(functional.linear(x, weight, bias), approximate="tanh")


def cases() -> Iterator[Case]:
    import torch

    for name, text in problem_list("cuda_gemm"):
        size, *options = text.split()
        m, n, k = (int(number) for number in re.findall(r"\d+", size))
        dtype = getattr(torch, next(each for each in options if each.startswith(("float", "bf"))))
        batch = next((int(each[1:]) for each in options if re.fullmatch(r"b\d+", each)), 1)
        leading = (batch,) if batch > 1 else ()
        order = next((each for each in options if re.fullmatch("[nt]{2}", each)), "nn")
        precisions = next((_PRECISIONS[each] for each in options if each in _PRECISIONS), None)
        count = batch * (m * k + k * n + m * n)
        shared = {"flops": 2.0 * batch * m * n * k, "bytes": float(dtype.itemsize * count)}
        if "gelu" in options:
            yield Case(
                "gemm",
                name,
                _linear_gelu,
                lambda m=m, n=n, k=k, t=dtype: [
                    _operand((m, k), False, t),
                    _operand((n, k), False, t) / k**0.5,
                    _operand((1, n), False, t)[0],
                ],
                leaves=(0, 1, 2) if "step" in options else (),
                **shared,
            )
            continue
        yield Case(
            "gemm",
            name,
            lambda library, a, b, p=precisions: _matmul(library, a, b, p),
            lambda lead=leading, m=m, n=n, k=k, o=order, t=dtype: [
                _operand((*lead, m, k), o[0] == "t", t),
                _operand((*lead, k, n), o[1] == "t", t),
            ],
            tolerance=1e-3 if "tf32" in options else None,
            **shared,
        )
