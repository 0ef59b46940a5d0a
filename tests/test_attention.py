# SPDX-License-Identifier: Apache-2.0
"""Scaled dot-product attention against the NumPy definition, and its errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradsmith.ops.attention import attention_weights, scaled_dot_product_attention
from gradsmith.random import manual_seed
from gradsmith.tensor import Tensor
from tests.cases import Case, CaseTests
from tests.reference import attention as reference

BATCH, HEADS, QUERIES, KEYS, FEATURES, VALUES = 2, 2, 3, 4, 3, 2

Make = Any


def operands(
    rng: np.random.Generator, leading: tuple[int, ...] = (BATCH, HEADS), key_heads: int = HEADS
) -> tuple[np.ndarray, ...]:
    kv = (*leading[:-1], key_heads) if leading else ()
    return (
        rng.standard_normal((*leading, QUERIES, FEATURES)),
        rng.standard_normal((*kv, KEYS, FEATURES)),
        rng.standard_normal((*kv, KEYS, VALUES)),
    )


def boolean_mask(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return a mask with a row that keeps nothing, where it has several rows."""
    mask = rng.random(shape) < 0.6
    if shape[-2] > 1:
        mask[..., 1, :] = False
    return mask


def case(name: str, make_inputs: Make, **options: Any) -> Case:
    """Return the Case of a call whose fourth input, if any, is the mask."""
    repeat = HEADS if options.get("enable_gqa") else 1
    known = {key: value for key, value in options.items() if key != "enable_gqa"}

    def repeated(q: np.ndarray, k: np.ndarray, v: np.ndarray, *mask: np.ndarray) -> tuple[Any, ...]:
        if repeat > 1:
            k, v = k.repeat(repeat, axis=-3), v.repeat(repeat, axis=-3)
        return (q, k, v, *mask)

    def define(*arrays: np.ndarray) -> np.ndarray:
        return reference.scaled_dot_product_attention(*repeated(*arrays), **known)

    def define_backward(dy: np.ndarray, *arrays: np.ndarray) -> tuple[Any, ...]:
        function = reference.scaled_dot_product_attention_backward
        dq, dk, dv, dmask = function(dy, *repeated(*arrays), **known)
        if repeat > 1:
            dk, dv = (
                d.reshape(*d.shape[:-3], -1, repeat, *d.shape[-2:]).sum(axis=-3) for d in (dk, dv)
            )
        return (dq, dk, dv) if dmask is None else (dq, dk, dv, dmask)

    return Case(
        name,
        lambda *tensors: scaled_dot_product_attention(*tensors, **options),
        define,
        make_inputs,
        define_backward,
        tolerance="attention",
    )


def with_mask(shape: tuple[int, ...], boolean: bool = False) -> Make:
    def make(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        mask = boolean_mask(rng, shape) if boolean else rng.standard_normal(shape)
        return (*operands(rng), mask)

    return make


def broadcast_operands(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return (
        rng.standard_normal((2, 1, QUERIES, FEATURES)),
        rng.standard_normal((2, KEYS, FEATURES)),
        rng.standard_normal((1, 1, KEYS, VALUES)),
    )


CASES = [
    case("plain", operands),
    case("two_dimensional", lambda rng: operands(rng, ())),
    case("causal", operands, is_causal=True),
    case("scaled", operands, scale=0.3),
    case("broadcast", broadcast_operands),
    case("boolean_mask", with_mask((BATCH, HEADS, QUERIES, KEYS), boolean=True)),
    case("boolean_mask_rows", with_mask((QUERIES, KEYS), boolean=True)),
    case("boolean_mask_keys", with_mask((BATCH, 1, 1, KEYS), boolean=True)),
    case("additive_mask", with_mask((BATCH, HEADS, QUERIES, KEYS))),
    case("additive_mask_broadcast", with_mask((HEADS, 1, KEYS))),
    case("grouped", lambda rng: operands(rng, (BATCH, 2 * HEADS), HEADS), enable_gqa=True),
    case(
        "grouped_causal",
        lambda rng: operands(rng, (BATCH, 2 * HEADS), HEADS),
        enable_gqa=True,
        is_causal=True,
    ),
    Case(
        "weights",
        attention_weights,
        reference.attention_weights,
        lambda rng: (*operands(rng)[:2], boolean_mask(rng, (QUERIES, KEYS))),
        tolerance="attention",
    ),
]


class TestCases(CaseTests):
    pass


def tensor(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    rng = np.random.default_rng(len(shape))
    return Tensor(rng.standard_normal(shape).astype(dtype), requires_grad=requires_grad)


@pytest.mark.parametrize("mask", ["boolean", "additive"])
def test_queries_without_keys_give_zeros_and_no_gradient(mask: str) -> None:
    keep = np.ones((3, 4), bool)
    keep[1] = False
    numbers = np.where(keep, 0, -np.inf).astype(np.float32)
    given = Tensor(keep if mask == "boolean" else numbers)
    q, k, v = (tensor(*shape, requires_grad=True) for shape in ((3, 2), (4, 2), (4, 5)))
    y = scaled_dot_product_attention(q, k, v, given)
    y.backward(Tensor(np.ones((3, 5), np.float32)))
    assert not y.detach().numpy()[1].any()
    assert y.detach().numpy()[[0, 2]].all()
    assert not q.grad.numpy()[1].any()
    assert np.isfinite(k.grad.numpy()).all()
    assert np.isfinite(v.grad.numpy()).all()


def test_no_keys_at_all() -> None:
    q, k, v = (tensor(*shape, requires_grad=True) for shape in ((3, 2), (0, 2), (0, 5)))
    y = scaled_dot_product_attention(q, k, v)
    assert y.shape == (3, 5)
    assert not y.detach().numpy().any()
    y.backward(Tensor(np.ones((3, 5), np.float32)))
    assert k.grad.shape == (0, 2)
    assert not q.grad.numpy().any()


def test_zero_sizes() -> None:
    assert scaled_dot_product_attention(tensor(0, 2), tensor(4, 2), tensor(4, 5)).shape == (0, 5)
    y = scaled_dot_product_attention(tensor(3, 0), tensor(4, 0), tensor(4, 5))
    assert np.isfinite(y.numpy()).all()
    y = scaled_dot_product_attention(tensor(0, 3, 2), tensor(0, 4, 2), tensor(0, 4, 5))
    assert y.shape == (0, 3, 5)


def test_large_scores_do_not_overflow() -> None:
    q, k, v = tensor(3, 4), tensor(5, 4), tensor(5, 2)
    y = scaled_dot_product_attention(q, k, v, scale=1e6).numpy()
    best = np.argmax(q.numpy() @ k.numpy().T, axis=1)
    np.testing.assert_array_equal(y, v.numpy()[best])


def test_nan_stays_in_its_row() -> None:
    q = np.ones((3, 4), np.float32)
    q[1, 2] = np.nan
    y = scaled_dot_product_attention(Tensor(q), tensor(5, 4), tensor(5, 2)).numpy()
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()


def test_causal_queries_ignore_later_keys() -> None:
    q, k, v = tensor(4, 3), tensor(6, 3), tensor(6, 2)
    before = scaled_dot_product_attention(q, k, v, is_causal=True).numpy()
    later = v.numpy().copy()
    later[2:] = np.nan
    after = scaled_dot_product_attention(q, k, Tensor(later), is_causal=True).numpy()
    np.testing.assert_array_equal(before[:2], after[:2])


def test_dropout_drops_probabilities() -> None:
    manual_seed(0)
    q, k = tensor(64, 3), tensor(32, 3)
    v = Tensor(np.eye(32, dtype=np.float32))
    dropped = scaled_dot_product_attention(q, k, v, dropout_p=0.25).numpy()
    whole = scaled_dot_product_attention(q, k, v).numpy()
    kept = dropped != 0
    assert 0.7 < kept.mean() < 0.8
    np.testing.assert_allclose(dropped[kept], whole[kept] / 0.75, rtol=1e-5)
    assert not scaled_dot_product_attention(q, k, v, dropout_p=1.0).numpy().any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: (tensor(2), tensor(4, 2), tensor(4, 2)), ValueError, "at least 2 dimensions"),
        (lambda: (tensor(3, 2), tensor(4, 3), tensor(4, 2)), ValueError, "key has 3 features"),
        (lambda: (tensor(3, 2), tensor(4, 2), tensor(5, 2)), ValueError, "value has 5 rows"),
        (
            lambda: (tensor(4, 3, 2), tensor(2, 4, 2), tensor(2, 4, 2)),
            ValueError,
            "do not broadcast .enable_gqa=True",
        ),
        (lambda: (np.ones((3, 2)), tensor(4, 2), tensor(4, 2)), TypeError, "query is a ndarray"),
        (
            lambda: (tensor(3, 2), tensor(4, 2, dtype=np.float64), tensor(4, 2)),
            TypeError,
            "key is float64, expected float32",
        ),
        (
            lambda: (tensor(3, 2, dtype=np.int64), tensor(4, 2), tensor(4, 2)),
            TypeError,
            "query is int64, expected a floating dtype",
        ),
        (
            lambda: (tensor(3, 2), tensor(4, 2), tensor(4, 2), tensor(3, 5)),
            ValueError,
            r"attn_mask has shape \(3, 5\), expected one that broadcasts to \(3, 4\)",
        ),
        (
            lambda: (tensor(3, 2), tensor(4, 2), tensor(4, 2), tensor(2, 3, 4)),
            ValueError,
            "attn_mask has shape",
        ),
        (
            lambda: (tensor(3, 2), tensor(4, 2), tensor(4, 2), tensor(3, 4, dtype=np.int64)),
            TypeError,
            "attn_mask is int64, expected bool or float32",
        ),
    ],
)
@pytest.mark.parametrize("dropout_p", [0.0, 0.5])
def test_wrong_inputs(call: Any, error: type[Exception], message: str, dropout_p: float) -> None:
    with pytest.raises(error, match=message):
        scaled_dot_product_attention(*call(), dropout_p=dropout_p)


@pytest.mark.parametrize("dropout_p", [-0.1, 1.1, math.nan])
def test_wrong_dropout(dropout_p: float) -> None:
    with pytest.raises(ValueError, match="dropout_p is"):
        scaled_dot_product_attention(tensor(3, 2), tensor(4, 2), tensor(4, 2), dropout_p=dropout_p)


def test_mask_and_causal_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="attn_mask and is_causal"):
        scaled_dot_product_attention(
            tensor(3, 2), tensor(3, 2), tensor(3, 2), tensor(3, 3), is_causal=True
        )


def test_group_size_has_to_be_whole() -> None:
    q, kv = tensor(3, 5, 2), tensor(2, 5, 2)
    with pytest.raises(ValueError, match="query has 3 heads, expected a multiple of the 2 heads"):
        scaled_dot_product_attention(q, kv, kv, enable_gqa=True)
    with pytest.raises(ValueError, match="at least 3 dimensions"):
        scaled_dot_product_attention(q[0], kv[0], kv[0], enable_gqa=True)
