# SPDX-License-Identifier: Apache-2.0
"""Measures what the machine can do, in the same run as the kernels that are judged by it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("limits.cpp")


def measure(threads: int) -> dict[str, float]:
    """Return the float32 FMA rate (GFLOP/s) and the copy bandwidth (GB/s, read + written)."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "limits"
        flags = ["-O3", "-march=native", "-ffp-contract=fast", "-std=c++17", "-pthread"]
        subprocess.run(["g++", *flags, str(SOURCE), "-o", str(program)], check=True)
        result = subprocess.run([program, str(threads)], capture_output=True, text=True, check=True)
    limits: dict[str, float] = json.loads(result.stdout)
    return limits
