# SPDX-License-Identifier: Apache-2.0
"""Functions and changes of shape in place: off the tape, on it, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import grad, no_grad
from gradsmith.ops import inplace_math
from gradsmith.tensor import Tensor

RNG = np.random.default_rng(0)
A = RNG.uniform(0.3, 0.9, (4, 4))
B = RNG.uniform(0.5, 1.5, (4, 4))

# Arguments beside the tensor, where a function takes any; a number stands for the tensor B.
ARGUMENTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    **{name: ((0,), {}) for name in ("floor_divide", "remainder", "fmod", "atan2", "arctan2")},
    **{name: ((0,), {}) for name in ("hypot", "copysign", "nextafter", "xlogy", "clamp_min")},
    **{name: ((0,), {}) for name in ("igamma", "igammac")},
    "ldexp": ((0,), {}),
    "clamp_max": ((), {"max": 0}),
    "clamp": ((0.4,), {"max": 0.8}),
    "clip": ((0.4, 0.8), {}),
    "round": ((), {"decimals": 1}),
    "addcmul": ((0, 0), {"value": 0.5}),
    "addcdiv": ((0,), {"tensor2": 0, "value": 0.5}),
    "lerp": ((0,), {"weight": 0.25}),
    "renorm": ((2, 0, 1.0), {}),
    "tril": ((1,), {}),
    "heaviside": ((0,), {}),
    "float_power": ((3,), {}),
    "mvlgamma": ((1,), {}),
    "cumsum": ((1,), {}),
    "cumprod": ((1,), {}),
}
# Of integers and bools.
WHOLE = ["logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_not"]
WHOLE += ["bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm"]
WHOLE += ["bitwise_left_shift", "bitwise_right_shift"]
# The first argument of these has no derivative.
WITHOUT_GRADIENT = {"nextafter_", "heaviside_", "igamma_", "igammac_"}
NAMES = sorted(
    name
    for name in vars(inplace_math)
    if name.endswith("_") and not name.startswith("_") and name.removesuffix("_") not in WHOLE
)


def given(name: str, other: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, kwargs = ARGUMENTS.get(name, ((), {}))
    if name == "renorm":
        return args, kwargs
    replace = {key: other if value == 0 else value for key, value in kwargs.items()}
    return tuple(other if each == 0 else each for each in args), replace


def source(name: str) -> np.ndarray:
    return A + 1 if name.startswith(("acosh", "arccosh")) else A


@pytest.mark.parametrize("op", NAMES)
def test_same_as_the_function(op: str) -> None:
    name = op.removesuffix("_")
    for layout in (np.ascontiguousarray, np.asfortranarray):
        x, y = Tensor(layout(source(name).copy())), Tensor(B)
        args, kwargs = given(name, y)
        want = getattr(x, name)(*args, **kwargs).numpy().copy()
        memory = x._array
        assert getattr(x, op)(*args, **kwargs) is x
        assert x._array is memory
        np.testing.assert_array_equal(memory, want)


@pytest.mark.parametrize("op", sorted(set(NAMES) - WITHOUT_GRADIENT))
def test_gradients_are_those_of_the_function(op: str) -> None:
    name = op.removesuffix("_")
    gradients = []
    for method in (op, name):
        x = Tensor(source(name).copy(), requires_grad=True)
        y = Tensor(B.copy(), requires_grad=True)
        args, kwargs = given(name, y)
        out = getattr(x * 1, method)(*args, **kwargs) + 0 * y
        gradients.append([each.numpy() for each in grad(out, (x, y), Tensor(B))])
    for got, want in zip(*gradients, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("name", WHOLE)
def test_integers_and_bools(name: str) -> None:
    dtype = gs.bool if name.startswith("logical") else gs.int64
    x, y = gs.tensor([5, 0, 12], dtype=dtype), gs.tensor([3, 1, 8], dtype=dtype)
    args = () if name.endswith("not") else (y,)
    want = getattr(x, name)(*args).tolist()
    assert getattr(x, f"{name}_")(*args) is x
    assert x.tolist() == want


def test_operators_write_in_place() -> None:
    x = gs.tensor([6, 7])
    same = x
    x &= 5
    x |= 8
    x ^= 1
    x <<= 2
    x >>= 1
    x //= 2
    x %= 8
    assert same is x
    assert same.tolist() == [((((v & 5 | 8) ^ 1) << 2) >> 1) // 2 % 8 for v in (6, 7)]
    assert gs.tensor([1.0, 2.0]).subtract_(1).multiply_(3).divide_(2).tolist() == [0, 1.5]
    assert gs.tensor([1, 2]).where(gs.tensor([True, False]), 9).tolist() == [1, 9]


def test_dtype_and_shape_stay() -> None:
    with pytest.raises(TypeError, match="log_"):
        gs.tensor([1, 2]).log_()
    with pytest.raises(ValueError, match="lerp_: the result has shape"):
        gs.zeros(2).lerp_(gs.zeros(3, 2), 0.5)
    with pytest.raises(TypeError, match="abs_: input is a float"):
        inplace_math.abs_(1.0)
    assert gs.tensor([-3, 2]).abs_().tolist() == [3, 2]
    with pytest.raises(TypeError, match="atan2_: missing a required argument: 'other'"):
        gs.ones(2).atan2_()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="relu_: too many positional arguments"):
        gs.ones(2).relu_(True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="clamp_: clamp: got neither min nor max"):
        gs.ones(2).clamp_()
    assert gs.tensor([0.0, 2.0]).logical_not_().tolist() == [1, 0]
    leaf = gs.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="log_: the tensor is a leaf"):
        leaf.log_()
    with no_grad():
        leaf.log_()
    assert leaf.tolist() == [0, 0]


# ---- shapes --------------------------------------------------------------------------------------

SHAPES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "unsqueeze_": (lambda x: x.unsqueeze_(1), lambda x: x.unsqueeze(1)),
    "squeeze_": (lambda x: x.unsqueeze(0).squeeze_(), lambda x: x),
    "squeeze_ dim": (lambda x: x.unsqueeze(0).squeeze_(0), lambda x: x),
    "t_": (lambda x: x.t_(), lambda x: x.t()),
    "transpose_": (lambda x: x.transpose_(0, -1), lambda x: x.T),
    "swapaxes_": (lambda x: x.swapaxes_(0, 1), lambda x: x.T),
    "swapdims_": (lambda x: x.swapdims_(1, 0), lambda x: x.T),
}


@pytest.mark.parametrize("name", SHAPES)
def test_new_shape_of_the_same_memory(name: str) -> None:
    change, plain = SHAPES[name]
    array = RNG.standard_normal((2, 3))
    x = Tensor(array.copy())
    want = plain(Tensor(array))
    got = change(x)
    np.testing.assert_array_equal(got.numpy(), want.numpy())
    assert np.shares_memory(got._array, x._array)


@pytest.mark.parametrize("name", ["unsqueeze_", "t_", "transpose_", "swapaxes_"])
def test_new_shape_on_the_tape(name: str) -> None:
    change, plain = SHAPES[name]
    weight = Tensor(RNG.standard_normal((3, 2)))
    gradients = []
    for function in (change, plain):
        x = Tensor(np.ones((2, 3)), requires_grad=True)
        y = x * 2
        y = function(y)
        factor = weight if y.shape == (3, 2) else weight.T.unsqueeze(1)
        gradients.append(grad((y * y * factor).sum(), x)[0].numpy())
    np.testing.assert_array_equal(*gradients)


def test_a_saved_tensor_keeps_its_shape() -> None:
    x = Tensor(np.ones((2, 2)), requires_grad=True)
    y = x * 1
    z = y * y
    y.t_()
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()
    view = (x * 1)[0]
    with pytest.raises(RuntimeError, match="unsqueeze_: the tensor is a view"):
        view.unsqueeze_(0)
    with pytest.raises(RuntimeError, match="t_: the tensor is a leaf"):
        x.t_()
    with pytest.raises(IndexError, match=r"unsqueeze_: .*dim 5"):
        gs.ones(2).unsqueeze_(5)


def test_diagonals_are_filled() -> None:
    for shape in ((3, 3), (2, 5), (5, 2), (7, 3), (3, 3, 3)):
        for wraps in (False, True):
            x = gs.zeros(shape, dtype=gs.float64)
            want = np.zeros(shape)
            np.fill_diagonal(want, 2.5, wraps)
            assert x.fill_diagonal_(2.5, wrap=wraps) is x
            np.testing.assert_array_equal(x.numpy(), want)
    w = gs.ones(2, 2, requires_grad=True)
    (w * 1).fill_diagonal_(0).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ValueError, match=r"fill_diagonal_: got shape \(2,\)"):
        gs.zeros(2).fill_diagonal_(1)
    with pytest.raises(ValueError, match="expected a matrix or equal sizes"):
        gs.zeros(2, 2, 3).fill_diagonal_(1)
