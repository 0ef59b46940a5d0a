# SPDX-License-Identifier: Apache-2.0
"""The blocked attention kernels: problems of several blocks of queries and keys with rests, every
kind of mask, strided and grouped heads, values that are not finite.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradsmith.ops.attention import scaled_dot_product_attention
from gradsmith.tensor import Tensor
from tests.cases import ISAS, NUMPY_DTYPES, REDUCED, isa_cap, threads
from tests.reference import attention as reference
from tests.tolerance import assert_close

NAMES = ("y", "dq", "dk", "dv")

# batch, query heads, key heads, queries, keys, features, value features
SHAPES = [
    (2, 2, 2, 17, 33, 16, 24),
    (1, 3, 3, 97, 113, 64, 64),
    (1, 4, 2, 200, 130, 20, 33),
    (1, 1, 1, 64, 300, 40, 256),
    (2, 2, 1, 100, 100, 17, 5),
    (1, 2, 2, 130, 260, 96, 80),
    (3, 5, 5, 3, 7, 3, 2),
]


def make_mask(kind: str, rng: np.random.Generator, sizes: tuple[int, ...]) -> np.ndarray | None:
    batch, heads, queries, keys = sizes
    if kind == "boolean":
        mask = rng.random((batch, heads, queries, keys)) < 0.5
        mask[:, :, queries // 2] = False
        return mask
    if kind == "boolean_columns":
        return np.asfortranarray(rng.random((queries, keys)) < 0.5)
    if kind == "keys":
        mask = rng.random((batch, 1, 1, keys)) < 0.5
        mask[..., 0] = True
        return mask
    if kind == "additive":
        return rng.standard_normal((heads, queries, keys))
    return None


def run(arrays: list[np.ndarray], mask: Any, causal: bool) -> list[np.ndarray]:
    """Return y, dq, dk and dv."""
    q, k, v = (Tensor(x, requires_grad=True) for x in arrays[:3])
    given = None if mask is None else Tensor(mask)
    y = scaled_dot_product_attention(q, k, v, given, is_causal=causal, enable_gqa=True)
    y.backward(Tensor(arrays[3]))
    return [y.detach().numpy(), *(x.grad.numpy() for x in (q, k, v))]


def define(arrays: list[np.ndarray], mask: Any, causal: bool) -> list[np.ndarray]:
    q, k, v, dy = (x.astype(np.float64) for x in arrays)
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat(group, axis=1), v.repeat(group, axis=1)
    if mask is not None and mask.dtype != bool:
        mask = mask.astype(np.float64)
    y = reference.scaled_dot_product_attention(q, k, v, mask, causal)
    dq, dk, dv, _ = reference.scaled_dot_product_attention_backward(dy, q, k, v, mask, causal)
    dk, dv = (d.reshape(len(q), -1, group, *d.shape[2:]).sum(axis=2) for d in (dk, dv))
    return [y, dq, dk, dv]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "kind", ["none", "causal", "boolean", "boolean_columns", "keys", "additive"]
)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_blocks(shape: tuple[int, ...], kind: str, dtype: str, isa: str) -> None:
    batch, heads, key_heads, queries, keys, features, values = shape
    rng = np.random.default_rng(0)
    sizes = (
        (batch, heads, queries, features),
        (batch, key_heads, keys, features),
        (batch, key_heads, keys, values),
        (batch, heads, queries, values),
    )
    arrays = [rng.standard_normal(size).astype(NUMPY_DTYPES[dtype]) for size in sizes]
    mask = make_mask(kind, rng, (batch, heads, queries, keys))
    if mask is not None and mask.dtype != bool:
        mask = mask.astype(NUMPY_DTYPES[dtype])
    with isa_cap(isa):
        got = run(arrays, mask, kind == "causal")
        for count in (1, 7):
            with threads(count):
                again = run(arrays, mask, kind == "causal")
            for name, one, other in zip(NAMES, got, again, strict=True):
                assert one.tobytes() == other.tobytes(), f"{name}: bits differ by threads"
    for name, one, want in zip(NAMES, got, define(arrays, mask, kind == "causal"), strict=True):
        # bfloat16 rounds y before the backward pass takes it up.
        depth = max(features, values, 4 if dtype in REDUCED else 1)
        assert_close(one, want, dtype, "attention", depth, name)


@pytest.mark.parametrize("isa", ISAS)
def test_slices_of_a_projection_are_taken_as_they_lie(isa: str) -> None:
    """Query, key and value as (B, T, 3, H, D); a row of 3 H D numbers is more than a page."""
    batch, length, heads, features = 2, 130, 6, 64
    rng = np.random.default_rng(0)
    qkv = rng.standard_normal((batch, length, 3, heads, features)).astype(np.float32)
    strided = [qkv[:, :, i].swapaxes(1, 2) for i in range(3)]
    dy = rng.standard_normal((batch, length, heads, features)).astype(np.float32).swapaxes(1, 2)
    with isa_cap(isa):
        got = run([*strided, dy], None, True)
        dense = run([np.ascontiguousarray(x) for x in (*strided, dy)], None, True)
    for name, one, other in zip(NAMES, got, dense, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
    assert got[0].swapaxes(1, 2).flags.c_contiguous, "heads are joined without a copy"


@pytest.mark.parametrize("isa", ISAS)
def test_strides_of_zero_and_below(isa: str) -> None:
    rng = np.random.default_rng(0)
    q, k, v, dy = (rng.standard_normal((2, 3, 40, 16)).astype(np.float32) for _ in range(4))
    k[:, 1:] = k[:, :1]
    strided = [q[:, ::-1, ::-1], np.broadcast_to(k[:, :1], k.shape), v[::-1], dy[:, :, ::-1]]
    with isa_cap(isa):
        got = run(strided, None, False)
        dense = run([np.ascontiguousarray(x) for x in strided], None, False)
    for name, one, other in zip(NAMES, got, dense, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_causal_queries_see_nothing_of_later_rows(value: float, isa: str) -> None:
    """Neither forward nor backward, though blocks reach beyond the diagonal."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((1, 1, 150, 20)).astype(np.float32) for _ in range(4)]
    first = 70
    with isa_cap(isa):
        before = run([x[:, :, :first] for x in arrays], None, True)
        for index in range(3):
            changed = [x.copy() for x in arrays]
            changed[index][:, :, first:] = value
            changed[3][:, :, first:] = 0
            y, dq, _, _ = run(changed, None, True)
            np.testing.assert_array_equal(y[:, :, :first], before[0])
            np.testing.assert_array_equal(dq[:, :, :first], before[1])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_causal_bfloat16_queries_see_nothing_of_later_rows(value: float, isa: str) -> None:
    """As above; values that are not finite may take another kernel, which rounds otherwise."""
    rng = np.random.default_rng(0)
    q, k, v, dy = (
        rng.standard_normal((1, 2, 150, 20)).astype(ml_dtypes.bfloat16) for _ in range(4)
    )
    want = define([q, k, v, dy], None, True)[0][:, :, :70]
    k[:, :, 70:] = v[:, 1:, 70:] = value
    with isa_cap(isa):
        y = run([q, k, v, dy], None, True)[0][:, :, :70]
    assert_close(y, want, "bfloat16", "attention", 20)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("scale", [-0.5, 0.0])
def test_scales_that_turn_the_order_of_scores_round(scale: float, isa: str) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((1, 2, 50, 20)).astype(ml_dtypes.bfloat16) for _ in range(3)]
    with isa_cap(isa):
        y = scaled_dot_product_attention(*(Tensor(x) for x in arrays), scale=scale).numpy()
    wide = (x.astype(np.float64) for x in arrays)
    want = reference.scaled_dot_product_attention(*wide, scale=scale)
    assert_close(y, want, "bfloat16", "attention", 20)


@pytest.mark.parametrize("isa", ISAS)
def test_a_query_that_is_not_finite_reaches_only_the_keys_it_sees(isa: str) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((1, 1, 100, 20)).astype(np.float32) for _ in range(4)]
    arrays[0][0, 0, 40] = np.nan
    with isa_cap(isa):
        y, dq, dk, dv = (x[0, 0] for x in run(arrays, None, True))
    others = np.arange(100) != 40
    assert np.isnan(y[40]).all()
    assert np.isnan(dq[40]).all()
    assert np.isfinite(y[others]).all()
    assert np.isfinite(dq[others]).all()
    for gradient in (dk, dv):
        assert np.isnan(gradient[:41]).all()
        assert np.isfinite(gradient[41:]).all()


@pytest.mark.parametrize("isa", ISAS)
def test_masked_keys_may_hold_anything(isa: str) -> None:
    """Padding of keys is NaN; a boolean mask hides it from the scores."""
    rng = np.random.default_rng(0)
    q, k, v, dy = (rng.standard_normal((2, 1, 50, 20)).astype(np.float32) for _ in range(4))
    k[:, :, 33:] = np.nan
    keep = np.arange(50) < 33
    with isa_cap(isa):
        y = run([q, k, v, dy], np.broadcast_to(keep, (50, 50)), False)[0]
    want = reference.scaled_dot_product_attention(q, k[:, :, :33], v[:, :, :33])
    assert_close(y, want, "float32", "attention")


def test_bfloat16_outputs_keep_their_dtype() -> None:
    x = np.ones((1, 1, 20, 8), ml_dtypes.bfloat16)
    assert all(each.dtype == ml_dtypes.bfloat16 for each in run([x] * 4, None, True))
