# SPDX-License-Identifier: Apache-2.0
"""Copies and elementwise functions of operands whose layouts differ, at sizes that fill vectors,
squares and blocks, with what is left over beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, isa_cap, threads

DTYPES = [
    np.bool_,
    np.uint8,
    np.int32,
    np.int64,
    ml_dtypes.bfloat16,
    np.float16,
    np.float32,
    np.float64,
]
SIZES = [(1, 1), (3, 50), (16, 16), (17, 33), (64, 64), (70, 131), (5, 400), (300, 150)]


def matrix(rows: int, columns: int, dtype: Any) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 200, (rows, columns))
    return (values % 2 == 0) if dtype is np.bool_ else values.astype(dtype)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_transposed_copy(size: tuple[int, int], dtype: Any, isa: str) -> None:
    x = matrix(*size, dtype)
    with isa_cap(isa):
        got = gs.from_numpy(x.T).contiguous().numpy()
    np.testing.assert_array_equal(got, x.T)
    assert got.flags.c_contiguous


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 3, 9, 11), (3, 20, 7, 5), (2, 64, 8, 8), (1, 1, 4, 70)])
def test_channels_first_to_last_and_back(shape: tuple[int, ...], dtype: Any, isa: str) -> None:
    x = matrix(shape[0] * shape[1], shape[2] * shape[3], dtype).reshape(shape)
    last = np.moveaxis(x, 1, -1)
    with isa_cap(isa):
        got = gs.from_numpy(last).contiguous().numpy()
        back = gs.from_numpy(np.moveaxis(got, -1, 1)).contiguous().numpy()
    np.testing.assert_array_equal(got, last)
    np.testing.assert_array_equal(back, x)


@pytest.mark.parametrize("isa", ISAS)
def test_copy_into_a_transposed_part(isa: str) -> None:
    x = matrix(40, 90, np.float32)
    whole = np.full((100, 60), -1, np.float32)
    with isa_cap(isa):
        gs.from_numpy(whole[5:95, 10:50].T).copy_(gs.from_numpy(x))
    expected = np.full((100, 60), -1, np.float32)
    expected[5:95, 10:50] = x.T
    np.testing.assert_array_equal(whole, expected)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": lambda x: x,
    "transposed": lambda x: np.asfortranarray(x),
    "stepped": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "row": lambda x: np.broadcast_to(x[:1], x.shape),
    "column": lambda x: np.broadcast_to(x[:, :1], x.shape),
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
def test_operands_of_any_two_layouts(left: str, right: str, dtype: Any, isa: str) -> None:
    a = LAYOUTS[left](matrix(37, 83, dtype))
    b = LAYOUTS[right](matrix(37, 83, dtype)[::-1] + np.asarray(1, dtype))
    mask = LAYOUTS[left](matrix(37, 83, np.bool_))
    x, y, m = gs.from_numpy(a), gs.from_numpy(b), gs.from_numpy(mask)
    with isa_cap(isa):
        added, less, chosen, root = x + y, x < y, gs.where(m, x, y), gs.sqrt(x)
    np.testing.assert_array_equal(added.numpy(), a + b)
    np.testing.assert_array_equal(less.numpy(), a < b)
    np.testing.assert_array_equal(chosen.numpy(), np.where(mask, a, b))
    np.testing.assert_array_equal(root.numpy(), np.sqrt(a.astype(np.float64)).astype(dtype))


@pytest.mark.parametrize("isa", ISAS)
def test_bfloat16_to_float_and_back(isa: str) -> None:
    x = np.random.default_rng(0).standard_normal(1003).astype(np.float32)
    x[:4] = [np.inf, -np.inf, np.nan, 3e38]
    with isa_cap(isa):
        narrow = gs.from_numpy(x).to("bfloat16").numpy()
        wide = gs.from_numpy(narrow).to("float32").numpy()
    expected = x.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(narrow.astype(np.float32), expected)
    np.testing.assert_array_equal(wide, expected)


@pytest.mark.parametrize("isa", ISAS)
def test_every_float16_becomes_its_float(isa: str) -> None:
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    with isa_cap(isa):
        wide = gs.from_numpy(x).to("float32").numpy()
    np.testing.assert_array_equal(wide, x.astype(np.float32))


@pytest.mark.parametrize("isa", ISAS)
def test_floats_round_to_the_nearest_float16(isa: str) -> None:
    steps = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
    halfway = np.append((steps[1:] + steps[:-1]) / 2, 65520.0).astype(np.float32)
    beside = [np.nextafter(halfway, np.float32(end)) for end in (-np.inf, np.inf)]
    special = np.array([0.0, 3e-38, 1e-30, 3e38, np.inf, np.nan], np.float32)
    x = np.concatenate([halfway, *beside, special])
    x = np.concatenate([x, -x])
    with isa_cap(isa):
        narrow = gs.from_numpy(x).to("float16").numpy()
        between = gs.from_numpy(x).to("bfloat16").to("float16").numpy()
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(narrow, x.astype(np.float16))
        expected = x.astype(ml_dtypes.bfloat16).astype(np.float32).astype(np.float16)
        np.testing.assert_array_equal(between, expected)
    assert (np.signbit(narrow) == np.signbit(x)).all()


def test_layout_changes_give_the_same_bits_for_any_thread_count() -> None:
    x = np.random.default_rng(0).standard_normal((500, 301)).astype(np.float32)
    bits = set()
    for count in (1, 2, 7):
        with threads(count):
            bits.add((gs.from_numpy(x.T) * gs.from_numpy(x.T.copy())).numpy().tobytes())
    assert len(bits) == 1
