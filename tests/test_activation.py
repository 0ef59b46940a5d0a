# SPDX-License-Identifier: Apache-2.0
"""Activation functions, with what is special at their kinks and for large inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith.ops import elementwise_activation as ops
from tests.cases import ISAS, Case, CaseTests, isa_cap
from tests.reference import elementwise as reference


def smooth(rng: np.random.Generator) -> tuple[Any, ...]:
    return (rng.standard_normal((3, 5)) * 2,)


def between_kinks(rng: np.random.Generator) -> tuple[Any, ...]:
    """From -8 to 8, at least 0.1 away from every kink of the functions here (0, 0.5, 1, 3, 6)."""
    return (rng.integers(-16, 16, (3, 5)) / 2 + rng.uniform(0.1, 0.4, (3, 5)),)


def activation(
    name: str, *args: Any, other_name: str | None = None, tolerance: str = "transcendental"
) -> Case:
    definition = getattr(reference, other_name or name)
    slope = getattr(reference, f"{other_name or name}_backward")
    return Case(
        f"{name}{args or ''}",
        lambda x: getattr(ops, name)(x, *args),
        lambda x: definition(x, *args),
        between_kinks if tolerance == "pointwise" else smooth,
        backward=lambda dy, x: slope(dy, x, *args),
        tolerance=tolerance,
    )


def reference_prelu(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, x * weight.reshape(-1, 1))


def reference_glu(x: np.ndarray) -> np.ndarray:
    values, gates = np.split(x, 2, axis=1)
    return values * reference.sigmoid(gates)


CASES = [
    activation("relu", tolerance="pointwise"),
    activation("relu6", tolerance="pointwise"),
    activation("leaky_relu", tolerance="pointwise"),
    activation("leaky_relu", 0.2, tolerance="pointwise"),
    activation("hardtanh", tolerance="pointwise"),
    activation("hardtanh", -2.0, 0.5, tolerance="pointwise"),
    activation("hardsigmoid", tolerance="pointwise"),
    activation("hardswish", tolerance="pointwise"),
    activation("softsign", tolerance="pointwise"),
    activation("elu"),
    activation("elu", 1.5),
    activation("selu"),
    activation("celu"),
    activation("celu", 0.75),
    activation("silu"),
    activation("mish"),
    activation("gelu"),
    activation("softplus"),
    activation("softplus", 2.0, 1.0),
    activation("logsigmoid", other_name="log_sigmoid"),
    Case(
        "gelu-tanh",
        lambda x: ops.gelu(x, approximate="tanh"),
        reference.gelu_tanh,
        smooth,
        backward=reference.gelu_tanh_backward,
        tolerance="transcendental",
    ),
    Case(
        "prelu",
        F.prelu,
        reference_prelu,
        lambda rng: (rng.standard_normal((2, 3, 4)), rng.uniform(0.1, 0.9, 3)),
    ),
    Case(
        "glu",
        lambda x: F.glu(x, 1),
        reference_glu,
        lambda rng: (rng.standard_normal((3, 4, 2)),),
        tolerance="transcendental",
    ),
    Case(
        "tanhshrink", ops.tanhshrink, lambda x: x - np.tanh(x), smooth, tolerance="transcendental"
    ),
    Case(
        "softshrink",
        lambda x: ops.softshrink(x, 0.75),
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.75, 0),
        lambda rng: (rng.choice([-2.0, 0.3, 1.5], (3, 5)) + rng.uniform(0, 0.2, (3, 5)),),
    ),
    Case(
        "hardshrink",
        ops.hardshrink,
        lambda x: np.where(np.abs(x) > 0.5, x, 0),
        lambda rng: (rng.choice([-2.0, 0.2, 1.5], (3, 5)) + rng.uniform(0, 0.2, (3, 5)),),
        tolerance="exact",
    ),
    Case(
        "threshold",
        lambda x: ops.threshold(x, 0.05, 9.0),
        lambda x: np.where(x > 0.05, x, 9.0),
        between_kinks,
        tolerance="exact",
    ),
]


class TestCases(CaseTests):
    pass


# Slope at each kink, from the lower side to the upper one, as PyTorch has it.
KINKS: list[tuple[str, float, float]] = [
    ("relu", 0.0, 0.0),
    ("relu6", 0.0, 0.0),
    ("relu6", 6.0, 0.0),
    ("leaky_relu", 0.0, 0.01),
    ("elu", 0.0, 1.0),
    ("hardtanh", 1.0, 0.0),
    ("hardsigmoid", 3.0, 0.0),
    ("hardswish", -3.0, 0.0),
    ("hardswish", 3.0, 1.0),
    ("softshrink", 0.5, 0.0),
    ("softshrink", -0.5, 0.0),
    ("hardshrink", 0.5, 0.0),
    ("hardshrink", -0.5, 0.0),
]


@pytest.mark.parametrize(("name", "at", "slope"), KINKS)
def test_slope_at_kinks(name: str, at: float, slope: float) -> None:
    x = gs.tensor([at], requires_grad=True)
    getattr(ops, name)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(slope)


SATURATING = ["sigmoid", "tanh", "gelu", "silu", "mish", "softplus", "logsigmoid", "elu", "celu"]


@pytest.mark.parametrize("name", SATURATING)
def test_large_inputs_neither_overflow_nor_give_nan(name: str) -> None:
    function = getattr(ops, name, None) or getattr(gs, name)
    x = gs.tensor([-1e4, -200.0, 200.0, 1e4], requires_grad=True)
    y = function(x)
    (dx,) = gs.autograd.grad(y.sum(), x, create_graph=True)
    (ddx,) = gs.autograd.grad(dx.sum(), x)
    for tensor in (y, dx, ddx):
        assert gs.isfinite(tensor).all(), (name, tensor)


def test_second_derivative_of_piecewise_linear_functions_is_zero() -> None:
    x = gs.tensor([-1.0, 2.0], requires_grad=True)
    for function in (ops.relu, ops.leaky_relu, ops.relu6, ops.softshrink, ops.hardshrink):
        (dx,) = gs.autograd.grad(function(x).sum(), x, create_graph=True)
        (ddx,) = gs.autograd.grad(dx.sum(), x)
        assert ddx.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [gs.float32, gs.float64, gs.bfloat16, gs.float16], ids=str)
def test_shrinkage_of_special_values(dtype: Any, isa: str) -> None:
    values = [np.nan, np.inf, -np.inf, 0.5, -0.5, 0.75, -2.0, 0.0, 0.25]
    x = gs.tensor(values, dtype=dtype, requires_grad=True)
    nothing = [0.0, 0.0]
    with isa_cap(isa):
        soft, hard = ops.softshrink(x), ops.hardshrink(x)
        (dx,) = gs.autograd.grad(hard.sum(), x)
    got, kept = soft.float().tolist(), hard.float().tolist()
    np.testing.assert_array_equal(got, [*values[:3], *nothing, 0.25, -1.5, *nothing])
    np.testing.assert_array_equal(kept, [*values[:3], *nothing, 0.75, -2.0, *nothing])
    np.testing.assert_array_equal(dx.float().tolist()[1:], [1, 1, 0, 0, 1, 1, 0, 0])
    assert ops.hardshrink(gs.tensor([-1.0, 0.0, 1.0]), -0.5).tolist() == [-1.0, 0.0, 1.0]


def test_inplace_argument_leaves_the_input_alone() -> None:
    x = gs.tensor([-1.0, 2.0])
    assert ops.relu(x, inplace=True).tolist() == [0.0, 2.0]
    assert x.tolist() == [-1.0, 2.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.relu(3.0), TypeError, "relu: input is a float"),
        (lambda: ops.gelu(gs.ones(2), "erf"), ValueError, "gelu: approximate is 'erf'"),
        (lambda: F.glu(gs.ones(3)), ValueError, "glu: dim -1"),
        (lambda: F.glu(gs.ones(4), 1), IndexError, "glu: dim 1"),
        (lambda: ops.hardtanh(gs.ones(2), 1.0, -1.0), ValueError, "hardtanh: min_val"),
        (lambda: F.prelu(gs.ones(2, 3), gs.ones(2)), ValueError, "prelu: weight has shape"),
        (lambda: ops.softplus(gs.ones(2), beta=0.0), ValueError, "softplus: beta is 0"),
        (lambda: ops.celu(gs.ones(2), alpha=0.0), ValueError, "celu: alpha is 0"),
        (lambda: ops.softshrink(gs.ones(2), -1.0), ValueError, "softshrink: lambd"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
