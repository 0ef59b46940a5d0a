# SPDX-License-Identifier: Apache-2.0
"""Pairs of dtypes, 0-d tensors and Python numbers give PyTorch's dtypes and values.

Every function of two numbers, and every in-place method, meets every pair; what one library
refuses the other refuses too, but for `ACCEPTED` and `REFUSED`, each with its row of
``docs/differences.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
if find_spec("torch") is not None:
    import torch

DTYPES = ("float32", "float64", "bfloat16", "float16", "int64", "int32", "uint8", "bool")
NUMBERS = {"2": 2, "1.5": 1.5, "True": True}
OPERANDS = (*DTYPES, "0-d float32", "0-d float64", "0-d int64", *NUMBERS)
FUNCTIONS = """
add sub mul div floor_divide remainder fmod pow atan2 maximum minimum eq ne lt le gt ge logical_and
logical_or logical_xor bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift
gcd lcm copysign nextafter ldexp hypot logaddexp logaddexp2 fmax fmin heaviside float_power
clamp_min clamp_max clamp xlogy dist isclose matmul outer dot
"""
IN_PLACE = """
add_ sub_ mul_ div_ floor_divide_ remainder_ fmod_ pow_ atan2_ logical_and_ logical_or_ logical_xor_
bitwise_and_ bitwise_or_ bitwise_xor_ bitwise_left_shift_ bitwise_right_shift_ gcd_ lcm_ copysign_
nextafter_ ldexp_ hypot_ heaviside_ float_power_ clamp_ clamp_min_ clamp_max_ xlogy_ copy_ fill_
"""
UNARY_IN_PLACE = """
abs_ neg_ exp_ exp2_ expm1_ log_ log2_ log10_ log1p_ sqrt_ rsqrt_ reciprocal_ square_ sin_ cos_ tan_
atan_ sinh_ cosh_ tanh_ asinh_ acosh_ sigmoid_ erf_ erfc_ deg2rad_ rad2deg_ sgn_ floor_ ceil_
trunc_ round_ frac_ relu_ clamp_ logical_not_ bitwise_not_ lgamma_ digamma_ i0_ nan_to_num_ zero_
"""
ROWS = (Path(__file__).parents[1] / "docs" / "differences.md").read_text(encoding="utf-8")

# PyTorch's words where it refuses what is taken here, and the row.
ACCEPTED = {
    "must be Tensor, not|invalid combination of arguments": (
        "numbers beside tensors where PyTorch wants tensors"
    ),
    "with (a|two) bool tensor": "calls that PyTorch refuses without need",
    "not implemented for|should be either floating|requires dtype Double": (
        "calls that PyTorch refuses without need"
    ),
    "same (d|data )type|did not match": "calls that PyTorch refuses without need",
}
# Words where it is refused here.
REFUSED = {
    "is a bool, expected|not defined for bool": "bools as numbers",
    "expected an integer for a": "numbers that an integer dtype cannot hold",
    "negative integer powers|division by zero": "integers to negative integer powers",
}


def operand(library: Any, name: str) -> Any:
    if name in NUMBERS:
        return NUMBERS[name]
    values: Any = 2 if name.startswith("0-d ") else [2, 1, 1, 2]
    dtype = name.removeprefix("0-d ")
    if library is gs:
        return gs.tensor(values).to(dtype)
    return torch.tensor(values).to(getattr(torch, dtype))


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


def difference(got: Any, expected: Any) -> str | None:
    if isinstance(expected, Exception):
        if isinstance(got, Exception) or any(re.search(w, str(expected)) for w in ACCEPTED):
            return None
        return f"accepted, PyTorch {str(expected)[:90]}"
    if isinstance(got, Exception):
        known = any(re.search(words, str(got)) for words in REFUSED)
        return None if known else f"{str(got)[:90]}, PyTorch {expected.tolist()}"
    if str(got.dtype) != str(expected.dtype).removeprefix("torch."):
        return f"{got.dtype}, PyTorch {expected.dtype}"
    mine, theirs = got.detach().double().numpy(), expected.detach().double().numpy()
    same = mine.shape == theirs.shape and np.allclose(mine, theirs, 1e-2, 1e-2, equal_nan=True)
    return None if same else f"{mine.tolist()}, PyTorch {theirs.tolist()}"


def compare(call: Callable[[Any, Any, Any], Any], right: tuple[str, ...]) -> list[str]:
    found = []
    for a in DTYPES:
        for b in right:
            got, expected = (
                outcome(lambda lib=lib, a=a, b=b: call(lib, operand(lib, a), operand(lib, b)))
                for lib in (gs, torch)
            )
            text = difference(got, expected)
            if text is not None:
                found.append(f"{a}, {b}: {text}")
    return found


@pytest.mark.parametrize("name", FUNCTIONS.split())
def test_function(name: str) -> None:
    assert not compare(lambda library, x, y: getattr(library, name)(x, y), OPERANDS)


@pytest.mark.parametrize("name", FUNCTIONS.split()[:20])
def test_number_first(name: str) -> None:
    right = [each for each in OPERANDS if each not in NUMBERS]
    for number in NUMBERS.values():
        call = lambda library, _, y, n=number: getattr(library, name)(n, y)  # noqa: E731
        assert not compare(call, tuple(right))


@pytest.mark.parametrize("name", IN_PLACE.split())
def test_in_place(name: str) -> None:
    assert not compare(lambda _, x, y: getattr(x, name)(y), OPERANDS)


@pytest.mark.parametrize("name", UNARY_IN_PLACE.split())
def test_in_place_alone(name: str) -> None:
    assert not compare(lambda _, x, __: getattr(x, name)(), ("float32",))


@pytest.mark.parametrize("row", sorted({*ACCEPTED.values(), *REFUSED.values()}))
def test_row(row: str) -> None:
    assert row in ROWS
