# SPDX-License-Identifier: Apache-2.0
"""Norms of several vectors, blocks and threads, in both layouts: every branch of the kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops import norm
from gradsmith.tensor import Tensor
from tests.cases import ISAS, REDUCED, Case, isa_cap, run_on_threads
from tests.reference import norm as ref
from tests.test_norm import (
    array,
    batch_case,
    group_case,
    inputs,
    laid_last,
    layer_case,
    like,
    relu_case,
)
from tests.tolerance import assert_close


def case_laid_last(case: Case) -> Case:
    """The case with its input channels-last."""
    return replace(
        case, name=f"{case.name}-last", call=lambda x, *rest: case.call(laid_last(x), *rest)
    )


def _eval_case(shape: tuple[int, ...]) -> Case:
    mean, var = np.linspace(-1, 1, shape[1]), np.linspace(0.5, 2, shape[1])
    return Case(
        "batch_norm-eval",
        lambda x, w, b: norm.batch_norm(x, like(x, mean), like(x, var), w, b),
        lambda x, w, b: ref.batch_norm_eval(x, w, b, mean, var),
        inputs(shape, (shape[1],), (shape[1],)),
        backward=lambda dy, x, w, b: ref.batch_norm_eval_backward(dy, x, w, mean, var),
        tolerance="norm",
    )


def _rms_case(rows: int, length: int) -> Case:
    return Case(
        "rms_norm-rows",
        lambda x, w: norm.rms_norm(x, (length,), w, eps=1e-5),
        lambda x, w: ref.rms_norm(x, (length,), w),
        inputs((rows, length), (length,)),
        backward=lambda dy, x, w: ref.rms_norm_backward(dy, x, (length,), w),
        tolerance="norm",
    )


IMAGES = (7, 37, 9, 11)
# A row of one, two or four vectors of some ISA and dtype, more rows than a block has.
NARROW = [(1541, 4), (1541, 8), (1543, 16), (777, 32), (601, 64)]
LONG = [
    batch_case("images", IMAGES),
    case_laid_last(batch_case("images", IMAGES)),
    batch_case("many-small", (3, 301, 3, 3)),
    batch_case("tall", (301, 147)),
    batch_case("wide", (130, 1100)),
    _eval_case(IMAGES),
    case_laid_last(_eval_case(IMAGES)),
    relu_case("images", IMAGES, False),
    relu_case("images-residual", IMAGES, True),
    relu_case("images-last", IMAGES, False, last=True),
    relu_case("images-residual-last", IMAGES, True, last=True),
    layer_case("rows", (301, 1003), (1003,)),
    layer_case("short-rows", (70, 33), (33,)),
    layer_case("few-rows", (7, 40007), (40007,)),
    _rms_case(37, 1003),
    group_case("images", (7, 36, 9, 11), 4),
    case_laid_last(group_case("images", (7, 36, 9, 11), 4)),
    case_laid_last(group_case("wide", (2, 560, 12, 12), 28)),
    case_laid_last(group_case("instance", (3, 20, 13, 11), 20)),
    *(batch_case(f"narrow-{shape[1]}", shape) for shape in NARROW),
    case_laid_last(_eval_case((3, 16, 13, 17))),
    relu_case("narrow-16-last", (3, 16, 23, 19), False, last=True),
    relu_case("narrow-32-residual-last", (3, 32, 13, 11), True, last=True),
    case_laid_last(group_case("narrow", (2, 16, 33, 29), 4)),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("long", LONG, ids=[case.name for case in LONG])
def test_long_runs(long: Case, dtype: str, isa: str) -> None:
    """Several vectors and blocks with a rest: the definition, and the same bits for any threads."""
    arrays = long.inputs(dtype)
    (y,), (dy,), gradients = run_on_threads(long, arrays, isa)
    assert_close(y, long.expected(arrays)[0], dtype, "norm", label=long.name)
    if dtype not in REDUCED:
        assert long.backward is not None
        wide = [each.astype(np.float64) for each in (dy, *arrays)]
        for got, want in zip(gradients, long.backward(*wide), strict=True):
            assert_close(got, want, dtype, "norm", depth=4, label=long.name)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_gradient_of_the_input_alone(training: bool, last: bool, isa: str) -> None:
    x = Tensor(array((3, 20, 5, 7), np.float64), requires_grad=True)
    weight = Tensor(array((20,), np.float64))
    mean, var = Tensor(np.zeros(20)), Tensor(np.ones(20))
    dy = array(x.shape, np.float64)[::-1].copy()
    with isa_cap(isa):
        y = norm.batch_norm(laid_last(x) if last else x, mean, var, weight, training=training)
        (dx,) = grad(y, [x], Tensor(dy))
    arrays = (dy, x.detach().numpy(), weight.numpy())
    if training:
        expected = ref.batch_norm_train_backward(*arrays)[0]
    else:
        expected = ref.batch_norm_eval_backward(*arrays, np.zeros(20), np.ones(20))[0]
    assert_close(dx.numpy(), expected, "float64", "norm")


@pytest.mark.parametrize("isa", ISAS)
def test_group_norm_keeps_channels_last(isa: str) -> None:
    x = laid_last(Tensor(array((2, 6, 4, 5)))).requires_grad_()
    with isa_cap(isa):
        y = norm.group_norm(x, 3)
        (dx,) = grad(y, [x], Tensor(array(x.shape)))
    assert y.stride() == dx.stride() == x.stride()
