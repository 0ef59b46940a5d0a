# SPDX-License-Identifier: Apache-2.0
"""Cross-entropy over more classes and positions than a vector holds, weighted and smoothed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops import loss_class
from gradsmith.tensor import Tensor
from tests.cases import ISAS, Case, isa_cap, run_on_threads, widened
from tests.reference import loss as ref
from tests.test_loss import constant, labels
from tests.tolerance import assert_close


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(67, 1003), (2, 45, 133), (2907, 10)])
def test_cross_entropy_of_several_vectors(
    shape: tuple[int, ...], weighted: bool, smoothing: float, dtype: str, isa: str
) -> None:
    """Rows and columns with a rest, on several threads: the definition and the same bits."""
    options = {"reduction": "none", "label_smoothing": smoothing, "ignore_index": 7}
    factors = 0.25 * np.random.default_rng(3).integers(0, 5, shape[1])  # exact in every dtype
    weight = factors if weighted else None

    def call(x: Tensor, target: Tensor) -> Tensor:
        w = None if weight is None else constant(x, weight)
        return loss_class.cross_entropy(x, target, w, **options)

    case = Case(
        f"cross_entropy-{'weighted' * weighted}",
        call,
        lambda x, t: ref.cross_entropy(x, t, weight, **options),
        labels(shape, shape[1], 7),
    )
    arrays = case.inputs(dtype)
    (y,), (dy,), (dx,) = run_on_threads(case, arrays, isa)
    assert_close(y, case.expected(arrays)[0], dtype, "softmax", label="loss")
    given = (widened(dy), widened(arrays[0]), arrays[1], weight)
    expected = ref.cross_entropy_backward(*given, **options)
    assert_close(dx, expected, dtype, "softmax", depth=4, label="gradient")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", [(1, 21), (1, 21, 19)])
def test_impossible_class_of_weight_zero_is_silent(shape: tuple[int, ...], isa: str) -> None:
    x, weight = np.zeros(shape, np.float32), np.ones(21, np.float32)
    x[:, 1], weight[1] = -math.inf, 0
    target = Tensor(np.zeros((1, *shape[2:]), np.int64))
    logits = Tensor(x, requires_grad=True)
    with isa_cap(isa):
        y = loss_class.cross_entropy(logits, target, Tensor(weight), label_smoothing=0.1)
        dx = grad(y, logits)[0].numpy() * target.numpy().size
    assert y.item() == pytest.approx((0.9 + 0.1 * 20 / 21) * math.log(20))
    np.testing.assert_array_equal(dx[:, 1], np.zeros_like(dx[:, 1]))
    np.testing.assert_allclose(dx[:, 0], (0.9 + 2 / 21) / 20 - (0.9 + 0.1 / 21), rtol=1e-5)
