# SPDX-License-Identifier: Apache-2.0
"""What is in a safetensors file, read from its header alone."""

from __future__ import annotations

import os

from safetensors import SafetensorError, safe_open

from gradsmith import io

_LONGEST = 60  # characters of a metadata value


def describe(path: str | os.PathLike[str]) -> str:
    """Return a table of the tensors in a safetensors file; no tensor is loaded.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no safetensors file or is damaged.
    """
    name = os.fspath(path)
    header = io.read_header(name)
    try:
        with safe_open(name, framework="numpy"):
            pass  # checks that sizes, offsets and the end of the file agree
    except SafetensorError as error:
        raise ValueError(f"inspect: {name} is no valid safetensors file: {error}") from None
    metadata = header.pop("__metadata__", {})
    wide = max(map(len, header), default=0)
    total = 0
    lines = []
    for key, entry in header.items():
        begin, end = entry["data_offsets"]
        total += end - begin
        shape = tuple(entry["shape"])
        lines.append(f"{key:<{wide}}  {entry['dtype']:<5} {end - begin:>12,} B  {shape}")
    for key, value in sorted(metadata.items()):
        lines.append(f"{key}: {value[:_LONGEST]}{'...' if len(value) > _LONGEST else ''}")
    return "\n".join([*lines, f"{len(header)} tensors, {total:,} bytes"])
