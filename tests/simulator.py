# SPDX-License-Identifier: Apache-2.0
"""The simulator's kernels against the CPU's, one call of an extension at a time: for paths that
need sizes, strides or options that the Cases of a family do not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradsmith import _cpu, cudasim
from gradsmith.backend import CPU, as_device, extension_of, moved
from tests.cases import HAS_SIMULATOR, SCHEDULES

needs_simulator = pytest.mark.skipif(not HAS_SIMULATOR, reason="built without the simulator")

DTYPES = (np.float32, np.float64, ml_dtypes.bfloat16, np.float16)
TOLERANCES = {np.float32: 1e-5, np.float64: 1e-12, ml_dtypes.bfloat16: 2e-2, np.float16: 2.5e-3}

# Puts an array on a device, as memory of its own.
Place = Callable[[Any], Any]
# Takes an extension module and what puts arrays on its device; returns arrays.
Call = Callable[[Any, Place], tuple[Any, ...]]


def on_cpu(array: Any) -> Any:
    return np.array(array)


def on_simulator(array: Any) -> Any:
    return moved(np.array(array), as_device("cudasim"))


def simulator() -> Any:
    return extension_of(as_device("cudasim"))


def results(call: Call) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return what the CPU and the simulator give; all schedules have to give the same bits."""
    expected = [np.asarray(each) for each in call(_cpu, on_cpu)]
    runs = []
    for name in SCHEDULES:
        with cudasim.schedule(name, 5):
            runs.append([np.asarray(moved(each, CPU)) for each in call(simulator(), on_simulator)])
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            assert first.tobytes() == second.tobytes(), "bits differ by schedule"
    return expected, runs[0]


def assert_parity(call: Call, tolerance: float = 0) -> None:
    """Check the simulator's results against the CPU's: equal, or within a relative tolerance."""
    for want, got in zip(*results(call), strict=True):
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        wide = got.astype(np.float64), want.astype(np.float64)
        np.testing.assert_allclose(*wide, rtol=tolerance, atol=tolerance)


def refusal(call: Call, extension: Any, place: Place) -> str:
    """Return the class and message of what a call raises."""
    with pytest.raises((IndexError, ValueError)) as caught:
        call(extension, place)
    return f"{type(caught.value).__name__}: {caught.value}"


def assert_same_refusal(call: Call) -> None:
    """Check that the simulator refuses in the CPU's words."""
    assert refusal(call, simulator(), on_simulator) == refusal(call, _cpu, on_cpu)
