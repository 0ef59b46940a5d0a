# SPDX-License-Identifier: Apache-2.0
"""Products added to a tensor in place, by the rules of `inplace`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gradsmith.ops import gemm, gemm_products
from gradsmith.ops.inplace import change
from gradsmith.ops.options import names_errors
from gradsmith.tensor import Tensor


def _in_place(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    signature = inspect.signature(function)
    tensors = list(signature.parameters)[:3]

    def method(*args: Any, **kwargs: Any) -> Tensor:
        factors = signature.bind(*args, **kwargs).arguments
        input, *operands = (factors.pop(argument) for argument in tensors)

        def combined(*given: Tensor) -> Tensor:
            return function(*given, **factors)

        return change(name, input, tuple(operands), combined)

    method.__name__ = method.__qualname__ = name
    method.__signature__ = signature  # type: ignore[attr-defined]
    method.__doc__ = f"Become ``beta * input + alpha * product`` in place (see `{name[:-1]}`)."
    return names_errors(method)


addmm_ = _in_place("addmm_", gemm.addmm)
addmv_ = _in_place("addmv_", gemm_products.addmv)
addr_ = _in_place("addr_", gemm_products.addr)
addbmm_ = _in_place("addbmm_", gemm_products.addbmm)
baddbmm_ = _in_place("baddbmm_", gemm.baddbmm)
