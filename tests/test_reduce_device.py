# SPDX-License-Identifier: Apache-2.0
"""CUDA's reductions: rows by lanes, warps and blocks, columns, parts of both, any strides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from gradsmith import cudasim
from gradsmith.backend import Device
from tests.cases import NUMPY_DTYPES, SCHEDULES, backend, to_array
from tests.tolerance import assert_close

FLOATING = ["float32", "float64", "bfloat16", "float16"]
DEFINITION: dict[str, Callable[..., Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "amax": np.max,
    "amin": np.min,
    "vector_norm": lambda x, axis: np.sqrt(np.sum(np.square(x), axis)),
}


def on(device: Device, x: np.ndarray) -> gs.Tensor:
    return gs.from_numpy(np.ascontiguousarray(x)).to(device)


# Lanes of a row: 1, 2, 8, 32, all of a block, several blocks; columns: few, one pack, many, parts.
SHAPES: list[tuple[Any, Any]] = [
    *(((5, n), 1) for n in (1, 4, 7, 33, 260, 1003, 9001)),
    *(((n, 37), 0) for n in (1, 2, 129, 3001)),
    *(((n, 3), 0) for n in (9, 5000)),
    *(((300, 260), 0), ((70001,), None), ((9001, 4), 1), ((4, 2, 9000), 1)),
    *(((6, 8, 40), (0, 2)), ((6, 8, 41), (0, 2)), ((3, 5, 7, 16), (1, 3)), ((3, 5, 7, 16), (0, 2))),
]


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("name", DEFINITION)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_sums_and_extremes(shape: Any, axis: Any, name: str, dtype: str, device_isa: str) -> None:
    x = (np.random.default_rng(0).standard_normal(shape) + 0.5).astype(NUMPY_DTYPES[dtype])
    expected = DEFINITION[name](x.astype(np.float64), axis)
    with backend(device_isa) as device:
        given = on(device, x)
        y = getattr(gs.linalg if name == "vector_norm" else gs, name)(given, dim=axis)
        assert_close(to_array(y), expected, dtype, "reduce", x.size // expected.size, name)


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("name", ["sum", "amax", "argmax", "prod"])
@pytest.mark.parametrize("view", ["late", "stepped", "turned", "reordered", "repeated"])
def test_views(view: str, name: str, dtype: str, device_isa: str) -> None:
    numbers = np.random.default_rng(0).standard_normal((12, 34, 70))
    x = (1 + numbers / 64 if name == "prod" else numbers).astype(NUMPY_DTYPES[dtype])
    with backend(device_isa) as device:
        given = on(device, x)
        views = {
            "late": (given[1:, 3:, 5:], x[1:, 3:, 5:]),
            "stepped": (given[::2, ::3, ::2], x[::2, ::3, ::2]),
            "turned": (given.permute(2, 1, 0), x.transpose(2, 1, 0)),
            "reordered": (given.permute(1, 2, 0), x.transpose(1, 2, 0)),
            "repeated": (given[:1].expand(5, 34, 70), np.broadcast_to(x[:1], (5, 34, 70))),
        }
        tensor, array = views[view]
        for axis in range(3):
            got = to_array(getattr(gs, name)(tensor, axis))
            expected = getattr(np, name)(array.astype(np.float64), axis)
            if name == "argmax":
                np.testing.assert_array_equal(got, expected)
            else:
                assert_close(got, expected, dtype, "reduce", array.shape[axis], view)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize(("shape", "axis"), [((5, 33), 1), ((2, 20001), 1), ((3001, 7), 0)])
def test_integers_wrap(shape: Any, axis: int, dtype: Any, device_isa: str) -> None:
    info = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(info.min, info.max, shape, dtype, endpoint=True)
    with backend(device_isa) as device:
        given = on(device, x)
        for name in ("sum", "amax", "amin", "prod", "cumsum", "cumprod"):
            got = to_array(getattr(gs, name)(given, axis))
            wide = {"dtype": np.int64} if name[-1] != "n" and name[-1] != "x" else {}
            np.testing.assert_array_equal(got, getattr(np, name)(x, axis, **wide))
        for name in ("argmax", "argmin"):
            got = to_array(getattr(gs, name)(given, axis))
            np.testing.assert_array_equal(got, getattr(np, name)(x, axis))


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("shape", [(3, 1), (5, 33), (2, 9001), (3001, 7)])
def test_truth(shape: Any, dtype: Any, device_isa: str) -> None:
    one = np.zeros(shape, dtype)
    one[-1, -1] = 1
    for x in (one, 1 - one.astype(np.uint8), np.ones(shape)):
        given = x.astype(dtype)
        with backend(device_isa) as device:
            for axis in (0, 1):
                for name in ("any", "all"):
                    got = to_array(getattr(gs, name)(on(device, given), axis))
                    np.testing.assert_array_equal(got, getattr(np, name)(x, axis))


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_first_of_equal_extremes(
    shape: Any, axis: Any, name: str, dtype: str, device_isa: str
) -> None:
    if isinstance(axis, tuple):
        axis = axis[0]
    rng = np.random.default_rng(0)
    x = rng.integers(-20, 20, shape).astype(np.float64)
    x[rng.random(shape) < 2 / x.shape[axis or 0]] = np.nan
    x[0] = np.where(np.isnan(x[0]), 0, x[0])
    with backend(device_isa) as device:
        given = on(device, x.astype(NUMPY_DTYPES[dtype]))
        got = to_array(getattr(gs, name)(given) if axis is None else getattr(gs, name)(given, axis))
    np.testing.assert_array_equal(got, getattr(np, name)(x, axis))


@pytest.mark.parametrize("name", ["amax", "amin"])
@pytest.mark.parametrize("axis", [0, 1])
def test_nan_beats_every_number(axis: int, name: str, device_isa: str) -> None:
    x = np.random.default_rng(0).standard_normal((67, 2100)).astype(np.float32)
    x[3, 66] = x[66, 20] = np.nan
    x[:, 9] = np.inf
    x[:, 10] = -np.inf
    with backend(device_isa) as device:
        got = to_array(getattr(gs, name)(on(device, x), axis))
    np.testing.assert_array_equal(got, DEFINITION[name](x, axis))


# Lines of a tile or less, of several with a rest, in parts; lines beside each other.
@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        *(((5, n), 1) for n in (1, 31, 128, 1003, 5004, 9001)),
        *(((n, 37), 0) for n in (1, 9, 700)),
        *(((3, 300, 20), 1), ((9000, 1), 0), ((2, 129, 3), 1)),
    ],
)
def test_scans(shape: Any, axis: int, name: str, dtype: str, device_isa: str) -> None:
    x = 1 + np.random.default_rng(0).standard_normal(shape) / 256
    x = x.astype(NUMPY_DTYPES[dtype])
    expected = getattr(np, name)(x.astype(np.float64), axis)
    with backend(device_isa) as device:
        got = to_array(getattr(gs, name)(on(device, x), axis))
    assert_close(got, expected, dtype, "reduce", shape[axis], name)


@pytest.mark.parametrize("name", ["sum", "argmax", "cumsum"])
@pytest.mark.parametrize(("shape", "axis"), [((3, 9001), 1), ((3001, 37), 0), ((2, 300, 20), 1)])
def test_the_schedule_changes_no_bit(shape: Any, axis: int, name: str) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    bits = set()
    for schedule in SCHEDULES:
        with backend("cudasim:sm80") as device, cudasim.schedule(schedule, seed=1):
            bits.add(to_array(getattr(gs, name)(on(device, x), axis)).tobytes())
    assert len(bits) == 1


def test_nothing_to_reduce(device_isa: str) -> None:
    with backend(device_isa) as device:
        empty = gs.zeros(0, 3, device=device)
        assert to_array(empty.sum(0)).tolist() == [0.0] * 3
        assert to_array(empty.prod(0)).tolist() == [1.0] * 3
        assert np.isnan(to_array(empty.mean(0))).all()
        assert to_array(gs.all(empty, 0)).tolist() == [True] * 3
        assert to_array(empty.sum(1)).shape == (0,)
        assert to_array(empty.cumsum(0)).shape == (0, 3)
