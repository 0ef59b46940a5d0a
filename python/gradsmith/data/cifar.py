# SPDX-License-Identifier: Apache-2.0
"""Reader of the binary version of CIFAR: records of label bytes and 3 planes of 32x32 bytes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gradsmith.backend import Array

_PIXELS = 3 * 32 * 32


def read_cifar(path: str | os.PathLike[str], label_bytes: int = 1) -> tuple[Array, Array]:
    """Return images uint8 (N, 3, 32, 32) and labels uint8 (N, label_bytes) of a CIFAR file.

    ``label_bytes`` is 1 for CIFAR-10, and 2 for CIFAR-100: the coarse label, then the fine one.

    Raises:
        OSError: the file cannot be read.
        ValueError: ``label_bytes`` is neither, or the file does not consist of such records.
    """
    return cifar_records("read_cifar", Path(path).read_bytes(), os.fspath(path), label_bytes)


def cifar_records(op: str, content: bytes, name: str, label_bytes: int) -> tuple[Array, Array]:
    """Return images and labels of the content of a file; see `read_cifar`."""
    if label_bytes not in (1, 2):
        raise ValueError(f"{op}: label_bytes is {label_bytes!r}, expected 1 or 2")
    record = label_bytes + _PIXELS
    if not content or len(content) % record:
        raise ValueError(
            f"{op}: {name} has {len(content)} bytes, expected records of {record} bytes"
        )
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    highest = (9,) if label_bytes == 1 else (19, 99)
    if (rows[:, :label_bytes] > np.array(highest)).any():
        raise ValueError(f"{op}: {name} has labels above {highest}; label_bytes may be wrong")
    return rows[:, label_bytes:].reshape(-1, 3, 32, 32), rows[:, :label_bytes]
