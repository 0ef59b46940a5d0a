# SPDX-License-Identifier: Apache-2.0
"""Measures what the machine can do, in the same run as the kernels that are judged by it."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).with_name("limits.cpp")

LONG_ROUNDS, SHORT_ROUNDS = 4_000_000, 500_000  # of twelve multiply-adds: 13 ms and 1.6 ms

# A host that is shared gives a processor to somebody else for seconds on end. What runs then takes
# up to `threads` times as long, whoever wrote it, and says nothing.
SHARE_OF_CORES = 0.85
PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 5.0  # for one sample
PATIENCE_OF_A_RUN = 300.0


class Machine:
    """The limits of this machine on a number of threads.

    Attributes:
        limits: the rate of float32 FMA (``fma_gflops``) and the bandwidth of a copy, read and
            written (``copy_gbs``, GB/s).
        waited: seconds that samples have waited for the processors.
    """

    def __init__(self, threads: int) -> None:
        """Compile the loops and measure them."""
        self.threads = threads
        self.waited = 0.0
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "limits.so"
            flags = ["-O3", "-march=native", "-ffp-contract=fast", "-std=c++17", "-pthread"]
            flags += ["-shared", "-fPIC"]
            subprocess.run(["g++", *flags, str(SOURCE), "-o", str(library)], check=True)
            loaded = ctypes.CDLL(str(library))
        self._fma, copy = loaded.fma_gflops, loaded.copy_gbs
        self._fma.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long]
        self._fma.restype = ctypes.c_double
        copy.argtypes, copy.restype = [ctypes.c_int], ctypes.c_double
        self.limits = {"fma_gflops": self._sustained_fma(), "copy_gbs": copy(threads)}

    def _sustained_fma(self) -> float:
        """Return the rate of all threads, once it is near that of so many single ones."""
        end = time.perf_counter() + PATIENCE_SECONDS
        alone = self._fma(1, 3, LONG_ROUNDS)
        found = self._fma(self.threads, 5, LONG_ROUNDS)
        while found < SHARE_OF_CORES * self.threads * alone and time.perf_counter() < end:
            time.sleep(PAUSE_SECONDS)
            found = max(found, self._fma(self.threads, 5, LONG_ROUNDS))
        return float(found)

    def wait_for_cores(self) -> None:
        """Return when all threads multiply at nearly the measured rate, or patience is over."""
        start = time.perf_counter()
        wanted = SHARE_OF_CORES * self.limits["fma_gflops"]
        while self._fma(self.threads, 3, SHORT_ROUNDS) < wanted:
            lost = time.perf_counter() - start
            if lost > PATIENCE_SECONDS or self.waited + lost > PATIENCE_OF_A_RUN:
                break
            time.sleep(PAUSE_SECONDS)
        self.waited += time.perf_counter() - start
