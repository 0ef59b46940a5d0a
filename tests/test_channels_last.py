# SPDX-License-Identifier: Apache-2.0
"""Functions that move elements keep the order of channels-last tensors, and of slices of them."""

from collections.abc import Callable

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith.backend import is_channels_last

FUNCTIONS: dict[str, Callable[[gs.Tensor], gs.Tensor]] = {
    "cat": lambda x: gs.cat([x, x[:, :3]], 1),
    "pad": lambda x: F.pad(x, (1, 2, 0, 3)),
    "crop": lambda x: F.pad(x, (-1, 0, 0, -1)),
    "roll": lambda x: gs.roll(x, 2, 3),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "interpolate": lambda x: F.interpolate(x, (10, 9)),
    "slice": lambda x: gs.exp(x[:, 2:6]),
    "chunk": lambda x: gs.mul(*x.chunk(2, 1)),
}


def lying_last(values: np.ndarray) -> gs.Tensor:
    """Return (N, C, H, W) in the order of (N, H, W, C)."""
    return gs.tensor(np.ascontiguousarray(values.transpose(0, 2, 3, 1))).permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_lie_as_the_input(name: str) -> None:
    values = np.random.default_rng(0).standard_normal((2, 8, 5, 7)).astype(np.float32)
    x = lying_last(values).detach().requires_grad_()
    y = FUNCTIONS[name](x)
    in_c_order = gs.tensor(values, requires_grad=True)
    expected = FUNCTIONS[name](in_c_order)
    assert is_channels_last(y._array)
    np.testing.assert_array_equal(y.detach().numpy(), expected.detach().numpy())
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    assert x.grad is not None
    assert in_c_order.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), in_c_order.grad.numpy())


@pytest.mark.parametrize("classes", [5, 64])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_cross_entropy_of_pixels(classes: int, reduction: str) -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_normal((2, classes, 5, 7)).astype(np.float32)
    target = gs.tensor(rng.integers(0, classes, (2, 5, 7)))
    x = lying_last(values).detach().requires_grad_()
    in_c_order = gs.tensor(values, requires_grad=True)
    for each in (x, in_c_order):
        F.cross_entropy(each, target, reduction=reduction).sum().backward()
    assert x.grad is not None
    assert in_c_order.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), in_c_order.grad.numpy(), rtol=2e-6, atol=1e-7)
