# SPDX-License-Identifier: Apache-2.0
"""Products of float32 at the precision that was asked for, and of float64 on matrix units."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import cudasim
from gradsmith.backend import Device, as_device, extension_of
from tests.cases import HAS_SIMULATOR, SCHEDULES, backend, to_array
from tests.test_gemm_device import LAYOUTS, SIZES, exact, matrix, product
from tests.tolerance import assert_close

# How far an element may be off, as a part of the sum of the magnitudes of its terms: numbers are
# cut after 21 bits (two parts) and after 11.
ERRORS = {"high": 2.0**-20, "medium": 2.0**-10}
needs_simulator = pytest.mark.skipif(not HAS_SIMULATOR, reason="this build has no simulator")


@contextmanager
def precision(name: str) -> Iterator[None]:
    before = gs.get_float32_matmul_precision()
    gs.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        gs.set_float32_matmul_precision(before)


def counted_instructions(device: Device, run: Any) -> tuple[Any, int]:
    """Return the result and how many matrix instructions the kernels took (0 on a real GPU)."""
    if device != as_device("cudasim"):
        return run(), 0
    cudasim.reset()
    result = run()
    return result, sum(each["matrix_instructions"] for each in cudasim.report().values())


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_error_stays_within_the_precision(
    size: tuple[int, int, int], name: str, device_isa: str
) -> None:
    m, n, k = size
    rng = np.random.default_rng(m + n + k)
    with backend(device_isa) as device, precision(name):
        for a_layout, b_layout in [(a, b) for a in LAYOUTS[:2] for b in LAYOUTS[:2]]:
            a, a_values = matrix(rng, device, m, k, a_layout, "float32")
            b, b_values = matrix(rng, device, k, n, b_layout, "float32")
            got = product(device, a, b, None).astype(np.float64)
            allowed = exact(abs(a_values), abs(b_values)) * (ERRORS[name] + k * 2.0**-24)
            assert (abs(got - exact(a_values, b_values)) <= allowed).all(), (a_layout, b_layout)


@pytest.mark.parametrize("activation", ["none", "gelu"])
def test_bias_batches_and_activations(activation: str, device_isa: str) -> None:
    rng = np.random.default_rng(2)
    a = rng.standard_normal((3, 1, 40, 96)).astype(np.float32)
    b = rng.standard_normal((1, 5, 96, 64)).astype(np.float32)
    bias = rng.standard_normal(64).astype(np.float32)
    with backend(device_isa) as device:
        given = [gs.from_numpy(each).to(device) for each in (a, b, bias)]
        expected = product(device, *given, activation)
        with precision("high"):
            got = product(device, *given, activation)
        assert_close(got, expected, "float32", "matmul", 96)


@needs_simulator
def test_what_runs_at_which_precision() -> None:
    device = as_device("cudasim")
    rng = np.random.default_rng(3)
    a, _ = matrix(rng, device, 64, 64, "rows", "float32")
    shifted, _ = matrix(rng, device, 64, 64, "shifted", "float32")
    counts = {}
    for name in ("highest", "medium", "high"):
        with precision(name):
            _, counts[name] = counted_instructions(device, lambda: product(device, a, a, None))
            _, unaligned = counted_instructions(device, lambda: product(device, a, shifted, None))
            assert unaligned == 0
    assert counts["highest"] == 0
    assert counts["high"] == 3 * counts["medium"] > 0
    wide = a.to(gs.float64)
    assert counted_instructions(device, lambda: product(device, wide, wide, None))[1] > 0


@needs_simulator
def test_results_differ_as_the_precisions_do() -> None:
    device = as_device("cudasim")
    a, a_values = matrix(np.random.default_rng(4), device, 64, 128, "rows", "float32")
    errors = []
    for name in ("highest", "high", "medium"):
        with precision(name):
            got = product(device, a, a.T, None)
        errors.append(abs(got - exact(a_values, a_values.T)).max())
    assert errors[1] < 4 * errors[0]
    assert errors[2] > 100 * errors[0]


@needs_simulator
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_schedules_agree(dtype: str) -> None:
    device = as_device("cudasim")
    rng = np.random.default_rng(5)
    a, _ = matrix(rng, device, 136, 200, "rows", dtype)
    b, _ = matrix(rng, device, 200, 104, "columns", dtype)
    results = []
    with precision("high"):
        for schedule in SCHEDULES:
            with cudasim.schedule(schedule, seed=1):
                results.append(product(device, a, b, None))
    for each in results[1:]:
        np.testing.assert_array_equal(each, results[0])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
def test_single_products_keep_what_is_not_finite(value: float, device_isa: str) -> None:
    a = np.ones((64, 64), np.float32)
    a[5, 7] = value
    b = np.eye(64, dtype=np.float32) if value == 3e38 else np.ones((64, 64), np.float32)
    with backend(device_isa) as device, precision("medium"):
        got = product(device, *(gs.from_numpy(each).to(device) for each in (a, b)), None)
        with np.errstate(invalid="ignore"):
            expected = a @ b
        np.testing.assert_allclose(got, expected, rtol=2.0**-10, atol=64 * 2.0**-10)


def test_gradients_take_it_too(device_isa: str) -> None:
    rng = np.random.default_rng(6)
    arrays = [rng.standard_normal((64, 64)).astype(np.float32) for _ in range(2)]
    gradients = []
    with backend(device_isa) as device:
        for name in ("highest", "high"):
            a, b = (gs.from_numpy(each).to(device).requires_grad_() for each in arrays)
            with precision(name):
                gs.matmul(a, b).square().sum().backward()
            gradients.append(to_array(a.grad))
    assert_close(gradients[1], gradients[0], "float32", "matmul", 64 * 64)


def test_the_cpu_computes_in_float32() -> None:
    x = gs.randn(50, 50)
    expected = (x @ x).numpy()
    with precision("medium"):
        np.testing.assert_array_equal((x @ x).numpy(), expected)


def test_setting() -> None:
    assert gs.get_float32_matmul_precision() == "highest"
    with precision("high"):
        assert gs.get_float32_matmul_precision() == "high"
        if HAS_SIMULATOR:
            extension = extension_of(as_device("cudasim"))
            assert extension.float32_matmul_precision() == "high"
    with pytest.raises(ValueError, match=r"precision 'exact' \(expected highest, high or medium\)"):
        gs.set_float32_matmul_precision("exact")
    with pytest.raises(TypeError, match="precision is a int, expected a str"):
        gs.set_float32_matmul_precision(3)  # type: ignore[arg-type]
    assert gs.get_float32_matmul_precision() == "highest"
