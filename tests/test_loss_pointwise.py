# SPDX-License-Identifier: Apache-2.0
"""Elementwise losses at sizes that fill vectors and blocks, on every ISA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops import loss
from gradsmith.tensor import Tensor
from tests.cases import ISAS, isa_cap, threads
from tests.reference import loss as ref
from tests.tolerance import assert_close

# name: the function, its definition, the kind of input and target
LOSSES: dict[str, tuple[Any, Any, str]] = {
    "mse": (loss.mse_loss, ref.mse, "any"),
    "l1": (loss.l1_loss, ref.l1, "any"),
    "huber": (loss.huber_loss, ref.huber, "any"),
    "smooth_l1": (loss.smooth_l1_loss, ref.smooth_l1, "any"),
    "bce": (loss.binary_cross_entropy, ref.bce, "probabilities"),
    "bce_with_logits": (
        loss.binary_cross_entropy_with_logits,
        ref.bce_with_logits,
        "logits",
    ),
    "kl_div": (loss.kl_div, ref.kl_div, "distribution"),
}


def pair(kind: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, target = 3 * rng.standard_normal(n), rng.standard_normal(n)
    if kind == "probabilities":
        x = rng.uniform(0.01, 0.99, n)
    if kind == "distribution":
        x = -np.abs(x)
    if kind != "any":
        target = rng.uniform(0.01, 0.99, n)
    return x.astype(np.float32), target.astype(np.float32)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("n", [1, 31, 9001])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_both_gradients(name: str, n: int, reduction: str, isa: str) -> None:
    function, definition, kind = LOSSES[name]
    x, target = pair(kind, n)
    inputs = Tensor(x, requires_grad=True), Tensor(target, requires_grad=True)
    with isa_cap(isa):
        y = function(*inputs, reduction=reduction)
        dy = np.full(y.shape, 0.5, np.float32)
        gradients = grad(y, inputs, Tensor(dy))
    wide = x.astype(np.float64), target.astype(np.float64)
    expected = definition(*wide, reduction=reduction)
    assert_close(y.detach().numpy(), expected, "float32", "transcendental")
    slopes = getattr(ref, f"{name}_backward")(dy.astype(np.float64), *wide, reduction=reduction)
    for got, slope in zip(gradients, slopes, strict=False):
        assert_close(got.numpy(), slope, "float32", "transcendental")


@pytest.mark.parametrize("name", LOSSES)
def test_the_same_bits_for_any_thread_count(name: str) -> None:
    function, _, kind = LOSSES[name]
    x, target = pair(kind, 50_021)
    bits = set()
    for count in (1, 2, 7):
        with threads(count):
            leaf = Tensor(x, requires_grad=True)
            y = function(leaf, Tensor(target))
            (dx,) = grad(y, leaf)
        bits.add(y.detach().numpy().tobytes() + dx.numpy().tobytes())
    assert len(bits) == 1


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("place", [0, 4999, 9000])
def test_one_wrong_probability_is_found(place: int, isa: str) -> None:
    x, target = pair("probabilities", 9001)
    x[place] = 1.5
    with (
        isa_cap(isa),
        pytest.raises(ValueError, match=rf"input is 1.5 at element {place}, expected"),
    ):
        loss.binary_cross_entropy(Tensor(x), Tensor(target))
