# SPDX-License-Identifier: Apache-2.0
"""CUDA's attention: lengths off the tiles, causal problems, masks, groups, views, head sizes."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradsmith import cudasim
from gradsmith.autograd import grad
from gradsmith.backend import CUDASIM, Device, moved
from gradsmith.ops.attention import scaled_dot_product_attention
from gradsmith.tensor import Tensor, wrap
from tests.cases import HAS_SIMULATOR, NUMPY_DTYPES, SCHEDULES, backend, to_array
from tests.test_attention_blocks import NAMES, define, make_mask
from tests.tolerance import assert_close

# batch, query heads, key heads, queries, keys, features, value features: the tensor cores' three
# widths, full and with a rest; and what they leave to the general kernel.
SHAPES = [
    (2, 2, 2, 3, 5, 8, 8),
    (1, 4, 2, 70, 131, 8, 8),
    (1, 2, 1, 129, 64, 32, 32),
    (1, 2, 2, 130, 200, 40, 40),
    (2, 1, 1, 193, 66, 64, 64),
    (1, 4, 2, 67, 130, 96, 96),
    (1, 2, 1, 100, 90, 128, 128),
    (1, 2, 2, 40, 70, 16, 24),
    (1, 1, 1, 40, 70, 20, 20),
]


def arrays_of(shape: tuple[int, ...], dtype: str) -> list[np.ndarray]:
    batch, heads, key_heads, queries, keys, features, values = shape
    rng = np.random.default_rng(0)
    sizes = (
        (batch, heads, queries, features),
        (batch, key_heads, keys, features),
        (batch, key_heads, keys, values),
        (batch, heads, queries, values),
    )
    return [rng.standard_normal(size).astype(NUMPY_DTYPES[dtype]) for size in sizes]


def run(device: Device, arrays: list[np.ndarray], mask: Any, causal: bool) -> list[np.ndarray]:
    """Return y, dq, dk and dv."""
    q, k, v, dy = (wrap(moved(x, device)) for x in arrays)
    for each in (q, k, v):
        each.requires_grad_()
    given = None if mask is None else Tensor(mask).to(device)
    y = scaled_dot_product_attention(q, k, v, given, is_causal=causal, enable_gqa=True)
    return [to_array(each) for each in (y, *grad(y, (q, k, v), dy))]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["none", "causal", "boolean", "keys", "additive"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_problems(shape: tuple[int, ...], kind: str, dtype: str, device_isa: str) -> None:
    batch, heads, _, queries, keys, features, values = shape
    arrays = arrays_of(shape, dtype)
    mask = make_mask(kind, np.random.default_rng(1), (batch, heads, queries, keys))
    if mask is not None and mask.dtype != bool:
        mask = mask.astype(NUMPY_DTYPES[dtype])
    with backend(device_isa) as device:
        got = run(device, arrays, mask, kind == "causal")
    for name, one, want in zip(NAMES, got, define(arrays, mask, kind == "causal"), strict=True):
        assert_close(one, want, dtype, "attention", max(features, values, 4), name)


@pytest.mark.skipif(not HAS_SIMULATOR, reason="no simulator in this build")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("features", [32, 64, 128])
def test_the_tensor_cores_run_in_any_order(features: int, dtype: str) -> None:
    arrays = arrays_of((1, 2, 1, 150, 140, features, features), dtype)
    runs = []
    cudasim.reset()
    for order in SCHEDULES:
        with backend("cudasim:sm80"), cudasim.schedule(order, seed=1):
            runs.append(run(CUDASIM, arrays, None, True))
    ran = " ".join(cudasim.report())
    for kernel in ("forward_mma", "query_gradient_mma", "key_gradient_mma"):
        assert kernel in ran, f"{kernel} is not among {ran}"
    for other in runs[1:]:
        for name, first, second in zip(NAMES, runs[0], other, strict=True):
            assert first.tobytes() == second.tobytes(), f"{name}: bits differ by schedules"


# Several rounds of the simulator's six multiprocessors, more tiles than stages, rests everywhere.
@pytest.mark.skipif(not HAS_SIMULATOR, reason="no simulator in this build")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((2, 4, 2, 200, 650, 64, 64), "bfloat16"),
        ((1, 2, 2, 650, 200, 64, 64), "float16"),
        ((1, 2, 1, 330, 330, 40, 40), "bfloat16"),
        ((1, 4, 2, 270, 420, 128, 128), "bfloat16"),
        ((1, 2, 2, 400, 140, 128, 128), "float16"),
        ((1, 2, 1, 256, 256, 96, 96), "float16"),
    ],
    ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else value,
)
def test_warpgroups_run_in_any_order(shape: tuple[int, ...], dtype: str, causal: bool) -> None:
    arrays = arrays_of(shape, dtype)
    runs = []
    cudasim.reset()
    for order in SCHEDULES:
        with backend("cudasim:sm90"), cudasim.schedule(order, seed=1):
            runs.append(run(CUDASIM, arrays, None, causal))
    ran = " ".join(cudasim.report())
    for kernel in ("forward_wgmma", "query_gradient_wgmma", "key_gradient_wgmma"):
        assert kernel in ran, f"{kernel} is not among {ran}"
    for name, one, want in zip(NAMES, runs[0], define(arrays, None, causal), strict=True):
        assert_close(one, want, dtype, "attention", shape[-1], name)
    for other in runs[1:]:
        for name, first, second in zip(NAMES, runs[0], other, strict=True):
            assert first.tobytes() == second.tobytes(), f"{name}: bits differ by schedules"


@pytest.mark.skipif(not HAS_SIMULATOR, reason="no simulator in this build")
@pytest.mark.parametrize("kind", ["projection", "three", "repeated"])
def test_heads_of_warpgroups_lie_anywhere(kind: str) -> None:
    """As slices of a projection; by three numbers, and all the same, as the copy engine cannot."""
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((2, 70, 3, 2, 2, 64)).astype(ml_dtypes.bfloat16)
    cudasim.reset()
    with backend("cudasim:sm90") as device:
        whole = wrap(moved(numbers, device))
        q, k, v = (whole[:, :, i] for i in range(3))
        want = [numbers[:, :, i].transpose(0, 2, 3, 1, 4) for i in (0, 1, 2, 0)]
        if kind == "projection":
            q, k, v = (each.reshape(2, 70, 4, 64).permute(0, 2, 1, 3) for each in (q, k, v))
            want = [each.reshape(2, 4, 70, 64) for each in want]
        else:
            q, k, v = (each.permute(0, 3, 2, 1, 4) for each in (q, k, v))
            want = [each.swapaxes(1, 2) for each in want]
        if kind == "repeated":
            k, v = (each[:1].expand(2, 2, 2, 70, 64) for each in (k, v))
            want[1:3] = [each[:1].repeat(2, 0) for each in want[1:3]]
        y = to_array(scaled_dot_product_attention(q, k, v))
    kernel = "forward_wgmma" if kind == "projection" else "forward_mma"
    assert kernel in " ".join(cudasim.report())
    flat = [each.reshape(-1, 4, 70, 64) for each in want]
    expected = define(flat, None, False)[0].reshape(y.shape)
    assert_close(y, expected, "bfloat16", "attention", 64)


def test_slices_of_a_projection_are_taken_as_they_lie(device_isa: str) -> None:
    """Query, key and value as (B, T, 3, H, D), and shifted off the alignment of wide copies."""
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((2, 70, 3, 2, 48)).astype(ml_dtypes.bfloat16)
    with backend(device_isa) as device:
        whole = wrap(moved(numbers, device))
        for begin in (0, 8, 3):
            columns = slice(begin, begin + 40)
            q, k, v = (whole[:, :, i, :, columns].permute(0, 2, 1, 3) for i in range(3))
            y = to_array(scaled_dot_product_attention(q, k, v))
            arrays = [numbers[:, :, i, :, columns].swapaxes(1, 2) for i in (0, 1, 2, 0)]
            assert_close(y, define(arrays, None, False)[0], "bfloat16", "attention", 40)


def test_no_keys_at_all(device_isa: str) -> None:
    with backend(device_isa) as device:
        results = run(device, arrays_of((1, 2, 1, 70, 0, 64, 64), "bfloat16"), None, False)
    assert not any(each.any() for each in results)
    assert [each.shape[2] for each in results] == [70, 70, 0, 0]


@pytest.mark.parametrize("features", [64, 20])
def test_scores_beyond_the_range_of_float16(features: int, device_isa: str) -> None:
    arrays = arrays_of((1, 1, 1, 70, 90, features, features), "float16")
    for each in arrays[:2]:
        each *= np.float16(300)
    with backend(device_isa) as device:
        q, k, v = (wrap(moved(x, device)) for x in arrays[:3])
        y = to_array(scaled_dot_product_attention(q, k, v))
    assert_close(y, define(arrays, None, False)[0], "float16", "attention", features)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(value: float, dtype: str, device_isa: str) -> None:
    arrays = arrays_of((1, 1, 1, 70, 70, 64, 64), dtype)[:3]
    arrays[0][0, 0, 5, 3] = value
    with backend(device_isa) as device:
        q, k, v = (wrap(moved(x, device)) for x in arrays)
        y = to_array(scaled_dot_product_attention(q, k, v))
    is_finite = np.isfinite(y[0, 0].astype(np.float64))
    assert not is_finite[5].any()
    assert is_finite[np.arange(70) != 5].all()


@pytest.mark.parametrize("scale", [-0.5, 0.0])
def test_scales_that_turn_the_order_of_scores_round(scale: float, device_isa: str) -> None:
    arrays = arrays_of((1, 2, 2, 50, 70, 64, 64), "bfloat16")[:3]
    with backend(device_isa) as device:
        q, k, v = (wrap(moved(x, device)) for x in arrays)
        y = to_array(scaled_dot_product_attention(q, k, v, scale=scale))
        factor = scale * np.sqrt(64)
        turned = [(arrays[0].astype(np.float64) * factor), *arrays[1:], arrays[0]]
    assert_close(y, define(turned, None, False)[0], "bfloat16", "attention", 64)
