# SPDX-License-Identifier: Apache-2.0
"""How many multiply-accumulates an op takes, from its result and its inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import cycle
from typing import Any

from gradsmith.ops.rnn import NAMES
from gradsmith.tensor import Tensor

Inputs = tuple[Any, ...]


def _by_weight(factor: Tensor, weight: Tensor) -> int:
    return factor.numel() * math.prod(weight.shape[1:])


def _matmul(out: Tensor, inputs: Inputs) -> int:
    rows = out.shape[-2]  # the first operand may come transposed, so its sizes are not in order
    return out.numel() * (math.prod(inputs[0].shape[-2:]) // rows) if rows else 0


def _recurrent(out: Tensor, inputs: Inputs) -> int:
    x: Tensor = inputs[0]
    steps, batch = x.shape[:2]
    operands = zip(cycle(NAMES), inputs[1:])
    weights: list[int] = [each.numel() for name, each in operands if name.startswith("w_")]
    return steps * batch * sum(weights)


def _attention(out: Tensor, inputs: Inputs) -> int:
    """Scores (L, E) times (E, S), then values (L, S) times (S, V)."""
    query: Tensor = inputs[0]
    key: Tensor = inputs[1]
    pairs = math.prod(query.shape[:-1]) * key.shape[-2]
    return pairs * (query.shape[-1] + out.shape[-1])


def _self_attention(out: Tensor, inputs: Inputs) -> int:
    batch, length, width = out.shape
    return 2 * batch * length * length * width


_COUNTS: dict[str, Callable[[Tensor, Inputs], int]] = {
    "convolution": lambda out, inputs: _by_weight(out, inputs[1]),
    "convolution_input": lambda out, inputs: _by_weight(inputs[0], inputs[1]),
    "linear": lambda out, inputs: _by_weight(out, inputs[1]),
    "matmul": _matmul,
    "layer": _recurrent,
    "scaled_dot_product_attention": _attention,
    "self_attention": _self_attention,
}


def multiplications(op: str, out: Tensor, inputs: Inputs) -> int:
    """Return the multiply-accumulates of an op; 0 for those that multiply no matrices."""
    count = _COUNTS.get(op)
    return 0 if count is None else count(out, inputs)
