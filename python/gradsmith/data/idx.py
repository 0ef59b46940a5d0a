# SPDX-License-Identifier: Apache-2.0
"""Reader and writer of IDX files, the format of MNIST: big-endian, plain or gzip.

Layout: two zero bytes, a type code, the number of dimensions, each dimension as uint32, elements.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np

from gradsmith.backend import Array

_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = 1 << 31) -> Array:
    """Return the array in an IDX file, in the byte order of this machine.

    Memory grows with what the file really holds, not with what its header claims.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no IDX file, is cut off, has bytes left over, or holds more than
            ``max_bytes``.
    """
    path = Path(path)
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            if compressed:
                with gzip.open(file, "rb") as unpacked:
                    return _read(unpacked, str(path), max_bytes)
            return _read(file, str(path), max_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"read_idx: {path} is a damaged gzip file: {error}") from None


def _read(file: BufferedIOBase, name: str, max_bytes: int) -> Array:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES:
        raise ValueError(f"read_idx: {name} is no IDX file (it begins with 0x{head.hex()})")
    dtype, ndim = _TYPES[head[2]], head[3]
    sizes = file.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise ValueError(f"read_idx: {name} ends within its {ndim} sizes")
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, 4 * ndim, 4))
    expected = math.prod(shape) * dtype.itemsize
    if ndim > 32 or expected > max_bytes:
        raise ValueError(
            f"read_idx: {name} claims shape {shape} of {dtype}, {expected} bytes; the limit is "
            f"32 dimensions and max_bytes={max_bytes}"
        )
    content = bytearray()
    while len(content) < expected:
        chunk = file.read(min(_CHUNK, expected - len(content)))
        if not chunk:
            raise ValueError(
                f"read_idx: {name} ends after {len(content)} of {expected} bytes of shape {shape}"
            )
        content += chunk
    if file.read(1):
        raise ValueError(f"read_idx: {name} has bytes left after its {expected} of shape {shape}")
    return np.frombuffer(content, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def write_idx(path: str | os.PathLike[str], array: Array) -> None:
    """Write an array as an IDX file, compressed if the name ends in ``.gz``.

    The same array gives the same bytes: no time or name goes into the file.

    Raises:
        TypeError: IDX has no such dtype.
        ValueError: there are more than 32 dimensions or one is 2**32 or longer.
    """
    array = np.asarray(array)
    codes = {dtype.newbyteorder("="): code for code, dtype in _TYPES.items()}
    if array.dtype not in codes:
        raise TypeError(f"write_idx: IDX has no dtype {array.dtype}")
    if array.ndim > 32 or any(size >= 2**32 for size in array.shape):
        raise ValueError(f"write_idx: shape {array.shape} does not fit into an IDX file")
    code = codes[array.dtype]
    head = bytes([0, 0, code, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    content = head + array.astype(_TYPES[code]).tobytes()
    if Path(path).suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    Path(path).write_bytes(content)
