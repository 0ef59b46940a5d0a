# SPDX-License-Identifier: Apache-2.0
"""Type promotion: the functions that tell it agree with what arithmetic does; limits of dtypes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from gradsmith.backend import DTYPES
from tests.cases import REDUCED

# The common dtype of two is the later one, but that bfloat16 and float16 meet in float32.
ORDER = ["bool", "uint8", "int32", "int64", "bfloat16", "float16", "float32", "float64"]


@pytest.mark.parametrize(("first", "second"), list(itertools.product(DTYPES, DTYPES)))
def test_two_dtypes(first: Any, second: Any) -> None:
    names = {str(first), str(second)}
    common = "float32" if names == set(REDUCED) else max(names, key=ORDER.index)
    assert gs.promote_types(first, second) == gs.promote_types(str(second), first)
    assert str(gs.promote_types(first, second)) == common
    assert gs.result_type(gs.ones(2, dtype=first), gs.ones(3, 1, dtype=second)) == common
    kinds = ["b", "iu", "fV"]
    places = [next(i for i, kind in enumerate(kinds) if d.kind in kind) for d in (first, second)]
    assert gs.can_cast(first, second) == (places[0] <= places[1])


def operand_kinds() -> list[Any]:
    kinds = ("bool", "int64", "float32", "float64")
    tensors = [gs.ones(shape, dtype=kind) for kind in kinds for shape in ((2,), ())]
    return [*tensors, True, 3, 2.5]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(operand_kinds(), operand_kinds())))
def test_result_type_is_that_of_a_sum(a: Any, b: Any) -> None:
    if not (isinstance(a, gs.Tensor) or isinstance(b, gs.Tensor)):
        expected = {bool: gs.bool, int: gs.int64, float: gs.float32}[type(a + b if a != b else a)]
        expected = gs.bool if type(a) is type(b) is bool else expected
        assert gs.result_type(a, b) == expected
        return
    assert gs.result_type(a, b) == gs.add(a, b).dtype
    if isinstance(a, gs.Tensor):
        moved = a.to("cudasim")
        other = b.to("cudasim") if isinstance(b, gs.Tensor) else b
        assert gs.result_type(moved, other) == gs.add(a, b).dtype


def test_numbers_follow_the_default_dtype() -> None:
    try:
        gs.set_default_dtype(gs.float64)
        assert gs.result_type(1, 2.0) == gs.result_type(gs.tensor([1]), 2.0) == gs.float64
    finally:
        gs.set_default_dtype(gs.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.float16])
def test_limits_of_floating_dtypes(dtype: Any) -> None:
    info, known = gs.finfo(dtype), ml_dtypes.finfo(dtype)
    for name in ("eps", "max", "min", "tiny", "smallest_normal", "resolution"):
        assert getattr(info, name) == float(getattr(known, name))
        assert type(getattr(info, name)) is float
    assert (info.bits, info.dtype) == (np.dtype(dtype).itemsize * 8, np.dtype(dtype).name)


def test_limits_of_integers() -> None:
    info = gs.iinfo(gs.uint8)
    assert (info.bits, info.min, info.max, info.dtype) == (8, 0, 255, "uint8")
    assert gs.iinfo("int64").max == 2**63 - 1
    assert gs.finfo() == gs.finfo(gs.float32)


def test_type_of_another_tensor() -> None:
    assert gs.ones(2).type_as(gs.tensor([1])).dtype == gs.int64
    x = gs.ones(2)
    assert x.type_as(gs.zeros(1)) is x


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.result_type("a", 1), TypeError, "result_type: got a str"),
        (lambda: gs.promote_types("int7", gs.bool), TypeError, "promote_types: dtype 'int7'"),
        (lambda: gs.can_cast(gs.bool, "quarter"), TypeError, "can_cast: dtype 'quarter'"),
        (lambda: gs.finfo(gs.int32), TypeError, "finfo: got int32, expected a floating dtype"),
        (lambda: gs.iinfo(gs.float32), TypeError, "iinfo: got float32, expected an integer"),
        (lambda: gs.iinfo(gs.bool), TypeError, "iinfo: got bool"),
        (lambda: gs.ones(2).type_as(3), TypeError, "type_as: other is a int"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
