# SPDX-License-Identifier: Apache-2.0
"""Interleaved timing: rounds of A B A B in one process, judged by medians.

A shared machine changes its speed from second to second; only runs that alternate within one
process can be compared, and only as a ratio.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

MIN_SAMPLE_SECONDS = 0.004

# Thread pools spin for a while after their last call (OpenBLAS about 30 ms); until they sleep they
# take cores from whoever is timed next. Then a pool that was asleep needs a while until the system
# has spread its threads over the cores.
SETTLE_SECONDS = 0.04
WARM_UP_SECONDS = 0.02

# A run of a second needs no warming up, and ten seconds of samples tell enough: PyTorch multiplies
# bfloat16 a hundred times slower than float32 where the machine has no instruction for it.
LONG_RUN_SECONDS = 1.0
ENOUGH_SECONDS = 10.0


def seconds_of(runner: Callable[[], Any], repeats: int = 1) -> float:
    """Return the seconds that so many runs take."""
    start = time.perf_counter()
    for _ in range(repeats):
        runner()
    return time.perf_counter() - start


def repeats_for(runner: Callable[[], Any]) -> int:
    """Return how many runs make a sample long enough for the clock."""
    once = seconds_of(runner)
    if once < LONG_RUN_SECONDS:
        once = max(seconds_of(runner), 1e-7)
    return max(1, round(MIN_SAMPLE_SECONDS / once))


def interleaved(
    runners: dict[str, Callable[[], Any]], rounds: int, ready: Callable[[], None]
) -> dict[str, list[float]]:
    """Return per runner the seconds per run of each round; the order alternates.

    Every sample begins when `ready` returns. Runners that take seconds have fewer samples.
    """
    repeats = {name: repeats_for(runner) for name, runner in runners.items()}
    samples: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds):
        order = list(runners) if number % 2 == 0 else list(reversed(runners))
        for name in order:
            runner, taken = runners[name], samples[name]
            if repeats[name] * sum(taken) > ENOUGH_SECONDS:
                continue
            time.sleep(SETTLE_SECONDS)
            ready()
            warm = time.perf_counter() + WARM_UP_SECONDS
            while time.perf_counter() < warm and not (taken and taken[0] > LONG_RUN_SECONDS):
                runner()
            taken.append(seconds_of(runner, repeats[name]) / repeats[name])
    return samples


def median(samples: list[float]) -> float:
    """Return the median of the samples."""
    return statistics.median(samples)
