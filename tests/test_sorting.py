# SPDX-License-Identifier: Apache-2.0
"""Order, first ranks, medians, single ranks: against definitions for every size at which a kernel
changes its method, every dtype, with ties, NaN, infinities, both zeros and denormal numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from tests.cases import ISAS, Case, CaseTests, backend, isa_cap, threads
from tests.reference import sorting as reference
from tests.simulator import Place, assert_parity, needs_simulator
from tests.test_reduce import distinct

NAN = math.nan
ALL_DTYPES = [
    *(np.float32, np.float64, ml_dtypes.bfloat16, np.float16),
    *(np.int64, np.int32, np.uint8, np.bool_),
]


def case(name: str, call: Callable[..., Any], definition: Callable[..., Any], **kw: Any) -> Case:
    return Case(name, call, definition, distinct, tolerance="exact", **kw)


def slope(axis: int, order: Callable[..., Any]) -> Callable[..., Any]:
    return lambda dy, x: reference.spread(dy, x, axis, order(x))


CASES = [
    *(
        case(
            f"sort-{axis}-{descending}",
            lambda x, a=axis, d=descending: tuple(gs.sort(x, a, descending=d)),
            lambda x, a=axis, d=descending: reference.sort(x, a, d),
            backward=slope(axis, lambda x, a=axis, d=descending: reference.argsort(x, a, d)),
        )
        for axis in (0, 1, 2)
        for descending in (False, True)
    ),
    case(
        "topk-largest",
        lambda x: tuple(gs.topk(x, 2, 1)),
        lambda x: reference.topk(x, 2, 1),
        backward=slope(1, lambda x: reference.topk(x, 2, 1)[1]),
    ),
    case(
        "topk-smallest",
        lambda x: tuple(x.topk(3, -1, largest=False)),
        lambda x: reference.topk(x, 3, 2, False),
        backward=slope(2, lambda x: reference.topk(x, 3, 2, False)[1]),
    ),
    case("median", lambda x: tuple(gs.median(x, 1)), lambda x: reference.median(x, 1)),
    case("median-of-all", gs.median, lambda x: reference.median(x.reshape(-1), 0)[0]),
    case(
        "nanmedian", lambda x: tuple(x.nanmedian(2, True)), lambda x: kept(reference.median(x, 2))
    ),
    case("kthvalue", lambda x: tuple(gs.kthvalue(x, 3, 2)), lambda x: reference.kthvalue(x, 3, 2)),
    case(
        "kthvalue-kept",
        lambda x: tuple(gs.kthvalue(x, 1, 2, True)),
        lambda x: kept(reference.kthvalue(x, 1, 2)),
    ),
    case("mode", lambda x: tuple(x.mode(1)), lambda x: reference.mode(x, 1)),
    case("msort", gs.msort, lambda x: np.sort(x, 0)),
]


def kept(found: tuple[Any, Any]) -> tuple[Any, Any]:
    return found[0][..., None], found[1][..., None]


class TestCases(CaseTests):
    pass


# ---- all methods ---------------------------------------------------------------------------------


def hard_rows(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Many ties; floating rows with all that is special about floating numbers."""
    rng = np.random.default_rng(0)
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    if dtype == np.uint8:
        return rng.integers(0, 256, shape).astype(dtype)
    if np.issubdtype(dtype, np.integer):
        return rng.integers(-40, 40, shape).astype(dtype) * (np.iinfo(dtype).max // 40)
    x = np.where(rng.random(shape) < 0.5, rng.standard_normal(shape), rng.integers(-3, 4, shape))
    special = rng.choice([NAN, -NAN, math.inf, -math.inf, 0.0, -0.0, 1e-40, -1e-40], shape)
    return np.where(rng.random(shape) < 0.1, special, x).astype(dtype)


def assert_found(found: Any, expected: tuple[Any, Any]) -> None:
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got.numpy().astype(want.dtype), want)


SIZES = [1, 2, 7, 33, 128, 129, 300, 1100, 3000]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("axis", [0, 1])
def test_every_method(axis: int, dtype: Any, isa: str) -> None:
    for size in SIZES:
        x = hard_rows((size, 19) if axis == 0 else (5, size), dtype)
        # NumPy orders no bfloat16; float64 has all of its values.
        keys = x.astype(np.float64) if dtype == ml_dtypes.bfloat16 else x
        with isa_cap(isa):
            tensor = gs.from_numpy(x)
            for descending in (False, True):
                expected = reference.sort(keys, axis, descending)
                assert_found(tensor.sort(axis, descending), expected)
                for k in {1, size // 9, size // 2, size}:
                    found = tensor.topk(k, axis, largest=descending)
                    assert_found(found, reference.topk(keys, k, axis, descending))
            for k in {1, 1 + size // 3, size}:
                assert_found(tensor.kthvalue(k, axis), reference.kthvalue(keys, k, axis))
            assert_found(tensor.median(axis), reference.median(keys, axis))
            assert_found(tensor.nanmedian(axis), reference.median(keys, axis, ignores_nan=True))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", ["equal", "ascending", "descending", "one_byte", "cluster"])
def test_rows_that_are_special_to_a_method(kind: str, isa: str) -> None:
    rng = np.random.default_rng(0)
    rows = {
        "equal": np.full(5000, 1.5),
        "ascending": np.arange(5000.0),
        "descending": -np.arange(5000.0),
        "one_byte": rng.integers(0, 200, 5000) * 2.0**16,
        # All but one agree in their leading bits, and most of these in the next ones.
        "cluster": np.append(1 + rng.choice([1e-9, 1e-15], 4999) * rng.standard_normal(4999), 1e99),
    }
    x = rows[kind] if kind == "cluster" else rows[kind].astype(np.float32)
    with isa_cap(isa):
        tensor = gs.from_numpy(x)
        assert_found(tensor.sort(), reference.sort(x, 0))
        assert_found(tensor.topk(70), reference.topk(x, 70, 0))
        assert_found(tensor.topk(400, largest=False), reference.topk(x, 400, 0, False))
        assert_found(tensor.kthvalue(2501), reference.kthvalue(x, 2501, 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_long_row_for_any_number_of_threads(dtype: Any) -> None:
    x = hard_rows((200_003,), dtype)
    x[1000:150_000] = 1 + x[1000:150_000] * 2.0**-40
    for count in (1, 2, 7):
        with threads(count):
            tensor = gs.from_numpy(x)
            assert_found(tensor.sort(descending=True), reference.sort(x, 0, True))
            assert_found(tensor.topk(40), reference.topk(x, 40, 0))
            assert_found(tensor.nanmedian(0), reference.median(x, 0, ignores_nan=True))


@needs_simulator
@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize(("size", "descending"), [(70, True), (2300, False)])
def test_simulated_rows(size: int, descending: bool, dtype: Any) -> None:
    x = hard_rows((2, size, 2), dtype)

    def call(extension: Any, place: Place) -> tuple[Any, ...]:
        given = place(x)
        return (
            *extension.sort(given, 1, 0, size, descending),
            *extension.sort(given, 1, 5, 3, descending),
            *extension.median(given, 1, False),
            *extension.median(given, 1, True),
        )

    assert_parity(call)


# ---- conventions ---------------------------------------------------------------------------------


def test_order_is_stable_in_both_directions() -> None:
    x = gs.tensor([2, 1, 2, 1])
    assert gs.argsort(x).tolist() == [1, 3, 0, 2]
    assert gs.argsort(x, descending=True).tolist() == [0, 2, 1, 3]


def test_median_is_the_lower_of_two() -> None:
    assert gs.median(gs.tensor([4.0, 1.0, 3.0, 2.0])).item() == 2.0
    assert gs.median(gs.tensor([1.0, NAN, 3.0, NAN]), 0).indices.item() == 1


@pytest.mark.parametrize("device", ["cpu", pytest.param("cudasim", marks=needs_simulator)])
def test_no_elements_and_no_dimension(device: str) -> None:
    for shape in ((0,), (0, 3), (3, 0)):
        values, indices = gs.zeros(shape, device=device).sort(0)
        assert values.shape == indices.shape == shape
    assert gs.zeros(4, 0, device=device).median(0).values.shape == (0,)
    scalar = gs.tensor(3.0, device=device)
    assert scalar.sort().indices.item() == scalar.argsort().item() == 0
    x = gs.ones(3, device=device, requires_grad=True)
    assert x.topk(0).values.shape == (0,)
    x.topk(0).values.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("isa", ["reference", "cudasim:sm80"])
def test_ranks_that_are_not_there(isa: str) -> None:
    if ":" in isa:
        pytest.importorskip("gradsmith._cudasim")
    with backend(isa) as device:
        extension = gs.backend.extension_of(device)
        x = gs.ones(2, 3, device=device)._array
        for first, count in ((-1, 1), (0, 4), (3, 1), (1, -1), (2**62, 2**62)):
            with pytest.raises(ValueError, match="sort: ranks"):
                extension.sort(x, 1, first, count, False)
        with pytest.raises(IndexError, match="median: dim 2"):
            extension.median(x, 2, False)
