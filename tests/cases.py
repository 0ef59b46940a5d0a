# SPDX-License-Identifier: Apache-2.0
"""One Case per op yields every test of it: parity with the NumPy definition on every ISA and dtype,
backward, gradcheck and gradgradcheck, layouts, thread counts, inputs left alone.

A test module lists its ``CASES`` and declares ``class TestCases(CaseTests)``; conftest.py spreads
the cases over the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import ml_dtypes
import numpy as np
import pytest

from gradsmith import _cpu
from gradsmith.autograd import grad, gradcheck, gradgradcheck
from gradsmith.tensor import Tensor
from tests.tolerance import assert_close

_ORDER = ("reference", "avx2", "avx512", "avx512_bf16", "amx_bf16")
ISAS = _ORDER[: _ORDER.index(_cpu.highest_isa()) + 1]
NUMPY_DTYPES = {"float32": np.float32, "float64": np.float64, "bfloat16": ml_dtypes.bfloat16}


@dataclass(frozen=True)
class Case:
    """One op on one problem.

    Attributes:
        name: unique within the module.
        call: takes tensors, returns a tensor or a tuple of tensors.
        reference: the definition; takes float64 arrays (integer and bool inputs as they are).
        make_inputs: takes a generator, returns arrays; float64 ones become the dtype under test.
            Stays away from kinks, and small: gradcheck runs the op twice per element.
        backward: the definition of the gradients: (*dy, *inputs) -> one gradient per floating
            input (None where there is none); without it only gradcheck judges the gradients.
        tolerance: class of tests/tolerance.py.
        depth: number of terms that are added up per element.
        dtypes: dtypes of forward parity; backward parity leaves out bfloat16, where rules that
            are compositions round several times.
        differentiable: whether gradients are checked at all.
        second_order: whether gradgradcheck applies.
        layouts: whether the op takes any strides.
        threads: whether one, two and seven threads must agree to the bit.
    """

    name: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    make_inputs: Callable[[np.random.Generator], tuple[Any, ...]]
    backward: Callable[..., Any] | None = None
    tolerance: str = "pointwise"
    depth: int = 1
    dtypes: tuple[str, ...] = ("float32", "float64", "bfloat16")
    differentiable: bool = True
    second_order: bool = True
    layouts: bool = True
    threads: bool = True

    def inputs(self, dtype: str) -> list[Any]:
        """Return the inputs as arrays of the dtype; the same for each call."""
        rng = np.random.default_rng(crc32(self.name.encode()))
        arrays = []
        for array in self.make_inputs(rng):
            array = np.asarray(array)
            arrays.append(array.astype(NUMPY_DTYPES[dtype]) if array.dtype == np.float64 else array)
        return arrays

    def expected(self, arrays: list[Any]) -> tuple[np.ndarray, ...]:
        """Return what the definition gives for the arrays, exactly as they were rounded."""
        with np.errstate(all="ignore"):
            return as_tuple(self.reference(*(widened(each) for each in arrays)))


def as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def widened(array: np.ndarray) -> np.ndarray:
    """Return a floating array in float64; others as they are."""
    return array.astype(np.float64) if is_floating(array) else array


def is_floating(array: np.ndarray) -> bool:
    return array.dtype in (np.float32, np.float64, ml_dtypes.bfloat16)


def to_array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


@contextmanager
def isa_cap(name: str) -> Iterator[None]:
    """Run the block with kernels of this ISA or below."""
    before = _cpu.isa()
    _cpu.set_isa(name)
    try:
        yield
    finally:
        _cpu.set_isa(before)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run the block with this many threads."""
    before = _cpu.thread_count()
    _cpu.set_thread_count(count)
    try:
        yield
    finally:
        _cpu.set_thread_count(before)


def tensors_of(arrays: list[Any], requires_grad: bool) -> list[Tensor]:
    return [Tensor(each, requires_grad=requires_grad and is_floating(each)) for each in arrays]


def run_with_gradients(case: Case, arrays: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Return outputs, the dys fed in, and the gradients of the floating inputs (or None)."""
    tensors = tensors_of(arrays, requires_grad=True)
    outputs = as_tuple(case.call(*tensors))
    floating = [out for out in outputs if is_floating(out._array) and out.requires_grad]
    rng = np.random.default_rng(1)
    seeds = [Tensor(np.asarray(rng.standard_normal(o.shape)).astype(o.dtype)) for o in floating]
    wanted = [x for x in tensors if x.requires_grad]
    gradients = grad(floating, wanted, seeds, allow_unused=True)
    return (
        [to_array(out) for out in outputs],
        [to_array(seed) for seed in seeds],
        [None if g is None else to_array(g) for g in gradients],
    )


# Each takes an array and returns one with equal elements and other strides.
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transposed": lambda x: np.asfortranarray(x) if x.ndim else x,
    "sliced": lambda x: _embedded(x, step=2),
    "reversed": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1] if x.ndim else x,
}


def _embedded(x: np.ndarray, step: int) -> np.ndarray:
    """Return x as every second element, from offset 1, of a larger array."""
    big = np.zeros(tuple(size * step + 1 for size in x.shape), dtype=x.dtype)
    view = big[(*(slice(1, 1 + size * step, step) for size in x.shape), ...)]
    view[...] = x
    return view


class CaseTests:
    """The tests every Case goes through."""

    def test_forward(self, case: Case, dtype: str, isa: str) -> None:
        arrays = case.inputs(dtype)
        copies = [each.copy() for each in arrays]
        with isa_cap(isa):
            outputs = as_tuple(case.call(*tensors_of(arrays, requires_grad=False)))
        expected = case.expected(arrays)
        assert len(outputs) == len(expected)
        for index, (got, want) in enumerate(zip(outputs, expected, strict=True)):
            _check_trust(np.asarray(want), f"{case.name} output {index}")
            array = to_array(got)
            if is_floating(array):
                assert array.dtype == NUMPY_DTYPES[dtype], f"{case.name}: dtype {array.dtype}"
                label = f"{case.name} output {index}"
                assert_close(array, want, dtype, case.tolerance, case.depth, label)
            else:
                np.testing.assert_array_equal(array, want, err_msg=case.name)
        for before, after in zip(copies, arrays, strict=True):
            np.testing.assert_array_equal(before, after, err_msg=f"{case.name} changed an input")

    def test_backward(self, case: Case, dtype: str, isa: str) -> None:
        if not case.differentiable or case.backward is None or dtype == "bfloat16":
            return
        arrays = case.inputs(dtype)
        with isa_cap(isa):
            _, seeds, gradients = run_with_gradients(case, arrays)
        with np.errstate(all="ignore"):
            expected = as_tuple(
                case.backward(*(widened(s) for s in seeds), *(widened(a) for a in arrays))
            )
        assert len(gradients) == len(expected), f"{case.name}: {len(expected)} gradients expected"
        for index, (got, want) in enumerate(zip(gradients, expected, strict=True)):
            label = f"{case.name} gradient {index}"
            if want is None or got is None:
                zero = want if got is None else got
                assert zero is None or not np.any(zero), label
                continue
            assert got.dtype == NUMPY_DTYPES[dtype], f"{label}: dtype {got.dtype}"
            assert_close(got, want, dtype, case.tolerance, 4 * case.depth, label)

    def test_gradcheck(self, case: Case) -> None:
        if case.differentiable:
            assert gradcheck(case.call, tensors_of(case.inputs("float64"), requires_grad=True))

    def test_gradgradcheck(self, case: Case) -> None:
        if case.differentiable and case.second_order:
            assert gradgradcheck(case.call, tensors_of(case.inputs("float64"), requires_grad=True))

    def test_layouts(self, case: Case, isa: str) -> None:
        if not case.layouts:
            return
        arrays = case.inputs("float32")
        for name, rearranged in LAYOUTS.items():
            strided = [rearranged(each) for each in arrays]
            with isa_cap(isa):
                outputs = as_tuple(case.call(*tensors_of(strided, requires_grad=False)))
            for got, want in zip(outputs, case.expected(arrays), strict=True):
                label = f"{case.name} {name}"
                if is_floating(to_array(got)):
                    tolerance = case.tolerance
                    assert_close(to_array(got), want, "float32", tolerance, case.depth, label)
                else:
                    np.testing.assert_array_equal(to_array(got), want, err_msg=label)

    def test_threads(self, case: Case) -> None:
        if not case.threads:
            return
        arrays = case.inputs("float32")
        runs = []
        for count in (1, 2, 7):
            with threads(count):
                if case.differentiable:
                    outputs, _, gradients = run_with_gradients(case, arrays)
                    runs.append([*outputs, *(g for g in gradients if g is not None)])
                else:
                    outputs = as_tuple(case.call(*tensors_of(arrays, requires_grad=False)))
                    runs.append([to_array(each) for each in outputs])
        for other in runs[1:]:
            for first, second in zip(runs[0], other, strict=True):
                assert first.tobytes() == second.tobytes(), f"{case.name}: bits differ by threads"


def _check_trust(expected: np.ndarray, label: str) -> None:
    """Refuse a problem whose answer is nearly constant: a broken kernel could pass it."""
    if expected.size < 10 or expected.dtype == bool:
        return
    _, counts = np.unique(expected, return_counts=True)
    assert counts.max() <= 0.9 * expected.size, f"{label}: over 90 % of the answer is one value"


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Spread the module's cases over a test function by the arguments it takes."""
    names = metafunc.fixturenames
    if "case" not in names:
        return
    cases = metafunc.module.CASES
    if "dtype" in names:
        pairs = [(case, dtype) for case in cases for dtype in case.dtypes]
        ids = [f"{case.name}-{dtype}" for case, dtype in pairs]
        metafunc.parametrize(("case", "dtype"), pairs, ids=ids)
    else:
        metafunc.parametrize("case", cases, ids=[case.name for case in cases])
    if "isa" in names:
        metafunc.parametrize("isa", ISAS)
