# SPDX-License-Identifier: Apache-2.0
"""Windows as columns and back, and convolutions computed from them: local, tiled, by table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from tests.cases import HAS_SIMULATOR, Case, CaseTests
from tests.reference import conv as direct
from tests.reference import conv_windows as definition

ODD = ((2, 3), (2, 1), (1, 2), (2, 1))  # kernel, dilation, padding, stride
TABLE = np.array([[True, False, True], [False, True, True]])


def normal(*shapes: tuple[int, ...]) -> Any:
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


CASES = [
    Case(
        "unfold",
        lambda x: F.unfold(x, *ODD),
        lambda x: definition.unfold(x, *ODD),
        normal((2, 2, 5, 4)),
        backward=lambda dy, x: definition.fold(dy, (5, 4), *ODD),
        tolerance="exact",
    ),
    Case(
        "fold",
        lambda x: F.fold(x, (4, 5), *ODD),
        lambda x: definition.fold(x, (4, 5), *ODD),
        normal((2, 12, 14)),
        backward=lambda dy, x: definition.unfold(dy, *ODD),
        tolerance="reduce",
        depth=6,
    ),
    Case(
        "locally_connected1d",
        lambda x, w, b: F.locally_connected1d(x, w, b, 2),
        lambda x, w, b: definition.locally_connected(
            x[:, :, None], w[None, :, :, :, None], b[:, None], (1, 2)
        )[:, :, 0],
        normal((2, 2, 6), (2, 3, 2, 3), (3, 2)),
        tolerance="matmul",
        depth=6,
    ),
    Case(
        "locally_connected2d",
        lambda x, w, b: F.locally_connected2d(x, w, b, (2, 1)),
        lambda x, w, b: definition.locally_connected(x, w, b, (2, 1)),
        normal((2, 2, 4, 3), (2, 2, 3, 2, 2, 2), (3, 2, 2)),
        tolerance="matmul",
        depth=8,
    ),
    Case(
        "tiled_conv2d",
        lambda x, w, b: F.tiled_conv2d(x, w, b, (1, 2), (1, 0)),
        lambda x, w, b: definition.tiled(x, w, b, (1, 2), (1, 0)),
        normal((2, 2, 3, 8), (2, 3, 2, 2, 2, 1), (2,)),
        tolerance="matmul",
        depth=4,
    ),
    Case(
        "table_conv2d",
        lambda x, w, b: F.table_conv2d(x, w, gs.tensor(TABLE, device=x.device), b),
        lambda x, w, b: definition.by_table(x, w, TABLE, b),
        normal((2, 3, 3, 4), (4, 2, 2), (2,)),
        tolerance="matmul",
        depth=12,
    ),
    Case(
        "masked_conv2d",
        lambda x, w: F.masked_conv2d(x, w, gs.tensor([[[[True, False]]]], device=x.device)),
        lambda x, w: x[..., :-1] * w[0, 0, 0, 0],
        normal((2, 1, 2, 4), (1, 1, 1, 2)),
    ),
    Case(
        "separable_kernel_conv2d",
        lambda x, v, h, b: F.separable_kernel_conv2d(x, v, h, b, (1, 2), (2, 1), (2, 1)),
        lambda x, v, h, b: definition.separable(x, v, h, b, (1, 2), (2, 1), (2, 1)),
        normal((2, 2, 3, 5), (2, 3), (2, 2), (2,)),
        tolerance="matmul",
        depth=6,
    ),
    Case(
        "binomial_blur2d",
        lambda x: F.binomial_blur2d(x, 2, 2),
        lambda x: definition.separable(
            np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "reflect"),
            *([[0.25, 0.5, 0.25]] * 2 @ np.eye(3),) * 2,
            *(np.zeros(2), (2, 2), (0, 0), (1, 1)),
        ),
        normal((1, 2, 4, 5)),
        tolerance="matmul",
        depth=9,
    ),
    Case(
        "fft_conv2d",
        lambda x, w, b: F.fft_conv2d(x, w, b, (2, 1), (1, 2), (1, 2), 2),
        lambda x, w, b: direct.conv_forward(x, w, b, (2, 1), (1, 2), (1, 2), 2),
        normal((2, 4, 5, 4), (2, 2, 3, 2), (2,)),
        tolerance="winograd",
        depth=32,
    ),
]


class TestCases(CaseTests):
    pass


def test_folding_counts_how_often_windows_cover() -> None:
    ones = gs.ones(1, 1, 4, 4)
    counts = F.fold(F.unfold(ones, 3), 4, 3)
    assert counts[0, 0].tolist() == [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]


@pytest.mark.parametrize("shape", [(3, 5, 6), (0, 3, 5, 6)])
def test_without_a_batch_and_with_an_empty_one(shape: tuple[int, ...]) -> None:
    x = gs.ones(*shape)
    lead = shape[:-3]
    columns = F.unfold(x, (2, 3))
    assert columns.shape == (*lead, 18, 16)
    assert F.fold(columns, (5, 6), (2, 3)).shape == shape
    assert F.locally_connected2d(x, gs.ones(4, 4, 2, 3, 2, 3)).shape == (*lead, 2, 4, 4)
    assert F.tiled_conv2d(x, gs.ones(3, 2, 2, 3, 2, 3)).shape == (*lead, 2, 4, 4)
    assert F.separable_kernel_conv2d(x, gs.ones(3, 2), gs.ones(3, 3)).shape == (*lead, 3, 4, 4)
    assert F.binomial_blur2d(x, 3, 2).shape == (*lead, 3, 3, 3)
    assert F.fft_conv2d(x, gs.ones(2, 3, 2, 3)).shape == (*lead, 2, 4, 4)


def test_one_tile_is_a_convolution_and_many_share_nothing() -> None:
    rng = np.random.default_rng(0)
    x = gs.tensor(rng.standard_normal((2, 3, 6, 5)))
    w = gs.tensor(rng.standard_normal((4, 3, 4, 3, 3, 3)))
    one = F.tiled_conv2d(x, w[:1, :1])
    np.testing.assert_allclose(one.numpy(), F.conv2d(x, w[0, 0]).numpy(), atol=1e-12)
    all_apart = F.locally_connected2d(x, w)
    np.testing.assert_allclose(F.tiled_conv2d(x, w).numpy(), all_apart.numpy(), atol=1e-12)


@pytest.mark.parametrize("kernel", [(9, 9), (31, 2), (1, 40)])
def test_fft_equals_the_direct_convolution_for_large_filters(kernel: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x = gs.tensor(rng.standard_normal((2, 3, 41, 47)).astype(np.float32))
    w = gs.tensor(rng.standard_normal((4, 3, *kernel)).astype(np.float32))
    for padding in (0, "same"):
        expected = F.conv2d(x.double(), w.double(), padding=padding).numpy()
        got = F.fft_conv2d(x, w, padding=padding).numpy()
        bound = 2.0**-23 * np.log2(41 * 47) * np.sqrt(np.mean(expected**2))
        assert np.abs(got - expected).max() <= bound


@pytest.mark.skipif(not HAS_SIMULATOR, reason="this build has no simulator (_cudasim)")
def test_fft_does_not_mix_devices() -> None:
    x, w = gs.ones(1, 1, 4, 4), gs.ones(1, 1, 2, 2)
    with pytest.raises(TypeError, match="weight is on cudasim, expected an array on cpu"):
        F.fft_conv2d(x, w.to("cudasim"))
    with pytest.raises(TypeError, match="bias is on cpu, expected an array on cudasim"):
        F.fft_conv2d(x.to("cudasim"), w.to("cudasim"), gs.ones(1))


def test_blur_keeps_the_mean_of_a_constant_and_rounds_sizes_up() -> None:
    for order in range(5):
        blurred = F.binomial_blur2d(gs.full((1, 2, 7, 8), 3.0), order, 2)
        assert blurred.shape == (1, 2, 4, 4)
        np.testing.assert_allclose(blurred.numpy(), 3.0, rtol=1e-6)
    spot = F.pad(gs.ones(1, 1, 1), (1, 1, 1, 1))
    expected = np.outer([1, 2, 1], [1, 2, 1]) / 16
    assert F.binomial_blur2d(spot, padding_mode="constant")[0].tolist() == expected.tolist()


X = gs.ones(1, 3, 5, 6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.unfold(gs.ones(2, 2), 1), ValueError, r"unfold: input has shape \(2, 2\)"),
        (lambda: F.unfold(X, 7), ValueError, r"unfold: kernel_size \(7, 7\) with dilation"),
        (lambda: F.unfold(X, 0), ValueError, "unfold: kernel_size is 0, expected at least 1"),
        (lambda: F.unfold(X, (1, 2, 3)), ValueError, "expected 2 ints"),
        (lambda: F.unfold(X, 2.5), TypeError, "unfold: kernel_size is a float"),
        (lambda: F.unfold(X, 2, padding=-1), ValueError, "padding is -1"),
        (lambda: F.fold(X, 4, 2), ValueError, r"fold: input has shape \(1, 3, 5, 6\), expected 2"),
        (lambda: F.fold(gs.ones(1, 5, 9), 4, 2), ValueError, "expected a multiple of 4 rows"),
        (lambda: F.fold(gs.ones(1, 4, 8), 4, 2), ValueError, "and 9 columns"),
        (lambda: F.locally_connected2d(X, gs.ones(4, 4, 2, 3, 2, 2)), ValueError, "windows"),
        (lambda: F.locally_connected2d(X, gs.ones(4, 5, 2, 2, 2, 2)), ValueError, "and weight"),
        (
            lambda: F.locally_connected2d(X, gs.ones(4, 5, 2, 3, 2, 2), gs.ones(2)),
            ValueError,
            r"bias has shape \(2,\), expected \(2, 4, 5\)",
        ),
        (lambda: F.locally_connected1d(X, gs.ones(4, 2, 3, 2)), ValueError, "locally_connected1d"),
        (lambda: F.tiled_conv2d(X, gs.ones(2, 3, 2, 2)), ValueError, "tiled_conv2d: input has"),
        (
            lambda: F.tiled_conv2d(X, gs.ones(1, 1, 2, 3, 9, 2)),
            ValueError,
            "than the padded",
        ),
        (lambda: F.table_conv2d(X, gs.ones(3, 2, 2), gs.ones(2, 3)), TypeError, "mask is float32"),
        (
            lambda: F.table_conv2d(X, gs.ones(3, 2, 2), gs.ones(2, 3) > 0),
            ValueError,
            "weight has 3 filters, expected 6",
        ),
        (
            lambda: F.table_conv2d(X, gs.ones(6, 2), gs.ones(2, 3) > 0),
            ValueError,
            r"table has shape \(2, 3\) and weight \(6, 2\)",
        ),
        (
            lambda: F.masked_conv2d(X, gs.ones(2, 3, 2, 2), gs.ones(2, 2) > 0),
            ValueError,
            "masked_conv2d: mask has shape",
        ),
        (
            lambda: F.separable_kernel_conv2d(X, gs.ones(2), gs.ones(3, 2)),
            ValueError,
            "separable_kernel_conv2d: input has shape",
        ),
        (lambda: F.separable_kernel_conv2d(X, gs.ones(2, 2), gs.ones(2, 2)), ValueError, "conv2d"),
        (lambda: F.binomial_blur2d(X, -1), ValueError, "order is -1, expected an int >= 0"),
        (lambda: F.binomial_blur2d(gs.ones(2, 2)), ValueError, "binomial_blur2d: input has shape"),
        (lambda: F.fft_conv2d(X, gs.ones(2, 2, 2, 2)), ValueError, "fft_conv2d: weight has shape"),
        (lambda: F.fft_conv2d(X, gs.ones(2, 3, 6, 2)), ValueError, "is larger than the input"),
        (lambda: F.fft_conv2d(X, gs.ones(2, 3, 2, 2).double()), TypeError, "weight float64"),
        (lambda: F.fft_conv2d(X, gs.ones(2, 3, 2)), ValueError, "fft_conv2d: input has shape"),
        (lambda: F.fft_conv2d(X, gs.ones(2, 3, 2, 2), gs.ones(3)), ValueError, "bias has shape"),
        (lambda: F.fft_conv2d(X, gs.ones(2, 3, 2, 2), padding="full"), ValueError, "'full'"),
        (
            lambda: F.fft_conv2d(X, gs.ones(2, 3, 2, 2), None, 2, "same"),
            ValueError,
            "'same' needs stride 1",
        ),
        (lambda: F.fft_conv2d(X, gs.ones(2, 3, 2, 2), stride=0), ValueError, "stride is 0"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
