# SPDX-License-Identifier: Apache-2.0
"""The simulator of device ``cudasim``: the order of its threads, and what its kernels did.

The CUDA kernels run on the host, one fiber per thread, so that they can be checked without a GPU:
races show as results that depend on the schedule, and reads out of bounds raise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gradsmith.backend import CUDASIM, extension_of


@contextmanager
def schedule(name: str, seed: int = 0) -> Iterator[None]:
    """Run the block's kernels with their threads taking turns in another order.

    Args:
        name: ``"in_order"``, ``"reversed"`` or ``"random"``.
        seed: of the random order.

    Raises:
        ValueError: there is no such schedule.
        RuntimeError: this build has no simulator.
    """
    simulator = extension_of(CUDASIM)
    before = simulator.schedule()
    simulator.set_schedule(name, seed)
    try:
        yield
    finally:
        simulator.set_schedule(before, 0)


@contextmanager
def multiprocessors(count: int) -> Iterator[None]:
    """Run the block on a GPU of ``count`` multiprocessors in place of six.

    Raises:
        ValueError: ``count`` is not positive.
        RuntimeError: this build has no simulator.
    """
    simulator = extension_of(CUDASIM)
    before = simulator.multiprocessors()
    simulator.set_multiprocessors(count)
    try:
        yield
    finally:
        simulator.set_multiprocessors(before)


@contextmanager
def counting(on: bool = True) -> Iterator[None]:
    """Run the block's kernels with memory requests counted for `report`, or without."""
    simulator = extension_of(CUDASIM)
    before = simulator.counting()
    simulator.set_counting(on)
    try:
        yield
    finally:
        simulator.set_counting(before)


def report() -> dict[str, dict[str, int]]:
    """Return what each kernel did since `reset`: launches, barriers, memory requests, conflicts."""
    return dict(extension_of(CUDASIM).report())


def reset() -> None:
    """Set all counters of `report` to zero."""
    extension_of(CUDASIM).reset_report()
