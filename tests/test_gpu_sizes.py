# SPDX-License-Identifier: Apache-2.0
"""Sizes that only a GPU takes in time: which kernel runs, and how its work is cut, depends on the
number of multiprocessors. Judged by the CPU in float32, from the same 16-bit numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.nn import functional as F
from gradsmith.ops.rnn import GATES, recurrent_layer
from tests.cases import NUMPY_DTYPES

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
# Four times this for an element, a quarter in the mean, as a share of it or of the root mean square
# of its result: the rounding of products and of what goes from kernel to kernel in 16 bits.
TOLERANCES = {"bfloat16": 4e-2, "float16": 6e-3, "float32": 2e-4}

Function = Callable[..., Any]


def judge(
    function: Function, shapes: list[tuple[int, ...]], dtype: str, scales: Any = None
) -> None:
    """Compare results and gradients of all inputs with the CPU's."""
    rng = np.random.default_rng(0)
    factors = scales or [1.0] * len(shapes)
    arrays = [
        (factor * rng.standard_normal(shape)).astype(NUMPY_DTYPES[dtype])
        for shape, factor in zip(shapes, factors, strict=True)
    ]
    slope = None
    found = []
    for device, kept in ((DEVICE, dtype), ("cpu", "float32")):
        given = [
            gs.tensor(each.astype(NUMPY_DTYPES[kept]), device=device).requires_grad_()
            for each in arrays
        ]
        y = function(*given)
        if slope is None:
            slope = rng.standard_normal(y.shape).astype(NUMPY_DTYPES[dtype])
        y.backward(gs.tensor(slope.astype(NUMPY_DTYPES[kept]), device=device))
        tensors = [y.detach(), *(each.grad for each in given)]
        found.append([each.cpu().to(gs.float32).numpy() for each in tensors])
    for number, (got, want) in enumerate(zip(*found, strict=True)):
        scale = np.maximum(np.abs(want), np.sqrt(np.mean(want**2)))
        error = np.abs(got - want) / scale
        worst, mean = float(error.max()), float(np.sqrt(np.mean(error**2)))
        assert worst <= 4 * TOLERANCES[dtype], f"result {number}: an element is {worst:.3g} off"
        assert mean <= TOLERANCES[dtype] / 4, f"result {number}: {mean:.3g} off in the mean"


# Rows, columns, depth: whole rounds of tiles, their rests, tiles in turns, few rows, few columns,
# long depths of small results, rows of no multiple of 16 bytes.
PRODUCTS = [
    (2048, 2304, 768),
    (1000, 3072, 776),
    (4096, 1024, 2048),
    (16, 2048, 4096),
    (2048, 24, 4096),
    (64, 4096, 1024),
    (256, 64, 50176),
    (1281, 700, 1024),
]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("size", PRODUCTS, ids=str)
def test_products(size: tuple[int, int, int], dtype: str) -> None:
    m, n, k = size
    judge(gs.matmul, [(m, k), (k, n)], dtype, (1.0, k**-0.5))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_linear_layer_and_its_activation(dtype: str) -> None:
    def call(x: Any, weight: Any, bias: Any) -> Any:
        return F.gelu(F.linear(x, weight, bias), approximate="tanh")

    judge(call, [(2048, 768), (3072, 768), (3072,)], dtype, (1.0, 768**-0.5, 1.0))


# Of x and weight, stride and padding, as in ResNet-50, with rests of pixels and filters.
CONVOLUTIONS = [
    ((8, 64, 56, 56), (64, 64, 3, 3), 1, 1),
    ((8, 128, 28, 28), (128, 128, 3, 3), 1, 1),
    ((9, 256, 14, 14), (264, 256, 3, 3), 1, 1),
    ((16, 512, 7, 7), (512, 512, 3, 3), 1, 1),
    ((8, 128, 57, 55), (128, 128, 3, 3), 2, 1),
    ((8, 256, 28, 28), (512, 256, 1, 1), 1, 0),
    ((8, 256, 28, 28), (512, 256, 1, 1), 2, 0),
    ((4, 3, 112, 112), (64, 3, 7, 7), 2, 3),
    # With more tiles than 132 multiprocessors have room for, of each width that a GPU would choose.
    ((70, 40, 28, 28), (128, 40, 3, 3), 1, 1),
    ((40, 32, 28, 28), (256, 32, 3, 3), 1, 1),
    ((26, 32, 56, 56), (64, 32, 3, 3), 1, 1),
    ((48, 48, 30, 29), (264, 48, 3, 3), 2, 1),
]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("sizes", CONVOLUTIONS, ids=str)
def test_convolutions(sizes: tuple[Any, ...], dtype: str) -> None:
    x, weight, stride, padding = sizes

    def call(x: Any, weight: Any) -> Any:
        return F.conv2d(x, weight, stride=stride, padding=padding)

    judge(call, [x, weight], dtype, (1.0, float(np.prod(weight[1:])) ** -0.5))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("features", [64, 80, 128])
@pytest.mark.parametrize("lengths", [(2048, 2048), (1500, 1111)], ids=str)
def test_attention(lengths: tuple[int, int], features: int, dtype: str, causal: bool) -> None:
    def call(q: Any, k: Any, v: Any) -> Any:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    queries, keys = lengths
    judge(call, [(2, 6, queries, features), *[(2, 6, keys, features)] * 2], dtype)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("sizes", [(64, 1024), (16, 768), (20, 1536), (33, 520)], ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_recurrent_layers(cell: str, sizes: tuple[int, int], dtype: str) -> None:
    batch, hidden = sizes
    rows = GATES[cell] * hidden

    def call(x: Any, *weights: Any) -> Any:
        h0 = gs.zeros(batch, hidden, dtype=x.dtype, device=x.device)
        return recurrent_layer(cell, x, h0, h0 if cell == "lstm" else None, *weights)[0]

    shapes = [(8, batch, 64), (rows, 64), (rows, hidden), (rows,), (rows,)]
    judge(call, shapes, dtype, (1.0, 0.125, hidden**-0.5, 0.1, 0.1))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("length", [768, 8192, 16384, 50000])
def test_norms_of_long_rows(length: int, dtype: str) -> None:
    def call(x: Any, weight: Any, bias: Any) -> Any:
        return F.layer_norm(x, (length,), weight, bias)

    judge(call, [(1000, length), (length,), (length,)], dtype)


@pytest.mark.parametrize("density", [0.001, 0.7])
def test_where_a_large_mask_is_true(density: float) -> None:
    mask = np.random.default_rng(0).random((37, 1001, 301)) < density
    places = gs.nonzero(gs.tensor(mask, device=DEVICE)).cpu().numpy()
    np.testing.assert_array_equal(places, np.argwhere(mask))
    x = gs.arange(mask.size, device=DEVICE).reshape(mask.shape)
    chosen = x[gs.tensor(mask, device=DEVICE)].cpu().numpy()
    np.testing.assert_array_equal(chosen, np.flatnonzero(mask))
