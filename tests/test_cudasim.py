# SPDX-License-Identifier: Apache-2.0
"""The simulator finds what kernels get wrong, and counts what decides their speed."""

from __future__ import annotations

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import backend

try:
    SIMULATOR = backend.extension_of("cudasim")
except RuntimeError as error:
    pytest.skip(str(error), allow_module_level=True)

SCHEDULES = ("in_order", "reversed", "random")

# What the simulator says of a fault that it stops at.
REPORTED = {
    "copy_never_waited_for": "asynchronous copies that nobody waited for",
    "global_out_of_bounds": "touches 4 bytes at offset 256 of a block of 256 bytes of global",
    "shared_out_of_bounds": "touches 4 bytes at offset 256 of 256 bytes of shared memory",
    "arena_too_small": "takes 260 bytes of shared memory, the launch gave 256",
    "misaligned_pack": "4 past a multiple of that",
    "diverged_collective": "while others of its warp are in",
    "deadlock": "deadlock: .* waits for a named barrier",
    "missing_word": "deadlock: .* waits for a word of another thread",
    "barrier_overflow": "once more than it was made for",
    "barrier_not_made": "a barrier that nobody has made",
    "host_pointer": "a pointer that is no device memory",
    "missing_async_fence": "written without fence_async_shared",
    "missing_full_wait": "deadlock: .* waits for a barrier|arrives at a barrier once more",
    "products_never_waited_for": "matrix products that nobody waited for",
}


def results(name: str, is_faulty: bool) -> list[np.ndarray]:
    found = []
    for name_of_schedule in SCHEDULES:
        with gs.cudasim.schedule(name_of_schedule, seed=1):
            found.append(np.array(SIMULATOR.run_fault(name, is_faulty)))
    return found


@pytest.mark.parametrize("name", SIMULATOR.fault_names())
def test_right_kernel_gives_the_same_bits_in_every_order(name: str) -> None:
    first, *others = results(name, is_faulty=False)
    assert np.isfinite(first).all()
    for other in others:
        np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("name", SIMULATOR.fault_names())
def test_fault_is_found(name: str) -> None:
    if name in REPORTED:
        with pytest.raises(RuntimeError, match=REPORTED[name]):
            results(name, is_faulty=True)
        return
    right = results(name, is_faulty=False)[0]
    wrong = results(name, is_faulty=True)
    assert any(not np.array_equal(right, one) for one in wrong)


def operands() -> tuple[np.ndarray, np.ndarray]:
    row, depth = np.mgrid[:64, :128]
    a = (7 * row + 3 * depth) % 13 - 6
    b = (5 * row + 11 * depth) % 17 - 8
    return a.astype(float), b.astype(float)


def test_warpgroup_product_is_right() -> None:
    a, b = operands()
    d = results("wrong_swizzle", is_faulty=False)[0].reshape(64, 64)
    np.testing.assert_array_equal(d, a @ b.T)


def test_warp_product_is_right() -> None:
    a, b = operands()
    d = results("misread_fragment", is_faulty=False)[0].reshape(16, 8)
    np.testing.assert_array_equal(d, a[:16, :16] @ b[:8, :16].T)


@pytest.mark.parametrize(("column", "row"), [(-1, 0), (1, 4), (3, 7)])
def test_pixels_are_gathered_by_the_positions_of_a_window(column: int, row: int) -> None:
    image = np.zeros((20, 6, 4))
    image[:8, :5] = np.arange(1, 161).reshape(8, 5, 4)
    window = [(y, x) for y in range(8) for x in (-1, 1, 3)]
    first = window.index((row, column))
    expected = np.zeros((16, 4))
    for i, (y, x) in enumerate(window[first : first + 16]):  # zeros behind the only image
        expected[i] = image[y + 1, x + 1]
    for schedule in SCHEDULES:
        with gs.cudasim.schedule(schedule, seed=1):
            pixels = np.array(SIMULATOR.run_gathered_pixels(column, row)).reshape(16, 4)
        np.testing.assert_array_equal(pixels, expected)


def test_pixels_begin_at_a_position_of_the_window() -> None:
    message = "from 0 on, which is no position of a window from -1 to 3 in steps of 2"
    with pytest.raises(RuntimeError, match=message):
        SIMULATOR.run_gathered_pixels(0, 4)


def test_unknown_fault() -> None:
    with pytest.raises(ValueError, match="run_fault: unknown fault 'none'"):
        SIMULATOR.run_fault("none", True)


def counted(run: str, *arguments: object) -> dict[str, int]:
    gs.cudasim.reset()
    with gs.cudasim.counting():
        getattr(SIMULATOR, run)(*arguments)
    (counters,) = gs.cudasim.report().values()
    return counters


@pytest.mark.parametrize(("stride", "sectors"), [(0, 1), (1, 4), (2, 8), (8, 32), (32, 32)])
def test_sectors_of_global_memory(stride: int, sectors: int) -> None:
    counters = counted("run_strided_reads", False, stride, 1)
    assert counters["global_requests"] == 1
    assert counters["global_bytes"] == 128
    # Blocks of memory begin at a sector.
    assert counters["global_sectors"] == sectors


@pytest.mark.parametrize(("stride", "ways"), [(0, 1), (1, 1), (2, 2), (4, 4), (32, 32), (33, 1)])
def test_conflicts_of_shared_memory(stride: int, ways: int) -> None:
    counters = counted("run_strided_reads", True, stride, 3)
    assert counters["shared_requests"] == 3
    assert counters["shared_wavefronts"] == 3 * ways


@pytest.mark.parametrize(("row_bytes", "wavefronts"), [(16, 4), (64, 16), (128, 32), (144, 4)])
def test_conflicts_of_matrix_loads(row_bytes: int, wavefronts: int) -> None:
    counters = counted("run_matrix_load", row_bytes)
    assert counters["shared_requests"] == 1
    assert counters["shared_wavefronts"] == wavefronts


def test_matrix_instructions_and_copied_bytes() -> None:
    gs.cudasim.reset()
    SIMULATOR.run_fault("wrong_swizzle", False)
    (counters,) = gs.cudasim.report().values()
    assert counters["matrix_instructions"] == 8  # of a depth of 16, for 128
    assert counters["copied_bytes"] == 2 * 64 * 128 * 2
    assert counters["launches"] == counters["blocks"] == 1
    assert counters["threads"] == 160
