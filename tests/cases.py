# SPDX-License-Identifier: Apache-2.0
"""One Case per op yields every test of it: parity with the NumPy definition on every ISA, dtype and
device, backward, gradcheck and gradgradcheck, layouts, thread counts, the simulator's schedules,
inputs left alone. Gradients on a device are compared with the CPU's where no definition has them.

A test module lists its ``CASES`` and declares ``class TestCases(CaseTests)``; conftest.py spreads
the cases over the tests.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import ml_dtypes
import numpy as np
import pytest

from gradsmith import _cpu, cudasim
from gradsmith.autograd import grad, gradcheck, gradgradcheck
from gradsmith.backend import CPU, Device, as_device, extension_of, moved
from gradsmith.tensor import Tensor, wrap
from tests.layouts import LAYOUTS, strided_tensors
from tests.tolerance import assert_close

_ORDER = ("reference", "avx2", "avx512", "avx512_bf16", "amx_bf16")
ISAS = _ORDER[: _ORDER.index(_cpu.highest_isa()) + 1]
HAS_SIMULATOR = importlib.util.find_spec("gradsmith._cudasim") is not None
SCHEDULES = ("in_order", "reversed", "random")
NUMPY_DTYPES = {"float32": np.float32, "float64": np.float64}
NUMPY_DTYPES |= {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
REDUCED = ("bfloat16", "float16")


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
            input (None where there is none); without it only gradcheck judges the CPU's gradients,
            and these those of the other devices.
        tolerance: class of tests/tolerance.py.
        depth: number of terms that are added up per element.
        dtypes: dtypes of forward parity; backward parity leaves out those of 16 bits, where rules
            that are compositions round several times.
        differentiable: whether gradients are checked at all.
        second_order: whether gradgradcheck applies.
        layouts: whether the op takes any strides.
        threads: whether one, two and seven threads must agree to the bit, and all schedules.
    """

    name: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    make_inputs: Callable[[np.random.Generator], tuple[Any, ...]]
    backward: Callable[..., Any] | None = None
    tolerance: str = "pointwise"
    depth: int = 1
    dtypes: tuple[str, ...] = ("float32", "float64", *REDUCED)
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
    return array.dtype in NUMPY_DTYPES.values()


def to_array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


@contextmanager
def backend(isa: str) -> Iterator[Device]:
    """Run the block with kernels of this ISA or below, ``avx2`` or ``cudasim:sm80``.

    Yields the device that has it.
    """
    place, _, name = isa.rpartition(":")
    device = as_device(place or "cpu")
    extension = extension_of(device)
    before = extension.isa()
    extension.set_isa(name)
    try:
        yield device
    finally:
        extension.set_isa(before)


@contextmanager
def isa_cap(name: str) -> Iterator[None]:
    """Run the block with the CPU's kernels of this ISA or below."""
    with backend(name):
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run the block with this many threads."""
    before = _cpu.thread_count()
    _cpu.set_thread_count(count)
    try:
        yield
    finally:
        _cpu.set_thread_count(before)


def tensors_of(arrays: list[Any], requires_grad: bool, device: Device = CPU) -> list[Tensor]:
    return [
        Tensor(moved(np.asarray(each), device), requires_grad=requires_grad and is_floating(each))
        for each in arrays
    ]


def run_with_gradients(
    case: Case, arrays: list[Any], device: Device = CPU, dys: list[Any] | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    """Return outputs, the dys fed in (noise if None), and the inputs' gradients (or None)."""
    tensors = tensors_of(arrays, True, device)
    outputs = as_tuple(case.call(*tensors))
    floating = [out for out in outputs if is_floating(out._array) and out.requires_grad]
    rng = np.random.default_rng(1)
    seeds = [_noise(rng, out) for out in floating]
    if dys is not None:
        seeds = tensors_of(dys, False, device)
    wanted = [x for x in tensors if x.requires_grad]
    gradients = grad(floating, wanted, seeds, allow_unused=True)
    return (
        [to_array(out) for out in outputs],
        [to_array(seed) for seed in seeds],
        [None if g is None else to_array(g) for g in gradients],
    )


def run_on_threads(
    case: Case, arrays: list[Any], isa: str
) -> tuple[list[Any], list[Any], list[Any]]:
    """Return what `run_with_gradients` does, having seen the same bits on 1, 2 and 7 threads."""
    bits = set()
    for count in (1, 2, 7):
        with threads(count), isa_cap(isa):
            outputs, dys, gradients = run_with_gradients(case, arrays)
        bits.add(b"".join(each.tobytes() for each in (*outputs, *gradients) if each is not None))
    assert len(bits) == 1, f"{case.name}: bits differ by threads"
    return outputs, dys, gradients


def _noise(rng: np.random.Generator, like: Tensor) -> Tensor:
    noise = np.asarray(rng.standard_normal(like.shape)).astype(like.dtype)
    return wrap(moved(noise, like.device))


def second_gradients(case: Case, arrays: list[Any], device: Device = CPU) -> list[Any]:
    """Return the gradients (or None) of the sum of the first ones, each times noise."""
    tensors = tensors_of(arrays, True, device)
    outputs = [out for out in as_tuple(case.call(*tensors)) if out.requires_grad]
    rng = np.random.default_rng(1)
    seeds = [_noise(rng, out).requires_grad_() for out in outputs]
    wanted = [x for x in tensors if x.requires_grad]
    first = grad(outputs, wanted, seeds, create_graph=True, allow_unused=True)
    again = [each for each in first if each is not None and each.requires_grad]
    if not again:
        return []
    noises = [_noise(rng, each) for each in again]
    second = grad(again, [*wanted, *seeds], noises, allow_unused=True)
    return [None if each is None else to_array(each) for each in second]


def assert_gradients(
    case: Case, got: list[Any], expected: list[Any], dtype: str, depth: int, label: str
) -> None:
    """Compare gradients; one that is missing is the same as zeros."""
    # Those of exact ops may be sums, which the CPU formed in float64.
    tolerance = "pointwise" if case.tolerance == "exact" else case.tolerance
    assert len(got) == len(expected), f"{case.name}: {len(expected)} {label}s expected"
    for index, (each, want) in enumerate(zip(got, expected, strict=True)):
        name = f"{case.name} {label} {index}"
        if want is None or each is None:
            zero = want if each is None else each
            assert zero is None or not np.any(zero), name
            continue
        assert each.dtype == NUMPY_DTYPES[dtype], f"{name}: dtype {each.dtype}"
        assert_close(each, want, dtype, tolerance, depth, name)


class CaseTests:
    """The tests every Case goes through."""

    def test_forward(self, case: Case, dtype: str, isa: str) -> None:
        arrays = case.inputs(dtype)
        with backend(isa) as device:
            inputs = tensors_of([each.copy() for each in arrays], False, device)
            outputs = as_tuple(case.call(*inputs))
        expected = case.expected(arrays)
        assert len(outputs) == len(expected)
        for index, (got, want) in enumerate(zip(outputs, expected, strict=True)):
            _check_trust(np.asarray(want), f"{case.name} output {index}")
            assert got.device == device, f"{case.name} output {index} is on {got.device}"
            array = to_array(got)
            if is_floating(array):
                assert array.dtype == NUMPY_DTYPES[dtype], f"{case.name}: dtype {array.dtype}"
                label = f"{case.name} output {index}"
                assert_close(array, want, dtype, case.tolerance, case.depth, label)
            else:
                np.testing.assert_array_equal(array, want, err_msg=case.name)
        for before, after in zip(arrays, inputs, strict=True):
            message = f"{case.name} changed an input"
            np.testing.assert_array_equal(before, to_array(after), err_msg=message)

    def test_backward(self, case: Case, dtype: str, isa: str) -> None:
        if not case.differentiable or dtype in REDUCED:
            return
        if case.backward is None and ":" not in isa:
            return  # gradcheck judges these
        arrays = case.inputs(dtype)
        with backend(isa) as device:
            _, seeds, gradients = run_with_gradients(case, arrays, device)
        wide = [widened(each) for each in arrays]
        if case.backward is None:
            dys = [widened(each) for each in seeds]
            _, _, expected = run_with_gradients(case, wide, dys=dys)
        else:
            with np.errstate(all="ignore"):
                expected = list(as_tuple(case.backward(*map(widened, seeds), *wide)))
        assert_gradients(case, gradients, expected, dtype, 4 * case.depth, "gradient")

    def test_gradcheck(self, case: Case) -> None:
        if case.differentiable:
            assert gradcheck(case.call, tensors_of(case.inputs("float64"), requires_grad=True))

    def test_gradgradcheck(self, case: Case) -> None:
        if case.differentiable and case.second_order:
            assert gradgradcheck(case.call, tensors_of(case.inputs("float64"), requires_grad=True))

    def test_second_order(self, case: Case, device_isa: str) -> None:
        if not (case.differentiable and case.second_order):
            return
        arrays = case.inputs("float64")
        with backend(device_isa) as device:
            got = second_gradients(case, arrays, device)
        expected = second_gradients(case, arrays)
        assert_gradients(case, got, expected, "float64", 64 * case.depth, "second gradient")

    def test_layouts(self, case: Case, isa: str) -> None:
        if not case.layouts:
            return
        arrays = case.inputs("float32")
        for name in LAYOUTS:
            with backend(isa) as device:
                outputs = as_tuple(case.call(*strided_tensors(arrays, name, device)))
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
        runs = []
        for count in (1, 2, 7):
            with threads(count):
                runs.append(_everything(case, CPU))
        _assert_same_bits(case, runs, "threads")

    def test_schedules(self, case: Case, simulator_isa: str) -> None:
        if not case.threads:
            return
        runs = []
        for name in SCHEDULES:
            with backend(simulator_isa) as device, cudasim.schedule(name, seed=1):
                runs.append(_everything(case, device))
        _assert_same_bits(case, runs, "schedules")


def _everything(case: Case, device: Device) -> list[np.ndarray]:
    """Return the outputs and gradients of a float32 run."""
    arrays = case.inputs("float32")
    if not case.differentiable:
        outputs = as_tuple(case.call(*tensors_of(arrays, False, device)))
        return [to_array(each) for each in outputs]
    outputs, _, gradients = run_with_gradients(case, arrays, device)
    return [*outputs, *(g for g in gradients if g is not None)]


def _assert_same_bits(case: Case, runs: list[list[np.ndarray]], by: str) -> None:
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            assert first.tobytes() == second.tobytes(), f"{case.name}: bits differ by {by}"


def _check_trust(expected: np.ndarray, label: str) -> None:
    """Refuse a problem whose answer is nearly constant: a broken kernel could pass it."""
    if expected.size < 10 or expected.dtype == bool:
        return
    _, counts = np.unique(expected, return_counts=True)
    assert counts.max() <= 0.9 * expected.size, f"{label}: over 90 % of the answer is one value"


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Spread the module's cases over a test function by the arguments it takes."""
    names = metafunc.fixturenames
    simulated = simulated_isas(metafunc.module.__name__)
    on_gpu = [pytest.param("cuda:sm90", marks=pytest.mark.gpu)] if wants_gpu(metafunc) else []
    if "device_isa" in names:
        metafunc.parametrize("device_isa", [*simulated, *on_gpu])
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
        metafunc.parametrize("isa", [*ISAS, *simulated, *on_gpu])
    if "simulator_isa" in names:
        metafunc.parametrize("simulator_isa", simulated)


def wants_gpu(metafunc: pytest.Metafunc) -> bool:
    """Whether the command line asks for the tests marked gpu; without, none are made."""
    expression = metafunc.config.option.markexpr
    return "gpu" in expression and "not gpu" not in expression


def simulated_isas(module: str) -> list[str]:
    """Return the simulator's ISAs to test a module's cases under: sm90 where its slots have it."""
    if not HAS_SIMULATOR:
        return []
    family = module.rpartition(".")[2].split("_")[1]
    implementations = extension_of("cudasim").implementations()
    names = [name for slot in slots_of(family) for name in implementations[slot]]
    has_sm90 = any(name.startswith("sm90") for name in names)
    return ["cudasim:sm80", "cudasim:sm90"] if has_sm90 else ["cudasim:sm80"]


@cache
def slots_of(family: str) -> list[str]:
    """Return the kernel slots below the family's heading in the op list."""
    path = Path(__file__).resolve().parent.parent / "csrc" / "ops" / "op_list.inc"
    sections = re.split(r"^// (?=[a-z]+$)", path.read_text(), flags=re.M)
    (section,) = [each for each in sections if each.startswith(f"{family}\n")] or [""]
    return re.findall(r"OP\((\w+),", section)
