# SPDX-License-Identifier: Apache-2.0
"""`save` and `load`: safetensors files with a checksum. Nothing in them is ever executed.

Own files carry, in the metadata, a format version, the structure of the state (see `structure`) and
the SHA-256 of structure and tensors. Files of other programs have none of the three and load as a
dictionary of tensors.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, BinaryIO

import numpy as np
import safetensors
import safetensors.numpy

from gradsmith import backend
from gradsmith.backend import Array, Device, DType
from gradsmith.io.atomic import replace_file
from gradsmith.io.structure import pack, parse_json, unpack
from gradsmith.tensor import Tensor, wrap

Path = str | os.PathLike[str]

FORMAT_VERSION = "1"
MAX_HEADER = 100_000_000  # bytes; the limit of the format
_PREFIX = "gradsmith_"
_KEYS = frozenset({"gradsmith_version", "gradsmith_sha256", "gradsmith_structure"})

_CODES: dict[str, DType] = {
    "BOOL": backend.bool_,
    "U8": backend.uint8,
    "I32": backend.int32,
    "I64": backend.int64,
    "BF16": backend.bfloat16,
    "F16": backend.float16,
    "F32": backend.float32,
    "F64": backend.float64,
}
# Dtypes of other programs that a wider one of ours holds exactly.
_WIDENED: dict[str, tuple[DType, DType]] = {
    "I8": (np.dtype(np.int8), backend.int64),
    "I16": (np.dtype(np.int16), backend.int64),
    "U16": (np.dtype(np.uint16), backend.int64),
    "U32": (np.dtype(np.uint32), backend.int64),
}


def save(obj: Any, path: Path) -> None:
    """Write tensors, or a nested state that holds tensors, to a file in safetensors format.

    The state may consist of dictionaries (keys str or int), lists, tuples, str, int, float, bool,
    None and tensors, as in ``{"model": model.state_dict(), "optimizer": optimizer.state_dict()}``.
    The file is replaced in one step: a crash or a full disk leaves the old one as it was.

    Raises:
        TypeError: the state holds something else; the message says where.
        ValueError: the state is nested too deeply.
        OSError: the file cannot be written.
    """
    name = os.fspath(path)
    structure, tensors = pack(obj)
    arrays = {key: _in_order(tensor) for key, tensor in tensors.items()}
    metadata = {
        "gradsmith_version": FORMAT_VERSION,
        "gradsmith_structure": structure,
        "gradsmith_sha256": _digest(structure, arrays),
    }
    replace_file(name, safetensors.numpy.save(arrays, metadata))


def load(path: Path, map_location: Device | str | None = None) -> Any:
    """Return what `save` wrote, or the tensors of any safetensors file as a dictionary.

    Small integers of other programs become int64.

    Args:
        path: the file.
        map_location: the device to put tensors on (default CPU, wherever they were saved from).

    Raises:
        OSError: the file cannot be read.
        ValueError: it is truncated, corrupt, or no safetensors file; the message names it.
    """
    name = os.fspath(path)
    device = backend.as_device(map_location)
    try:
        with open(name, "rb") as file:
            metadata = _metadata(_header(file))
            file.seek(0)
            arrays = _arrays(file.read())
        tensors = {key: wrap(backend.moved(array, device)) for key, array in arrays.items()}
        if not metadata:
            return tensors
        structure = metadata["gradsmith_structure"]
        if _digest(structure, arrays) != metadata["gradsmith_sha256"]:
            raise ValueError("its checksum does not match: the content was changed or damaged")
        return unpack(structure, tensors)
    except ValueError as error:
        raise ValueError(f"load: {name}: {error}") from None


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file: name -> dtype, shape, data_offsets; its metadata.

    Only the header is read, so that large files are cheap to look into; it is checked for form, the
    tensors are not.

    Raises:
        OSError: the file cannot be read.
        ValueError: it does not begin with a valid header.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            return _header(file)
    except ValueError as error:
        raise ValueError(f"read_header: {name}: {error}") from None


def _in_order(tensor: Tensor) -> Array:
    array = tensor.detach().cpu()._array
    return array if array.flags.c_contiguous else array.copy(order="C")


def _digest(structure: str, arrays: dict[str, Array]) -> str:
    """Hash all a file says: the structure, then name, dtype, shape and bytes of each tensor."""
    digest = hashlib.sha256(structure.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name}\n{array.dtype}\n{array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _header(file: BinaryIO) -> dict[str, Any]:
    """Read the header at the beginning of a file; no more is read than a valid one would have."""
    start = file.read(8)
    total = os.fstat(file.fileno()).st_size
    if len(start) < 8:
        raise ValueError(f"it has {total} bytes, too few for a safetensors file")
    size = int.from_bytes(start, "little")
    if size > MAX_HEADER:
        raise ValueError(
            f"its header would have {size} bytes (limit {MAX_HEADER}): it is no safetensors file"
        )
    if size > total - 8:
        raise ValueError(f"it is truncated: its header has {size} bytes, but {total - 8} are there")
    header = parse_json(file.read(size), "its header")
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object: it is no safetensors file")
    return header


def _metadata(header: dict[str, Any]) -> dict[str, str]:
    """Return the metadata of an own file; empty for files of other programs."""
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict):
        raise ValueError("its metadata is no JSON object")
    own = {key for key in metadata if key.startswith(_PREFIX)}
    if not own:
        return {}
    version = metadata.get("gradsmith_version")
    if version is not None and version != FORMAT_VERSION:
        raise ValueError(
            f"it has format version {str(version)[:40]!r}; this gradsmith reads {FORMAT_VERSION!r}"
        )
    if own != _KEYS or not all(isinstance(metadata[key], str) for key in own):
        raise ValueError(f"its metadata is damaged: it has {sorted(own)}, expected {sorted(_KEYS)}")
    return metadata


def _arrays(content: bytes) -> dict[str, Array]:
    try:
        entries: Any = safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ValueError(f"it is truncated or damaged: {error}") from None
    return {name: _array(name, entry) for name, entry in entries}


def _array(name: str, entry: dict[str, Any]) -> Array:
    code = entry["dtype"]
    if code in _WIDENED:
        stored, wanted = _WIDENED[code]
        return np.frombuffer(entry["data"], stored).reshape(entry["shape"]).astype(wanted)
    if code not in _CODES:
        known = ", ".join([*_CODES, *_WIDENED])
        raise ValueError(f"tensor {name!r} has dtype {code}, expected one of {known}")
    if code == "BOOL" and entry["data"].translate(None, b"\x00\x01"):
        raise ValueError(f"tensor {name!r} of dtype BOOL has bytes other than 0 and 1")
    array = np.frombuffer(entry["data"], _CODES[code]).reshape(entry["shape"])
    return array if array.flags.writeable else array.copy()
