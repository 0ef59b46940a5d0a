# SPDX-License-Identifier: Apache-2.0
"""What the allocator holds: memory in use, memory kept for reuse, and the cap on the latter."""

from __future__ import annotations

import gradsmith._cpu as _cpu


def stats() -> dict[str, int]:
    """Return bytes ``in_use``, ``cached``, ``peak_in_use`` and ``cache_limit``, and counters.

    Small results come from NumPy's own allocator and are not counted.
    """
    return dict(_cpu.memory_stats())


def empty_cache() -> None:
    """Give memory that is kept for reuse back to the system."""
    _cpu.empty_cache()


def set_limit(bytes: int) -> None:
    """Keep at most this many bytes for reuse.

    Raises:
        TypeError: the number is no int.
        ValueError: the number is negative or too large.
    """
    if isinstance(bytes, bool) or not isinstance(bytes, int):
        raise TypeError(f"set_limit: bytes is a {type(bytes).__name__}, expected an int")
    if not 0 <= bytes < 2**63:
        raise ValueError(f"set_limit: got {bytes} bytes, expected a number from 0 to 2**63 - 1")
    _cpu.set_cache_limit(bytes)
